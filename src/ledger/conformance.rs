//! What every ledger must do: one suite for all adapters. Each check gets an empty ledger.

use std::sync::Arc;

use landbridge::domain::batch::{Attempt, Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::column_type::ColumnType;
use landbridge::domain::cost::usage::{Day, KeptUsage, Measure, Tally};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, BatchId, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::notice::{Notice, NoticeId};
use landbridge::domain::planner::Carrier;
use landbridge::domain::shape::{Change, ShapeEntry};
use landbridge::domain::summary::{CommitSpan, EventSpan, TableSummary};
use landbridge::domain::watermark::{Reached, UNTOLD};
use landbridge::ledger::{
    AttemptOutcome, BatchState, Claim, DeferredFile, Home, Mending, SharedLedger, Step, TableMode, Verdict,
};

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn table(name: &str) -> TableId {
    TableId::new("a", "s.x", name)
}

fn file(name: &str) -> FileId {
    FileId { table: table("t"), bucket: "b".into(), key: name.into(), etag: "e".into(), size_bytes: 7 }
}

fn batch(names: &[&str], rows: u64, claimed: i64) -> Batch {
    let entries = names.iter().map(|name| ManifestEntry { file: file(name), rows }).collect();
    let destination =
        Destination { project: "p".into(), location: "l".into(), dataset: "d".into(), table: "t".into() };
    Batch::plan(table("t"), destination, at(claimed), None, Manifest { entries })
}

fn child(parent: &Batch, names: &[&str]) -> (Batch, Attempt) {
    let mut child = batch(names, 3, parent.claimed_at.micros());
    child = Batch::plan(
        child.table,
        child.destination,
        child.claimed_at,
        Some(parent.id.clone()),
        child.manifest,
    );
    let attempt = first(&child);
    (child, attempt)
}

fn first(batch: &Batch) -> Attempt {
    batch.attempt(AttemptNumber::FIRST, "plan")
}

async fn claim(ledger: &SharedLedger, batch: &Batch) -> Claim {
    ledger.claim(batch, Some(&first(batch)), at(1)).await.unwrap()
}

async fn states(ledger: &SharedLedger, names: &[&str]) -> Vec<Option<FileState>> {
    let files: Vec<_> = names.iter().copied().map(file).collect();
    ledger.lookup(&files).await.unwrap()
}

fn claimed(batch: &Batch, held: bool) -> Option<FileState> {
    Some(FileState::Claimed { batch: batch.id.clone(), held })
}

fn loaded(batch: &Batch) -> Option<FileState> {
    Some(FileState::Loaded { batch: batch.id.clone() })
}

/// A claim takes all files or none, may be repeated, and names what it lost to.
pub(crate) async fn claims_are_all_or_nothing(ledger: SharedLedger) {
    let one = batch(&["x", "y"], 3, 1);
    assert_eq!(claim(&ledger, &one).await, Claim::Won);
    assert_eq!(claim(&ledger, &one).await, Claim::Won);
    let two = batch(&["y", "z"], 3, 2);
    assert_eq!(claim(&ledger, &two).await, Claim::Lost(vec![(file("y"), claimed(&one, false).unwrap())]));
    assert_eq!(states(&ledger, &["x", "y", "z"]).await, [claimed(&one, false), claimed(&one, false), None]);
    assert_eq!(ledger.commit(&one.id, at(3)).await.unwrap(), Step::Done);
    assert_eq!(claim(&ledger, &two).await, Claim::Lost(vec![(file("y"), loaded(&one).unwrap())]));
    assert_eq!(ledger.batch(&two.id).await.unwrap(), None);
}

/// A batch that is read back is the batch that was claimed.
pub(crate) async fn batches_are_read_back_whole(ledger: SharedLedger) {
    let one = batch(&["x é%+", "y"], 3, 1);
    claim(&ledger, &one).await;
    let record = ledger.batch(&one.id).await.unwrap().unwrap();
    assert_eq!((&record.batch, record.state), (&one, BatchState::Open));
    assert_eq!(record.last_attempt, Some((first(&one), AttemptOutcome::Open)));
    assert_eq!(ledger.open_batches(None, 10).await.unwrap(), std::slice::from_ref(&record));
    assert_eq!(ledger.open_batches(Some(&table("t")), 10).await.unwrap(), [record]);
    assert_eq!(ledger.open_batches(Some(&table("u")), 10).await.unwrap(), []);
}

/// Deferred and vanished files are free, poison is not.
pub(crate) async fn deferred_and_vanished_files_can_be_claimed(ledger: SharedLedger) {
    let verdicts = [
        (file("x"), Verdict::Defer),
        (file("y"), Verdict::Vanish),
        (file("z"), Verdict::Poison("bad".into())),
    ];
    ledger.settle(&verdicts, at(1)).await.unwrap();
    let all = batch(&["x", "y", "z"], 3, 1);
    assert_eq!(
        claim(&ledger, &all).await,
        Claim::Lost(vec![(file("z"), FileState::Poison { reason: "bad".into() })])
    );
    let free = batch(&["x", "y"], 3, 1);
    assert_eq!(claim(&ledger, &free).await, Claim::Won);
    assert_eq!(ledger.deferred(&table("t"), 10).await.unwrap(), []);
    assert_eq!(ledger.deferred_count(&table("t")).await.unwrap(), 0);
}

/// Attempt n+1 follows only the known failure of n (Invariant I-3), and each step may be repeated.
pub(crate) async fn attempts_follow_one_another(ledger: SharedLedger) {
    let one = batch(&["x"], 3, 1);
    claim(&ledger, &one).await;
    let (second, third) = (one.attempt(AttemptNumber(2), "plan"), one.attempt(AttemptNumber(3), "plan"));
    let fail = async |number, next: Option<&Attempt>| {
        ledger.fail_attempt(&one.id, AttemptNumber(number), "no", next, at(2)).await.unwrap()
    };
    assert_eq!(fail(2, Some(&third)).await, Step::Refused);
    assert_eq!(fail(1, Some(&third)).await, Step::Refused);
    assert_eq!(fail(1, None).await, Step::Done);
    assert_eq!(ledger.commit(&one.id, at(2)).await.unwrap(), Step::Refused);
    assert_eq!(fail(1, Some(&second)).await, Step::Done);
    assert_eq!(fail(1, Some(&second)).await, Step::Done);
    assert_eq!(fail(1, None).await, Step::Refused);
    let record = ledger.batch(&one.id).await.unwrap().unwrap();
    assert_eq!(record.last_attempt, Some((second, AttemptOutcome::Open)));
    assert_eq!(ledger.commit(&one.id, at(3)).await.unwrap(), Step::Done);
    assert_eq!(ledger.commit(&one.id, at(3)).await.unwrap(), Step::Done);
    assert_eq!(fail(2, Some(&third)).await, Step::Refused);
    let record = ledger.batch(&one.id).await.unwrap().unwrap();
    assert!(matches!(record.last_attempt, Some((_, AttemptOutcome::Succeeded))));
}

/// A batch of zero rows has no attempt.
pub(crate) async fn a_batch_of_zero_rows_commits_without_an_attempt(ledger: SharedLedger) {
    let empty = batch(&["x"], 0, 1);
    assert_eq!(ledger.claim(&empty, None, at(1)).await.unwrap(), Claim::Won);
    assert_eq!(ledger.commit(&empty.id, at(2)).await.unwrap(), Step::Done);
    assert_eq!(states(&ledger, &["x"]).await, [loaded(&empty)]);
}

/// Rows without a job cannot have been loaded: such a batch is neither claimed nor, as a child, made.
pub(crate) async fn rows_need_an_attempt(ledger: SharedLedger) {
    let one = batch(&["x"], 3, 1);
    assert_eq!(ledger.claim(&one, None, at(1)).await.unwrap_err().kind, FaultKind::Internal);
    let foreign = first(&batch(&["y"], 3, 1));
    assert_eq!(ledger.claim(&one, Some(&foreign), at(1)).await.unwrap_err().kind, FaultKind::Internal);
    assert_eq!(states(&ledger, &["x"]).await, [None]);
    assert_eq!(ledger.commit(&one.id, at(2)).await.unwrap(), Step::Refused);
    claim(&ledger, &one).await;
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(2)).await.unwrap();
    let (half, _) = child(&one, &["x"]);
    let orphan = [Home::Batch { batch: half, attempt: None }];
    assert_eq!(ledger.rehome(&one.id, &orphan, at(3)).await.unwrap_err().kind, FaultKind::Internal);
    assert_eq!(states(&ledger, &["x"]).await, [claimed(&one, false)]);
}

