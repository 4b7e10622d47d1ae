use proptest::prelude::*;

use super::*;
use crate::domain::ids::BatchId;

fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn notice(table: &str, loaded_at: Instant, number: usize) -> Notice {
    Notice {
        receiver: "fraud".into(),
        id: NoticeId { loaded_at, batch: BatchId::from_stored(format!("{number:08}")) },
        table: TableId::new("a", "s", table),
        body: "{}".into(),
    }
}

const ALONE: Rules = Rules { give_up_after: Duration::from_secs(86_400), is_shared: false };

/// An outbox that has found nothing in the ledger.
fn started(rules: Rules) -> Outbox {
    let mut outbox = Outbox::new(rules);
    assert_eq!(outbox.step(at(0), 0.5, Event::Tick).ask, Some(Ask::Read));
    assert_eq!(outbox.step(at(0), 0.5, Event::Read(Vec::new())).ask, None);
    outbox
}

fn committed(outbox: &mut Outbox, now: Instant, table: &str, number: usize) -> (NoticeId, Effects) {
    let notice = notice(table, now, number);
    (notice.id.clone(), outbox.step(now, 0.5, Event::Committed(notice)))
}

fn refused() -> Answer {
    Answer::Refused { problem: "it answered 401".to_owned() }
}

fn unavailable(wait: Option<Duration>) -> Answer {
    Answer::Unavailable { problem: "it answered 503".to_owned(), wait }
}

#[test]
fn a_notice_is_sent_at_once_and_taken_out_when_it_is_told() {
    let mut outbox = started(ALONE);
    let (id, effects) = committed(&mut outbox, at(1), "x", 1);
    assert_eq!((effects.send.len(), outbox.shown().waiting), (1, 1));
    // The same again, as a repeated commit tells it, is nothing new.
    assert_eq!(committed(&mut outbox, at(1), "x", 1).1.send, []);
    let effects = outbox.step(at(2), 0.5, Event::Answered(id.clone(), Answer::Taken));
    assert_eq!((effects.ask, effects.wake), (None, Some(at(4))));
    let effects = outbox.step(at(4), 0.5, Event::Tick);
    assert_eq!(effects.ask, Some(Ask::Take(vec![id.clone()])));
    // Until the ledger has answered, what it has is known to be told.
    outbox.step(at(4), 0.5, Event::LedgerFailed);
    assert_eq!(outbox.step(at(5), 0.5, Event::Tick).ask, None);
    assert_eq!(outbox.step(at(9), 0.5, Event::Tick).ask, Some(Ask::Take(vec![id])));
    outbox.step(at(9), 0.5, Event::TakenOut);
    assert_eq!(outbox.shown(), Shown::default());
}

#[test]
fn tables_go_side_by_side_and_each_in_its_order() {
    let mut outbox = started(ALONE);
    let (first, _) = committed(&mut outbox, at(1), "x", 1);
    assert_eq!(committed(&mut outbox, at(2), "x", 2).1.send, []);
    assert_eq!(committed(&mut outbox, at(2), "y", 3).1.send.len(), 1);
    let effects = outbox.step(at(3), 0.5, Event::Answered(first, Answer::Taken));
    assert_eq!(effects.send, [notice("x", at(2), 2)]);
    // As many at one time as are admitted.
    let sent: usize = (10..40).map(|n| committed(&mut outbox, at(3), &n.to_string(), n).1.send.len()).sum();
    assert_eq!(sent, IN_FLIGHT_MAX - 2);
}

#[test]
fn a_receiver_that_cannot_be_heard_is_asked_with_one_notice_in_growing_waits() {
    let mut outbox = started(ALONE);
    let (first, _) = committed(&mut outbox, at(1), "x", 1);
    committed(&mut outbox, at(1), "y", 2);
    let busy = unavailable(Some(Duration::from_secs(30)));
    let effects = outbox.step(at(2), 0.5, Event::Answered(first.clone(), busy));
    assert_eq!((effects.send, effects.wake), (vec![], Some(at(30))));
    assert_eq!(outbox.shown().failing, Some((at(2), "it answered 503".to_owned())));
    let y = NoticeId { loaded_at: at(1), batch: BatchId::from_stored("00000002") };
    outbox.step(at(3), 0.5, Event::Answered(y, unavailable(None)));
    assert_eq!(outbox.step(at(31), 0.5, Event::Tick).send, []);
    // The oldest goes first, alone.
    assert_eq!(outbox.step(at(32), 0.5, Event::Tick).send, [notice("x", at(1), 1)]);
    // When it is back, all go.
    let effects = outbox.step(at(33), 0.5, Event::Answered(first, Answer::Taken));
    assert_eq!((effects.send, outbox.shown().failing), (vec![notice("y", at(1), 2)], None));
}

