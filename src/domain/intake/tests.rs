use super::super::file::{FileId, FileState};
use super::super::ids::BatchId;
use super::*;
use crate::domain::dead_letter::PoisonCopy;
use proptest::prelude::*;

const BOUNDS: IntakeBounds = IntakeBounds {
    held_messages_max: 20,
    parked_files_max: 4,
    files_per_table: 3,
    visibility: Duration::from_secs(120),
    defer_after: Duration::from_secs(600),
};

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_763_856_000_000_000).plus(Duration::from_secs(seconds))
}

fn file(table: &str, name: &str) -> FileId {
    let table = TableId::new("a", "s", table);
    FileId { table, bucket: "b".into(), key: name.into(), etag: "e".into(), size_bytes: 1 }
}

fn announced(file: FileId, plan: Plan) -> Announced {
    Announced { file, plan, event_at: at(0) }
}

fn message(id: &str, files: &[FileId]) -> Arrived {
    let files = files.iter().map(|file| announced(file.clone(), Plan::Offer)).collect();
    Arrived { id: id.into(), receipt: format!("{id}-1").into(), content: Content::Files(files) }
}

fn item(message: u64, index: usize) -> ItemId {
    ItemId { message, index }
}

fn offers(effects: &[Effect]) -> Vec<ItemId> {
    let mut items = Vec::new();
    for effect in effects {
        if let Effect::Offer { files, .. } = effect {
            items.extend(files.iter().map(|offer| offer.item));
        }
    }
    items
}

fn deletes(effects: &[Effect]) -> Vec<u64> {
    let mut messages = Vec::new();
    for effect in effects {
        if let Effect::Delete(batch) = effect {
            messages.extend(batch.iter().map(|(message, _)| *message));
        }
    }
    messages
}

#[test]
fn a_message_is_deleted_when_all_its_files_are_final() {
    let mut intake = Intake::new(BOUNDS);
    let files = [file("t", "x"), file("u", "y")];
    let effects = intake.step(at(0), Event::Received(vec![message("m", &files)]));
    assert_eq!(offers(&effects), [item(0, 0), item(0, 1)]);
    intake.step(at(1), Event::LeaseSettled(item(0, 0)));
    assert_eq!(deletes(&intake.step(at(1), Event::Tick)), [0_u64; 0]);
    intake.step(at(2), Event::LeaseSettled(item(0, 1)));
    assert_eq!(deletes(&intake.step(at(2), Event::Tick)), [0]);
    intake.step(at(2), Event::Deleted(vec![0]));
    assert_eq!(intake.held_messages(), 0);
}

#[test]
fn a_message_without_files_of_ours_is_deleted_and_a_redelivery_brings_the_newest_receipt() {
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[]), message("n", &[file("t", "x")])]));
    let mut again = message("n", &[file("t", "x")]);
    again.receipt = "n-2".into();
    let effects = intake.step(at(1), Event::Received(vec![again]));
    assert_eq!(offers(&effects), []);
    intake.step(at(1), Event::LeaseSettled(item(1, 0)));
    let effects = intake.step(at(1), Event::Tick);
    assert_eq!(effects, [Effect::Delete(vec![(0, "m-1".into()), (1, "n-2".into())])]);
}

#[test]
fn deletes_go_ten_at_a_time_and_failed_ones_again() {
    let mut intake = Intake::new(BOUNDS);
    let messages = (0..12).map(|n| message(&format!("m{n}"), &[])).collect();
    let effects = intake.step(at(0), Event::Received(messages));
    assert_eq!(deletes(&effects), (0..10).collect::<Vec<_>>());
    assert_eq!(deletes(&intake.step(at(1), Event::Tick)), [10, 11]);
    intake.step(at(1), Event::DeleteFailed(vec![10]));
    assert_eq!(deletes(&intake.step(at(2), Event::Tick)), [10]);
}

