//! Batches whose rows go by a stream.

use super::super::transition::BatchState;
use super::tests::{batch, play};
use super::*;
use crate::domain::batch::Attempt;

fn built(stream: &str) -> Event {
    Event::Built { plan_hash: "p".into(), commits: None, stream: Some(stream.into()) }
}

fn attempt(batch: &Batch, number: u32, stream: &str) -> Attempt {
    batch.attempt(AttemptNumber(number), "p").through(Some(stream.into()))
}

fn sealed(rows: u64) -> Event {
    Event::Status(JobStatus::Sealed { rows })
}

/// A delivery whose first attempt is claimed, with the stream `s1`.
fn claimed(batch: &Batch) -> Delivery {
    let mut delivery = Delivery::plan(batch.clone(), "p".into(), Duration::from_secs(60));
    assert_eq!(play(&mut delivery, [Event::Begun]), Action::Build { by_stream: true });
    let first = attempt(batch, 1, "s1");
    assert_eq!(play(&mut delivery, [built("s1")]), Action::Claim(Some(first.clone())));
    assert_eq!(play(&mut delivery, [Event::Claim(Claim::Won)]), Action::Submit(first));
    delivery
}

#[test]
fn a_whole_stream_is_sealed_then_committed_then_the_batch() {
    let batch = batch(&["x", "y"]);
    let (rows, mut delivery) = (batch.manifest.rows(), claimed(&batch));
    let first = attempt(&batch, 1, "s1");
    let accepted = Event::Submitted(Submission::Accepted);
    assert_eq!(play(&mut delivery, [accepted]), Action::Ask(first.clone()));
    assert_eq!(play(&mut delivery, [sealed(rows)]), Action::CommitStream(first.clone()));
    // It is committed again until it is known.
    assert_eq!(play(&mut delivery, [Event::AskFailed]), Action::CommitStream(first));
    assert_eq!(play(&mut delivery, [Event::Status(JobStatus::Committed)]), Action::Commit);
}

#[test]
fn a_short_stream_has_failed_and_another_one_follows() {
    let batch = batch(&["x"]);
    let (rows, mut delivery) = (batch.manifest.rows(), claimed(&batch));
    let unknown = Event::SubmitFailed { kind: FaultKind::Unavailable, reason: "reset".into() };
    assert_eq!(play(&mut delivery, [unknown]), Action::Ask(attempt(&batch, 1, "s1")));
    assert_eq!(play(&mut delivery, [sealed(rows - 1)]), Action::Build { by_stream: true });
    let second = attempt(&batch, 2, "s2");
    let action = play(&mut delivery, [built("s2")]);
    assert!(
        matches!(&action, Action::FailAttempt { failed: AttemptNumber(1), next: Some(next), reason }
            if *next == second && reason.contains("of 10 rows")),
        "{action:?}"
    );
    // The same step again, with the same stream, while the ledger is silent.
    assert_eq!(play(&mut delivery, [Event::LedgerFailed("no".into())]), action);
    assert_eq!(play(&mut delivery, [Event::Step(Step::Done)]), Action::Submit(second));
}

#[test]
fn after_a_crash_a_stream_is_sealed_and_never_written_to_again() {
    let batch = batch(&["x"]);
    for (rows, whole) in [(batch.manifest.rows(), true), (0, false)] {
        let last_attempt = Some((attempt(&batch, 1, "s1"), AttemptOutcome::Open));
        let (state, since) = (BatchState::Open, batch.claimed_at);
        let record = BatchRecord { batch: batch.clone(), state, last_attempt, since };
        let mut delivery = Delivery::resume(record, "p".into(), Duration::from_secs(60));
        assert_eq!(play(&mut delivery, [Event::Begun]), Action::Ask(attempt(&batch, 1, "s1")));
        let action = play(&mut delivery, [sealed(rows)]);
        if whole {
            assert_eq!(action, Action::CommitStream(attempt(&batch, 1, "s1")));
        } else {
            assert_eq!(action, Action::Build { by_stream: true });
        }
    }
}

#[test]
fn what_a_stream_refuses_goes_by_a_load_job() {
    let batch = batch(&["x", "y"]);
    let mut delivery = claimed(&batch);
    let refused = Event::SubmitFailed { kind: FaultKind::ContentRefused, reason: "row 1".into() };
    // To ask is to seal: it is the fence of a stream.
    assert_eq!(play(&mut delivery, [refused]), Action::Ask(attempt(&batch, 1, "s1")));
    assert_eq!(play(&mut delivery, [sealed(0)]), Action::Build { by_stream: false });
    let action = play(&mut delivery, [Event::Built { plan_hash: "p".into(), commits: None, stream: None }]);
    let next = batch.attempt(AttemptNumber(2), "p");
    assert!(matches!(&action, Action::FailAttempt { next: Some(n), .. } if *n == next), "{action:?}");
    assert_eq!(play(&mut delivery, [Event::Step(Step::Done)]), Action::Submit(next));
}

#[test]
fn more_rows_than_the_manifest_has_hold_the_batch() {
    let batch = batch(&["x"]);
    let mut delivery = claimed(&batch);
    play(&mut delivery, [Event::Submitted(Submission::Accepted)]);
    assert_eq!(play(&mut delivery, [sealed(batch.manifest.rows() + 1)]), Action::Hold);
    // Nor is a stream trusted that was committed by somebody before it was counted.
    let mut delivery = claimed(&batch);
    play(&mut delivery, [Event::Submitted(Submission::Accepted)]);
    assert_eq!(play(&mut delivery, [Event::Status(JobStatus::Committed)]), Action::Hold);
}

