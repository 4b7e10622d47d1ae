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

const READ: Ask = Ask::Read { after: None };

const ALONE: Rules = Rules { give_up_after: Duration::from_secs(86_400), is_shared: false };

/// An outbox that has found nothing in the ledger.
fn started(rules: Rules) -> Outbox {
    let mut outbox = Outbox::new(rules);
    assert_eq!(outbox.step(at(0), 0.5, Event::Tick).ask, Some(READ));
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
        if effects.ask == Some(READ) {
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

/// The ledger and the receiver beside an outbox.
struct Around {
    outbox: Outbox,
    ledger: std::collections::BTreeMap<NoticeId, Notice>,
    now: Instant,
    told: Vec<Notice>,
    tried: std::collections::BTreeSet<NoticeId>,
    given_up: Vec<NoticeId>,
    answer: fn(&Notice) -> Answer,
    most_held: usize,
    wake: Option<Instant>,
}

impl Around {
    fn new(ledger: Vec<Notice>, now: Instant, answer: fn(&Notice) -> Answer) -> Self {
        Self {
            outbox: Outbox::new(ALONE),
            ledger: ledger.into_iter().map(|notice| (notice.id.clone(), notice)).collect(),
            now,
            told: Vec::new(),
            tried: std::collections::BTreeSet::new(),
            given_up: Vec::new(),
            answer,
            most_held: 0,
            wake: None,
        }
    }

    fn commit(&mut self, notice: Notice) {
        self.ledger.insert(notice.id.clone(), notice.clone());
        self.step(Event::Committed(notice));
    }

    /// One event and all that follows from it at once.
    fn step(&mut self, event: Event) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let effects = self.outbox.step(self.now, 0.5, event);
            self.wake = effects.wake;
            self.most_held = self.most_held.max(self.outbox.shown().waiting);
            self.given_up.extend(effects.given_up.into_iter().map(|(notice, _)| notice.id));
            for notice in effects.send {
                let answer = (self.answer)(&notice);
                self.tried.insert(notice.id.clone());
                events.push_back(Event::Answered(notice.id.clone(), answer.clone()));
                if answer == Answer::Taken {
                    self.told.push(notice);
                }
            }
            match effects.ask {
                Some(Ask::Read { after }) => {
                    let behind = self.ledger.values().filter(|notice| Some(&notice.id) > after.as_ref());
                    events.push_back(Event::Read(behind.take(READ_MAX).cloned().collect()));
                }
                Some(Ask::Take(taken)) => {
                    taken.iter().for_each(|id| assert!(self.ledger.remove(id).is_some(), "told twice"));
                    events.push_back(Event::TakenOut);
                }
                None => {}
            }
        }
    }

    fn run(&mut self, seconds: i64) {
        let end = self.now.plus(Duration::from_secs(seconds.unsigned_abs()));
        while self.now < end {
            self.step(Event::Tick);
            let soonest = self.now.plus(Duration::from_secs(1));
            self.now = self.wake.unwrap_or(soonest).clamp(soonest, end.max(soonest));
        }
    }
}

#[test]
fn what_does_not_fit_waits_in_the_ledger() {
    let all: Vec<_> = (0..HELD_MAX + 500).map(|n| notice("x", at(1), n)).collect();
    let mut around = Around::new(Vec::new(), at(0), |_| Answer::Taken);
    around.step(Event::Tick);
    // While the receiver has the first, the others come.
    around.answer = |_| unavailable(None);
    all.iter().for_each(|notice| around.commit(notice.clone()));
    assert!(around.outbox.shown().more && around.outbox.shown().waiting == HELD_OF_TABLE_MAX);
    around.answer = |_| Answer::Taken;
    around.run(120);
    assert_eq!(around.told, all, "once each, oldest first");
    assert!(around.ledger.is_empty() && around.outbox.shown() == Shown::default());
}

