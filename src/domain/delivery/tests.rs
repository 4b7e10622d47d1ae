use super::super::batch::{Destination, Manifest, ManifestEntry};
use super::super::file::FileId;
use super::super::ids::{BatchId, TableId};
use super::super::transition::Home;
use super::*;

const PATIENCE: Duration = Duration::from_secs(900);

fn file(name: &str) -> FileId {
    FileId {
        table: TableId::new("a", "s", "t"),
        bucket: "b".into(),
        key: name.into(),
        etag: "e".into(),
        size_bytes: 1,
    }
}

pub(super) fn batch(names: &[&str]) -> Batch {
    let entries = names.iter().map(|name| ManifestEntry { file: file(name), rows: 10 }).collect();
    let destination =
        Destination { project: "".into(), location: "".into(), dataset: "d".into(), table: "t".into() };
    Batch::plan(TableId::new("a", "s", "t"), destination, now(), None, Manifest { entries })
}

pub(super) fn now() -> Instant {
    Instant::from_micros(1_763_856_000_000_000)
}

fn built() -> Event {
    Event::Built { plan_hash: "p".into(), commits: None, stream: None }
}

fn ok(batch: &Batch) -> Event {
    let rows = batch.manifest.rows();
    Event::Status(JobStatus::Succeeded { rows, batch: Some(batch.id.clone()), destination_matches: true })
}

fn failed(kind: FaultKind) -> Event {
    Event::Status(JobStatus::Failed { kind, reason: "no".into() })
}

/// Plays events and answers the last action.
pub(super) fn play(delivery: &mut Delivery, events: impl IntoIterator<Item = Event>) -> Action {
    events.into_iter().map(|event| delivery.step(now(), event).1).last().expect("an event")
}

fn claimed(batch: &Batch) -> Delivery {
    let mut delivery = Delivery::plan(batch.clone(), "p".into(), PATIENCE);
    let action = play(&mut delivery, [Event::Begun, built(), Event::Claim(Claim::Won)]);
    assert_eq!(action, Action::Submit(batch.attempt(AttemptNumber(1), "p")));
    delivery
}

fn resumed(batch: &Batch, outcome: AttemptOutcome) -> Delivery {
    let record = BatchRecord {
        batch: batch.clone(),
        state: super::super::transition::BatchState::Open,
        last_attempt: Some((batch.attempt(AttemptNumber(1), "p"), outcome)),
        since: batch.claimed_at,
    };
    Delivery::resume(record, "p".into(), PATIENCE)
}

fn home_names(action: Action) -> Vec<String> {
    let Action::Rehome(homes) = action else { panic!("{action:?}") };
    homes
        .into_iter()
        .map(|home| match home {
            Home::Batch { batch, .. } => {
                let names: Vec<_> =
                    batch.manifest.entries.iter().map(|entry| entry.file.key.to_string()).collect();
                format!("batch {}", names.join(" "))
            }
            Home::Poison(file, reason) => format!("poison {} {reason}", file.key),
            Home::Vanished(file) => format!("vanished {}", file.key),
            Home::Deferred(file) => format!("deferred {}", file.key),
        })
        .collect()
}

#[test]
fn the_way_of_a_good_batch() {
    let batch = batch(&["x", "y"]);
    let mut delivery = claimed(&batch);
    let attempt = batch.attempt(AttemptNumber(1), "p");
    assert_eq!(play(&mut delivery, [Event::Submitted(Submission::Accepted)]), Action::Ask(attempt));
    assert_eq!(play(&mut delivery, [ok(&batch)]), Action::Commit);
    assert_eq!(play(&mut delivery, [Event::Step(Step::Done)]), Action::End(End::Loaded { by_a_job: true }));
}