/// Under a batch's id, other rules would put other rows: a claim with another attempt than the ledger's is lost.
pub(crate) async fn a_batch_with_another_attempt_is_not_claimed(ledger: SharedLedger) {
    let one = batch(&["x"], 3, 1);
    claim(&ledger, &one).await;
    let other = one.attempt(AttemptNumber::FIRST, "another plan");
    let lost = Claim::Lost(vec![(file("x"), claimed(&one, false).unwrap())]);
    assert_eq!(ledger.claim(&one, Some(&other), at(1)).await.unwrap(), lost);
    let record = ledger.batch(&one.id).await.unwrap().unwrap();
    assert_eq!(record.last_attempt, Some((first(&one), AttemptOutcome::Open)));
}

/// A step that is repeated after a lost answer is told from another step that looks like it.
pub(crate) async fn only_the_same_step_is_done_already(ledger: SharedLedger) {
    let one = batch(&["x", "y"], 3, 1);
    claim(&ledger, &one).await;
    let next = one.attempt(AttemptNumber(2), "plan");
    let other = one.attempt(AttemptNumber(2), "another plan");
    let fail = async |number: u32, next: Option<&Attempt>| {
        ledger.fail_attempt(&one.id, AttemptNumber(number), "no", next, at(2)).await.unwrap()
    };
    assert_eq!(fail(1, Some(&next)).await, Step::Done);
    assert_eq!(fail(1, Some(&next)).await, Step::Done);
    assert_eq!(fail(1, Some(&other)).await, Step::Refused);
    assert_eq!(fail(2, None).await, Step::Done);
    let homes = [Home::Deferred(file("x")), Home::Poison(file("y"), "bad".into())];
    let rehome = async |homes: &[Home]| ledger.rehome(&one.id, homes, at(9)).await.unwrap();
    assert_eq!(rehome(&homes).await, Step::Done);
    // The files have moved on since: it is the same step all the same.
    let later = batch(&["x"], 3, 10);
    claim(&ledger, &later).await;
    assert_eq!(rehome(&homes).await, Step::Done);
    let others = [
        [Home::Poison(file("x"), "bad".into()), Home::Deferred(file("y"))],
        [Home::Deferred(file("x")), Home::Poison(file("y"), "for another reason".into())],
        [Home::Deferred(file("x")), Home::Vanished(file("y"))],
    ];
    for other in others {
        assert_eq!(rehome(&other).await, Step::Refused);
    }
    let expected = [claimed(&later, false), Some(FileState::Poison { reason: "bad".into() })];
    assert_eq!(states(&ledger, &["x", "y"]).await, expected);
}

/// Re-homing takes every file of a failed batch somewhere else, each once, in one step.
pub(crate) async fn rehoming_is_one_step_over_all_files(ledger: SharedLedger) {
    let one = batch(&["u", "v", "w", "x", "y"], 3, 1);
    claim(&ledger, &one).await;
    let (half, attempt) = child(&one, &["u", "v"]);
    let batch_home = Home::Batch { batch: half.clone(), attempt: Some(attempt) };
    let singles =
        [Home::Poison(file("w"), "bad".into()), Home::Vanished(file("x")), Home::Deferred(file("y"))];
    let homes: Vec<_> = [batch_home.clone()].into_iter().chain(singles.clone()).collect();
    let rehome = async |homes: &[Home]| ledger.rehome(&one.id, homes, at(9)).await.unwrap();
    // The last attempt is not known to have failed.
    assert_eq!(rehome(&homes).await, Step::Refused);
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(2)).await.unwrap();
    // Not all files, one twice, one too many.
    assert_eq!(rehome(&singles).await, Step::Refused);
    let twice: Vec<_> = homes.iter().cloned().chain([Home::Deferred(file("y"))]).collect();
    assert_eq!(rehome(&twice).await, Step::Refused);
    let more: Vec<_> = homes.iter().cloned().chain([Home::Deferred(file("z"))]).collect();
    assert_eq!(rehome(&more).await, Step::Refused);
    assert_eq!(states(&ledger, &["u", "z"]).await, [claimed(&one, false), None]);
    assert_eq!(rehome(&homes).await, Step::Done);
    assert_eq!(rehome(&homes).await, Step::Done);
    let expected = [
        claimed(&half, false),
        claimed(&half, false),
        Some(FileState::Poison { reason: "bad".into() }),
        Some(FileState::Vanished { at: at(9) }),
        Some(FileState::Deferred { since: at(9) }),
    ];
    assert_eq!(states(&ledger, &["u", "v", "w", "x", "y"]).await, expected);
    assert_eq!(ledger.commit(&one.id, at(9)).await.unwrap(), Step::Refused);
    assert_eq!(ledger.hold(&one.id, true, at(9)).await.unwrap(), Step::Refused);
    let open = ledger.open_batches(None, 10).await.unwrap();
    assert_eq!(open.iter().map(|record| &record.batch).collect::<Vec<_>>(), [&half]);
}

