use proptest::prelude::*;

use super::super::restart::{Budget, Decision, MEMORY, Spent};
use super::*;

const WORKING: Doing = Doing::Working(Edge::Ledger, "looking a file up");
const MIN_LOOKS: u64 = WEDGED_AFTER_MIN.as_secs() / LOOK_INTERVAL.as_secs();

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_763_856_000_000_000).plus(Duration::from_secs(seconds))
}

fn table(name: &str) -> TableId {
    TableId::new("a", "s", name)
}

fn seen(name: &'static str, progress: u64, doing: Doing) -> Sighting<&'static str> {
    let reading = Some(Reading { progress, doing });
    Sighting { key: name, table: Some(table(name)), patience: WEDGED_AFTER_MIN, reading }
}

/// Looks at what `shown` says of each look, until a verdict or `looks` looks; answers the verdicts and when.
fn watch(
    looks: u64,
    mut shown: impl FnMut(u64) -> (Vec<Sighting<&'static str>>, u64),
) -> Option<(u64, Vec<Verdict<&'static str>>)> {
    let mut watchdog = Watchdog::default();
    (0..looks).find_map(|look| {
        let (sightings, answers) = shown(look);
        let now = at(look * LOOK_INTERVAL.as_secs());
        let verdicts = watchdog.look(now, sightings, &[(Edge::Ledger, answers)]);
        (!verdicts.is_empty()).then_some((look, verdicts))
    })
}

#[test]
fn whoever_works_and_shows_the_same_for_its_patience_is_wedged_alone() {
    let (look, verdicts) = watch(1_000, |look| {
        (vec![seen("x", 7, WORKING), seen("y", look, WORKING), seen("z", 1, Doing::Waiting("credit"))], look)
    })
    .unwrap();
    assert_eq!(look, MIN_LOOKS);
    let expected = Verdict::Wedged {
        key: "x",
        table: Some(table("x")),
        doing: Some(WORKING),
        stalled: WEDGED_AFTER_MIN,
    };
    assert_eq!(verdicts, [expected]);
}

#[test]
fn whoever_does_not_answer_is_wedged_and_one_answer_in_between_starts_the_clock_anew() {
    let silent = || Sighting { reading: None, ..seen("x", 0, WORKING) };
    let (look, verdicts) = watch(1_000, |look| {
        (if look == 20 { vec![seen("x", 0, Doing::Waiting("work"))] } else { vec![silent()] }, 0)
    })
    .unwrap();
    assert_eq!(look, 21 + MIN_LOOKS);
    assert!(matches!(verdicts[..], [Verdict::Wedged { key: "x", doing: None, .. }]), "{verdicts:?}");
}

#[test]
fn declared_waits_and_slow_progress_are_never_ended() {
    let day = 24 * 3600 / LOOK_INTERVAL.as_secs();
    // A step a minute and a half, as an upload through a slow line makes it; and a window, a backoff, a pause of a day.
    let verdict = watch(day, |look| {
        (vec![seen("x", look / 18, WORKING), seen("y", 3, Doing::Waiting("its next try"))], 0)
    });
    assert_eq!(verdict, None);
}

#[test]
fn long_windows_give_long_patience() {
    assert_eq!(patience(Duration::from_secs(60)), WEDGED_AFTER_MIN);
    assert_eq!(patience(Duration::from_secs(600)), Duration::from_secs(1_200));
    let wedged = watch(10_000, |_| {
        (vec![Sighting { patience: patience(Duration::from_secs(600)), ..seen("x", 7, WORKING) }], 0)
    });
    assert_eq!(wedged.unwrap().0, 1_200 / LOOK_INTERVAL.as_secs());
}

#[test]
fn a_process_that_stood_still_and_a_clock_that_jumps_prove_nothing() {
    let mut watchdog = Watchdog::default();
    for jump in [0, 5, 86_400, 86_405, 100, 105] {
        let verdicts = watchdog.look(at(jump), vec![seen("x", 7, WORKING)], &[(Edge::Ledger, 0)]);
        assert_eq!(verdicts, []);
    }
}

#[test]
fn an_edge_that_answers_nobody_is_no_tables_fault() {
    let (look, verdicts) =
        watch(1_000, |_| (vec![seen("x", 7, WORKING), seen("y", 8, WORKING), seen("z", 9, WORKING)], 5))
            .unwrap();
    assert_eq!(look, MIN_LOOKS);
    let expected = Verdict::EdgeSilent { edge: Edge::Ledger, stalled: WEDGED_AFTER_MIN, waiting: 3 };
    assert_eq!(verdicts, [expected]);
    // It answers others meanwhile: these three answers were lost.
    let (_, verdicts) = watch(1_000, |look| {
        (vec![seen("x", 7, WORKING), seen("y", 8, WORKING), seen("z", 9, WORKING)], look)
    })
    .unwrap();
    assert_eq!(verdicts.len(), 3);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Wedged { .. })), "{verdicts:?}");
    // Nobody else asks it: what one table waits for says nothing of the edge.
    let (_, verdicts) = watch(1_000, |_| (vec![seen("x", 7, WORKING)], 0)).unwrap();
    assert!(matches!(verdicts[..], [Verdict::Wedged { .. }]), "{verdicts:?}");
}

