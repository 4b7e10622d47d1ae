use proptest::prelude::*;

use super::books::breaches;
use super::*;
use crate::domain::batch::{Attempt, Batch, Destination, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::{AttemptNumber, TableId};

fn expected(rows: u64, state: BatchState) -> Expected {
    Expected {
        file: "b/k@e".to_owned(),
        batch: BatchId::from_stored("one"),
        rows,
        state,
        claimed_at: Instant::from_micros(5),
        job: None,
    }
}

fn found(numbers: &[i64], counted: bool) -> Found {
    let mut runs = Runs::default();
    numbers.iter().for_each(|&number| runs.add(number));
    let distinct: std::collections::BTreeSet<_> = numbers.iter().copied().collect();
    let (least, most) = (distinct.first().copied(), distinct.last().copied());
    let counted = counted.then(|| Numbers::Counted {
        distinct: distinct.len() as u64,
        least: least.unwrap_or(0),
        most: most.unwrap_or(0),
    });
    Found {
        file: "b/k@e".to_owned(),
        batch: "one".to_owned(),
        rows: numbers.len() as u64,
        numbers: counted.unwrap_or(Numbers::Read(runs.in_order())),
        claimed: (!numbers.is_empty()).then_some((Instant::from_micros(5), Instant::from_micros(5))),
    }
}

fn counts(comparison: &Comparison) -> (u64, u64) {
    let of = |kind| {
        let findings = comparison.findings.iter().filter(|finding| finding.kind == kind);
        findings.map(|finding| finding.rows).sum::<u64>()
    };
    (of(FindingKind::Missing), of(FindingKind::Doubled))
}

proptest! {
    /// Against counting by hand, whatever numbers are there, in whatever order and parts.
    #[test]
    fn what_is_missing_and_beyond_is_counted(
        numbers in prop::collection::vec(-2_i64..12, 0..24), rows in 0_u64..10, cut in 0_usize..24,
    ) {
        let right: std::collections::BTreeSet<_> =
            numbers.iter().filter(|&&number| (0..rows as i64).contains(&number)).collect();
        let missing = rows - right.len() as u64;
        let beyond = numbers.len() as u64 - right.len() as u64;
        let (one, other) = numbers.split_at(cut.min(numbers.len()));
        let mut parts = found(one, false);
        parts.merge(found(other, false));
        prop_assert_eq!(counts(&compare(&expected(rows, BatchState::Loaded), Some(&parts))), (missing, beyond));
        // A query does not tell which numbers lie outside: it may tell of less, but never of nothing.
        let told = counts(&compare(&expected(rows, BatchState::Loaded), Some(&found(&numbers, true))));
        prop_assert!(told.0 <= missing && told.1 <= beyond);
        prop_assert_eq!(told == (0, 0), (missing, beyond) == (0, 0));
    }
}

#[test]
fn rows_of_an_open_batch_may_be_there_or_not_but_not_in_part_or_twice() {
    for state in [BatchState::Open, BatchState::Held] {
        let of = |numbers: &[i64]| counts(&compare(&expected(3, state), Some(&found(numbers, false))));
        assert_eq!(counts(&compare(&expected(3, state), None)), (0, 0));
        assert_eq!(of(&[0, 1, 2]), (0, 0));
        assert_eq!(of(&[0, 2]), (1, 0));
        assert_eq!(of(&[0, 1, 2, 0]), (0, 1));
    }
    assert_eq!(counts(&compare(&expected(3, BatchState::Loaded), None)), (3, 0));
    assert_eq!(counts(&compare(&expected(0, BatchState::Loaded), None)), (0, 0));
}

#[test]
fn another_claim_time_is_told() {
    let mut rows = found(&[0, 1], false);
    rows.claimed = Some((Instant::from_micros(5), Instant::from_micros(6)));
    let findings = compare(&expected(2, BatchState::Loaded), Some(&rows)).findings;
    assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Strange]);
}

fn account(rows: u64, state: BatchState, outcomes: &[AttemptOutcome]) -> BatchAccount {
    let table = TableId::new("a", "s", "t");
    let file = |key: &str| FileId {
        table: table.clone(),
        bucket: "b".into(),
        key: key.into(),
        etag: "e".into(),
        size_bytes: 7,
    };
    let entries = ["x", "y"].map(|key| ManifestEntry { file: file(key), rows }).to_vec();
    let batch = Batch::plan(
        table.clone(),
        Destination::default(),
        Instant::from_micros(1),
        None,
        Manifest { entries },
    );
    let attempts = outcomes.iter().zip(1..).map(|(outcome, number)| {
        let attempt: Attempt = batch.attempt(AttemptNumber(number), "plan");
        (attempt, outcome.clone())
    });
    let attempts = attempts.collect();
    let home = if state == BatchState::Abandoned { FileHome::Loose } else { FileHome::Here };
    BatchAccount { batch, state, attempts, homes: vec![home; 2], changed_at: Instant::from_micros(2) }
}

