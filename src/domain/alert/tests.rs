use std::time::Duration;

use proptest::prelude::*;

use super::digest::{Digest, Event, GATHER, GROUPS_MAX, Message, PAUSE, QUIET};
use super::{Alert, AlertKind};
use crate::domain::ids::TableId;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn table(name: &str) -> TableId {
    TableId::new("game-a", "casino", name)
}

fn poison(table_name: &str, file: &str) -> Event {
    Event::Raised(Alert::new(AlertKind::Poison, &table(table_name), file, "no Parquet magic"))
}

fn sent(digest: &mut Digest, now: Duration) -> Message {
    digest.step(now, Event::Tick).send.expect("a message is due")
}

#[test]
fn a_message_says_what_happened_to_what_what_was_done_and_what_to_do() {
    let mut digest = Digest::default();
    digest.step(at(0), poison("bets", "bucket/casino/bets/a.parquet@e1"));
    let message = sent(&mut digest, GATHER);
    assert_eq!(
        message.text,
        "*landbridge: 1 file of `game-a/casino.bets` is poison*\n\
         • `bucket/casino/bets/a.parquet@e1`: no Parquet magic\n\
         *What landbridge did:* the file is not loaded; the other files of its table go on.\n\
         *What to do:* look at the file; reload the table in DMS if its rows are needed."
    );
    assert_eq!((message.kind, message.count), (AlertKind::Poison, 1));
}

#[test]
fn alerts_of_one_kind_and_table_become_one_message_with_five_examples() {
    let mut digest = Digest::default();
    for number in 0..7 {
        let effects = digest.step(at(number), poison("bets", &format!("file-{number}")));
        assert_eq!(effects.send, None);
        assert_eq!(effects.wake, Some(GATHER), "counted from the first");
    }
    let text = sent(&mut digest, GATHER).text;
    assert!(text.starts_with("*landbridge: 7 files of `game-a/casino.bets` are poison*"), "{text}");
    assert_eq!(text.matches("\n• `file-").count(), 5, "{text}");
    assert!(text.contains("and 2 more, in the log; the first was 30 s ago"), "{text}");
}

#[test]
fn a_kind_and_table_are_quiet_for_five_minutes_and_then_all_is_told() {
    let mut digest = Digest::default();
    digest.step(at(0), poison("bets", "first"));
    sent(&mut digest, GATHER);
    digest.step(at(31), Event::Sent);
    for number in 0..9 {
        let effects = digest.step(at(40 + number), poison("bets", &format!("later-{number}")));
        assert_eq!(effects.wake, Some(GATHER + QUIET));
    }
    assert_eq!(digest.step(at(329), Event::Tick).send, None);
    let message = sent(&mut digest, GATHER + QUIET);
    assert_eq!(message.count, 9);
    assert!(message.text.contains("and 4 more"), "{}", message.text);
    digest.step(at(331), Event::Sent);
    // Quiet and with nothing to tell, it is forgotten.
    digest.step(at(700), Event::Tick);
    assert_eq!((digest.groups(), digest.untold()), (0, 0));
}

#[test]
fn other_kinds_and_tables_do_not_wait_for_each_other() {
    let mut digest = Digest::default();
    digest.step(at(0), poison("bets", "a"));
    digest.step(at(0), poison("users", "b"));
    digest.step(at(0), Event::Raised(Alert::new(AlertKind::Vanished, &table("bets"), "c", "")));
    let first = sent(&mut digest, GATHER);
    assert_eq!(digest.step(at(31), Event::Tick).send, None, "one message at a time is on its way");
    let second = digest.step(at(32), Event::Sent).send.unwrap();
    let third = digest.step(at(33), Event::Sent).send.unwrap();
    assert!(first.text.contains("bets` is poison") && second.text.contains("users` is poison"));
    assert!(third.text.contains("1 file of `game-a/casino.bets` vanished"), "{}", third.text);
    assert_eq!(digest.step(at(34), Event::Sent).send, None);
}

#[test]
fn many_tables_at_once_are_one_message() {
    let mut digest = Digest::default();
    for number in 0..70 {
        let alert = Alert::new(AlertKind::Quota, &table(&format!("t{number}")), "job j", "Quota exceeded");
        digest.step(at(0), Event::Raised(alert.clone()));
        digest.step(at(1), Event::Raised(alert));
    }
    let message = sent(&mut digest, GATHER);
    assert_eq!(message.count, 140);
    let headline = "*landbridge: a BigQuery quota is used up for 70 tables (140 refusals)*";
    assert!(message.text.starts_with(headline), "{}", message.text);
    for table in ["t0", "t1", "t10", "t11", "t12"] {
        assert!(message.text.contains(&format!("• `game-a/casino.{table}`: `job j`")), "{}", message.text);
    }
    assert_eq!(digest.step(at(31), Event::Sent).send, None);
}

