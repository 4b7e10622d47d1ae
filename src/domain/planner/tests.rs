use std::time::Duration;

use super::share::{Claimant, shares};
use super::*;

fn id(number: usize) -> TableId {
    TableId::new("c", "s", format!("t{number}").as_str())
}

const NEEDS: TableNeeds =
    TableNeeds { class: Class::Normal, max_staleness: Duration::from_secs(300), carrier: Carrier::LoadJobs };

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_763_856_000_000_000).plus(Duration::from_secs(seconds))
}

fn claimant(gap: u64, weight: f64) -> Claimant {
    Claimant {
        gap: Some(Duration::from_secs(gap)),
        weight,
        longest: Duration::from_secs(300),
        per_second_max: 1.0,
    }
}

#[test]
fn where_there_is_enough_everyone_is_served_at_once() {
    let all = [claimant(60, 1.0), claimant(10, 100.0)];
    assert_eq!(shares(&all, 0.2), [1, 1]);
    let silent = Claimant { gap: None, ..claimant(1, 1.0) };
    assert_eq!(shares(&[silent], 0.0), [1]);
}

#[test]
fn what_is_scarce_goes_to_whom_it_helps_most() {
    let all: Vec<_> = (1..=70).map(|rank| claimant(60, 1e4 / f64::from(rank).powf(1.1))).collect();
    let shared = shares(&all, 95_000.0 / 86_400.0);
    let jobs: f64 = shared.iter().map(|arrivals| 86_400.0 / 60.0 / *arrivals as f64).sum();
    assert!(jobs <= 95_000.0 && jobs > 93_000.0, "{jobs}");
    // The busiest are served at once, and nobody waits for longer than somebody less busy.
    assert!(shared.is_sorted() && shared[..50].iter().all(|arrivals| *arrivals == 1), "{shared:?}");
}

#[test]
fn nobody_waits_longer_than_is_said() {
    let all: Vec<_> = (0..100).map(|_| claimant(10, 1.0)).collect();
    assert!(shares(&all, 0.01).iter().all(|arrivals| *arrivals == 30));
    let own = Claimant { per_second_max: 0.02, ..claimant(10, 1.0) };
    assert_eq!(shares(&[own], 1.0), [5]);
}

/// What loads nothing is granted out of what loads do not want, counts, and is bounded by its own table's quota.
#[test]
fn what_loads_nothing_takes_nothing_from_loads() {
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), NEEDS)], at(0));
    assert!(planner.grant_aside(at(0)));
    assert_eq!(planner.used(at(0)), 1);
    assert!(!planner.grant_aside(at(0)), "less is left than is planned with");
    // A second gives more than one job.
    assert!(planner.grant_aside(at(2)));
    planner.refused(at(60));
    assert!(!planner.grant_aside(at(61)) && planner.grant_aside(at(661)));
    // Whoever asks for it all the time.
    let granted = (661..661 + 86_400).filter(|second| planner.grant_aside(at(*second))).count();
    assert!((1_300..=1_500).contains(&granted), "{granted}");
    assert_eq!(planner.used_of(&id(0), at(0)), 0);
}

/// However greedy its users are, a bucket never gives more than its quota within a day.
#[test]
fn a_budget_is_never_overdrawn_by_whoever_asks_it() {
    let mut budget = Budget::new(1_000.0, DAY, at(0));
    let mut taken: Vec<u64> = Vec::new();
    for second in (0..4 * 86_400).step_by(7) {
        // Silent for half a day, then as fast as it gives.
        if second % 86_400 > 43_200 && budget.held(at(second)) >= 1.0 {
            budget.take(at(second));
            taken.push(second);
            let within = taken.iter().filter(|other| **other + 86_400 > second).count() as u64;
            assert!(within <= 1_000, "{within} at {second}");
            assert!(budget.used(at(second)) >= within, "{} < {within}", budget.used(at(second)));
        }
    }
    assert!(taken.len() > 1_500, "{}", taken.len());
}