fn invariants(account: &BatchAccount) -> Vec<&'static str> {
    breaches(account).iter().map(|finding| finding.invariant).collect()
}

#[test]
fn what_the_ledger_may_hold_is_no_breach() {
    use AttemptOutcome::{Open, Succeeded};
    let failed = || AttemptOutcome::Failed("no".to_owned());
    for (state, outcomes) in [
        (BatchState::Open, vec![Open]),
        (BatchState::Open, vec![failed()]),
        (BatchState::Held, vec![failed(), Open]),
        (BatchState::Loaded, vec![Succeeded]),
        (BatchState::Loaded, vec![failed(), failed(), Succeeded]),
        (BatchState::Abandoned, vec![failed()]),
    ] {
        assert_eq!(breaches(&account(3, state, &outcomes)), [], "{state:?} {outcomes:?}");
    }
    assert_eq!(breaches(&account(0, BatchState::Loaded, &[])), []);
}

#[test]
fn each_contradiction_is_named_by_its_invariant() {
    use AttemptOutcome::{Open, Succeeded};
    let failed = || AttemptOutcome::Failed("no".to_owned());
    for (state, outcomes) in [
        (BatchState::Open, vec![Succeeded]),
        (BatchState::Loaded, vec![Open]),
        (BatchState::Loaded, vec![failed()]),
        (BatchState::Abandoned, vec![Open]),
        (BatchState::Open, vec![Open, Open]),
        (BatchState::Loaded, vec![Succeeded, Succeeded]),
    ] {
        assert_eq!(invariants(&account(3, state, &outcomes)), ["I-3"], "{state:?} {outcomes:?}");
    }
    assert_eq!(invariants(&account(3, BatchState::Loaded, &[])), ["I-2"]);
    let good = || account(3, BatchState::Loaded, &[failed(), Succeeded]);
    let mut gap = good();
    gap.attempts.remove(0);
    assert_eq!(invariants(&gap), ["I-2"]);
    let mut other_rows = good();
    other_rows.batch.manifest.entries[0].rows = 4;
    assert_eq!(invariants(&other_rows), ["I-2"]);
    let mut other_job = good();
    other_job.attempts[1].0.job_id = JobId::from_stored("another");
    assert_eq!(invariants(&other_job), ["I-2"]);
    for home in [FileHome::Elsewhere, FileHome::Loose, FileHome::Nowhere] {
        let mut moved = good();
        moved.homes[1] = home;
        assert_eq!(invariants(&moved), ["I-1"], "{home:?}");
    }
    let mut kept = account(3, BatchState::Abandoned, &[failed()]);
    kept.homes[0] = FileHome::Here;
    assert_eq!(invariants(&kept), ["I-1"]);
}

#[test]
fn strangers_are_told_apart() {
    let rows = found(&[0, 1], false);
    let other = BatchId::from_stored("other");
    let loaded = Standing::InBatch { batch: other.clone(), state: BatchState::Loaded };
    let open = Standing::InBatch { batch: other, state: BatchState::Open };
    let failed = [AttemptOutcome::Failed("no".to_owned())];
    let given_up = account(3, BatchState::Abandoned, &failed);
    for (standing, account, kind, words) in [
        (&loaded, None, FindingKind::Doubled, "loaded by batch other, and it does not know their batch"),
        (&open, Some(&given_up), FindingKind::Strange, "claimed by batch other, and it gave their batch up"),
        (&Standing::Loose("poison".to_owned()), None, FindingKind::Strange, "has the file as poison"),
        (&Standing::Unknown, None, FindingKind::Strange, "does not know the file"),
    ] {
        let finding = stranger(&rows, standing, account);
        assert_eq!((finding.kind, finding.rows), (kind, 2));
        assert!(finding.text.contains(words), "{}", finding.text);
    }
    let bare = Found { file: String::new(), batch: String::new(), ..rows };
    let finding = stranger(&bare, &Standing::Unknown, None);
    assert!(finding.text.contains("no `_source_file`") && finding.text.contains("no `_batch_id`"));
}