#[test]
fn what_the_webhook_did_not_take_is_told_again_with_what_came_since() {
    let mut digest = Digest::default();
    digest.step(at(0), poison("bets", "a"));
    digest.step(at(0), Event::Dropped(3));
    sent(&mut digest, GATHER);
    digest.step(at(40), poison("bets", "b"));
    let effects = digest.step(at(50), Event::Failed);
    assert_eq!((effects.send, effects.wake), (None, Some(at(50) + PAUSE)));
    assert_eq!(digest.untold(), 2);
    let message = sent(&mut digest, at(50) + PAUSE);
    assert!(message.text.contains("`a`") && message.text.contains("`b`"), "{}", message.text);
    assert!(message.text.contains("3 further alerts came so fast"), "{}", message.text);
    digest.step(at(120), Event::Sent);
    assert_eq!(digest.untold(), 0);
}

#[test]
fn closing_tells_everything_at_once_and_tries_once() {
    let mut digest = Digest::default();
    digest.step(at(0), poison("bets", "a"));
    digest.step(at(0), Event::Raised(Alert::new(AlertKind::Held, &table("bets"), "", "why")));
    assert!(!digest.is_finished());
    assert!(digest.step(at(1), Event::Closing).send.unwrap().text.contains("is held"));
    assert!(digest.step(at(1), Event::Sent).send.unwrap().text.contains("poison"));
    assert!(!digest.is_finished(), "the last is on its way");
    digest.step(at(2), Event::Sent);
    assert!(digest.is_finished());

    let mut failing = Digest::default();
    failing.step(at(0), poison("bets", "a"));
    failing.step(at(0), poison("users", "b"));
    assert!(failing.step(at(1), Event::Closing).send.is_some());
    assert_eq!(failing.step(at(2), Event::Failed), super::digest::Effects::default());
    assert!(failing.is_finished());
    assert_eq!(failing.untold(), 2);
}

#[test]
fn memory_is_bounded_and_every_alert_counted() {
    let mut digest = Digest::default();
    let many = 3 * GROUPS_MAX;
    for number in 0..many {
        digest.step(at(0), poison(&format!("t{number}"), "f"));
    }
    assert!(digest.groups() <= GROUPS_MAX + AlertKind::ALL.len());
    assert_eq!(digest.untold(), many as u64);
    let message = sent(&mut digest, GATHER);
    assert_eq!(message.count, many as u64);
    assert!(message.text.contains("of many tables are poison"), "{}", message.text);
}

#[test]
fn texts_are_escaped_and_cut() {
    let long = format!("<!channel> & `x`\n{}THE-END", "y".repeat(5_000));
    let mut digest = Digest::default();
    digest.step(at(0), Event::Raised(Alert::new(AlertKind::Poison, &table("bets"), &long, &long)));
    let text = sent(&mut digest, GATHER).text;
    assert!(text.contains("• `&lt;!channel&gt; &amp; 'x' yyy"), "{text}");
    assert!(text.contains("THE-END`: &lt;!channel&gt; &amp; `x` yyy"), "{text}");
    assert!(!text.contains('<') && text.len() < 4_000, "{text}");
    assert_eq!(text.lines().count(), 4);
}

proptest! {
    /// Whatever comes in whatever order, each alert is told exactly once, and no kind and table more than once in five
    /// minutes.
    #[test]
    fn every_alert_is_told_exactly_once(
        steps in prop::collection::vec((0_u64..60, 0_u8..4, 0_usize..5, any::<bool>()), 1..120)
    ) {
        let mut digest = Digest::default();
        let (mut now, mut raised, mut told) = (0, 0_u64, 0_u64);
        let mut flying: Option<Message> = None;
        let mut last = std::collections::BTreeMap::new();
        for (wait, what, kind, fails) in steps {
            now += wait;
            let event = match (what, &flying) {
                (0 | 1, _) => {
                    raised += 1;
                    Event::Raised(Alert::new(AlertKind::ALL[kind], &table(["a", "b"][kind % 2]), "f", "r"))
                }
                (_, Some(_)) if fails => { flying = None; Event::Failed }
                (_, Some(message)) => { told += message.count; flying = None; Event::Sent }
                (_, None) => Event::Tick,
            };
            let failed = event == Event::Failed;
            if failed { last.clear(); }
            if let Some(message) = digest.step(at(now), event).send {
                prop_assert!(flying.is_none());
                let headline = message.text.lines().next().unwrap_or_default().to_owned();
                let key = (message.kind, headline.contains(".a`"));
                if let Some(before) = last.insert(key, now) {
                    prop_assert!(now - before >= QUIET.as_secs());
                }
                flying = Some(message);
            }
            prop_assert_eq!(digest.untold() + told, raised);
        }
        if let Some(message) = flying.take() { told += message.count; }
        let mut next = digest.step(at(now), Event::Sent).send.or(digest.step(at(now), Event::Closing).send);
        while let Some(message) = next {
            told += message.count;
            next = digest.step(at(now), Event::Sent).send.or(digest.step(at(now), Event::Tick).send);
        }
        prop_assert!(digest.is_finished());
        prop_assert_eq!(told, raised);
    }
}
