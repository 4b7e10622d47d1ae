use super::super::ids::{BatchId, TableId};
use super::*;
use proptest::prelude::*;

pub(super) const BOUNDS: TableBounds = TableBounds {
    window: Duration::from_secs(60),
    bytes_max: 1_000,
    files_max: 3,
    loads_max: 1,
    defer_after: Duration::from_secs(600),
};

fn file(name: &str) -> FileId {
    FileId {
        table: TableId::new("a", "s", "t"),
        bucket: "b".into(),
        key: name.into(),
        etag: "e".into(),
        size_bytes: 1,
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_763_856_000_000_000).plus(Duration::from_secs(seconds))
}

fn announce(table: &mut Table, name: &str, seconds: u64) -> Vec<Effect> {
    table.step(at(seconds), Event::Announced { file: file(name), suspect: false })
}

/// Announces, looks up and fetches one file.
fn bring(table: &mut Table, name: &str, bytes: u64, seconds: u64) -> Vec<Effect> {
    assert_eq!(announce(table, name, seconds), [Effect::Lookup(file(name))]);
    let fetch = table.step(at(seconds), Event::LookedUp { file: file(name), state: None });
    assert_eq!(fetch, [Effect::Fetch(file(name))]);
    table.step(at(seconds), Event::Fetched { file: file(name), bytes })
}

fn deliver(names: &[&str], reason: CloseReason) -> Effect {
    Effect::Deliver(names.iter().map(|name| file(name)).collect(), reason)
}

#[test]
fn a_window_closes_by_age() {
    let mut table = Table::new(BOUNDS);
    assert_eq!(bring(&mut table, "x", 1, 0), []);
    assert_eq!(bring(&mut table, "y", 1, 30), []);
    assert_eq!(table.next_wake(), Some(at(60)));
    assert_eq!(table.step(at(59), Event::Tick), []);
    assert_eq!(table.step(at(60), Event::Tick), [deliver(&["x", "y"], CloseReason::Age)]);
    assert_eq!(table.next_wake(), None);
}

#[test]
fn a_window_closes_by_files_and_by_bytes() {
    let mut table = Table::new(TableBounds { loads_max: 9, ..BOUNDS });
    bring(&mut table, "x", 1, 0);
    bring(&mut table, "y", 1, 0);
    assert_eq!(bring(&mut table, "z", 1, 0), [deliver(&["x", "y", "z"], CloseReason::Files)]);
    assert_eq!(bring(&mut table, "big", 1_000, 0), [deliver(&["big"], CloseReason::Bytes)]);
}

#[test]
fn further_windows_wait_for_the_tables_share_of_the_loader() {
    let mut table = Table::new(BOUNDS);
    assert_eq!(bring(&mut table, "x", 1_000, 0).len(), 1);
    assert_eq!(bring(&mut table, "y", 1_000, 0), []);
    let effects = table.step(at(1), Event::DeliveryEnded);
    assert_eq!(effects, [deliver(&["y"], CloseReason::Bytes)]);
}

#[test]
fn windows_that_the_loader_does_not_take_are_deferred() {
    let mut table = Table::new(BOUNDS);
    bring(&mut table, "x", 1_000, 0);
    bring(&mut table, "y", 1_000, 0);
    assert_eq!(table.next_wake(), Some(at(600)));
    assert_eq!(table.step(at(600), Event::Tick), [Effect::Settle(file("y"), Verdict::Defer)]);
    let released = table
        .step(at(600), Event::Settled { file: file("y"), state: FileState::Deferred { since: at(600) } });
    assert_eq!(released, [Effect::Release { file: file("y"), outcome: Outcome::Deferred, fresh: true }]);
}

#[test]
fn a_second_announcement_of_a_file_in_hand_asks_nothing() {
    let mut table = Table::new(BOUNDS);
    announce(&mut table, "x", 0);
    assert_eq!(announce(&mut table, "x", 1), []);
    assert_eq!(table.in_hand(), 1);
}