/// A held batch is still open, and its files may be settled.
pub(crate) async fn batches_are_held_and_let_go(ledger: SharedLedger) {
    let one = batch(&["x"], 3, 1);
    assert_eq!(ledger.hold(&one.id, true, at(1)).await.unwrap(), Step::Refused);
    claim(&ledger, &one).await;
    for held in [true, true, false] {
        assert_eq!(ledger.hold(&one.id, held, at(1)).await.unwrap(), Step::Done);
        assert_eq!(states(&ledger, &["x"]).await, [claimed(&one, held)]);
        assert_eq!(ledger.open_batches(None, 10).await.unwrap().len(), 1);
    }
    ledger.commit(&one.id, at(2)).await.unwrap();
    assert_eq!(ledger.hold(&one.id, true, at(1)).await.unwrap(), Step::Refused);
    assert_eq!(ledger.open_batches(None, 10).await.unwrap(), []);
}

/// Every state under every verdict.
pub(crate) async fn verdicts_apply_only_where_they_may(ledger: SharedLedger) {
    let in_batch = batch(&["claimed"], 3, 1);
    claim(&ledger, &in_batch).await;
    let done = batch(&["loaded"], 3, 1);
    claim(&ledger, &done).await;
    ledger.commit(&done.id, at(1)).await.unwrap();
    let poison = |reason: &str| FileState::Poison { reason: reason.into() };
    let verdicts = [Verdict::Defer, Verdict::Vanish, Verdict::Poison("new".into())];
    let fresh = |verdict: &Verdict| match verdict {
        Verdict::Defer => FileState::Deferred { since: at(5) },
        Verdict::Vanish => FileState::Vanished { at: at(5) },
        Verdict::Poison(reason) => poison(reason),
    };
    for (index, verdict) in verdicts.iter().enumerate() {
        let settle = async |name: &str, verdict: &Verdict, now| {
            ledger.settle(&[(file(name), verdict.clone())], at(now)).await.unwrap().remove(0)
        };
        assert_eq!(settle("claimed", verdict, 5).await, claimed(&in_batch, false).unwrap());
        assert_eq!(settle("loaded", verdict, 5).await, loaded(&done).unwrap());
        assert_eq!(settle(&format!("unknown{index}"), verdict, 5).await, fresh(verdict));
        let name = format!("vanished{index}");
        settle(&name, &Verdict::Vanish, 2).await;
        assert_eq!(settle(&name, verdict, 5).await, fresh(verdict));
        let name = format!("poison{index}");
        settle(&name, &Verdict::Poison("old".into()), 2).await;
        let stays = if *verdict == verdicts[2] { poison("new") } else { poison("old") };
        assert_eq!(settle(&name, verdict, 5).await, stays);
        let name = format!("deferred{index}");
        settle(&name, &Verdict::Defer, 2).await;
        let place_kept = FileState::Deferred { since: at(2) };
        assert_eq!(settle(&name, verdict, 5).await, if index == 0 { place_kept } else { fresh(verdict) });
    }
}

/// One object may be announced twice in a message, or by two of them: each verdict is answered.
pub(crate) async fn a_file_may_be_settled_twice_at_once(ledger: SharedLedger) {
    let poison = FileState::Poison { reason: "bad".into() };
    let deferred = FileState::Deferred { since: at(5) };
    let twice = [
        (file("x"), Verdict::Defer),
        (file("y"), Verdict::Defer),
        (file("x"), Verdict::Defer),
        (file("y"), Verdict::Poison("bad".into())),
    ];
    let states = ledger.settle(&twice, at(5)).await.unwrap();
    assert_eq!(states, [deferred.clone(), deferred.clone(), deferred, poison]);
    let counted = summary(&ledger, 1).await;
    assert_eq!((counted.deferred, counted.poison), (1, 1));
}

/// Deferred files come oldest first.
pub(crate) async fn deferred_files_come_oldest_first(ledger: SharedLedger) {
    for (name, time) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
        ledger.settle(&[(file(name), Verdict::Defer)], at(time)).await.unwrap();
    }
    ledger.note_events(&[(file("b"), at(-7))]).await.unwrap();
    let oldest = ledger.deferred(&table("t"), 3).await.unwrap();
    let deferred = |name, since, event_at: Option<i64>| DeferredFile {
        file: file(name),
        since: at(since),
        event_at: event_at.map(at),
    };
    assert_eq!(oldest, [deferred("a", 1, None), deferred("b", 2, Some(-7)), deferred("c", 3, None)]);
    assert_eq!(ledger.deferred_count(&table("t")).await.unwrap(), 4);
    assert_eq!(ledger.deferred(&table("u"), 3).await.unwrap(), []);
}

/// Strikes add up; modes stay until they are changed.
pub(crate) async fn strikes_and_modes_are_kept(ledger: SharedLedger) {
    assert_eq!(ledger.strike(&file("x"), "one", at(1)).await.unwrap(), 1);
    for _ in 0..2 {
        assert_eq!(ledger.strike(&file("x"), "two", at(2)).await.unwrap(), 2, "repeated, it is the same");
    }
    assert_eq!(ledger.strike(&file("y"), "one", at(2)).await.unwrap(), 1);
    for mode in [TableMode::Paused, TableMode::Quarantined("boom".into()), TableMode::Held("why".into())] {
        ledger.set_mode(&table("t"), &mode, at(1)).await.unwrap();
        assert_eq!(ledger.modes().await.unwrap(), [(table("t"), mode)]);
    }
    ledger.set_mode(&table("t"), &TableMode::Running, at(1)).await.unwrap();
    assert_eq!(ledger.modes().await.unwrap(), []);
    ledger.dead_letter("q", "body", "reason", at(1)).await.unwrap();
}

const DAY: i64 = 86_400_000_000;

async fn summary(ledger: &SharedLedger, now: i64) -> TableSummary {
    let mut all = ledger.summary(at(now)).await.unwrap();
    assert!(all.len() <= 1, "{all:?}");
    all.pop().unwrap_or_else(|| TableSummary::empty(table("t")))
}