#[test]
fn messages_are_extended_at_half_their_timeout() {
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[file("t", "x")])]));
    assert_eq!(intake.step(at(59), Event::Tick), []);
    assert_eq!(intake.step(at(60), Event::Tick), [Effect::Extend(vec![(0, "m-1".into())])]);
    assert_eq!(intake.step(at(61), Event::Tick), []);
    let too_old = at(RECEIPT_AGE_MAX.as_secs());
    assert_eq!(intake.step(too_old, Event::Tick), []);
}

#[test]
fn a_table_that_has_enough_in_hand_parks_the_rest() {
    let mut intake = Intake::new(BOUNDS);
    let files: Vec<_> = (0..5).map(|n| file("t", &n.to_string())).collect();
    let effects = intake.step(at(0), Event::Received(vec![message("m", &files)]));
    assert_eq!(offers(&effects).len(), 3);
    assert_eq!(intake.parked_files(), 2);
    assert_eq!(offers(&intake.step(at(1), Event::LeaseSettled(item(0, 0)))), [item(0, 3)]);
}

#[test]
fn refused_offers_wait_for_their_table_and_are_then_deferred() {
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[file("t", "x")])]));
    assert_eq!(intake.step(at(0), Event::OfferRefused(item(0, 0))), []);
    assert_eq!(offers(&intake.step(at(5), Event::TableOpened(TableId::new("a", "s", "t")))), [item(0, 0)]);
    intake.step(at(5), Event::OfferRefused(item(0, 0)));
    // Offers that are refused do not start the clock anew.
    let effects = intake.step(at(600), Event::Tick);
    assert_eq!(effects.last(), Some(&Effect::Settle(item(0, 0), file("t", "x"), Verdict::Defer)));
    intake.step(at(600), Event::VerdictWritten(item(0, 0), FileState::Deferred { since: at(600) }));
    assert_eq!(deletes(&intake.step(at(601), Event::Tick)), [0]);
}

#[test]
fn a_full_park_defers_the_oldest_of_the_fullest_table() {
    let mut intake = Intake::new(BOUNDS);
    let files: Vec<_> = (0..8).map(|n| file("t", &n.to_string())).collect();
    let effects = intake.step(at(0), Event::Received(vec![message("m", &files)]));
    assert_eq!(effects.last(), Some(&Effect::Settle(item(0, 3), file("t", "3"), Verdict::Defer)));
    assert_eq!(intake.parked_files(), 4);
}

#[test]
fn a_verdict_on_a_file_of_an_open_batch_goes_back_to_its_table() {
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[file("t", "x")])]));
    intake.step(at(0), Event::OfferRefused(item(0, 0)));
    intake.step(at(600), Event::Tick);
    let claimed = FileState::Claimed { batch: BatchId::from_stored("b"), held: false };
    intake.step(at(600), Event::VerdictWritten(item(0, 0), claimed));
    assert_eq!(offers(&intake.step(at(605), Event::Tick)), [item(0, 0)]);
}

#[test]
fn only_the_file_in_hand_is_struck() {
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[file("t", "x"), file("t", "y")])]));
    intake.step(at(1), Event::LeaseAbandoned(item(0, 1), Abandoned::Innocent));
    let effects = intake.step(at(1), Event::LeaseAbandoned(item(0, 0), Abandoned::Blamed));
    assert_eq!(effects, [Effect::Strike(item(0, 0), file("t", "x"))]);
    assert_eq!(intake.step(at(1), Event::Struck(item(0, 0), 2)), []);
    let effects = intake.step(at(2), Event::Tick);
    assert_eq!(offers(&effects), [item(0, 1), item(0, 0)]);
    intake.step(at(3), Event::LeaseAbandoned(item(0, 0), Abandoned::Blamed));
    let effects = intake.step(at(3), Event::Struck(item(0, 0), 3));
    assert!(matches!(&effects[..], [Effect::Settle(_, _, Verdict::Poison(_))]), "{effects:?}");
}

