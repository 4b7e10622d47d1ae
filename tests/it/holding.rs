//! A table is held or resumed while the ledger does not take it: its batches follow all the same.

use std::time::Duration;

use landbridge::domain::transition::BatchState;
use landbridge::ledger::Ledger;
use landbridge::messages::root::{HoldTable, ResumeTable};

use crate::support::faults::Faults;
use crate::support::hanging::{Hanging, Place};
use crate::support::{Disk, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\n";

/// A table whose batch is claimed and whose load does not come back is held, while these calls to the ledger fail; and
/// is resumed after so long. Answers the state of the batch just before.
async fn held_and_resumed(
    disk: &mut Disk,
    calls: &[(&'static str, usize)],
    resumed_after: Duration,
) -> BatchState {
    let config = disk.config(CONFIG);
    let (hanging, faults) = (Hanging::new("x", Place::Submit, 1), Faults::new([]));
    let running = Running::start(disk, &config, |edges| faults.wrap(hanging.wrap(edges))).await;
    running.announce_all(disk).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(hanging.left(), 0, "the batch is on its way");
    calls.iter().for_each(|(name, times)| faults.refuse_next(name, *times));
    let table = Running::table("x");
    let hold = HoldTable { table: table.clone(), reason: "on purpose".to_owned() };
    running.tree.root.send(hold).await.unwrap();
    tokio::time::sleep(resumed_after).await;
    let state = disk.ledger.open_batches(None, 10).await.unwrap()[0].state;
    running.tree.root.send(ResumeTable(table)).await.unwrap().unwrap();
    running.idle().await;
    assert_eq!(faults.refusals_left(), 0);
    state
}

fn loads_all(calls: &[(&'static str, usize)], resumed_after: Duration) -> BatchState {
    let mut disk = Disk::new(&["x"]);
    (0..3).for_each(|_| drop(disk.put("x", 4)));
    let state = paused(held_and_resumed(&mut disk, calls, resumed_after));
    let result = disk.reconcile();
    assert!(result.is_good(), "{calls:?}: {:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3, "{calls:?}");
    state
}

#[test]
fn batches_of_a_held_table_are_held_once_the_ledger_takes_it() {
    for calls in [[("hold", 1)], [("hold", 3)], [("open_batches", 1)], [("open_batches", 2)]] {
        assert_eq!(loads_all(&calls, Duration::from_secs(20)), BatchState::Held, "{calls:?}");
    }
}

#[test]
fn a_resumption_that_overtakes_its_hold_leaves_nothing_held() {
    for calls in [[("hold", 1)], [("open_batches", 2)]] {
        assert_eq!(loads_all(&calls, Duration::from_secs(3)), BatchState::Open, "{calls:?}");
    }
}