/// Files and rows are counted once, on the day of their commit, however often a step is repeated.
pub(crate) async fn loads_are_counted_once_on_their_day(ledger: SharedLedger) {
    assert_eq!(ledger.summary(at(DAY)).await.unwrap(), []);
    let one = Batch { events: EventSpan::of([at(5), at(9)]), ..batch(&["x", "y"], 3, 1) };
    claim(&ledger, &one).await;
    let open = TableSummary { oldest_pending_event: Some(at(5)), ..TableSummary::empty(table("t")) };
    assert_eq!(summary(&ledger, DAY).await, open);
    for _ in 0..2 {
        ledger.commit(&one.id, at(DAY + 1)).await.unwrap();
    }
    let loaded = TableSummary {
        files_of_day: 2,
        rows_of_day: 6,
        last_load_at: Some(at(DAY + 1)),
        newest_loaded_event: Some(at(9)),
        ..TableSummary::empty(table("t"))
    };
    assert_eq!(summary(&ledger, DAY + 2).await, loaded);
    // An older event that is loaded later does not make the newest one older.
    let two = Batch { events: EventSpan::of([at(7)]), ..batch(&["z"], 4, 2) };
    claim(&ledger, &two).await;
    ledger.commit(&two.id, at(DAY + 3)).await.unwrap();
    let both =
        TableSummary { files_of_day: 3, rows_of_day: 10, last_load_at: Some(at(DAY + 3)), ..loaded.clone() };
    assert_eq!(summary(&ledger, DAY + 2).await, both);
    // Midnight.
    assert_eq!(summary(&ledger, 2 * DAY).await, TableSummary { files_of_day: 0, rows_of_day: 0, ..both });
}

/// Poison, vanished and deferred files are counted by what they are now.
pub(crate) async fn homes_are_counted_as_files_move(ledger: SharedLedger) {
    let counts = async || {
        let now = summary(&ledger, 1).await;
        (now.poison, now.vanished, now.deferred)
    };
    let settle = async |name: &str, verdict: Verdict| {
        ledger.settle(&[(file(name), verdict)], at(1)).await.unwrap();
    };
    for name in ["a", "b", "c"] {
        settle(name, Verdict::Defer).await;
    }
    settle("d", Verdict::Poison("bad".into())).await;
    settle("e", Verdict::Vanish).await;
    assert_eq!(counts().await, (1, 1, 3));
    settle("a", Verdict::Poison("bad".into())).await;
    settle("a", Verdict::Poison("worse".into())).await;
    settle("b", Verdict::Vanish).await;
    assert_eq!(counts().await, (2, 2, 1));
    let one = batch(&["c", "e", "f"], 3, 1);
    claim(&ledger, &one).await;
    assert_eq!(counts().await, (2, 1, 0));
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(2)).await.unwrap();
    let homes = [Home::Deferred(file("c")), Home::Vanished(file("e")), Home::Poison(file("f"), "no".into())];
    for _ in 0..2 {
        assert_eq!(ledger.rehome(&one.id, &homes, at(3)).await.unwrap(), Step::Done);
    }
    assert_eq!(counts().await, (3, 2, 1));
}

/// The oldest event of what is not loaded stays known, wherever its file moves.
pub(crate) async fn the_oldest_waiting_event_is_known(ledger: SharedLedger) {
    let oldest = async || summary(&ledger, 1).await.oldest_pending_event;
    ledger.settle(&[(file("x"), Verdict::Defer), (file("y"), Verdict::Defer)], at(50)).await.unwrap();
    // Until it is told, a deferral is all that is known.
    assert_eq!(oldest().await, Some(at(50)));
    ledger.note_events(&[(file("x"), at(20)), (file("y"), at(10)), (file("none"), at(1))]).await.unwrap();
    ledger.note_events(&[(file("y"), at(30))]).await.unwrap();
    assert_eq!(oldest().await, Some(at(10)));
    // The message of a deferred file is gone, so its batch knows the event from the ledger.
    let one = Batch { events: EventSpan::of([at(40)]), ..batch(&["y", "z"], 3, 60) };
    claim(&ledger, &one).await;
    let stored = ledger.batch(&one.id).await.unwrap().unwrap().batch.events;
    assert_eq!(stored, EventSpan::of([at(10), at(40)]));
    assert_eq!(oldest().await, Some(at(10)));
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(61)).await.unwrap();
    let (half, attempt) = child(&one, &["y"]);
    let homes = [Home::Batch { batch: half.clone(), attempt: Some(attempt) }, Home::Deferred(file("z"))];
    assert_eq!(ledger.rehome(&one.id, &homes, at(62)).await.unwrap(), Step::Done);
    assert_eq!(oldest().await, Some(at(10)));
    ledger.commit(&half.id, at(63)).await.unwrap();
    // A file's own event is not older than the oldest of the batch that it was in.
    assert_eq!(oldest().await, Some(at(10)));
    ledger.settle(&[(file("z"), Verdict::Vanish)], at(64)).await.unwrap();
    assert_eq!(oldest().await, Some(at(20)));
}

/// The oldest event of change files that are not loaded, wherever they move: poison stands in the way until it is discarded, with the
/// event that it had, and what nobody knows the event of stands in everything's.
pub(crate) async fn what_stands_in_the_way_is_known_wherever_it_moves(ledger: SharedLedger) {
    let blocking = async || ledger.blocking().await.unwrap().get(&table("t")).copied();
    assert_eq!(blocking().await, None);
    ledger.settle(&[(file("x"), Verdict::Defer)], at(50)).await.unwrap();
    assert_eq!(blocking().await, Some(UNTOLD));
    ledger.note_events(&[(file("x"), at(20))]).await.unwrap();
    assert_eq!(blocking().await, Some(at(20)));
    // A full load has no part in it.
    let load = FileId { key: "s.x/t/LOAD00000001.parquet".into(), ..file("") };
    ledger.settle(&[(load.clone(), Verdict::Defer)], at(51)).await.unwrap();
    assert_eq!(blocking().await, Some(at(20)));
    // In a batch with another, by the ledger's word; its message is gone.
    let one = Batch { events: EventSpan::of([at(40)]), ..batch(&["x", "y"], 3, 60) };
    claim(&ledger, &one).await;
    assert_eq!(blocking().await, Some(at(20)));
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(61)).await.unwrap();
    let (half, attempt) = child(&one, &["y"]);
    let homes =
        [Home::Batch { batch: half.clone(), attempt: Some(attempt) }, Home::Poison(file("x"), "bad".into())];
    assert_eq!(ledger.rehome(&one.id, &homes, at(62)).await.unwrap(), Step::Done);
    assert_eq!(blocking().await, Some(at(20)));
    ledger.commit(&half.id, at(63)).await.unwrap();
    assert_eq!(blocking().await, Some(at(20)));
    // Redriven it stands where it stood, and again when it is poison anew.
    assert_eq!(ledger.mend(&[(file("x"), at(62))], Mending::Redrive, at(70)).await.unwrap(), [true]);
    assert_eq!(blocking().await, Some(at(20)));
    let known = ledger.deferred(&table("t"), 10).await.unwrap();
    assert!(
        known.contains(&DeferredFile { file: file("x"), since: at(70), event_at: Some(at(20)) }),
        "{known:?}"
    );
    ledger.settle(&[(file("x"), Verdict::Poison("bad".into()))], at(71)).await.unwrap();
    assert_eq!(blocking().await, Some(at(20)));
    assert_eq!(ledger.mend(&[(file("x"), at(71))], Mending::Discard, at(72)).await.unwrap(), [true]);
    assert_eq!(blocking().await, None);
    assert_eq!(summary(&ledger, 1).await.discarded, 1);
    // Announced, and claimed with no word of its event.
    claim(&ledger, &batch(&["z"], 3, 80)).await;
    assert_eq!(blocking().await, Some(UNTOLD));
    let manifest = Manifest { entries: vec![ManifestEntry { file: load, rows: 3 }] };
    let of_load = Batch::plan(table("t"), batch(&[], 3, 90).destination, at(90), None, manifest);
    claim(&ledger, &of_load).await;
    ledger.commit(&batch(&["z"], 3, 80).id, at(91)).await.unwrap();
    assert_eq!(blocking().await, None);
}

