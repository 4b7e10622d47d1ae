//! Several planners, and others, use one quota.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::super::*;

const QUOTAS: Quotas = Quotas { jobs_per_day: 20_000, ..Quotas::BIGQUERY };
const TABLES: u64 = 8;
const TICK: u64 = 20;
const HOURS: u64 = 26;
/// How often planners are told what others have done: by the ledger, and by the warehouse's list.
const READ: u64 = 180;
const LISTED: u64 = 300;

fn at(seconds: u64) -> Instant {
    Instant::from_micros(1_763_856_000_000_000).plus(Duration::from_secs(seconds))
}

fn id(number: u64) -> TableId {
    TableId::new("c", "s", format!("t{number}").as_str())
}

/// What happens: how many processes from when on, to which of them files come, and how many jobs a day somebody else loads.
#[derive(Clone, Debug)]
struct Play {
    members: u32,
    joins_after: u64,
    weights: Vec<u32>,
    strangers: u64,
    lag: u64,
    seed: u64,
}

impl Play {
    /// When jobs were submitted by us, and by strangers.
    fn run(&self) -> (Vec<u64>, Vec<u64>) {
        let needs = |number| TableNeeds {
            class: if number % 2 == 0 { Class::Critical } else { Class::Normal },
            max_staleness: Duration::from_secs(600),
            carrier: Carrier::LoadJobs,
        };
        let planner = || Planner::new(QUOTAS, (0..TABLES).map(|number| (id(number), needs(number))), at(0));
        let mut planners: Vec<_> = (0..self.members).map(|_| planner()).collect();
        let mut windows: BTreeMap<(usize, u64), (u64, usize)> = BTreeMap::new();
        let (mut ours, mut theirs, mut chance) = (Vec::new(), Vec::new(), self.seed | 1);
        let mut untold: Vec<(u64, usize, Submitted)> = Vec::new();
        let mut unlisted: VecDeque<ListedJob> = VecDeque::new();
        for now in (0..HOURS * 3_600).step_by(TICK as usize) {
            let living = if now < self.joins_after { 1 } else { self.members };
            for (own, planner) in planners.iter_mut().enumerate() {
                planner.members(living, at(now));
                if now % READ < TICK {
                    let told: Vec<_> = untold
                        .iter()
                        .filter(|(told, by, _)| *by != own && (now.saturating_sub(READ)..now).contains(told))
                        .map(|(_, _, job)| job.clone())
                        .collect();
                    planner.attempted_by_peers(&told, at(now));
                }
                if now % LISTED < TICK {
                    planner.listed(unlisted.make_contiguous(), at(now));
                }
            }
            untold.retain(|(told, ..)| now.saturating_sub(READ) <= *told);
            if now % LISTED < TICK {
                unlisted.clear();
            }
            if self.strangers > 0 && now % (86_400 / self.strangers).max(TICK) < TICK {
                theirs.push(now);
                let key = JobKey::of_job(&format!("other{now}"));
                unlisted.push_back(ListedJob { key, at: at(now), table: None });
            }
            for table in 0..TABLES {
                chance =
                    chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let weights = &self.weights[..living as usize];
                let mut drawn = (chance >> 33) as u32 % weights.iter().sum::<u32>();
                let own = weights.iter().position(|weight| {
                    let is_it = drawn < *weight;
                    drawn = drawn.saturating_sub(*weight);
                    is_it
                });
                let own = own.unwrap();
                planners[own].arrived(&id(table), 1_000 / (table + 1), at(now));
                windows.entry((own, table)).or_insert((now, 0)).1 += 1;
            }
            for ((own, table), (opened, files)) in std::mem::take(&mut windows) {
                let window = planners[own].window(&id(table), at(now));
                if files < window.files && Duration::from_secs(now - opened) < window.age {
                    windows.insert((own, table), (opened, files));
                    continue;
                }
                planners[own].attempted(&id(table), None, at(now));
                ours.push(now);
                let batch = BatchId::from_stored(format!("{own}-{table}-{now}"));
                let (number, carrier) = (AttemptNumber::FIRST, Some(Carrier::LoadJobs));
                untold.push((
                    now + self.lag,
                    own,
                    Submitted { at: at(now), batch, number, table: id(table), carrier },
                ));
            }
        }
        (ours, theirs)
    }
}

/// The most in any 24 hours.
fn most_a_day(times: &[u64]) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let mut first = 0;
    let within = times.iter().enumerate().map(|(place, at)| {
        while times[first] + 86_400 <= *at {
            first += 1;
        }
        place - first + 1
    });
    within.max().unwrap_or(0) as u64
}

