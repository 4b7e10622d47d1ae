//! Two processes on one ledger.

use std::time::Duration;

use landbridge::domain::file::FileState;
use landbridge::domain::transition::{BatchState, TableMode};
use landbridge::ledger::Ledger;
use landbridge::messages::root::{HoldTable, PauseTable, ResumeTable, Snapshot};

use crate::pipeline::file_id;
use crate::support::faults::Faults;
use crate::support::hanging::{Hanging, Place};
use crate::support::{Disk, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\n";

/// A process on the disk, beside others: its spool is its own.
async fn beside(disk: &mut Disk, name: &str, hanging: Option<&std::sync::Arc<Hanging>>) -> Running {
    let config = disk.config(&format!("{CONFIG}[spool]\npath = \"spool-{name}\"\n"));
    Running::start(disk, &config, |edges| {
        let edges = Faults::none_among_others().wrap(edges);
        let Some(hanging) = hanging else { return edges };
        let ledger = std::sync::Arc::clone(&edges.ledger);
        // What the hanging calls stand before does not tell of others: the ledger stays as it is.
        crate::support::Edges { ledger, ..hanging.wrap(edges) }
    })
    .await
}

async fn mode(running: &Running, table: &str) -> TableMode {
    let snapshot = running.tree.root.send(Snapshot).await.unwrap();
    let of = |(id, mode, _): &(_, TableMode, _)| (*id == Running::table(table)).then(|| mode.clone());
    snapshot.tables.iter().find_map(of).unwrap()
}

#[test]
fn what_a_process_leaves_behind_another_takes_over() {
    let mut disk = Disk::new(&["x"]);
    (0..3).for_each(|_| drop(disk.put("x", 4)));
    paused(async {
        let hanging = Hanging::new("x", Place::Submit, 1);
        let frozen = beside(&mut disk, "a", Some(&hanging)).await;
        let other = beside(&mut disk, "b", None).await;
        frozen.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(hanging.left(), 0, "the batch is claimed and on its way");
        let open = disk.ledger.open_batches(None, 9).await.unwrap();
        assert_eq!(open.len(), 1);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let file = &open[0].batch.manifest.entries[0].file;
        let state = disk.ledger.lookup(std::slice::from_ref(file)).await.unwrap().remove(0);
        assert!(matches!(state, Some(FileState::Loaded { .. })), "{state:?}");
        other.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

#[test]
fn a_mode_that_one_process_gives_a_table_holds_for_all() {
    let mut disk = Disk::new(&["x", "y"]);
    paused(async {
        let (one, other) = (beside(&mut disk, "a", None).await, beside(&mut disk, "b", None).await);
        let table = Running::table("x");
        one.tree.root.send(PauseTable(table.clone())).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(mode(&other, "x").await, TableMode::Paused);
        assert_eq!(mode(&other, "y").await, TableMode::Running);
        let entry = disk.put("x", 4);
        other.announce(&entry).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(disk.reconcile().total.files.loaded, 0, "it is paused");
        other.tree.root.send(ResumeTable(table.clone())).await.unwrap().unwrap();
        // What the one reads right now must not undo it.
        tokio::time::sleep(Duration::from_secs(30)).await;
        for process in [&one, &other] {
            assert_eq!(mode(process, "x").await, TableMode::Running);
        }
        other.idle().await;
        assert_eq!(disk.reconcile().total.files.loaded, 1);
        let hold = HoldTable { table, reason: "on purpose".to_owned() };
        one.tree.root.send(hold).await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(mode(&other, "x").await, TableMode::Held("on purpose".to_owned()));
    });
    assert!(disk.reconcile().is_good());
}

#[test]
fn a_table_that_another_process_holds_stops_its_loads_here_too() {
    let mut disk = Disk::new(&["x"]);
    (0..3).for_each(|_| drop(disk.put("x", 4)));
    paused(async {
        let hanging = Hanging::new("x", Place::Submit, 1);
        let loading = beside(&mut disk, "a", Some(&hanging)).await;
        let other = beside(&mut disk, "b", None).await;
        loading.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(15)).await;
        let hold = HoldTable { table: Running::table("x"), reason: "on purpose".to_owned() };
        other.tree.root.send(hold).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(disk.ledger.open_batches(None, 9).await.unwrap()[0].state, BatchState::Held);
        loading.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        loading.idle().await;
        assert_eq!(mode(&other, "x").await, TableMode::Running);
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

/// Files come every second while one process replaces another: beside it for ten seconds, then alone.
#[test]
fn a_rolling_replacement_makes_no_file_later_than_one_more_window() {
    let mut disk = Disk::new(&["x"]);
    let entries: Vec<_> = (0..80).map(|_| disk.put("x", 4)).collect();
    let files: Vec<_> = entries.iter().map(|entry| file_id(entry, "x")).collect();
    let mut lags = vec![None; files.len()];
    paused(async {
        let old = beside(&mut disk, "a", None).await;
        let (mut new, mut old) = (None, Some(old));
        let started = tokio::time::Instant::now();
        for second in 0..(files.len() + 40) {
            if second == 30 {
                new = Some(beside(&mut disk, "b", None).await);
            }
            if second == 40
                && let Some(old) = old.take()
            {
                tokio::task::spawn_local(
                    async move { old.tree.drain("SIGTERM", Duration::from_secs(30)).await },
                );
            }
            if let Some(entry) = entries.get(second) {
                // Both read the queue; a message goes to either.
                let to = if second % 2 == 0 {
                    old.as_ref().or(new.as_ref())
                } else {
                    new.as_ref().or(old.as_ref())
                };
                to.unwrap().announce(entry).await;
            }
            tokio::time::sleep_until(started + Duration::from_secs(second as u64 + 1)).await;
            for (place, state) in disk.ledger.lookup(&files).await.unwrap().iter().enumerate() {
                if lags[place].is_none() && matches!(state, Some(FileState::Loaded { .. })) {
                    lags[place] = Some(started.elapsed() - Duration::from_secs(place as u64));
                }
            }
        }
        new.unwrap().idle().await;
    });
    let longest = lags.iter().map(|lag| lag.expect("every file is loaded")).max().unwrap();
    // The window, the second in which it is looked at, and one window more.
    assert!(longest <= Duration::from_secs(10 + 1 + 10), "{longest:?}");
    let result = disk.reconcile();
    assert!(result.is_good() && result.total.files.loaded == 80, "{:?}", result.culprits);
}