#[test]
fn a_lost_answer_asks_about_the_same_id_and_never_takes_a_new_one() {
    let batch = batch(&["x"]);
    let attempt = batch.attempt(AttemptNumber(1), "p");
    for kind in [FaultKind::Unavailable, FaultKind::Throttled, FaultKind::Internal, FaultKind::AccessDenied] {
        let mut delivery = claimed(&batch);
        let action = play(&mut delivery, [Event::SubmitFailed { kind, reason: "?".into() }]);
        assert_eq!(action, Action::Ask(attempt.clone()));
        // Not found is not failure (I-3): the same id again.
        assert_eq!(
            play(&mut delivery, [Event::Status(JobStatus::NotFound)]),
            Action::Submit(attempt.clone())
        );
        assert_eq!(
            play(&mut delivery, [Event::Submitted(Submission::Duplicate), ok(&batch)]),
            Action::Commit
        );
    }
}

#[test]
fn a_job_that_is_accepted_and_never_found_is_not_asked_in_a_tight_loop() {
    let mut delivery = claimed(&batch(&["x"]));
    let waits: Vec<_> = (0..8)
        .map(|_| {
            delivery.step(now(), Event::Submitted(Submission::Duplicate));
            delivery.step(now(), Event::Status(JobStatus::NotFound)).0
        })
        .collect();
    assert_eq!(waits[0], Duration::ZERO);
    assert!(waits.windows(2).skip(1).all(|pair| pair[0] < pair[1] || pair[1] == LONGEST_WAIT), "{waits:?}");
}

#[test]
fn foreign_or_short_jobs_are_held_and_never_committed() {
    let batch = batch(&["x"]);
    let status = |rows, label: Option<&str>, destination_matches| {
        let label = label.map(BatchId::from_stored);
        Event::Status(JobStatus::Succeeded { rows, batch: label, destination_matches })
    };
    let own = batch.id.to_string();
    for event in [
        status(9, Some(&own), true),
        status(10, Some("other"), true),
        status(10, None, true),
        status(10, Some(&own), false),
    ] {
        let mut delivery = claimed(&batch);
        assert_eq!(play(&mut delivery, [Event::Submitted(Submission::Duplicate), event]), Action::Hold);
        let end = play(&mut delivery, [Event::Step(Step::Done)]);
        assert!(matches!(end, Action::End(End::Held(_))), "{end:?}");
    }
}

#[test]
fn a_job_known_to_have_failed_gives_the_next_attempt() {
    let batch = batch(&["x"]);
    let mut delivery = claimed(&batch);
    let next = batch.attempt(AttemptNumber(2), "p");
    let action =
        play(&mut delivery, [Event::Submitted(Submission::Accepted), failed(FaultKind::Unavailable)]);
    let expected =
        Action::FailAttempt { failed: AttemptNumber(1), reason: "no".into(), next: Some(next.clone()) };
    assert_eq!(action, expected);
    assert_eq!(play(&mut delivery, [Event::Step(Step::Done)]), Action::Submit(next));
}

#[test]
fn attempts_end_and_then_the_files_are_deferred() {
    let batch = batch(&["x", "y"]);
    let mut delivery = claimed(&batch);
    for _ in 1..ATTEMPTS_MAX {
        let events =
            [Event::Submitted(Submission::Accepted), failed(FaultKind::Unavailable), Event::Step(Step::Done)];
        assert!(matches!(play(&mut delivery, events), Action::Submit(_)));
    }
    let events =
        [Event::Submitted(Submission::Accepted), failed(FaultKind::Unavailable), Event::Step(Step::Done)];
    assert_eq!(home_names(play(&mut delivery, events)), ["deferred x", "deferred y"]);
}

#[test]
fn refused_content_is_bisected_and_the_last_one_is_poison() {
    let many = batch(&["x", "y", "z"]);
    let mut delivery = claimed(&many);
    let refused =
        [Event::Submitted(Submission::Accepted), failed(FaultKind::ContentRefused), Event::Step(Step::Done)];
    assert_eq!(home_names(play(&mut delivery, refused.clone())), ["batch x", "batch y z"]);
    // Of the last one it is asked whether its table takes anything at all.
    let mut delivery = claimed(&batch(&["x"]));
    assert_eq!(play(&mut delivery, refused.clone()), Action::Probe);
    assert_eq!(play(&mut delivery, [Event::ProbeFailed { refused: None }]), Action::Probe);
    assert_eq!(home_names(play(&mut delivery, [Event::Probed(Ok(()))])), ["poison x no"]);
    // After a restart it is built again first: that is what its table is asked with.
    let alone = batch(&["x"]);
    let mut delivery = resumed(&alone, AttemptOutcome::Open);
    assert!(matches!(
        play(&mut delivery, [Event::Begun, failed(FaultKind::ContentRefused)]),
        Action::Build { .. }
    ));
}