fn play() -> impl Strategy<Value = Play> {
    let weights = prop::collection::vec(1_u32..20, 4);
    (1_u32..=4, 0_u64..40_000, weights, 0_u64..6_000, 0_u64..60, any::<u64>()).prop_map(
        |(members, joins_after, weights, strangers, lag, seed)| Play {
            members,
            joins_after,
            weights,
            strangers,
            lag,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 8, ..ProptestConfig::default() })]

    /// However many share one quota, and whoever else uses it: they keep the reserve, and leave little of the rest.
    #[test]
    fn planners_that_share_a_quota_do_not_cross_it(play in play()) {
        let (ours, theirs) = play.run();
        let most = most_a_day(&[ours.clone(), theirs.clone()].concat());
        let planned = QUOTAS.jobs_per_day as f64 * (1.0 - QUOTAS.reserve);
        prop_assert!(most as f64 <= planned, "{most} of {planned}: {} ours, {} theirs", ours.len(), theirs.len());
        prop_assert!(most as f64 > planned * 0.7, "{most} of {planned}: {} ours, {} theirs", ours.len(), theirs.len());
    }
}

/// Where all the files come to one of them, it has nearly all there is.
#[test]
fn one_that_alone_has_something_to_load_has_what_the_others_leave() {
    let skewed =
        Play { members: 3, joins_after: 0, weights: vec![1_000, 1, 1], strangers: 0, lag: 20, seed: 3 };
    let most = most_a_day(&skewed.run().0);
    assert!((14_000..=19_000).contains(&most), "{most}");
}

/// What is told late is as if it had been told at once; what is too old is nothing.
#[test]
fn a_bucket_that_learns_late_holds_what_it_would_hold() {
    let (mut late, mut known) = (Budget::new(10_000.0, DAY, at(0)), Budget::new(10_000.0, DAY, at(0)));
    let own = |budget: &mut Budget, second: u64| budget.take(at(second));
    let mut told = Vec::new();
    for second in (0..66_000).step_by(20) {
        own(&mut late, second);
        own(&mut known, second);
        // For some hours somebody else used twice as much.
        if (40_000..60_000).contains(&second) {
            known.take(at(second));
            known.take(at(second));
            told.extend([at(second), at(second)]);
        }
    }
    late.take_late(&told, at(66_000));
    let (held, wanted) = (late.held(at(66_000)), known.held(at(66_000)));
    assert!((held - wanted).abs() < 10.0 && held < 0.0, "{held} {wanted}");
    assert_eq!(late.used(at(66_000)), known.used(at(66_000)));
    late.take_late(&[at(100)], at(100_000));
    assert_eq!(late.used(at(100_000)), known.used(at(100_000)));
}

/// What a stranger loads into a table is the table's use too; one that is another's is the project's alone.
#[test]
fn what_strangers_load_is_used() {
    let needs = TableNeeds {
        class: Class::Normal,
        max_staleness: Duration::from_secs(300),
        carrier: Carrier::LoadJobs,
    };
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), needs)], at(0));
    let job = |name: &str, table| ListedJob { key: JobKey::of_job(name), at: at(5), table };
    planner.listed(&[job("a", Some(id(0))), job("b", None), job("c", Some(id(9)))], at(60));
    assert_eq!((planner.used(at(60)), planner.used_of(&id(0), at(60))), (3, 1));
    assert_eq!(planner.used_by_strangers(at(60)), 3);
    assert_eq!(planner.used_by_strangers(at(86_400 + 120)), 0);
}

/// A stream counts when it is made; the attempts of other processes say by what they went.
#[test]
fn streams_count_when_they_are_made_and_others_by_what_they_say() {
    let needs = TableNeeds {
        class: Class::Normal,
        max_staleness: Duration::from_secs(300),
        carrier: Carrier::StorageWrite,
    };
    let mut planner = Planner::new(Quotas::BIGQUERY, [(id(0), needs)], at(0));
    planner.stream_made(at(1));
    assert_eq!((planner.streams_used(at(1)), planner.used(at(1))), (1, 0));
    let attempt = |number, carrier| Submitted {
        at: at(2),
        batch: BatchId::from_stored("b"),
        number: AttemptNumber(number),
        table: id(0),
        carrier,
    };
    let attempts =
        [attempt(1, Some(Carrier::StorageWrite)), attempt(2, Some(Carrier::LoadJobs)), attempt(3, None)];
    planner.attempted_by_peers(&attempts, at(3));
    assert_eq!((planner.streams_used(at(3)), planner.used(at(3))), (3, 1));
}
