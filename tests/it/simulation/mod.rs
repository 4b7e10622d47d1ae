//! The real actors on a paused clock, crashed and troubled: at every call one after the other (`every_call`), and as
//! seeds draw it.
//!
//! A seed is one run that can be repeated exactly: one generator draws everything, and nothing depends on how fast a
//! thread is. Bucket, queue and warehouse are in memory and outlive the processes; the ledger is the real one.

use std::ops::Range;

use self::mistakes::{Mistake, Mistaken};
use self::report::{quieten_panics, run_seeds};
use self::run::run;

mod books;
mod bucket;
mod chance;
mod check;
mod configuration;
mod every_call;
mod files;
mod kinds;
mod ledger;
pub mod mistakes;
mod plan;
mod process;
mod queue;
mod report;
mod run;
mod streams;
mod time;
mod warehouse;
mod world;

/// The seeds of `make test`: about a minute on two cores.
const SEEDS: Range<u64> = 0..60;
/// A mistake must be found within so many seeds.
const MISTAKE_SEEDS: u64 = 200;

/// `SIMULATION_SEEDS`: `A..B`, or `N` for `0..N`.
fn wanted_seeds() -> Option<Range<u64>> {
    let text = std::env::var("SIMULATION_SEEDS").ok()?;
    let number =
        |text: &str| text.trim().parse::<u64>().unwrap_or_else(|_| panic!("SEEDS={text}: no number"));
    Some(match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    })
}

#[test]
fn seeds_lose_and_double_nothing() {
    let wanted = wanted_seeds();
    let total = run_seeds(wanted.clone().unwrap_or(SEEDS));
    assert_eq!(total.failed, [0_u64; 0], "these seeds have breaches; what they are is told above");
    let (crashes, others) = total.fewest();
    assert!(crashes >= 3 && others >= 10, "a seed had {crashes} crashes and {others} other faults");
    if wanted.is_none() {
        assert_eq!(total.fired.missing(), [""; 0], "these faults never fired");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    quieten_panics();
    for seed in 0..4 {
        let logs = std::thread::scope(|scope| {
            let runs = [(); 2].map(|()| scope.spawn(move || run(seed, &Mistaken::not_at_all()).log));
            runs.map(|run| run.join().unwrap())
        });
        let differs = logs[0].iter().zip(&logs[1]).position(|(one, other)| one != other);
        if let Some(place) = differs {
            panic!("seed {seed}, line {place}: {:?} or {:?}", logs[0][place], logs[1][place]);
        }
        assert_eq!(logs[0].len(), logs[1].len(), "seed {seed}");
    }
}

#[test]
fn each_mistake_is_found() {
    quieten_panics();
    for mistake in Mistake::ALL {
        let found = (0..MISTAKE_SEEDS).find_map(|seed| {
            let outcome = run(seed, &Mistaken::by(mistake));
            outcome.breaches.first().map(|breach| (seed, breach.clone()))
        });
        match found {
            Some((seed, breach)) => println!("{mistake:?} is found by seed {seed}: {breach}"),
            None => panic!("{mistake:?} is not found by {MISTAKE_SEEDS} seeds"),
        }
    }
}