#[test]
fn a_table_that_takes_nothing_poisons_nobody() {
    let mut delivery = claimed(&batch(&["x"]));
    let refused =
        [Event::Submitted(Submission::Accepted), failed(FaultKind::ContentRefused), Event::Step(Step::Done)];
    assert_eq!(play(&mut delivery, refused), Action::Probe);
    let nothing = Event::Probed(Err("not even no rows".to_owned()));
    assert_eq!(home_names(play(&mut delivery, [nothing])), ["deferred x"]);
    let action = play(&mut delivery, [Event::Step(Step::Done)]);
    let held = |action: &Action| matches!(action, Action::End(End::Rehomed { hold: Some(why), .. }) if why.starts_with("not even no rows. Before that, b/x@"));
    assert!(held(&action), "{action:?}");
}

#[test]
fn the_half_that_must_hold_the_culprit_is_halved_without_a_job_if_its_fence_is_taken() {
    let half = batch(&["x", "y"]);
    let part = || Part { suspect: Some("no".to_owned()), table_takes: true };
    let begun = || resumed(&half, AttemptOutcome::Open).of_part(part());
    let mut delivery = begun();
    let halved = [Event::Begun, Event::Fence(FenceAnswer::Accepted), Event::Step(Step::Done)];
    assert_eq!(home_names(play(&mut delivery, halved)), ["batch x", "batch y"]);
    for otherwise in [Event::FenceFailed, Event::Fence(FenceAnswer::Duplicate)] {
        assert!(matches!(play(&mut begun(), [Event::Begun, otherwise]), Action::Ask(_)));
    }
}

#[test]
fn a_vanished_file_is_fenced_before_it_leaves_its_batch() {
    let batch = batch(&["x", "y"]);
    let mut delivery = resumed(&batch, AttemptOutcome::Open);
    let attempt = batch.attempt(AttemptNumber(1), "p");
    assert_eq!(play(&mut delivery, [Event::Begun]), Action::Ask(attempt.clone()));
    assert!(matches!(play(&mut delivery, [Event::Status(JobStatus::NotFound)]), Action::Build { .. }));
    let gone = Event::Unbuilt { file: Some(file("x")), kind: FaultKind::Vanished, reason: "gone".into() };
    assert_eq!(play(&mut delivery, [gone]), Action::Fence(attempt.clone()));
    // The fence's answer is lost; the second finds the first.
    assert_eq!(play(&mut delivery, [Event::FenceFailed]), Action::Fence(attempt.clone()));
    assert_eq!(play(&mut delivery, [Event::Fence(FenceAnswer::Duplicate)]), Action::Ask(attempt));
    let action = play(&mut delivery, [Event::Status(JobStatus::Fenced)]);
    assert!(matches!(action, Action::FailAttempt { next: None, .. }), "{action:?}");
    assert_eq!(home_names(play(&mut delivery, [Event::Step(Step::Done)])), ["vanished x", "batch y"]);
}

#[test]
fn a_fence_that_finds_the_load_commits_it() {
    let batch = batch(&["x", "y"]);
    let mut delivery = resumed(&batch, AttemptOutcome::Open);
    let gone = Event::Unbuilt { file: Some(file("x")), kind: FaultKind::Vanished, reason: "gone".into() };
    let events = [
        Event::Begun,
        Event::Status(JobStatus::NotFound),
        gone,
        Event::Fence(FenceAnswer::Duplicate),
        ok(&batch),
    ];
    assert_eq!(play(&mut delivery, events), Action::Commit);
}