#[test]
fn what_the_ledger_knows_decides() {
    let batch = || BatchId::from_stored("b");
    let release = |outcome| vec![Effect::Release { file: file("x"), outcome, fresh: false }];
    let cases = [
        (FileState::Loaded { batch: batch() }, release(Outcome::Duplicate)),
        (FileState::Poison { reason: "r".into() }, release(Outcome::Poisoned)),
        (FileState::Claimed { batch: batch(), held: true }, release(Outcome::Held)),
        (FileState::Deferred { since: at(0) }, vec![Effect::Fetch(file("x"))]),
        (FileState::Vanished { at: at(4) }, vec![Effect::Fetch(file("x"))]),
        (FileState::Vanished { at: at(5) }, release(Outcome::Vanished)),
        (FileState::Claimed { batch: batch(), held: false }, vec![]),
    ];
    for (state, expected) in cases {
        let mut table = Table::new(BOUNDS);
        announce(&mut table, "x", 5);
        let effects = table.step(at(6), Event::LookedUp { file: file("x"), state: Some(state.clone()) });
        assert_eq!(effects, expected, "{state:?}");
    }
}

#[test]
fn a_file_claimed_elsewhere_is_asked_about_again() {
    let mut table = Table::new(BOUNDS);
    announce(&mut table, "x", 0);
    let claimed = || Event::LookedUp {
        file: file("x"),
        state: Some(FileState::Claimed { batch: BatchId::from_stored("b"), held: false }),
    };
    table.step(at(0), claimed());
    assert_eq!(table.next_wake(), Some(at(1)));
    assert_eq!(table.step(at(1), Event::Tick), [Effect::Lookup(file("x"))]);
    table.step(at(1), claimed());
    assert_eq!(table.next_wake(), Some(at(3)));
}

fn fail(table: &mut Table, kind: FaultKind, seconds: u64) -> Vec<Effect> {
    table.step(at(seconds), Event::Failed { file: file("x"), kind, reason: "r".into() })
}

fn fetching() -> Table {
    let mut table = Table::new(BOUNDS);
    announce(&mut table, "x", 0);
    table.step(at(0), Event::LookedUp { file: file("x"), state: None });
    table
}

#[test]
fn a_file_that_waited_for_others_is_not_given_up_sooner() {
    let mut table = Table::new(BOUNDS);
    announce(&mut table, "x", 0);
    for second in [1, 3, 7] {
        let state = Some(FileState::Claimed { batch: BatchId::from_stored("b"), held: false });
        table.step(at(second - 1), Event::LookedUp { file: file("x"), state });
        assert_eq!(table.step(at(second + 60), Event::Tick), [Effect::Lookup(file("x"))]);
    }
    let deferred = Some(FileState::Deferred { since: at(8) });
    table.step(at(9), Event::LookedUp { file: file("x"), state: deferred });
    // One GET that finds nothing is one, however long the file has waited before.
    assert_eq!(fail(&mut table, FaultKind::Vanished, 10), []);
    assert_ne!(table.clone().rested(), table);
}

#[test]
fn an_object_that_is_gone_is_tried_three_times() {
    let mut table = fetching();
    assert_eq!(fail(&mut table, FaultKind::Vanished, 0), []);
    assert_eq!(table.step(at(1), Event::Tick), [Effect::Fetch(file("x"))]);
    assert_eq!(fail(&mut table, FaultKind::Vanished, 1), []);
    assert_eq!(table.step(at(3), Event::Tick), [Effect::Fetch(file("x"))]);
    assert_eq!(fail(&mut table, FaultKind::Vanished, 3), [Effect::Settle(file("x"), Verdict::Vanish)]);
}

#[test]
fn three_strikes_make_poison() {
    let mut table = fetching();
    for strikes in 1..STRIKES_MAX {
        assert_eq!(fail(&mut table, FaultKind::Unreadable, 0), [Effect::Strike(file("x"), "r".into())]);
        assert_eq!(table.step(at(0), Event::Struck { file: file("x"), strikes, reason: "r".into() }), []);
        assert_eq!(table.step(at(100), Event::Tick), [Effect::Fetch(file("x"))]);
    }
    fail(&mut table, FaultKind::Unreadable, 0);
    let effects =
        table.step(at(0), Event::Struck { file: file("x"), strikes: STRIKES_MAX, reason: "r".into() });
    assert_eq!(effects, [Effect::Settle(file("x"), Verdict::Poison("r".into()))]);
}