#[test]
fn an_unparsable_message_is_deleted_once_it_is_written_down() {
    let mut intake = Intake::new(BOUNDS);
    let arrived = Arrived {
        id: "m".into(),
        receipt: "r".into(),
        content: Content::Unparsable { body: "x".into(), reason: "garbage".into() },
    };
    let effects = intake.step(at(0), Event::Received(vec![arrived]));
    assert_eq!(effects, [Effect::DeadLetter { message: 0, body: "x".into(), reason: "garbage".into() }]);
    assert_eq!(deletes(&intake.step(at(0), Event::Tick)), [0_u64; 0]);
    intake.step(at(1), Event::Done(0));
    assert_eq!(deletes(&intake.step(at(1), Event::Tick)), [0]);
}

#[test]
fn a_copy_that_came_back_is_deleted_once_its_file_is_redriven_and_kept_while_the_ledger_is_silent() {
    let copy = PoisonCopy { file: file("t", "x"), reason: "bad".to_owned(), since: at(9) };
    let arrived = |receipt: &str| Arrived {
        id: "m".into(),
        receipt: receipt.into(),
        content: Content::Redrive(copy.clone()),
    };
    let mut intake = Intake::new(BOUNDS);
    let effects = intake.step(at(0), Event::Received(vec![arrived("r")]));
    assert_eq!(effects, [Effect::Redrive { message: 0, copy: copy.clone() }]);
    intake.step(at(1), Event::Undone(0));
    assert_eq!(deletes(&intake.step(at(1), Event::Tick)), [0_u64; 0]);
    let effects = intake.step(at(2), Event::Received(vec![arrived("s")]));
    assert_eq!(effects, [Effect::Redrive { message: 1, copy: copy.clone() }]);
    intake.step(at(3), Event::Done(1));
    assert_eq!(deletes(&intake.step(at(3), Event::Tick)), [1]);
}

#[test]
fn a_silent_ledger_is_asked_again_with_the_same_verdict() {
    let mut intake = Intake::new(BOUNDS);
    let settle = Plan::Settle(Verdict::Poison("empty".into()));
    let content = Content::Files(vec![announced(file("t", "x"), settle)]);
    let expected = Effect::Settle(item(0, 0), file("t", "x"), Verdict::Poison("empty".into()));
    let arrived = Arrived { id: "m".into(), receipt: "r".into(), content };
    assert_eq!(intake.step(at(0), Event::Received(vec![arrived])), std::slice::from_ref(&expected));
    intake.step(at(0), Event::LedgerFailed(item(0, 0)));
    assert_eq!(intake.step(at(5), Event::Tick), [expected]);
}

proptest! {
    /// Whatever happens, a message is held until it is deleted, it is deleted only after all its files were settled,
    /// and the counts agree with the items.
    #[test]
    fn no_message_is_lost(script in proptest::collection::vec((0_u8..8, 0_u64..12, 0_usize..2, 1_u64..200), 1..300)) {
        let mut intake = Intake::new(BOUNDS);
        let (mut now, mut sent) = (0, 0_u64);
        let mut open = std::collections::BTreeSet::new();
        for (kind, number, index, pass) in script {
            let id = item(number, index);
            let phase = intake.items.get(&id).map(|item| item.phase.clone());
            let event = match (kind, &phase) {
                (0, _) if intake.room() > 0 => {
                    let name = sent.to_string();
                    let files = [file("t", &name), file(if pass % 2 == 0 { "t" } else { "u" }, &format!("{name}b"))];
                    open.extend([item(sent, 0), item(sent, 1)]);
                    sent += 1;
                    Event::Received(vec![message(&name, &files)])
                }
                (1 | 2, Some(Phase::Offered)) => { open.remove(&id); Event::LeaseSettled(id) }
                (3, Some(Phase::Offered)) => Event::LeaseAbandoned(id, Abandoned::Innocent),
                (4, Some(Phase::Offered)) => Event::OfferRefused(id),
                (5, Some(Phase::Settling(_))) => {
                    open.remove(&id);
                    Event::VerdictWritten(id, FileState::Deferred { since: at(now) })
                }
                (6, Some(Phase::Settling(_))) => Event::LedgerFailed(id),
                _ => { now += pass; Event::Tick }
            };
            let effects = intake.step(at(now), event);
            for message in deletes(&effects) {
                prop_assert!(!open.contains(&item(message, 0)) && !open.contains(&item(message, 1)));
                intake.step(at(now), Event::Deleted(vec![message]));
            }
            for id in &open { prop_assert!(intake.items.contains_key(id)); }
            let parked = intake.items.values().filter(|item| matches!(item.phase, Phase::Parked { .. })).count();
            prop_assert_eq!(parked, intake.parked_files());
            prop_assert!(intake.parked_files() <= BOUNDS.parked_files_max);
            for ((table, _), count) in &intake.offered {
                let offered = intake.items.values().filter(|i| i.phase == Phase::Offered && i.file.table == *table);
                prop_assert_eq!(offered.count(), *count);
            }
        }
    }
}