/// Of a file that was deferred without a word of its event nobody knows how old it is, wherever its batch's files go.
pub(crate) async fn what_nobody_knows_the_age_of_stays_so(ledger: SharedLedger) {
    let blocking = async || ledger.blocking().await.unwrap().get(&table("t")).copied();
    ledger.settle(&[(file("x"), Verdict::Defer)], at(50)).await.unwrap();
    let one = Batch { events: EventSpan::of([at(70)]), ..batch(&["x", "y", "z", "w"], 3, 80) };
    claim(&ledger, &one).await;
    assert_eq!(blocking().await, Some(UNTOLD));
    assert_eq!(ledger.batch(&one.id).await.unwrap().unwrap().batch.blocks_from, Some(UNTOLD));
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(81)).await.unwrap();
    let (half, attempt) = child(&one, &["x", "y"]);
    let homes = [
        Home::Batch { batch: half.clone(), attempt: Some(attempt) },
        Home::Deferred(file("z")),
        Home::Poison(file("w"), "bad".into()),
    ];
    assert_eq!(ledger.rehome(&one.id, &homes, at(82)).await.unwrap(), Step::Done);
    // Each by itself.
    let discard = async |at| ledger.mend(&[(file("w"), at)], Mending::Discard, at).await.unwrap();
    assert_eq!(discard(at(82)).await, [true]);
    ledger.settle(&[(file("z"), Verdict::Vanish)], at(83)).await.unwrap();
    assert_eq!(blocking().await, Some(UNTOLD), "a half");
    ledger.fail_attempt(&half.id, AttemptNumber(1), "no", None, at(84)).await.unwrap();
    let (quarter, attempt) = child(&half, &["y"]);
    let homes = [Home::Batch { batch: quarter.clone(), attempt: Some(attempt) }, Home::Deferred(file("x"))];
    assert_eq!(ledger.rehome(&half.id, &homes, at(85)).await.unwrap(), Step::Done);
    ledger.commit(&quarter.id, at(86)).await.unwrap();
    assert_eq!(blocking().await, Some(UNTOLD), "it is deferred again");
    let deferred = ledger.deferred(&table("t"), 10).await.unwrap();
    assert_eq!(deferred, [DeferredFile { file: file("x"), since: at(85), event_at: None }]);
    ledger.settle(&[(file("x"), Verdict::Poison("bad".into()))], at(87)).await.unwrap();
    assert_eq!(blocking().await, Some(UNTOLD), "poison");
    ledger.settle(&[(file("x"), Verdict::Vanish)], at(88)).await.unwrap();
    assert_eq!(ledger.mend(&[(file("x"), at(87))], Mending::Discard, at(89)).await.unwrap(), [true]);
    assert_eq!(blocking().await, None);
}

/// A batch is as old as its last attempt, or its last change: whoever looks for what is left goes by that.
pub(crate) async fn a_batch_tells_when_it_was_written_last(ledger: SharedLedger) {
    let one = batch(&["x"], 3, 1);
    let since = async || ledger.batch(&one.id).await.unwrap().unwrap().since;
    ledger.claim(&one, Some(&first(&one)), at(10)).await.unwrap();
    assert_eq!(since().await, at(10));
    let second = one.attempt(AttemptNumber(2), "plan");
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(20)).await.unwrap();
    assert_eq!(since().await, at(20));
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", Some(&second), at(30)).await.unwrap();
    assert_eq!(since().await, at(30));
    ledger.hold(&one.id, true, at(40)).await.unwrap();
    ledger.hold(&one.id, false, at(50)).await.unwrap();
    assert_eq!(since().await, at(50));
    assert_eq!(ledger.open_batches(None, 9).await.unwrap()[0].since, at(50));
}

/// What is loaded vouches for its commit times, in whatever order it came; the mark is kept, and only rises.
pub(crate) async fn a_watermark_never_goes_back(ledger: SharedLedger) {
    let marked = async || {
        let now = summary(&ledger, 1).await;
        (now.loaded, now.watermark)
    };
    ledger.raise_watermarks(&[(table("t"), at(5))]).await.unwrap();
    assert_eq!(marked().await, (None, None), "nothing is loaded");
    let commits = |oldest, newest| Some(CommitSpan { oldest: at(oldest), newest: at(newest) });
    let two =
        Batch { events: EventSpan::of([at(40), at(45)]), commits: commits(30, 38), ..batch(&["b"], 3, 60) };
    let one = Batch { events: EventSpan::of([at(20)]), commits: commits(10, 18), ..batch(&["a"], 3, 61) };
    let plain = Batch { events: EventSpan::of([at(90)]), ..batch(&["c"], 3, 62) };
    // Told after its own event: a clock was wrong.
    let ahead = Batch { events: EventSpan::of([at(50)]), commits: commits(41, 999), ..batch(&["d"], 3, 63) };
    for one in [&two, &one, &plain, &ahead] {
        claim(&ledger, one).await;
        assert_eq!(ledger.batch(&one.id).await.unwrap().unwrap().batch.commits, one.commits);
    }
    let reached = |event, commit| Some(Reached { event: at(event), commit: at(commit) });
    for (batch, expected) in [
        (&two, reached(45, 38)),
        (&one, reached(45, 38)),
        (&plain, reached(45, 38)),
        (&ahead, reached(50, 50)),
    ] {
        ledger.commit(&batch.id, at(100)).await.unwrap();
        assert_eq!(marked().await.0, expected);
    }
    for (raised, expected) in [(30, 30), (38, 38), (31, 38), (38, 38)] {
        ledger.raise_watermarks(&[(table("t"), at(raised))]).await.unwrap();
        assert_eq!(marked().await.1, Some(at(expected)));
    }
}

