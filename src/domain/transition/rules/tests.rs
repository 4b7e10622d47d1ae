use super::*;
use crate::domain::batch::{Destination, Manifest, ManifestEntry};
use crate::domain::ids::TableId;
use crate::domain::transition::Home;

fn file(name: &str) -> FileId {
    let table = TableId::new("a", "s", "t");
    FileId { table, bucket: "b".into(), key: name.into(), etag: "e".into(), size_bytes: 1 }
}

fn batch(names: &[&str], rows: u64) -> Batch {
    let entries = names.iter().map(|name| ManifestEntry { file: file(name), rows }).collect();
    let destination =
        Destination { project: "p".into(), location: "l".into(), dataset: "d".into(), table: "t".into() };
    Batch::plan(TableId::new("a", "s", "t"), destination, at(1), None, Manifest { entries })
}

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn attempt(batch: &Batch, number: u32) -> Attempt {
    batch.attempt(AttemptNumber(number), "plan")
}

fn record(state: BatchState, last: Option<(u32, AttemptOutcome)>) -> BatchRecord {
    let batch = batch(&["x", "y"], 3);
    let last_attempt = last.map(|(number, outcome)| (attempt(&batch, number), outcome));
    let since = batch.claimed_at;
    BatchRecord { batch, state, last_attempt, since }
}

const STATES: [BatchState; 4] =
    [BatchState::Open, BatchState::Held, BatchState::Loaded, BatchState::Abandoned];

fn no() -> AttemptOutcome {
    AttemptOutcome::Failed("no".into())
}

/// Every record that a ledger could hold, sound or not, with attempts 1 to 3.
fn records() -> Vec<BatchRecord> {
    let outcomes = [AttemptOutcome::Open, no(), AttemptOutcome::Succeeded];
    let lasts = (1..=3).flat_map(|number| outcomes.clone().map(|outcome| Some((number, outcome))));
    let lasts: Vec<_> = lasts.chain([None]).collect();
    STATES.into_iter().flat_map(|state| lasts.iter().map(move |last| record(state, last.clone()))).collect()
}

#[test]
fn a_claim_takes_free_files_alone_and_knows_itself_again() {
    let two = batch(&["x", "y"], 3);
    let first = attempt(&two, 1);
    let states = [
        (None, true),
        (Some(FileState::Deferred { since: at(1) }), true),
        (Some(FileState::Vanished { at: at(1) }), true),
        (Some(FileState::Poison { reason: "bad".into() }), false),
        (Some(FileState::Claimed { batch: two.id.clone(), held: false }), false),
        (Some(FileState::Claimed { batch: two.id.clone(), held: true }), false),
        (Some(FileState::Loaded { batch: two.id.clone() }), false),
    ];
    for (state, free) in states {
        let ruling = claim(&two, Some(&first), None, &[None, state.clone()]).unwrap();
        let lost = state.map(|state| Claiming::Lost(vec![(file("y"), state)]));
        assert_eq!(ruling, if free { Claiming::Write } else { lost.unwrap() });
    }
    // Known with this attempt: the same claim. With another: another hand's, even where its files are free by now.
    let other = two.attempt(AttemptNumber(1), "another plan");
    for state in STATES {
        let known = record(state, Some((1, AttemptOutcome::Open)));
        let free = [None, None];
        assert_eq!(claim(&two, Some(&first), Some(&known), &free).unwrap(), Claiming::Already);
        assert_eq!(claim(&two, Some(&other), Some(&known), &free).unwrap(), Claiming::Lost(vec![]));
    }
}

#[test]
fn a_claim_without_sense_is_a_misuse() {
    let (one, none) = (batch(&["x"], 3), batch(&["x"], 0));
    claim(&one, None, None, &[None]).unwrap_err();
    claim(&one, Some(&attempt(&batch(&["y"], 3), 1)), None, &[None]).unwrap_err();
    assert_eq!(claim(&none, None, None, &[None]).unwrap(), Claiming::Write);
    let twice = batch(&["x", "x"], 3);
    claim(&twice, Some(&attempt(&twice, 1)), None, &[None, None]).unwrap_err();
    let names: Vec<_> = (0..=FILES_PER_BATCH_MAX).map(|number| number.to_string()).collect();
    let many = batch(&names.iter().map(String::as_str).collect::<Vec<_>>(), 3);
    claim(&many, Some(&attempt(&many, 1)), None, &vec![None; names.len()]).unwrap_err();
}