#[test]
fn a_table_that_speaks_once_is_loaded_at_once_and_many_share() {
    let tables = 200;
    let mut planner = Planner::new(Quotas::BIGQUERY, (0..tables).map(|n| (id(n), NEEDS)), at(0));
    planner.arrived(&id(0), 10, at(1));
    assert_eq!(planner.window(&id(0), at(1)).why, Why::AtOnce);
    for minute in 1..30 {
        for number in 0..tables {
            planner.arrived(&id(number), 10_000 / (number as u64 + 1), at(minute * 60));
        }
    }
    let windows: Vec<_> = (0..tables).map(|number| planner.window(&id(number), at(30 * 60))).collect();
    assert_eq!(windows[0].why, Why::AtOnce);
    assert!(
        windows[199].why == Why::Shared && windows[199].files > 1 && windows[199].files < 90,
        "{:?}",
        windows[199]
    );
    assert!(windows.iter().all(|window| window.age <= Duration::from_secs(300)));
}

#[test]
fn a_quota_that_is_used_up_makes_windows_longer_and_says_until_when() {
    let mut planner = Planner::new(Quotas::BIGQUERY, (0..70).map(|n| (id(n), NEEDS)), at(0));
    for minute in 0..30 {
        (0..70).for_each(|number| planner.arrived(&id(number), 100, at(minute * 60)));
    }
    let total = |planner: &mut Planner, now| -> Duration {
        (0..70).map(|number| planner.window(&id(number), now).age).sum()
    };
    let before = total(&mut planner, at(1_800));
    planner.refused(at(1_800));
    let window = planner.window(&id(69), at(1_801));
    assert_eq!(window.why, Why::QuotaExceeded);
    let after = total(&mut planner, at(1_801));
    assert!(after > before * 3 / 2, "{before:?} {after:?}");
    assert_eq!(planner.refused_until(at(1_801)), Some(at(2_400)));
    assert_eq!(planner.refused_until(at(2_401)), None);
}

#[test]
fn without_budget_no_window_is_short() {
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), NEEDS)], at(0));
    // The reserve pays for the bound of staleness while there is some.
    for (jobs, age, why) in [(98_000, 300, Why::ProjectBudget), (2_000, 3_600, Why::Exhausted)] {
        (0..jobs).for_each(|_| planner.attempted(&id(0), None, at(0)));
        planner.arrived(&id(0), 1, at(1));
        let window = planner.window(&id(0), at(1));
        assert_eq!((window.why, window.age), (why, Duration::from_secs(age)));
        assert_eq!(why.gives_way_to_pressure(), why == Why::ProjectBudget);
    }
    assert!(planner.reserve(at(1)) <= 0.0 && planner.used_of(&id(0), at(1)) == 100_000);
}

#[test]
fn a_month_that_costs_too_much_slows_down_whoever_is_not_critical() {
    let critical = TableNeeds { class: Class::Critical, ..NEEDS };
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), critical), (id(1), NEEDS)], at(0));
    planner.slow_down(true);
    assert_eq!(planner.window(&id(0), at(1)).why, Why::AtOnce);
    let slow = planner.window(&id(1), at(1));
    assert_eq!((slow.why, slow.age), (Why::CostBudget, NEEDS.max_staleness));
    planner.slow_down(false);
    assert_eq!(planner.window(&id(1), at(2)).why, Why::AtOnce);
}

/// A planner of one table whose rows go by streams, which has a file.
fn streamed(carrier: Carrier) -> Planner {
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), TableNeeds { carrier, ..NEEDS })], at(0));
    planner.arrived(&id(0), 1, at(0));
    planner
}

#[test]
fn streams_take_no_job_and_wait_only_for_the_hours_streams() {
    let mut planner = streamed(Carrier::StorageWrite);
    let window = planner.window(&id(0), at(1));
    assert_eq!((window.age, window.why), (Duration::from_secs(1), Why::AtOnce));
    (0..100).for_each(|_| planner.attempted(&id(0), None, at(1)));
    assert_eq!(
        (planner.used(at(1)), planner.streams_used(at(1)), planner.used_of(&id(0), at(1))),
        (0, 100, 0)
    );
    let window = planner.window(&id(0), at(1));
    assert!(window.age > Duration::from_secs(1) && window.why == Why::StreamBudget, "{window:?}");
    // However few there are, nobody waits longer than he may.
    (0..9_000).for_each(|_| planner.attempted(&id(0), None, at(1)));
    assert_eq!(planner.window(&id(0), at(1)).age, NEEDS.max_staleness);
    // An hour later they are forgotten.
    assert_eq!(planner.streams_used(at(3_700)), 0);
}

