//! The real actors on a paused clock, crashed and troubled at every step.

use std::sync::Arc;

use landbridge::config::types::Config;
use landbridge::demo::reconcile::Files;
use landbridge::demo::record::Fate;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::support::faults::{Faults, Trouble};
use crate::support::{Disk, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\nfiles = 3\n";

/// Five good files of two tables, one poison, one vanished.
fn world() -> Disk {
    let mut disk = Disk::new(&["x", "y"]);
    for table in ["x", "x", "y", "x", "y"] {
        disk.put(table, 5);
    }
    disk.put_as("x", 5, Fate::Poison, &[]);
    disk.put_as("y", 5, Fate::Vanish, &[]);
    disk
}

/// Runs one session; true when it came to its end, false when it crashed.
fn session(disk: &mut Disk, config: &Config, faults: &Arc<Faults>) -> bool {
    paused(async {
        let running = Running::start(disk, config, |edges| faults.wrap(edges)).await;
        running.announce_all(disk).await;
        tokio::select! {
            biased;
            () = faults.crashed.notified() => false,
            () = running.idle() => true,
        }
    })
}

/// Runs sessions with the given troubles, one script each, until one without any comes to its end; then every row must
/// be in the lake once.
fn survive(scripts: Vec<Vec<(usize, Trouble)>>) {
    let mut disk = world();
    let config = disk.config(CONFIG);
    for script in &scripts {
        session(&mut disk, &config, &Faults::new(script.iter().copied()));
    }
    assert!(session(&mut disk, &config, &Faults::new([])), "{scripts:?}: the last session did not end");
    let result = disk.reconcile();
    assert!(result.is_good(), "{scripts:?}: {:?}", result.culprits);
    assert_eq!(
        result.total.files,
        Files { announced: 7, loaded: 5, poisoned: 1, vanished: 1 },
        "{scripts:?}"
    );
}

fn calls_of_a_quiet_session() -> usize {
    let mut disk = world();
    let config = disk.config(CONFIG);
    let faults = Faults::new([]);
    assert!(session(&mut disk, &config, &faults));
    assert!(disk.reconcile().is_good());
    faults.calls()
}

#[test]
fn a_crash_before_or_after_any_call_loses_and_doubles_nothing() {
    for call in 0..calls_of_a_quiet_session() {
        survive(vec![vec![(call, Trouble::CrashBefore)]]);
        survive(vec![vec![(call, Trouble::CrashAfter)]]);
    }
}

#[test]
fn an_answer_lost_at_any_call_loses_and_doubles_nothing() {
    for call in 0..calls_of_a_quiet_session() {
        survive(vec![vec![(call, Trouble::FailAfter)]]);
        survive(vec![vec![(call, Trouble::FailBefore)]]);
    }
}

#[test]
fn seeded_troubles_and_crashes_lose_and_double_nothing() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        let mut random = SmallRng::seed_from_u64(seed);
        let sessions = (0..random.random_range(1..4_usize)).map(|_| {
            let mut script: Vec<_> = (0..random.random_range(0..8_usize))
                .map(|_| {
                    let trouble =
                        if random.random_bool(0.5) { Trouble::FailBefore } else { Trouble::FailAfter };
                    (random.random_range(0..40_usize), trouble)
                })
                .collect();
            let crash = if random.random_bool(0.5) { Trouble::CrashBefore } else { Trouble::CrashAfter };
            script.push((random.random_range(0..50), crash));
            script
        });
        let scripts: Vec<_> = sessions.collect();
        println!("seed {seed}: {scripts:?}");
        survive(scripts);
    }
}