#[test]
fn a_type_that_is_not_carried_is_poison_at_once_and_an_outage_is_waited_out_and_then_deferred() {
    let mut table = fetching();
    let poison = [Effect::Settle(file("x"), Verdict::Poison("r".into()))];
    assert_eq!(fail(&mut table, FaultKind::UnsupportedType, 0), poison);
    let mut table = fetching();
    assert_eq!(fail(&mut table, FaultKind::Unavailable, 599), []);
    assert_eq!(fail(&mut table, FaultKind::Unavailable, 600), [Effect::Settle(file("x"), Verdict::Defer)]);
}

#[test]
fn a_suspect_travels_alone() {
    let mut table = Table::new(TableBounds { loads_max: 9, ..BOUNDS });
    bring(&mut table, "y", 1, 0);
    table.step(at(0), Event::Announced { file: file("x"), suspect: true });
    table.step(at(0), Event::LookedUp { file: file("x"), state: None });
    let effects = table.step(at(0), Event::Fetched { file: file("x"), bytes: 1 });
    assert_eq!(effects, [deliver(&["x"], CloseReason::Suspect)]);
    assert_eq!(table.window_files(), 1);
}

#[test]
fn a_file_that_comes_back_suspect_travels_alone() {
    let mut table = Table::new(BOUNDS);
    bring(&mut table, "x", 1_000, 0);
    table.step(at(0), Event::DeliveryEnded);
    table.step(at(0), Event::Returned { file: file("x"), suspect: true });
    assert_eq!(table.step(at(1), Event::Tick), [Effect::Lookup(file("x"))]);
    table.step(at(1), Event::LookedUp { file: file("x"), state: None });
    let effects = table.step(at(1), Event::Fetched { file: file("x"), bytes: 1 });
    assert_eq!(effects, [deliver(&["x"], CloseReason::Suspect)]);
}

#[test]
fn a_file_that_a_delivery_gives_back_is_looked_up_again() {
    let mut table = Table::new(BOUNDS);
    bring(&mut table, "x", 1_000, 0);
    table.step(at(1), Event::DeliveryEnded);
    assert_eq!(table.step(at(1), Event::Returned { file: file("x"), suspect: false }), []);
    assert_eq!(table.step(at(2), Event::Tick), [Effect::Lookup(file("x"))]);
    assert_eq!(
        table.step(at(2), Event::Returned { file: file("y"), suspect: false }),
        [Effect::Lookup(file("y"))]
    );
}

#[test]
fn a_file_that_comes_back_twice_is_delivered_once() {
    let mut table = Table::new(BOUNDS);
    bring(&mut table, "x", 1_000, 0);
    for _ in 0..2 {
        table.step(at(1), Event::Returned { file: file("x"), suspect: true });
    }
    assert_eq!(table.step(at(2), Event::Tick), [Effect::Lookup(file("x"))]);
    table.step(at(2), Event::LookedUp { file: file("x"), state: None });
    // The table's share is taken: it is closed and waits.
    assert_eq!(table.step(at(2), Event::Fetched { file: file("x"), bytes: 1 }), []);
    assert_eq!(table.step(at(2), Event::Returned { file: file("x"), suspect: false }), []);
    assert_eq!(table.step(at(9), Event::Tick), []);
    let effects = table.step(at(9), Event::DeliveryEnded);
    assert_eq!(effects, [deliver(&["x"], CloseReason::Suspect)]);
}

#[test]
fn what_another_delivery_came_to_disturbs_nothing_that_is_under_way() {
    let elsewhere = |name| Event::EndedElsewhere { file: file(name), suspect: false };
    let mut table = Table::new(BOUNDS);
    assert_eq!(table.step(at(0), elsewhere("new")), [Effect::Lookup(file("new"))]);
    bring(&mut table, "x", 1_000, 0);
    bring(&mut table, "y", 1, 0);
    for name in ["x", "y"] {
        assert_eq!(table.step(at(1), elsewhere(name)), []);
    }
    // Another batch has it: whatever becomes of that is asked at once.
    table.step(at(1), Event::Returned { file: file("x"), suspect: false });
    assert_eq!(table.step(at(1), elsewhere("x")), [Effect::Lookup(file("x"))]);
}