#[test]
fn after_two_short_streams_a_load_job_has_its_turn() {
    let batch = batch(&["x"]);
    let mut delivery = claimed(&batch);
    let short = || [Event::SubmitFailed { kind: FaultKind::Unavailable, reason: "reset".into() }, sealed(1)];
    assert_eq!(play(&mut delivery, short()), Action::Build { by_stream: true });
    play(&mut delivery, [built("s2"), Event::Step(Step::Done)]);
    assert_eq!(play(&mut delivery, short()), Action::Build { by_stream: false });
}

/// What happens next, of what can happen to `action`: `draw` says which.
fn answer(batch: &Batch, action: &Action, draw: u8, streams: &mut u32) -> Event {
    let rows = batch.manifest.rows();
    let pick = |events: Vec<Event>| events[usize::from(draw) % events.len()].clone();
    let failed = |kind| Event::SubmitFailed { kind, reason: "no".into() };
    let job_failed = |kind| Event::Status(JobStatus::Failed { kind, reason: "no".into() });
    match action {
        Action::Build { by_stream } => {
            *streams += 1;
            let stream: Arc<str> = format!("s{streams}").into();
            let stream = (*by_stream && !draw.is_multiple_of(4)).then_some(stream);
            Event::Built { plan_hash: "p".into(), commits: None, stream }
        }
        Action::Claim(_) => Event::Claim(Claim::Won),
        Action::Submit(_) => pick(vec![
            Event::Submitted(Submission::Accepted),
            failed(FaultKind::Unavailable),
            failed(FaultKind::ContentRefused),
            failed(FaultKind::DestinationRefused),
        ]),
        Action::Ask(attempt) if attempt.stream.is_some() => {
            pick(vec![sealed(rows), sealed(rows - 1), sealed(0), Event::AskFailed])
        }
        Action::Ask(_) => pick(vec![
            Event::Status(JobStatus::NotFound),
            Event::Status(JobStatus::Running),
            job_failed(FaultKind::Unavailable),
            job_failed(FaultKind::ContentRefused),
        ]),
        Action::CommitStream(_) => pick(vec![Event::Status(JobStatus::Committed), Event::AskFailed]),
        Action::Fence(_) => pick(vec![Event::Fence(FenceAnswer::Accepted), Event::FenceFailed]),
        Action::Probe => Event::Probed(Err("no".into())),
        Action::FailAttempt { .. } | Action::Rehome(_) | Action::Commit | Action::Hold => {
            pick(vec![Event::Step(Step::Done), Event::LedgerFailed("no".into())])
        }
        Action::End(_) => Event::Begun,
    }
}

proptest::proptest! {
    /// JSON is native in a body that goes by a stream, and in no other: so no attempt takes what was built for another way.
    #[test]
    fn what_was_built_for_a_stream_goes_by_that_stream_alone(draws: Vec<u8>, resumed: Option<bool>) {
        let batch = batch(&["x", "y"]);
        let mut delivery = match resumed {
            None => Delivery::plan(batch.clone(), "p".into(), Duration::from_secs(60)),
            Some(open) => {
                let outcome = if open { AttemptOutcome::Open } else { AttemptOutcome::Failed("no".into()) };
                let last_attempt = Some((attempt(&batch, 1, "s0"), outcome));
                let (batch, since) = (batch.clone(), batch.claimed_at);
                let record = BatchRecord { batch, state: BatchState::Open, last_attempt, since };
                Delivery::resume(record, "p".into(), Duration::from_secs(60))
            }
        };
        let (mut built_for, mut streams) = (None, 0);
        let mut action = play(&mut delivery, [Event::Begun]);
        for draw in draws {
            if let Action::Submit(attempt) = &action {
                proptest::prop_assert_eq!(Some(&attempt.stream), built_for.as_ref(), "{:?}", attempt);
            }
            if matches!(action, Action::End(_)) {
                break;
            }
            let event = answer(&batch, &action, draw, &mut streams);
            if let Event::Built { stream, .. } = &event {
                built_for = Some(stream.clone());
            }
            action = play(&mut delivery, [event]);
        }
    }
}

/// A stream that is not found may be found again: it has failed when it was gone for longer than a commit can take, and is
/// never taken for failed once it was whole.
#[test]
fn a_stream_of_which_nothing_is_learned_is_asked_for_long_and_then_decided() {
    let batch = batch(&["x"]);
    let unsettled = |gone| Event::Status(JobStatus::Unsettled { gone, reason: "no such stream".into() });
    let later = super::tests::now().plus(STREAM_PATIENCE);
    for gone in [true, false] {
        let mut delivery = claimed(&batch);
        play(&mut delivery, [Event::Submitted(Submission::Accepted)]);
        assert_eq!(play(&mut delivery, [unsettled(gone)]), Action::Ask(attempt(&batch, 1, "s1")));
        let (_, action) = delivery.step(later, unsettled(gone));
        assert_eq!(action, if gone { Action::Build { by_stream: true } } else { Action::Hold });
        // Whole, and perhaps committed by a call that still goes on.
        let mut delivery = claimed(&batch);
        play(&mut delivery, [Event::Submitted(Submission::Accepted), sealed(batch.manifest.rows())]);
        assert_eq!(play(&mut delivery, [unsettled(gone)]), Action::CommitStream(attempt(&batch, 1, "s1")));
        assert_eq!(delivery.step(later, unsettled(gone)).1, Action::Hold);
    }
}
