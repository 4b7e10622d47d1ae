//! One trouble in each run, at each call of it in turn.

use std::sync::Arc;

use crate::support::faults::{Faults, Trouble};
use crate::support::{Disk, Running, paused};
use landbridge::config::types::Config;
use landbridge::demo::reconcile::Files;
use landbridge::demo::record::Fate;

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
        let life = async {
            let running = Running::start(disk, config, |edges| faults.wrap(edges)).await;
            running.announce_all(disk).await;
            running.idle().await;
        };
        tokio::select! {
            biased;
            () = faults.crashed.notified() => false,
            () = life => true,
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