#[test]
fn a_fence_found_after_a_crash_leads_to_a_new_attempt() {
    let batch = batch(&["x"]);
    let mut delivery = resumed(&batch, AttemptOutcome::Open);
    assert!(matches!(
        play(&mut delivery, [Event::Begun, Event::Status(JobStatus::Fenced)]),
        Action::Build { .. }
    ));
    let action = play(&mut delivery, [built()]);
    assert!(matches!(action, Action::FailAttempt { next: Some(_), .. }), "{action:?}");
    assert_eq!(
        play(&mut delivery, [Event::Step(Step::Done)]),
        Action::Submit(batch.attempt(AttemptNumber(2), "p"))
    );
}

#[test]
fn other_column_rules_fence_before_the_body_is_used() {
    let batch = batch(&["x"]);
    let mut delivery = resumed(&batch, AttemptOutcome::Open);
    play(&mut delivery, [Event::Begun, Event::Status(JobStatus::NotFound)]);
    let action = play(&mut delivery, [Event::Built { plan_hash: "q".into(), commits: None, stream: None }]);
    assert_eq!(action, Action::Fence(batch.attempt(AttemptNumber(1), "p")));
    let action = play(&mut delivery, [Event::Fence(FenceAnswer::Accepted)]);
    let next = batch.attempt(AttemptNumber(2), "q");
    assert!(matches!(&action, Action::FailAttempt { next: Some(n), .. } if *n == next), "{action:?}");
    assert_eq!(play(&mut delivery, [Event::Step(Step::Done)]), Action::Submit(next));
}

#[test]
fn a_failed_attempt_found_after_a_crash_is_tried_again() {
    let batch = batch(&["x"]);
    let mut delivery = resumed(&batch, AttemptOutcome::Failed("no".into()));
    assert!(matches!(play(&mut delivery, [Event::Begun]), Action::Build { .. }));
    let action = play(&mut delivery, [built()]);
    assert!(
        matches!(action, Action::FailAttempt { failed: AttemptNumber(1), next: Some(_), .. }),
        "{action:?}"
    );
}

#[test]
fn a_body_that_cannot_be_built_before_the_claim_claims_nothing() {
    let mut delivery = Delivery::plan(batch(&["x"]), "p".into(), PATIENCE);
    let bad = Event::Unbuilt { file: Some(file("x")), kind: FaultKind::Unreadable, reason: "cut".into() };
    let action = play(&mut delivery, [Event::Begun, bad]);
    assert!(matches!(action, Action::End(End::Unbuilt { .. })), "{action:?}");
    assert!(!delivery.is_claimed());
}

#[test]
fn zero_rows_need_no_job() {
    let mut empty = batch(&["x"]);
    empty.manifest.entries[0].rows = 0;
    let mut delivery = Delivery::plan(empty, "p".into(), PATIENCE);
    assert_eq!(play(&mut delivery, [Event::Begun]), Action::Claim(None));
    assert_eq!(play(&mut delivery, [Event::Claim(Claim::Won)]), Action::Commit);
}

#[test]
fn a_refused_destination_is_fenced_after_patience_and_holds_the_table() {
    let batch = batch(&["x"]);
    let mut delivery = claimed(&batch);
    let refused = || Event::SubmitFailed { kind: FaultKind::DestinationRefused, reason: "no table".into() };
    assert!(matches!(play(&mut delivery, [refused()]), Action::Ask(_)));
    play(&mut delivery, [Event::Status(JobStatus::NotFound)]);
    let late = now().plus(PATIENCE);
    assert!(matches!(delivery.step(late, refused()).1, Action::Fence(_)));
    let action = play(&mut delivery, [Event::Fence(FenceAnswer::Accepted), Event::Step(Step::Done)]);
    assert_eq!(home_names(action), ["deferred x"]);
    let end = play(&mut delivery, [Event::Step(Step::Done)]);
    assert!(matches!(end, Action::End(End::Rehomed { hold: Some(_), .. })), "{end:?}");
}