/// Poison is redriven or discarded as it was seen, and not what became poison anew.
pub(crate) async fn poison_is_mended_as_it_was_seen(ledger: SharedLedger) {
    let poison = |reason: &str| Verdict::Poison(reason.to_owned());
    for (name, at_micros) in [("b", 2), ("a", 1), ("c", 3)] {
        ledger.settle(&[(file(name), poison("bad"))], at(at_micros)).await.unwrap();
    }
    ledger.strike(&file("a"), "one", at(1)).await.unwrap();
    let listed = async || {
        let files = ledger.poison(&table("t"), 10).await.unwrap();
        files.into_iter().map(|one| (one.file.key.to_string(), one.at, one.discarded)).collect::<Vec<_>>()
    };
    let entry = |name: &str, micros, discarded| (name.to_owned(), at(micros), discarded);
    assert_eq!(listed().await, [entry("a", 1, false), entry("b", 2, false), entry("c", 3, false)]);
    assert_eq!(ledger.poison(&table("t"), 1).await.unwrap()[0].reason, "bad");
    assert_eq!(ledger.poison(&table("u"), 10).await.unwrap(), []);
    let mend = async |name: &str, micros, mending| {
        ledger.mend(&[(file(name), at(micros))], mending, at(9)).await.unwrap()[0]
    };
    let counts = async || {
        let now = summary(&ledger, 1).await;
        (now.poison, now.deferred)
    };
    assert!(!mend("a", 5, Mending::Redrive).await, "it became poison at another time");
    assert!(!mend("none", 1, Mending::Redrive).await);
    assert!(mend("a", 1, Mending::Redrive).await);
    assert!(!mend("a", 1, Mending::Redrive).await, "it is not poison any more");
    assert_eq!(states(&ledger, &["a"]).await, [Some(FileState::Deferred { since: at(9) })]);
    assert_eq!(ledger.strike(&file("a"), "again", at(9)).await.unwrap(), 1, "its strikes are forgotten");
    assert_eq!(counts().await, (2, 1));
    assert!(mend("b", 2, Mending::Discard).await);
    assert!(!mend("b", 2, Mending::Discard).await);
    assert_eq!(counts().await, (1, 1));
    assert_eq!(states(&ledger, &["b"]).await, [Some(FileState::Poison { reason: "bad".into() })]);
    assert_eq!(listed().await, [entry("c", 3, false), entry("b", 2, true)]);
    // Who gave it up may want it after all; who finds it bad again has poison again.
    assert!(mend("b", 2, Mending::Redrive).await);
    assert_eq!(counts().await, (1, 2));
    ledger.settle(&[(file("b"), poison("still bad"))], at(11)).await.unwrap();
    assert!(mend("b", 11, Mending::Discard).await);
    ledger.settle(&[(file("b"), poison("bad anew"))], at(12)).await.unwrap();
    assert_eq!(counts().await, (2, 1));
    assert!(!mend("b", 11, Mending::SendBack).await, "it is poison anew since that copy");
    assert!(mend("b", 13, Mending::SendBack).await, "the copy was sent once its verdict was written");
    assert!(!mend("b", 13, Mending::SendBack).await, "it is not poison any more");
    ledger.settle(&[(file("b"), poison("bad"))], at(14)).await.unwrap();
    assert!(mend("b", 14, Mending::Discard).await);
    assert!(!mend("b", 15, Mending::SendBack).await, "a person gave it up");
    assert!(mend("b", 14, Mending::Redrive).await);
    let one = batch(&["a"], 3, 20);
    assert_eq!(claim(&ledger, &one).await, Claim::Won);
    assert!(!mend("a", 9, Mending::Redrive).await, "a batch has it");
}

/// Of many overlapping claims at one time, one wins.
pub(crate) async fn a_race_has_one_winner(ledger: SharedLedger) {
    let racers = (0..12).map(|number| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move { claim(&ledger, &batch(&["x", "y"], 3, number)).await == Claim::Won })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += u32::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(ledger.open_batches(None, 100).await.unwrap().len(), 1);
}

fn entry(name: &str, number: i64) -> ShapeEntry {
    ShapeEntry {
        source: name.into(),
        kind: ColumnType::Int64,
        target: format!("{name}_{number}").into(),
        target_kind: ColumnType::Decimal { precision: 20, scale: 0 },
        change: Change::Widened,
        at: at(number),
        file: (number > 0).then(|| "b/k é@e".into()),
    }
}

/// A shape only grows, by whoever knows all of it, and a growth may be repeated.
pub(crate) async fn a_shape_grows_at_its_end(ledger: SharedLedger) {
    let shape = async |name: &str| ledger.shape(&table(name)).await.unwrap();
    let grow = async |known: usize, entries: &[ShapeEntry]| {
        ledger.grow_shape(&table("t"), known, entries).await.unwrap()
    };
    assert_eq!(shape("t").await, []);
    assert!(grow(0, &[]).await && !grow(1, &[entry("x", 1)]).await);
    let first = [entry("a", 1), entry("b", 2)];
    assert!(grow(0, &first).await);
    assert!(grow(0, &first).await, "its answer was lost");
    assert!(!grow(0, &[entry("a", 2)]).await && !grow(1, &[entry("a", 1)]).await);
    // As many as one item of a ledger does not hold.
    let many: Vec<_> = (0..600).map(|number| entry("c", number)).collect();
    assert!(grow(2, &many).await);
    assert!(grow(602, &[entry("d", 1)]).await);
    assert!(grow(2, &many).await && grow(0, &first).await, "whatever came after it");
    assert!(!grow(2, &many[1..]).await);
    let expected: Vec<_> = first.into_iter().chain(many).chain([entry("d", 1)]).collect();
    assert_eq!(shape("t").await, expected);
    assert_eq!(shape("u").await, []);
    while ledger.expire(at(i64::MAX), 100).await.unwrap() > 0 {}
    assert_eq!(shape("t").await.len(), 603, "it is never forgotten");
}

/// Of many that grow one shape at one time, one does; the others read what it did, and grow again.
pub(crate) async fn a_race_of_growths_has_one_winner(ledger: SharedLedger) {
    ledger.grow_shape(&table("t"), 0, &[entry("a", 0)]).await.unwrap();
    let racers = (0..12).map(|number| {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            let own = [entry("b", number), entry("c", number)];
            let won = ledger.grow_shape(&table("t"), 1, &own).await.unwrap();
            let mut known = 1;
            while !ledger.grow_shape(&table("t"), known, &own).await.unwrap() {
                known = ledger.shape(&table("t")).await.unwrap().len();
            }
            won
        })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += u32::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    let shape = ledger.shape(&table("t")).await.unwrap();
    assert_eq!(shape.len(), 25);
    for number in 0..12 {
        let own = [entry("b", number), entry("c", number)];
        assert_eq!(shape.windows(2).filter(|pair| **pair == own).count(), 1, "{number}");
    }
}