#[test]
fn a_table_that_goes_by_streams_while_they_are_free_needs_jobs_when_they_are_not() {
    let mut planner = streamed(Carrier::FreeStorageWrite);
    planner.attempted(&id(0), None, at(1));
    planner.streams_are_free(false);
    planner.attempted(&id(0), None, at(2));
    // What is known of an attempt counts, whatever the mapping says.
    planner.attempted(&id(0), Some(Carrier::StorageWrite), at(3));
    assert_eq!((planner.used(at(4)), planner.streams_used(at(4))), (1, 2));
    assert_eq!(Planner::least_jobs([TableNeeds { carrier: Carrier::FreeStorageWrite, ..NEEDS }]), 288.0);
    assert_eq!(Planner::least_jobs([TableNeeds { carrier: Carrier::StorageWrite, ..NEEDS }]), 0.0);
}

/// What comes after a pause is what came before it; only what goes on is learned.
#[test]
fn one_long_silence_says_nothing_of_the_gaps_after_it() {
    let mut demand = Demand::default();
    (0..10).for_each(|minute| demand.arrived(1, at(minute * 60)));
    let gap = |demand: &Demand, seconds| demand.gap(at(seconds)).map(|gap| gap.as_secs());
    assert_eq!(gap(&demand, 600), Some(60));
    assert_eq!(gap(&demand, 21_600), None);
    demand.arrived(1, at(21_600));
    assert_eq!(gap(&demand, 21_601), Some(60));
    // From here on it speaks every hour.
    (7..40).for_each(|hour| demand.arrived(1, at(hour * 3_600)));
    assert!(gap(&demand, 39 * 3_600 + 1) > Some(3_000), "{demand:?}");
}

/// However many full loads wait, changes are planned as if there were none; and where changes leave jobs, full loads have them.
#[test]
fn full_loads_have_jobs_of_their_own_and_what_changes_leave() {
    let speaking = |minutes: u64| {
        let mut planner = Planner::new(Quotas::BIGQUERY, (0..200).map(|n| (id(n), NEEDS)), at(0));
        for second in 0..minutes * 60 {
            // As many jobs as changes are given: the bucket stays at its half.
            if second % 60 == 0 {
                (0..200).for_each(|number| planner.arrived(&id(number), 100, at(second)));
            }
            if planner.project.held(at(second)) >= planner.project.capacity() / 2.0 {
                planner.attempted(&id(0), None, at(second));
            }
        }
        planner
    };
    let (mut with, mut without) = (speaking(30), speaking(30));
    let mut begun = 0;
    while with.full_load(at(1_800)).is_ok() {
        begun += 1;
        with.attempted_full_load(&id(7), Some(Carrier::LoadJobs), true, at(1_800));
    }
    // Half an hour of a hundredth of the day's jobs, and no more than its bucket holds.
    assert_eq!(begun, 15);
    assert!(with.full_load(at(1_800)).is_err_and(|wait| wait < Duration::from_secs(90)));
    // What was granted and never used is there for the next, once.
    with.full_load_unused(Granted::Own, at(1_800));
    assert_eq!(with.full_load(at(1_800)), Ok(Granted::Own));
    assert!(with.full_load(at(1_800)).is_err());
    assert_eq!(with.used(at(1_800)), without.used(at(1_800)) + begun);
    for number in 0..200 {
        assert_eq!(with.window(&id(number), at(1_801)), without.window(&id(number), at(1_801)));
    }
    // Nobody speaks: what is saved is theirs.
    let mut silent = Planner::new(Quotas::BIGQUERY, [(id(0), NEEDS)], at(0));
    let day = at(86_400);
    let begun = std::iter::from_fn(|| silent.full_load(day).ok()).count();
    assert!((300..400).contains(&begun), "{begun}");
    silent.refused(day);
    assert_eq!(silent.full_load(day), Err(Duration::from_secs(600)));
}