#[test]
fn a_table_whose_notices_are_refused_keeps_no_other_waiting() {
    let number = std::cell::Cell::new(0);
    let make = |table: &str, at: Instant| {
        number.set(number.get() + 1);
        notice(table, at, number.get())
    };
    let refuses = |notice: &Notice| if &*notice.table.table == "bad" { refused() } else { Answer::Taken };
    // From before the start: more of the one table than is held in all, and the others' behind them.
    let mut ledger: Vec<_> = (0..HELD_MAX * 2).map(|_| make("bad", at(1))).collect();
    ledger.extend((0..10).map(|n| make(&format!("old-{n}"), at(2))));
    let mut around = Around::new(ledger, at(10), refuses);
    around.step(Event::Tick);
    assert_eq!(around.told.len(), 10, "at once, behind whatever is refused");
    for minute in 1..=60 {
        around.run(60);
        for table in ["x", "y"] {
            around.commit(make(table, around.now));
            assert_eq!(around.told.len(), 10 + minute * 2 - usize::from(table == "x"), "at once");
        }
        around.commit(make("bad", around.now));
    }
    assert!(around.most_held <= HELD_OF_TABLE_MAX + 12, "{}", around.most_held);
    // Nobody waits for them at the end of the process.
    around.run(5);
    let shown = around.outbox.shown();
    assert!(shown.waiting == HELD_OF_TABLE_MAX && shown.more, "{shown:?}");
    assert_eq!((shown.fresh, shown.unwritten), (0, 0));
    // What is refused is tried all the same, and goes when it is mended.
    around.answer = |_| Answer::Taken;
    around.run(600);
    assert!(around.ledger.is_empty(), "{} are left", around.ledger.len());
}

#[test]
fn of_many_tables_each_has_a_place() {
    let refuses = |notice: &Notice| if &*notice.table.table == "good" { Answer::Taken } else { refused() };
    let mut ledger: Vec<_> =
        (0..60 * 300).map(|n| notice(&format!("bad-{}", n % 60), at(n as i64 / 60), n)).collect();
    ledger.push(notice("good", at(1_000), 99_999));
    let mut around = Around::new(ledger, at(2_000), refuses);
    around.step(Event::Tick);
    assert_eq!(around.told.len(), 1);
    assert!(around.most_held <= HELD_MAX + 61, "{}", around.most_held);
}

#[test]
fn what_waited_while_no_process_ran_is_tried_before_it_is_given_up() {
    let day = 86_400;
    let count = HELD_OF_TABLE_MAX + 20;
    let old: Vec<_> = (0..count).map(|n| notice(if n % 20 == 0 { "1" } else { "0" }, at(1), n)).collect();
    // Three days later.
    let mut around = Around::new(old.clone(), at(3 * day), |_| Answer::Taken);
    around.run(60);
    assert_eq!((around.told.len(), around.given_up.len()), (count, 0));
    // A receiver that is down has a day from the start on.
    let mut around = Around::new(old.clone(), at(3 * day), |_| unavailable(None));
    around.run(day - 10);
    assert_eq!(around.given_up, []);
    around.run(day);
    assert_eq!(around.given_up.len(), count);
    // Where it takes some all the time, none of the others is given up untried.
    let refuses = |notice: &Notice| if &*notice.table.table == "0" { refused() } else { Answer::Taken };
    let mut around = Around::new(old, at(3 * day), refuses);
    for n in 0..25 {
        around.run(3_600);
        around.commit(notice("1", around.now, 2_000 + n));
    }
    assert!(!around.given_up.is_empty());
    assert!(around.given_up.iter().all(|id| around.tried.contains(id)));
}

#[test]
fn of_one_table_none_is_told_before_an_older_one_that_is_not_held() {
    let mut around = Around::new(Vec::new(), at(0), |_| Answer::Taken);
    around.step(Event::Tick);
    around.answer = |_| unavailable(None);
    let all: Vec<_> = (0..HELD_OF_TABLE_MAX + 3).map(|n| notice("x", at(1), n)).collect();
    all.iter().for_each(|notice| around.commit(notice.clone()));
    around.answer = |_| Answer::Taken;
    let mut all = all;
    for n in 0..300 {
        around.now = around.now.plus(Duration::from_millis(100));
        let one = notice("x", around.now.plus(Duration::from_secs(2)), 1_000 + n);
        all.push(one.clone());
        around.commit(one);
        around.step(Event::Tick);
    }
    around.run(60);
    assert_eq!(around.told, all);
}

#[test]
fn what_another_process_has_just_committed_is_its_own() {
    let mut outbox = started(Rules { is_shared: true, ..ALONE });
    let theirs = vec![notice("x", at(5), 1), notice("y", at(20), 2)];
    assert_eq!(outbox.step(at(30), 0.5, Event::Tick).ask, Some(READ));
    assert_eq!(outbox.step(at(30), 0.5, Event::Read(theirs.clone())).send, theirs[..1]);
    let mut outbox = started(ALONE);
    assert_eq!(outbox.step(at(30), 0.5, Event::Tick).ask, Some(READ));
    assert_eq!(outbox.step(at(30), 0.5, Event::Read(theirs.clone())).send, theirs);
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
                    Some(Ask::Read { .. }) => outbox.step(now, 0.5, Event::Read(Vec::new())),
                    Some(Ask::Take(_)) => outbox.step(now, 0.5, Event::TakenOut),
                    None => break,
                };
            }
        }
        prop_assert!(open.is_empty(), "{} were never told", open.len());
    }
}