#[test]
fn a_body_that_its_table_refuses_is_built_anew_until_patience_ends() {
    let mut delivery = claimed(&batch(&["x"]));
    let refused = || Event::SubmitFailed { kind: FaultKind::DestinationRefused, reason: "narrower".into() };
    let not_found = || Event::Status(JobStatus::NotFound);
    assert!(matches!(play(&mut delivery, [refused(), not_found()]), Action::Build { .. }));
    assert!(matches!(play(&mut delivery, [built()]), Action::Submit(_)));
    let later = now().plus(Duration::from_secs(1));
    assert!(matches!(delivery.step(later, refused()).1, Action::Ask(_)));
    assert!(matches!(delivery.step(later, not_found()).1, Action::Build { .. }));
    // What cannot be built for want of a place is given up after the same patience.
    let unplaced = || {
        let (file, reason) = (Some(file("x")), "frozen".into());
        Event::Unbuilt { file, kind: FaultKind::DestinationRefused, reason }
    };
    assert!(matches!(delivery.step(later, unplaced()).1, Action::Ask(_)));
    delivery.step(later, not_found());
    let late = later.plus(PATIENCE);
    assert!(matches!(delivery.step(late, unplaced()).1, Action::Fence(_)));
    let action = play(&mut delivery, [Event::Fence(FenceAnswer::Accepted), Event::Step(Step::Done)]);
    assert_eq!(home_names(action), ["deferred x"]);
}

#[test]
fn patience_begins_with_a_refusal_and_ends_with_its_absence() {
    let batch = batch(&["x"]);
    let mut delivery = claimed(&batch);
    let fails = |kind| Event::SubmitFailed { kind, reason: "?".into() };
    let not_found = || Event::Status(JobStatus::NotFound);
    // A hiccup is no refusal: the one that follows long after is the first.
    play(&mut delivery, [fails(FaultKind::Unavailable), not_found()]);
    let late = now().plus(PATIENCE);
    assert!(matches!(delivery.step(late, fails(FaultKind::AccessDenied)).1, Action::Ask(_)));
    // Taken in between, it starts anew.
    play(&mut delivery, [not_found(), Event::Submitted(Submission::Accepted), not_found()]);
    let later = late.plus(PATIENCE);
    assert!(matches!(delivery.step(later, fails(FaultKind::AccessDenied)).1, Action::Ask(_)));
    play(&mut delivery, [not_found()]);
    let latest = later.plus(PATIENCE);
    assert!(matches!(delivery.step(latest, fails(FaultKind::AccessDenied)).1, Action::Fence(_)));
}

#[test]
fn a_rested_delivery_stands_where_it_stood() {
    let batch = batch(&["x"]);
    let (mut tired, fresh) = (claimed(&batch), claimed(&batch));
    for _ in 0..3 {
        let fails = Event::SubmitFailed { kind: FaultKind::Unavailable, reason: "?".into() };
        play(&mut tired, [fails, Event::Status(JobStatus::NotFound)]);
    }
    assert_ne!(tired, fresh);
    assert_eq!(tired.rested(), fresh);
}

#[test]
fn a_silent_ledger_ends_the_process_and_nothing_else_does() {
    let mut delivery = claimed(&batch(&["x"]));
    play(&mut delivery, [Event::Submitted(Submission::Accepted), ok(&batch(&["x"]))]);
    let mut last = Action::Commit;
    for _ in 0..LEDGER_TRIES_MAX {
        assert_eq!(last, Action::Commit);
        last = delivery.step(now(), Event::LedgerFailed("silent".into())).1;
    }
    assert_eq!(last, Action::End(End::LedgerLost("silent".into())));
}

#[test]
fn a_refused_step_means_that_another_process_was_faster() {
    let mut delivery = claimed(&batch(&["x"]));
    play(&mut delivery, [Event::Submitted(Submission::Accepted), failed(FaultKind::Unavailable)]);
    assert_eq!(play(&mut delivery, [Event::Step(Step::Refused)]), Action::End(End::Superseded));
}