#[test]
fn one_that_is_refused_does_not_stop_the_others_and_is_given_up_in_the_end() {
    let mut outbox = started(ALONE);
    let (bad, _) = committed(&mut outbox, at(1), "x", 1);
    outbox.step(at(1), 0.5, Event::Answered(bad.clone(), refused()));
    committed(&mut outbox, at(1), "x", 2);
    // After the pause the other one is tried first, and told.
    let effects = outbox.step(at(2), 0.5, Event::Tick);
    assert_eq!(effects.send, [notice("x", at(1), 2)]);
    let effects = outbox.step(at(2), 0.5, Event::Answered(effects.send[0].id.clone(), Answer::Taken));
    assert_eq!(effects.send, [notice("x", at(1), 1)]);
    let mut now = at(3);
    let (mut tries, mut overdue, mut given_up) = (0, 0, Vec::new());
    let mut effects = outbox.step(now, 0.5, Event::Answered(bad.clone(), refused()));
    while given_up.is_empty() {
        for sent in std::mem::take(&mut effects.send) {
            tries += 1;
            effects = outbox.step(now, 0.5, Event::Answered(sent.id, refused()));
        }
        if effects.ask == Some(Ask::Read) {
            effects = outbox.step(now, 0.5, Event::Read(vec![notice("x", at(1), 1)]));
        }
        if let Some(told) = &effects.overdue {
            overdue += 1;
            assert_eq!((told.waiting, told.problem.as_str()), (1, "it answered 401"));
        }
        given_up.append(&mut effects.given_up);
        now = effects.wake.unwrap_or(now.plus(READ_INTERVAL)).max(now.plus(Duration::from_secs(1)));
        effects = outbox.step(now, 0.5, Event::Tick);
    }
    assert_eq!(given_up, [(notice("x", at(1), 1), "it answered 401".to_owned())]);
    assert!((200..1_000).contains(&tries), "{tries}");
    assert!((20..=24).contains(&overdue), "{overdue}");
    assert_eq!(outbox.shown().waiting, 0);
}

#[test]
fn what_does_not_fit_waits_in_the_ledger() {
    let mut outbox = started(ALONE);
    let all: Vec<_> = (0..HELD_MAX + 500).map(|n| notice("x", at(1), n)).collect();
    for notice in &all {
        outbox.step(at(1), 0.5, Event::Committed(notice.clone()));
    }
    assert!(outbox.shown().more && outbox.shown().waiting <= HELD_MAX + 1);
    let (mut told, mut ledger) = (Vec::new(), all.clone());
    let mut effects = outbox.step(at(1), 0.5, Event::Answered(all[0].id.clone(), Answer::Taken));
    told.push(all[0].id.clone());
    let mut now = at(2);
    while !ledger.is_empty() {
        let sent = std::mem::take(&mut effects.send);
        for notice in sent {
            told.push(notice.id.clone());
            let next = outbox.step(now, 0.5, Event::Answered(notice.id, Answer::Taken));
            effects = Effects { ask: effects.ask.or(next.ask), ..next };
        }
        effects = match effects.ask.take() {
            Some(Ask::Take(taken)) => {
                ledger.retain(|notice| !taken.contains(&notice.id));
                let next = outbox.step(now, 0.5, Event::TakenOut);
                Effects { send: effects.send.into_iter().chain(next.send).collect(), ..next }
            }
            Some(Ask::Read) => {
                let oldest = ledger.iter().take(HELD_MAX).cloned().collect();
                outbox.step(now, 0.5, Event::Read(oldest))
            }
            None if effects.send.is_empty() => {
                now = now.plus(Duration::from_secs(1));
                outbox.step(now, 0.5, Event::Tick)
            }
            None => effects,
        };
    }
    let ids: Vec<_> = all.iter().map(|notice| notice.id.clone()).collect();
    assert_eq!(told, ids, "once each, oldest first");
}

#[test]
fn what_another_process_has_just_committed_is_its_own() {
    let mut outbox = started(Rules { is_shared: true, ..ALONE });
    let theirs = vec![notice("x", at(5), 1), notice("y", at(20), 2)];
    assert_eq!(outbox.step(at(30), 0.5, Event::Tick).ask, Some(Ask::Read));
    assert_eq!(outbox.step(at(30), 0.5, Event::Read(theirs.clone())).send, theirs[..1]);
    assert_eq!(started(ALONE).step(at(30), 0.5, Event::Read(theirs.clone())).send, theirs);
}

proptest! {
    /// Whatever a receiver answers: nothing is lost, at most one of a table is on its way, and what is held is bounded.
    #[test]
    fn every_notice_is_told_or_given_up(
        answers in proptest::collection::vec(0_u8..4, 1..200),
        count in 1_usize..40,
    ) {
        let mut outbox = started(ALONE);
        let mut open = std::collections::BTreeSet::new();
        let (mut now, mut in_flight, mut answers) = (at(1), Vec::new(), answers.into_iter());
        for number in 0..count {
            let (id, effects) = committed(&mut outbox, now, &(number % 5).to_string(), number);
            open.insert(id);
            in_flight.extend(effects.send);
        }
        for _ in 0..10_000 {
            if open.is_empty() {
                break;
            }
            let mut tables: Vec<_> = in_flight.iter().map(|notice: &Notice| notice.table.clone()).collect();
            tables.sort();
            tables.dedup();
            prop_assert!(tables.len() == in_flight.len() && in_flight.len() <= IN_FLIGHT_MAX);
            let event = if in_flight.is_empty() {
                now = now.plus(Duration::from_secs(1));
                Event::Tick
            } else {
                let id = in_flight.remove(0).id;
                match answers.next() {
                    Some(0) => Event::Answered(id, unavailable(None)),
                    Some(1) => Event::Answered(id, Answer::Failed { problem: "it answered 500".to_owned() }),
                    Some(2) => Event::Answered(id, refused()),
                    _ => {
                        prop_assert!(open.remove(&id), "told twice");
                        Event::Answered(id, Answer::Taken)
                    }
                }
            };
            let mut effects = outbox.step(now, 0.5, event);
            loop {
                in_flight.append(&mut effects.send);
                effects = match effects.ask {
                    Some(Ask::Read) => {
                        let known = Event::Read(Vec::new());
                        outbox.step(now, 0.5, known)
                    }
                    Some(Ask::Take(_)) => outbox.step(now, 0.5, Event::TakenOut),
                    None => break,
                };
            }
        }
        prop_assert!(open.is_empty(), "{} were never told", open.len());
    }
}
