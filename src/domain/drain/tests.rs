use proptest::prelude::*;

use super::*;

const fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

const WAIT: Duration = Duration::from_secs(20);
const VISIBILITY: Duration = Duration::from_secs(120);

/// A call over these seconds that brought messages which were sent then, of ten that it asked for.
fn call(began: i64, ended: i64, sent: &[i64]) -> Receive {
    Receive {
        began: at(began),
        ended: at(ended),
        wait: WAIT,
        asked: 10,
        brought: sent.len(),
        sent: sent.iter().min().zip(sent.iter().max()).map(|(oldest, newest)| (at(*oldest), at(*newest))),
    }
}

fn after(calls: &[Receive]) -> Drain {
    let mut drain = Drain::default();
    calls.iter().for_each(|one| drain.received(*one));
    drain
}

#[test]
fn an_empty_queue_is_drained_until_the_poll_looked_last() {
    assert_eq!(after(&[]).drained(), None);
    assert_eq!(after(&[call(100, 120, &[])]).drained(), Some(at(119)));
    // The answer was on its way for longer than the poll waited.
    assert_eq!(after(&[call(100, 150, &[])]).drained(), Some(at(119)));
    // The poll had nothing until this message came.
    assert_eq!(after(&[call(100, 107, &[107])]).drained(), Some(at(107)));
}

#[test]
fn what_a_clock_saw_that_was_ahead_is_forgotten_when_it_is_set_back() {
    let ahead = [call(4_000, 4_020, &[])];
    assert_eq!(after(&ahead).drained(), Some(at(4_019)));
    let back = [ahead[0], call(420, 421, &[5])];
    assert_eq!(after(&back).drained(), None, "a backlog, and nothing is known of it");
    assert_eq!(after(&[back[0], back[1], call(421, 441, &[])]).drained(), Some(at(440)));
    // The queue's own clock may be ahead of this one for good.
    assert_eq!(after(&[call(100, 101, &[161]), call(101, 102, &[162])]).drained(), Some(at(162)));
}

#[test]
fn a_backlog_is_drained_when_nothing_old_comes_any_more() {
    let full: Vec<_> = (0..10).collect();
    let mut drain = after(&[call(100, 100, &full), call(101, 101, &full)]);
    assert_eq!(drain.drained(), None);
    // It has room, and brings what has waited: there may be more of it.
    drain.received(call(102, 102, &[5, 90]));
    assert_eq!(drain.drained(), None);
    drain.received(call(103, 103, &[4, 102]));
    assert_eq!(drain.drained(), None, "older than what the first one brought");
    drain.received(call(104, 104, &[103]));
    assert_eq!(drain.drained(), Some(at(102)));
    drain.received(call(105, 105, &[1]));
    assert_eq!(drain.drained(), Some(at(102)));
}

#[test]
fn steady_traffic_is_drained_a_moment_ago_whatever_the_clock_says() {
    // Ten a second, of which some calls bring all they can; this clock is a minute fast.
    for fast in [0, 60] {
        let mut drain = Drain::default();
        for second in 100..200 {
            let ten = [second; 10];
            drain.received(call(second + fast, second + fast, &ten));
            drain.received(call(second + fast, second + fast, &[second; 3]));
        }
        assert!(drain.drained() >= Some(at(198)), "{fast} {drain:?}");
    }
}

#[test]
fn a_lost_answer_may_have_hidden_messages() {
    let mut drain = after(&[call(100, 120, &[])]);
    drain.failed(at(130), WAIT, VISIBILITY, FaultKind::Throttled);
    drain.received(call(131, 151, &[]));
    assert_eq!(drain.drained(), Some(at(150)), "it was refused");
    drain.failed(at(160), WAIT, VISIBILITY, FaultKind::Unavailable);
    drain.received(call(161, 181, &[]));
    drain.received(call(299, 319, &[]));
    assert_eq!(drain.drained(), Some(at(150)));
    drain.received(call(300, 301, &[301]));
    assert_eq!(drain.drained(), Some(at(301)));
}

#[test]
fn messages_that_are_counted_must_have_come() {
    let mut drain = after(&[call(100, 120, &[])]);
    drain.counted(at(125), 3);
    drain.received(call(121, 126, &[126]));
    drain.received(call(127, 128, &[128, 128]));
    assert_eq!(drain.drained(), Some(at(119)), "one is not there yet");
    drain.received(call(129, 130, &[130]));
    assert_eq!(drain.drained(), Some(at(130)));
    drain.counted(at(131), 1_000);
    drain.received(call(132, 133, &[133]));
    assert_eq!(drain.drained(), Some(at(130)));
    drain.counted(at(191), 0);
    drain.received(call(192, 193, &[193]));
    assert_eq!(drain.drained(), Some(at(193)));
    drain.counted(at(194), 7);
    drain.received(call(195, 215, &[]));
    assert_eq!(drain.drained(), Some(at(214)), "a long poll asks all servers");
}

#[test]
fn who_began_to_receive_knows_nothing_before_hidden_messages_came_again() {
    let known = |drained, is_first| known_until(drained, at(50), VISIBILITY, is_first);
    assert_eq!(known(None, true), None);
    assert_eq!(known(Some(at(169)), false), None);
    assert_eq!(known(Some(at(169)), true), Some(at(169)));
    // What is hidden until then may be there then, and not before.
    assert_eq!(known(Some(at(170)), false), None);
    assert_eq!(known(Some(at(171)), false), Some(at(171)));
}

proptest! {
    /// A queue that gives up to ten messages a call, in any order, and all of them where it has no more: whatever comes when, and
    /// whichever answers are lost, nothing that was sent before the moment until which it is drained is in it or hidden, unless it was hidden by
    /// another; and it is drained up to now once nothing is left.
    #[test]
    fn nothing_older_is_left(
        steps in proptest::collection::vec((0..12_u8, any::<prop::sample::Index>()), 1..150),
    ) {
        let (mut drain, mut now) = (Drain::default(), 1_000);
        let mut queue: Vec<i64> = Vec::new();
        // Until when, and what was lost on its way.
        let mut lost: Vec<(i64, i64)> = Vec::new();
        for (op, pick) in steps {
            now += 1;
            lost.retain(|(until, sent)| {
                let still = *until > now;
                if !still { queue.push(*sent) }
                still
            });
            match op {
                0..=4 => queue.push(now),
                5 => queue.extend([now; 17]),
                6 if !queue.is_empty() => {
                    // The answer is lost with one message.
                    let sent = queue.swap_remove(pick.index(queue.len()));
                    drain.failed(at(now), WAIT, VISIBILITY, FaultKind::Unavailable);
                    lost.push((now + 120, sent));
                }
                7 => now += 130,
                8 => drain.counted(at(now), queue.len() as u64),
                _ => {
                    let mut brought = Vec::new();
                    while brought.len() < 10 && !queue.is_empty() {
                        brought.push(queue.swap_remove(pick.index(queue.len())));
                    }
                    let began = now;
                    if brought.is_empty() { now += 20 }
                    drain.received(call(began, now, &brought));
                }
            }
            let oldest = queue.iter().chain(lost.iter().map(|(_, sent)| sent)).min();
            if let (Some(oldest), Some(drained)) = (oldest, drain.drained()) {
                prop_assert!(drained <= at(*oldest), "{drained:?} {oldest} {drain:?}");
            }
        }
        now += 200;
        drain.received(call(now, now + 20, &[]));
        prop_assert_eq!(drain.drained(), Some(at(now + 19)));
    }
}
