//! Two processes on one ledger.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use landbridge::app::watermarks::{self, Watermarks};
use landbridge::domain::clock::Clock;
use landbridge::domain::file::FileState;
use landbridge::domain::taking_over::LEFT_AFTER;
use landbridge::domain::transition::{BatchState, TableMode};
use landbridge::domain::watermark::UNHEARD_AFTER;
use landbridge::ledger::Ledger;
use landbridge::messages::root::{HoldTable, PauseTable, ResumeTable, Snapshot};
use landbridge::queue::Queue;

use crate::pipeline::file_id;
use crate::support::faults::{Faults, Others};
use crate::support::hanging::{Hanging, Place};
use crate::support::{Disk, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\n";

/// Processes that share a disk's ledger, and tell each other what they have.
struct Beside {
    disk: Disk,
    others: Others,
    clock: Option<Arc<dyn Clock>>,
    /// What tells the others of each.
    telling: Vec<Watermarks>,
}

impl Beside {
    fn new(tables: &[&str]) -> Self {
        Self { disk: Disk::new(tables), others: Arc::default(), clock: None, telling: Vec::new() }
    }

    /// One more of them: its spool is its own, and some of its calls may hang.
    async fn start(&mut self, name: &str, hanging: Option<&Arc<Hanging>>) -> Running {
        let config = self.disk.config(&format!("{CONFIG}[spool]\npath = \"spool-{name}\"\n"));
        let wrap = |edges| {
            let edges = Faults::none_among(Arc::clone(&self.others)).wrap(edges);
            match hanging {
                Some(hanging) => hanging.wrap(edges),
                None => edges,
            }
        };
        let running = match self.clock.clone() {
            Some(clock) => Running::start_at(&mut self.disk, &config, clock, wrap).await,
            None => Running::start(&mut self.disk, &config, wrap).await,
        };
        self.clock = Some(Arc::clone(&running.clock));
        self.telling.push(watermarks::start(Arc::clone(&running.tree.world), false));
        running
    }
}

async fn mode(running: &Running, table: &str) -> TableMode {
    let snapshot = running.tree.root.send(Snapshot).await.unwrap();
    let of = |(id, mode, _): &(_, TableMode, _)| (*id == Running::table(table)).then(|| mode.clone());
    snapshot.tables.iter().find_map(of).unwrap()
}

/// A process whose job runs on and on is alive: the other neither asks about its job nor makes another.
#[test]
fn what_a_living_process_delivers_is_left_alone() {
    let mut world = Beside::new(&["x"]);
    (0..3).for_each(|_| drop(world.disk.put("x", 4)));
    paused(async {
        let (slow, idle) = (Hanging::new("x", Place::Nowhere, 0), Hanging::new("x", Place::Nowhere, 0));
        slow.running.store(usize::MAX, Ordering::SeqCst);
        idle.running.store(1_000, Ordering::SeqCst);
        let (loading, other) = (world.start("a", Some(&slow)).await, world.start("b", Some(&idle)).await);
        loading.announce_all(&world.disk).await;
        tokio::time::sleep(Duration::from_secs(1_800)).await;
        let open = world.disk.ledger.open_batches(None, 9).await.unwrap();
        assert_eq!(open.len(), 1, "its job runs");
        assert_eq!(idle.running.load(Ordering::SeqCst), 1_000, "the other has asked about the job");
        assert!(idle.submitted.lock().unwrap().is_empty());
        slow.running.store(0, Ordering::SeqCst);
        loading.idle().await;
        other.idle().await;
        assert_eq!(slow.submitted.lock().unwrap()["x"].len(), 1);
    });
    let result = world.disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

#[test]
fn what_a_process_leaves_behind_another_takes_over() {
    let mut world = Beside::new(&["x"]);
    (0..3).for_each(|_| drop(world.disk.put("x", 4)));
    paused(async {
        let hanging = Hanging::new("x", Place::Submit, 1);
        let frozen = world.start("a", Some(&hanging)).await;
        let other = world.start("b", None).await;
        frozen.announce_all(&world.disk).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(hanging.left(), 0, "the batch is claimed and on its way");
        // It does not even say that it lives.
        hanging.ledger.store(true, Ordering::SeqCst);
        let open = world.disk.ledger.open_batches(None, 9).await.unwrap();
        assert_eq!(open.len(), 1);
        tokio::time::sleep(LEFT_AFTER + Duration::from_secs(60)).await;
        let file = &open[0].batch.manifest.entries[0].file;
        let state = world.disk.ledger.lookup(std::slice::from_ref(file)).await.unwrap().remove(0);
        assert!(matches!(state, Some(FileState::Loaded { .. })), "{state:?}");
        other.idle().await;
    });
    let result = world.disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

/// The others count on what a silent process has to come to them: so it takes no more, until it is heard.
#[test]
fn who_cannot_tell_the_others_what_he_has_receives_nothing() {
    let mut world = Beside::new(&["x"]);
    let entries: Vec<_> = (0..2).map(|_| world.disk.put("x", 4)).collect();
    paused(async {
        let hanging = Hanging::new("x", Place::Nowhere, 0);
        let alone = world.start("a", Some(&hanging)).await;
        hanging.ledger.store(true, Ordering::SeqCst);
        tokio::time::sleep(UNHEARD_AFTER + Duration::from_secs(30)).await;
        // What one long poll may bring that had begun before comes, and no more.
        for entry in &entries {
            alone.announce(entry).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let waiting = alone.queue.depth().await.unwrap().visible;
        assert!(waiting > 0, "it receives on");
        hanging.ledger.store(false, Ordering::SeqCst);
    });
}

#[test]
fn a_mode_that_one_process_gives_a_table_holds_for_all() {
    let mut world = Beside::new(&["x", "y"]);
    paused(async {
        let (one, other) = (world.start("a", None).await, world.start("b", None).await);
        let table = Running::table("x");
        one.tree.root.send(PauseTable(table.clone())).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(mode(&other, "x").await, TableMode::Paused);
        assert_eq!(mode(&other, "y").await, TableMode::Running);
        let entry = world.disk.put("x", 4);
        other.announce(&entry).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(world.disk.reconcile().total.files.loaded, 0, "it is paused");
        other.tree.root.send(ResumeTable(table.clone())).await.unwrap().unwrap();
        // What the one reads right now must not undo it.
        tokio::time::sleep(Duration::from_secs(30)).await;
        for process in [&one, &other] {
            assert_eq!(mode(process, "x").await, TableMode::Running);
        }
        other.idle().await;
        assert_eq!(world.disk.reconcile().total.files.loaded, 1);
        let hold = HoldTable { table, reason: "on purpose".to_owned() };
        one.tree.root.send(hold).await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(mode(&other, "x").await, TableMode::Held("on purpose".to_owned()));
    });
    assert!(world.disk.reconcile().is_good());
}

#[test]
fn a_table_that_another_process_holds_stops_its_loads_here_too() {
    let mut world = Beside::new(&["x"]);
    (0..3).for_each(|_| drop(world.disk.put("x", 4)));
    paused(async {
        let hanging = Hanging::new("x", Place::Submit, 1);
        let loading = world.start("a", Some(&hanging)).await;
        let other = world.start("b", None).await;
        loading.announce_all(&world.disk).await;
        tokio::time::sleep(Duration::from_secs(15)).await;
        let hold = HoldTable { table: Running::table("x"), reason: "on purpose".to_owned() };
        other.tree.root.send(hold).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.disk.ledger.open_batches(None, 9).await.unwrap()[0].state, BatchState::Held);
        loading.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        loading.idle().await;
        assert_eq!(mode(&other, "x").await, TableMode::Running);
    });
    let result = world.disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

/// Files come every second while one process replaces another: beside it for ten seconds, then alone.
#[test]
fn a_rolling_replacement_makes_no_file_later_than_one_more_window() {
    let mut world = Beside::new(&["x"]);
    let entries: Vec<_> = (0..80).map(|_| world.disk.put("x", 4)).collect();
    let files: Vec<_> = entries.iter().map(|entry| file_id(entry, "x")).collect();
    let mut lags = vec![None; files.len()];
    paused(async {
        let old = world.start("a", None).await;
        let (mut new, mut old) = (None, Some(old));
        let started = tokio::time::Instant::now();
        for second in 0..(files.len() + 40) {
            if second == 30 {
                new = Some(world.start("b", None).await);
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
            for (place, state) in world.disk.ledger.lookup(&files).await.unwrap().iter().enumerate() {
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
    let result = world.disk.reconcile();
    assert!(result.is_good() && result.total.files.loaded == 80, "{:?}", result.culprits);
}