#[test]
fn the_watchdog_is_shown_the_oldest_question_that_is_out() {
    use super::super::watchdog::{Doing, Edge, Reading};
    let mut intake = Intake::new(BOUNDS);
    intake.step(at(0), Event::Received(vec![message("m", &[file("t", "x")])]));
    // Offered to its batcher, which is watched itself.
    assert_eq!(intake.reading(), Reading::idle());
    let garbage = Content::Unparsable { body: "?".into(), reason: "no".into() };
    let garbage = Arrived { id: "g".into(), receipt: "g-1".into(), content: garbage };
    intake.step(at(1), Event::Received(vec![garbage]));
    let dead_letter = intake.reading();
    assert_eq!(dead_letter.doing, Doing::Working(Edge::Ledger, "putting a dead letter aside"));
    intake.step(at(2), Event::LeaseAbandoned(item(0, 0), Abandoned::Blamed));
    assert_eq!(intake.reading(), dead_letter);
    intake.step(at(3), Event::Done(1));
    assert_eq!(intake.reading().doing, Doing::Working(Edge::Ledger, "writing a strike down"));
    intake.step(at(4), Event::Struck(item(0, 0), STRIKES_MAX));
    assert_eq!(intake.reading().doing, Doing::Working(Edge::Ledger, "writing a verdict down"));
    intake.step(at(5), Event::LedgerFailed(item(0, 0)));
    intake.step(at(5), Event::Tick);
    assert_eq!(intake.reading().doing, Doing::Working(Edge::Queue, "deleting messages"));
    intake.step(at(6), Event::Deleted(vec![1]));
    assert_eq!(intake.reading(), Reading::idle());
}

/// A reload of a table that does not run: its files go to the ledger, and their messages with them, so that changes are heard of.
#[test]
fn full_loads_that_wait_leave_room_to_hear_of_changes() {
    let bounds = IntakeBounds { parked_files_max: 20, ..BOUNDS };
    let mut intake = Intake::new(bounds);
    let mut deferred = 0;
    for number in 0..60 {
        assert!(intake.room() > 0, "nothing more is heard after {number} files");
        let full_load = file("t", &format!("s/t/LOAD{number:08X}.parquet"));
        let arrived = message(&format!("m{number}"), &[full_load]);
        let mut effects = VecDeque::from(intake.step(at(number), Event::Received(vec![arrived])));
        effects.extend(intake.step(at(number), Event::Tick));
        while let Some(effect) = effects.pop_front() {
            let event = match effect {
                Effect::Settle(id, _, Verdict::Defer) => {
                    deferred += 1;
                    Event::VerdictWritten(id, FileState::Deferred { since: at(number) })
                }
                Effect::Offer { files, .. } => Event::OfferRefused(files[0].item),
                Effect::Delete(messages) => {
                    Event::Deleted(messages.iter().map(|(message, _)| *message).collect())
                }
                Effect::Settle(..)
                | Effect::Strike(..)
                | Effect::Redrive { .. }
                | Effect::DeadLetter { .. }
                | Effect::Extend(_) => continue,
            };
            effects.extend(intake.step(at(number), event));
        }
    }
    assert!(intake.parked_files() <= bounds.parked_files_max / 4, "{}", intake.parked_files());
    assert!(deferred >= 40, "{deferred}");
    let change = file("t", "s/t/20251123-000000000.parquet");
    let effects = intake.step(at(99), Event::Received(vec![message("change", &[change])]));
    assert_eq!(offers(&effects).len(), 1);
}