/// What ended before the horizon is forgotten whole; what is open, held, deferred, poison or young stays.
pub(crate) async fn what_is_over_is_forgotten_after_the_horizon(ledger: SharedLedger) {
    let (old, young) = (batch(&["old", "other"], 3, 10), batch(&["young"], 3, 20));
    let (open, held, split) = (batch(&["open"], 3, 11), batch(&["held"], 3, 12), batch(&["split"], 3, 13));
    for one in [&old, &young, &open, &held, &split] {
        assert_eq!(claim(&ledger, one).await, Claim::Won);
    }
    let second = old.attempt(AttemptNumber(2), "plan");
    ledger.fail_attempt(&old.id, AttemptNumber(1), "no", Some(&second), at(14)).await.unwrap();
    ledger.commit(&old.id, at(30)).await.unwrap();
    ledger.commit(&young.id, at(50)).await.unwrap();
    ledger.hold(&held.id, true, at(30)).await.unwrap();
    ledger.fail_attempt(&split.id, AttemptNumber(1), "no", None, at(30)).await.unwrap();
    ledger.rehome(&split.id, &[Home::Deferred(file("split"))], at(31)).await.unwrap();
    let loose = [
        (file("gone"), Verdict::Vanish),
        (file("bad"), Verdict::Poison("bad".into())),
        (file("later"), Verdict::Defer),
    ];
    ledger.settle(&loose, at(30)).await.unwrap();
    ledger.settle(&[(file("gone now"), Verdict::Vanish)], at(45)).await.unwrap();
    assert_eq!(ledger.forgotten_before().await.unwrap(), None);
    let mut expired = 0;
    loop {
        match ledger.expire(at(40), 2).await.unwrap() {
            0 => break,
            some => expired += some,
        }
    }
    assert_eq!(expired, 3, "a loaded batch, an abandoned one, a vanished file");
    assert_eq!(ledger.expire(at(15), 2).await.unwrap(), 0);
    let forgotten = ledger.forgotten_before().await.unwrap();
    assert_eq!(forgotten, Some(at(32)), "as far as anything was forgotten, and it stays so");
    // What is remembered before the ledger may say that they are loaded, which they are.
    for state in states(&ledger, &["old", "other", "gone"]).await {
        assert!(matches!(state, None | Some(FileState::Loaded { .. })), "{state:?}");
    }
    let kept = ["young", "open", "held", "split", "bad", "later", "gone now"];
    assert!(states(&ledger, &kept).await.iter().all(Option::is_some));
    assert_eq!(ledger.batch(&old.id).await.unwrap(), None);
    assert_eq!(ledger.batch(&split.id).await.unwrap(), None);
    let summary = ledger.summary(at(60)).await.unwrap().remove(0);
    assert_eq!((summary.vanished, summary.poison, summary.deferred), (1, 1, 2));
    // As if it had never been there.
    let again = batch(&["old"], 3, 60);
    assert_eq!(claim(&ledger, &again).await, Claim::Won);
}

/// What a receiver is to be told is written with the commit and only with it, comes back oldest first, and is gone when it
/// is taken out. Receivers do not see each other's.
pub(crate) async fn notices_stand_from_the_commit_until_they_are_told(ledger: SharedLedger) {
    let notice = |receiver: &str, batch: &Batch, loaded_at: i64| Notice {
        receiver: receiver.into(),
        id: NoticeId { loaded_at: at(loaded_at), batch: batch.id.clone() },
        table: batch.table.clone(),
        body: format!("{{\"at\":{loaded_at}}}").into(),
    };
    let told = |receiver: &'static str| {
        let ledger = Arc::clone(&ledger);
        async move { ledger.notices(receiver, None, 10).await.unwrap() }
    };
    let (one, two, three) = (batch(&["x"], 3, 1), batch(&["y"], 3, 2), batch(&["z"], 3, 3));
    for batch in [&one, &two, &three] {
        claim(&ledger, batch).await;
    }
    // Abandoned: nothing is told of it.
    ledger.fail_attempt(&three.id, AttemptNumber::FIRST, "no", None, at(4)).await.unwrap();
    ledger.rehome(&three.id, &[Home::Deferred(file("z"))], at(5)).await.unwrap();
    let refused = ledger.commit_telling(&three.id, &[notice("fraud", &three, 6)], at(6)).await.unwrap();
    assert_eq!((refused, told("fraud").await), (Step::Refused, vec![]));

    let of_two = [notice("fraud", &two, 7), notice("fraud-2", &two, 7)];
    let of_one = [notice("fraud", &one, 2_000_000), notice("fraud-2", &one, 2_000_000)];
    assert_eq!(ledger.commit_telling(&one.id, &of_one, at(2_000_000)).await.unwrap(), Step::Done);
    assert_eq!(ledger.commit_telling(&two.id, &of_two, at(7)).await.unwrap(), Step::Done);
    // A commit that is repeated later has nothing more to tell.
    let again = ledger.commit_telling(&two.id, &[notice("fraud", &two, 9)], at(9)).await.unwrap();
    assert_eq!((again, told("fraud").await), (Step::Done, vec![of_two[0].clone(), of_one[0].clone()]));
    assert_eq!(ledger.notices("fraud", None, 1).await.unwrap(), of_two[..1]);
    assert_eq!(ledger.notices("fraud", Some(&of_two[0].id), 10).await.unwrap(), of_one[..1]);
    assert_eq!(ledger.notices("fraud", Some(&of_one[0].id), 10).await.unwrap(), []);
    assert_eq!(told("frau").await, []);

    ledger.take_notices("fraud", &[of_two[0].id.clone()]).await.unwrap();
    ledger.take_notices("fraud", &[of_two[0].id.clone()]).await.unwrap();
    assert_eq!(told("fraud").await, of_one[..1]);
    // Behind one that is gone.
    assert_eq!(ledger.notices("fraud", Some(&of_two[0].id), 10).await.unwrap(), of_one[..1]);
    assert_eq!(told("fraud-2").await, [of_two[1].clone(), of_one[1].clone()]);
    // What nobody asks for any more is forgotten in the end.
    while ledger.expire(at(1_000), 10).await.unwrap() > 0 {}
    assert_eq!(told("fraud-2").await, of_one[1..]);
    ledger.take_notices("fraud-2", &[of_one[1].id.clone()]).await.unwrap();
    assert_eq!(told("fraud-2").await, []);
}