#[test]
fn whoever_has_just_begun_to_wait_is_no_witness_against_an_edge() {
    let (look, verdicts) =
        watch(1_000, |look| (vec![seen("x", 7, WORKING), seen("y", look, WORKING)], 5)).unwrap();
    assert_eq!(look, MIN_LOOKS);
    assert!(matches!(verdicts[..], [Verdict::Wedged { key: "x", .. }]), "{verdicts:?}");
}

#[test]
fn five_in_a_row_spend_the_budget_of_a_table() {
    let mut budget = Budget::new(Spent::Quarantine);
    let mut now = at(0);
    for crash in 1..=5 {
        // Found at the latest one look after its patience, which begins at the latest one look after the call.
        now = now.plus(WEDGED_AFTER_MIN + LOOK_INTERVAL + ANSWER_TIMEOUT);
        match budget.on_crash(now, 1.0) {
            Decision::RestartAfter(delay) => now = now.plus(delay),
            decision @ (Decision::Quarantine | Decision::Escalate) => {
                assert_eq!((crash, decision), (5, Decision::Quarantine));
            }
        }
    }
    assert!(now.since(at(0)) < MEMORY + WEDGED_AFTER_MIN);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Moves,
    Stays,
    Waits,
    IsSilent,
}

proptest! {
    /// Against a plain recount: it is ended exactly when what it showed has been due and the same for its patience.
    #[test]
    fn it_ends_exactly_what_has_been_due_and_the_same_for_its_patience(
        steps in prop::collection::vec(
            prop_oneof![1 => Just(Step::Moves), 60 => Just(Step::Stays), 1 => Just(Step::Waits), 1 => Just(Step::IsSilent)],
            1..200,
        ),
    ) {
        let mut watchdog = Watchdog::default();
        let (mut progress, mut reading) = (0, None);
        let mut same = 0_u64;
        for (look, step) in steps.into_iter().enumerate() {
            let before = reading;
            match step {
                Step::Moves => {
                    progress += 1;
                    reading = Some(Reading { progress, doing: WORKING });
                }
                Step::Stays => {}
                Step::Waits => reading = Some(Reading { progress, doing: Doing::Waiting("credit") }),
                Step::IsSilent => reading = None,
            }
            same = if look > 0 && reading == before { same + 1 } else { 0 };
            let due = !matches!(reading, Some(Reading { doing: Doing::Waiting(_), .. }));
            let now = at(look as u64 * LOOK_INTERVAL.as_secs());
            let verdicts = watchdog.look(now, vec![Sighting { reading, ..seen("x", 0, WORKING) }], &[]);
            let wedged = due && same >= MIN_LOOKS;
            prop_assert_eq!(verdicts.len(), usize::from(wedged));
            if wedged {
                // Seen again, it counts anew from there.
                same = 0;
                watchdog.look(now, vec![Sighting { reading, ..seen("x", 0, WORKING) }], &[]);
            }
        }
    }
}