#[test]
fn a_file_that_becomes_final_leaves_its_window() {
    let released = |name| [Effect::Release { file: file(name), outcome: Outcome::Loaded, fresh: true }];
    let finished = |name| Event::Finished { file: file(name), outcome: Outcome::Loaded };
    let mut table = Table::new(BOUNDS);
    bring(&mut table, "w", 1_000, 0);
    bring(&mut table, "x", 1, 0);
    bring(&mut table, "y", 1, 0);
    assert_eq!(table.step(at(1), finished("x")), released("x"));
    table.step(at(1), Event::Flush(CloseReason::Flush));
    bring(&mut table, "z", 1, 1);
    assert_eq!(table.step(at(2), finished("y")), released("y"));
    assert_eq!(table.step(at(2), finished("z")), released("z"));
    assert_eq!((table.window_files(), table.in_hand()), (0, 1));
    assert_eq!(table.step(at(3), Event::DeliveryEnded), []);
}

proptest! {
    /// Whatever happens in whatever order, no file is handed over twice at one time or forgotten: it is in hand until
    /// it is released.
    #[test]
    fn no_file_is_forgotten(script in proptest::collection::vec((0_u8..9, 0_usize..5, 1_u64..400), 1..200)) {
        let mut table = Table::new(BOUNDS);
        let mut now = 0;
        let mut announced = std::collections::BTreeSet::new();
        let mut delivering = std::collections::BTreeSet::new();
        for (kind, index, pass) in script {
            let name = file(["v", "w", "x", "y", "z"][index]);
            let event = match kind {
                0 | 1 => { announced.insert(name.clone()); Event::Announced { file: name, suspect: pass % 7 == 0 } }
                2 => Event::LookedUp { file: name, state: None },
                3 => Event::Fetched { file: name, bytes: pass },
                4 => Event::Failed { file: name, kind: FaultKind::Unavailable, reason: String::new() },
                5 if delivering.remove(&name) => Event::Finished { file: name, outcome: Outcome::Loaded },
                6 if delivering.is_empty() => Event::DeliveryEnded,
                7 => { now += pass; Event::Tick }
                8 => Event::Settled { file: name, state: FileState::Deferred { since: at(now) } },
                _ => Event::Flush(CloseReason::Flush),
            };
            if matches!(event, Event::LookedUp { .. } | Event::Settled { .. }) {
                let (Event::LookedUp { file, .. } | Event::Settled { file, .. }) = &event else { unreachable!() };
                let awaited = matches!(
                    (&event, table.files.get(file).map(|held| held.phase)),
                    (Event::LookedUp { .. }, Some(Phase::LookingUp)) | (Event::Settled { .. }, Some(Phase::Settling))
                );
                if !awaited { continue; }
            }
            if let Event::Failed { file, .. } = &event
                && !matches!(table.files.get(file).map(|held| held.phase), Some(Phase::Fetching)) { continue; }
            for effect in table.step(at(now), event) {
                match effect {
                    Effect::Deliver(files, _) => for file in files { prop_assert!(delivering.insert(file)); },
                    Effect::Release { file, .. } => { announced.remove(&file); },
                    Effect::Lookup(_) | Effect::Fetch(_) | Effect::Strike(..) | Effect::Settle(..) => {}
                }
            }
            for file in &announced { prop_assert!(table.holds(file), "{file} was forgotten"); }
        }
    }
}

#[test]
fn the_watchdog_is_shown_the_oldest_question_to_the_ledger_and_no_wait() {
    use super::super::watchdog::{Doing, Edge, Reading};
    let mut table = Table::new(BOUNDS);
    assert_eq!(table.reading(), Reading::idle());
    let announced = |name| Event::Announced { file: file(name), suspect: false };
    table.step(at(1), announced("a"));
    table.step(at(2), announced("b"));
    let first = table.reading();
    assert_eq!(first.doing, Doing::Working(Edge::Ledger, "looking a file up"));
    // The answer about the younger one is no progress of the older.
    table.step(at(3), Event::LookedUp { file: file("b"), state: None });
    assert_eq!(table.reading(), first);
    // Fetching, a window, and a backoff are not the batcher's to be late with.
    table.step(at(4), Event::LookedUp { file: file("a"), state: None });
    assert_eq!(table.reading(), Reading::idle());
    table.step(at(5), Event::Fetched { file: file("a"), bytes: 1 });
    table.step(at(5), Event::LedgerFailed { file: file("b") });
    assert_eq!(table.reading(), Reading::idle());
    // The same file asked about again is another question.
    table.step(at(70), Event::Tick);
    assert!(table.reading() != first && table.reading() != Reading::idle());
}