/// What processes have done is kept by day, written again instead of added to, and forgotten by day.
pub(crate) async fn usage_is_kept_by_day_and_process(ledger: SharedLedger) {
    let page = |day: i64, writer: &str, files: u64| KeptUsage {
        day: Day(day),
        writer: writer.to_owned(),
        from: at(day),
        tally: Tally {
            shared: [(Measure::SqsRequests, files)].into_iter().collect(),
            tables: [(table("t"), [(Measure::Files, files)].into_iter().collect())].into_iter().collect(),
        },
    };
    let since = async |day: i64| {
        let mut pages = ledger.usage(Day(day)).await.unwrap();
        pages.sort_by_key(|page| (page.day, page.writer.clone()));
        pages
    };
    assert_eq!(since(0).await, []);
    for (day, writer, files) in [(19_999, "v", 1), (20_000, "v", 2), (20_000, "w", 3), (20_001, "w", 4)] {
        ledger.keep_usage(&page(day, writer, files)).await.unwrap();
    }
    ledger.keep_usage(&page(20_000, "w", 9)).await.unwrap();
    ledger.keep_usage(&page(20_000, "w", 9)).await.unwrap();
    assert_eq!(since(20_000).await, [page(20_000, "v", 2), page(20_000, "w", 9), page(20_001, "w", 4)]);
    assert_eq!(ledger.forget_usage(Day(20_000)).await.unwrap(), 1);
    assert_eq!(ledger.forget_usage(Day(20_000)).await.unwrap(), 0);
    assert_eq!(since(0).await.len(), 3);
    assert!(ledger.summary(at(1)).await.unwrap().is_empty(), "it is nothing that is known of a table");
}

/// Every attempt is told by whoever asks what the quotas count: whatever became of it, and by what its rows went. A stream that was
/// made for an attempt that failed was made all the same; a batch of no rows has none.
pub(crate) async fn every_attempt_is_told_by_what_it_went(ledger: SharedLedger) {
    let through = |attempt: Attempt, name: &str| {
        attempt.through(Some(format!("projects/p/datasets/d/tables/t/streams/{name}").into()))
    };
    // Claimed an hour ago, refused twice since, and then halved.
    let hour = 3_600_000_000;
    let (whole, start) = (batch(&["x", "y"], 3, 10 * hour), 10 * hour);
    let attempts = [
        through(first(&whole), "one"),
        through(whole.attempt(AttemptNumber(2), "plan"), "two"),
        whole.attempt(AttemptNumber(3), "plan"),
    ];
    ledger.claim(&whole, Some(&attempts[0]), at(start)).await.unwrap();
    for (failed, next, minutes) in [(1, Some(&attempts[1]), 40), (2, Some(&attempts[2]), 50), (3, None, 60)] {
        let now = at(start + minutes * 60_000_000);
        let step = ledger.fail_attempt(&whole.id, AttemptNumber(failed), "no", next, now).await.unwrap();
        assert_eq!(step, Step::Done);
    }
    let (left, left_attempt) = child(&whole, &["x"]);
    let (right, right_attempt) = child(&whole, &["y"]);
    let homes = [(&left, through(left_attempt, "left")), (&right, right_attempt)]
        .map(|(batch, attempt)| Home::Batch { batch: batch.clone(), attempt: Some(attempt) });
    assert_eq!(ledger.rehome(&whole.id, &homes, at(start + 61 * 60_000_000)).await.unwrap(), Step::Done);
    let loaded = batch(&["z"], 3, 10 * hour);
    ledger.claim(&loaded, Some(&first(&loaded)), at(start + 70 * 60_000_000)).await.unwrap();
    ledger.commit(&loaded.id, at(start + 71 * 60_000_000)).await.unwrap();
    let empty = batch(&["nothing"], 0, 10 * hour);
    ledger.claim(&empty, None, at(start + 72 * 60_000_000)).await.unwrap();
    let told = async |minutes: i64| {
        let told = ledger.submitted_since(at(start + minutes * 60_000_000)).await.unwrap();
        let mut told: Vec<_> = told
            .into_iter()
            .map(|one| (one.batch, one.number.0, one.table, one.carrier, one.at >= at(start)))
            .collect();
        told.sort_unstable();
        told
    };
    let one = |batch: &Batch, number: u32, streamed: bool| {
        (batch.id.clone(), number, table("t"), Some(Carrier::of(streamed)), true)
    };
    let sorted = |mut all: Vec<(BatchId, u32, TableId, Option<Carrier>, bool)>| {
        all.sort_unstable();
        all
    };
    let of_whole = [one(&whole, 1, true), one(&whole, 2, true), one(&whole, 3, false)];
    let later = vec![one(&left, 1, true), one(&right, 1, false), one(&loaded, 1, false)];
    assert_eq!(told(0).await, sorted([of_whole.to_vec(), later.clone()].concat()));
    // A further attempt, and a part, are as old as they are, and not as the claim.
    let since = told(45).await;
    assert!(later.iter().all(|one| since.contains(one)) && since.contains(&of_whole[2]), "{since:?}");
    assert_eq!(told(61).await, sorted(later));
    assert_eq!(told(72).await, []);
}

/// Runs every check on a ledger of its own.
macro_rules! suite {
    ($empty:expr) => {
        $crate::ledger::conformance::suite!($empty; claims_are_all_or_nothing, batches_are_read_back_whole,
            deferred_and_vanished_files_can_be_claimed, attempts_follow_one_another,
            a_batch_of_zero_rows_commits_without_an_attempt, rows_need_an_attempt, a_batch_with_another_attempt_is_not_claimed,
            only_the_same_step_is_done_already, rehoming_is_one_step_over_all_files,
            batches_are_held_and_let_go, verdicts_apply_only_where_they_may, a_file_may_be_settled_twice_at_once, deferred_files_come_oldest_first,
            strikes_and_modes_are_kept, loads_are_counted_once_on_their_day, homes_are_counted_as_files_move,
            the_oldest_waiting_event_is_known, poison_is_mended_as_it_was_seen, what_is_over_is_forgotten_after_the_horizon, a_race_has_one_winner,
            what_stands_in_the_way_is_known_wherever_it_moves, what_nobody_knows_the_age_of_stays_so, a_batch_tells_when_it_was_written_last, a_watermark_never_goes_back, a_shape_grows_at_its_end, a_race_of_growths_has_one_winner,
            notices_stand_from_the_commit_until_they_are_told, usage_is_kept_by_day_and_process,
            every_attempt_is_told_by_what_it_went);
    };
    ($empty:expr; $($check:ident),*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $check() {
            $crate::ledger::conformance::$check($empty).await;
        })*
    };
}
pub(crate) use suite;