/// Invariants I-2 and I-3, over every record, every failed attempt and every next one.
#[test]
fn an_attempt_follows_the_known_failure_of_the_last_one_alone() {
    for record in records() {
        for failed in (1..=3).map(AttemptNumber) {
            let nexts = (2..=4).map(|number| Some(attempt(&record.batch, number))).chain([None]);
            for next in nexts {
                let undecided = matches!(record.state, BatchState::Open | BatchState::Held);
                let last = record.last_attempt.as_ref().map(|(last, outcome)| (last.number, outcome));
                let follows = next.as_ref().is_none_or(|next| next.number == failed.next());
                match fail_attempt(Some(&record), failed, next.as_ref()) {
                    Ruling::Write(failing) => {
                        assert!(undecided && follows, "{record:?}");
                        let (number, outcome) = last.unwrap();
                        assert_eq!(number, failed);
                        assert_eq!(failing.failed.is_some(), *outcome == AttemptOutcome::Open);
                        assert_ne!(*outcome, AttemptOutcome::Succeeded);
                        assert_eq!(failing.next, next.as_ref());
                    }
                    // What would be written is there.
                    Ruling::Already => match next {
                        Some(next) => assert_eq!(last, Some((next.number, &AttemptOutcome::Open))),
                        None => assert_eq!(last, Some((failed, &no()))),
                    },
                    Ruling::Refused => {
                        let fails = last.is_some_and(|(number, outcome)| {
                            number == failed && *outcome != AttemptOutcome::Succeeded
                        });
                        assert!(!(undecided && follows && fails), "{record:?} {failed} {next:?}");
                    }
                }
            }
        }
    }
    let record = record(BatchState::Open, Some((2, AttemptOutcome::Open)));
    let other = record.batch.attempt(AttemptNumber(2), "another plan");
    assert_eq!(fail_attempt(Some(&record), AttemptNumber(1), Some(&other)), Ruling::Refused);
    let foreign = attempt(&batch(&["z"], 3), 3);
    assert_eq!(fail_attempt(Some(&record), AttemptNumber(2), Some(&foreign)), Ruling::Refused);
    assert_eq!(fail_attempt(None, AttemptNumber(1), None), Ruling::Refused);
}

#[test]
fn only_what_can_have_loaded_is_committed() {
    for record in records() {
        let expected = match (record.state, &record.last_attempt) {
            (BatchState::Loaded, _) => Ruling::Already,
            (BatchState::Open | BatchState::Held, Some((last, AttemptOutcome::Open))) => {
                Ruling::Write(Committing { succeeded: Some(last.number) })
            }
            _ => Ruling::Refused,
        };
        assert_eq!(commit(Some(&record)), expected, "{record:?}");
    }
    let empty = BatchRecord { batch: batch(&["x"], 0), ..record(BatchState::Open, None) };
    assert_eq!(commit(Some(&empty)), Ruling::Write(Committing { succeeded: None }));
    assert_eq!(commit(None), Ruling::Refused);
}

#[test]
fn a_batch_is_abandoned_only_when_its_last_attempt_has_failed() {
    let homes = [Home::Vanished(file("x")), Home::Deferred(file("y"))];
    for record in records() {
        let failed = matches!(record.last_attempt, Some((_, AttemptOutcome::Failed(_))));
        let ruling = rehome(Some(&record), Some("another mark"), &homes).unwrap();
        let undecided = matches!(record.state, BatchState::Open | BatchState::Held);
        assert_eq!(matches!(ruling, Ruling::Write(_)), undecided && failed, "{record:?}");
        assert_eq!(matches!(ruling, Ruling::Refused), !(undecided && failed), "{record:?}");
    }
    let failed = record(BatchState::Open, Some((1, no())));
    let Ruling::Write(Rehoming { mark }) = rehome(Some(&failed), None, &homes).unwrap() else { panic!() };
    let abandoned = record(BatchState::Abandoned, Some((1, no())));
    assert_eq!(rehome(Some(&abandoned), Some(&mark), &homes).unwrap(), Ruling::Already);
    assert_eq!(rehome(Some(&abandoned), Some(&mark), &homes[..1]).unwrap(), Ruling::Refused);
    let orphan = [Home::Batch { batch: batch(&["x", "y"], 3), attempt: None }];
    rehome(Some(&failed), None, &orphan).unwrap_err();
    assert_eq!(rehome(None, None, &homes).unwrap(), Ruling::Refused);
}

#[test]
fn holding_and_letting_go_change_nothing_that_is_decided() {
    for state in STATES {
        for held in [true, false] {
            let expected = match (state, held) {
                (BatchState::Open, true) => Ruling::Write(BatchState::Held),
                (BatchState::Held, false) => Ruling::Write(BatchState::Open),
                (BatchState::Open, false) | (BatchState::Held, true) => Ruling::Already,
                (BatchState::Loaded | BatchState::Abandoned, _) => Ruling::Refused,
            };
            assert_eq!(hold(Some(&record(state, Some((1, no())))), held), expected);
        }
    }
    assert_eq!(hold(None, true), Ruling::Refused);
}
