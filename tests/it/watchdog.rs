//! The watchdog on the real tree: calls that never come back, waits that last, a thread that does not move.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use landbridge::app::SystemClock;
use landbridge::app::run::{beat, system};
use landbridge::bucket::{Bucket, Held};
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileId;
use landbridge::domain::notification::event_body;
use landbridge::domain::object::Object;
use landbridge::domain::transition::TableMode;
use landbridge::messages::root::{PauseTable, ResumeTable, Snapshot};
use landbridge::web::access::Access;
use landbridge::web::console::ConsoleSlot;
use landbridge::web::health::{HEARTBEAT_AGE_MAX, HealthState};
use landbridge::web::server::{Parts, serve};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::hanging::{Hanging, Place};
use crate::support::{Disk, Edges, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\n[timing]\ndefer_after = \"4m\"\n";

/// What was seen of one run.
struct Seen {
    /// When each table submitted, in seconds of the run.
    submitted: BTreeMap<String, Vec<u64>>,
    modes: BTreeMap<String, TableMode>,
    generations: BTreeMap<String, u64>,
    crashes: u64,
    left: usize,
    metrics: String,
    disk: Disk,
}

impl Seen {
    fn wedged(&self, child: &str) -> u64 {
        let line = format!("landbridge_wedged_total{{child=\"{child}\"}} ");
        let value = self.metrics.lines().find_map(|metric| metric.strip_prefix(&line));
        value.expect("the metric is shown").parse().unwrap()
    }
}

/// Feeds three tables a file each every five virtual seconds for `minutes`, while `x` hangs so often at `place`. Then
/// waits until all is done, where that comes.
fn run(place: Place, times: usize, minutes: u64, resume: bool) -> Seen {
    let mut disk = Disk::new(&["x", "y", "z"]);
    let config = disk.config(CONFIG);
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // All of the tree runs on this thread.
    metrics::with_local_recorder(&recorder, || {
        paused(async move {
            let hanging = Hanging::new("x", place, times);
            let running = Running::start(&mut disk, &config, |edges| hanging.wrap(edges)).await;
            for _ in 0..minutes * 12 {
                for table in ["x", "y", "z"] {
                    let entry = disk.put(table, 3);
                    running.announce(&entry).await;
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            if resume {
                tokio::time::sleep(Duration::from_secs(300)).await;
                running.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
            }
            running.idle().await;
            let snapshot = running.tree.root.send(Snapshot).await.unwrap();
            let by_table = || snapshot.tables.iter();
            let name = |table: &landbridge::domain::ids::TableId| table.table.to_string();
            let submitted = hanging.submitted.lock().unwrap().clone();
            Seen {
                submitted,
                modes: by_table().map(|(table, mode, _)| (name(table), mode.clone())).collect(),
                generations: by_table().map(|(table, _, generation)| (name(table), *generation)).collect(),
                crashes: snapshot.crashes,
                left: hanging.left(),
                metrics: handle.render(),
                disk,
            }
        })
    })
}

fn others_keep_their_pace(quiet: &Seen, seen: &Seen, place: Place) {
    for table in ["y", "z"] {
        assert_eq!(quiet.submitted[table], seen.submitted[table], "{place:?}: {table}");
        assert_eq!((&seen.modes[table], seen.generations[table]), (&TableMode::Running, 1), "{place:?}");
    }
}

#[test]
fn a_call_that_never_comes_back_is_that_tables_alone_and_loses_nothing() {
    let quiet = run(Place::Nowhere, 0, 5, false);
    assert!(quiet.disk.reconcile().is_good());
    assert_eq!(quiet.crashes, 0);
    let wedges = [
        (Place::Lookup, "batcher"),
        (Place::Deferred, "batcher"),
        (Place::Open, "fetch"),
        (Place::Claim, "delivery"),
        (Place::Submit, "delivery"),
        (Place::AfterSubmit, "delivery"),
        (Place::Ask, "delivery"),
        (Place::Commit, "delivery"),
    ];
    for (place, child) in wedges {
        let seen = run(place, 1, 5, false);
        assert_eq!(seen.left, 0, "{place:?} was never called");
        let result = seen.disk.reconcile();
        assert!(result.is_good(), "{place:?}: {:?}", result.culprits);
        assert_eq!(result.total.files.loaded, 180, "{place:?}");
        // Charged once, as a crash, to its table: it was replaced, and runs.
        assert_eq!((seen.crashes, seen.wedged(child)), (1, 1), "{place:?}");
        assert_eq!((&seen.modes["x"], seen.generations["x"]), (&TableMode::Running, 2), "{place:?}");
        others_keep_their_pace(&quiet, &seen, place);
    }
}

#[test]
fn five_wedges_in_ten_minutes_quarantine_that_table_alone_and_a_resumed_one_takes_up_everything() {
    let quiet = run(Place::Nowhere, 0, 15, false);
    for (place, child) in [(Place::Lookup, "batcher"), (Place::Open, "fetch"), (Place::Ask, "delivery")] {
        let seen = run(place, usize::MAX, 15, false);
        let TableMode::Quarantined(reason) = &seen.modes["x"] else {
            panic!("{place:?}: x is {:?}", seen.modes["x"]);
        };
        assert!(reason.contains("was wedged") && reason.contains("did not answer"), "{reason}");
        assert_eq!(seen.crashes, 5, "{place:?}");
        assert!(seen.wedged(child) >= 5, "{place:?}");
        others_keep_their_pace(&quiet, &seen, place);
        assert_eq!(seen.disk.reconcile().total.rows.duplicated, 0, "{place:?}");
    }
    let seen = run(Place::Ask, 7, 15, true);
    assert_eq!((&seen.modes["x"], seen.left), (&TableMode::Running, 0));
    let result = seen.disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
}

#[test]
fn a_wedged_loader_or_poller_is_replaced_and_nothing_in_its_hands_is_lost() {
    // The first question of a loader: which batches are open.
    let seen = run(Place::OpenBatches, 1, 5, false);
    assert_eq!((seen.left, seen.crashes, seen.wedged("loader")), (0, 1, 1));
    assert!(seen.disk.reconcile().is_good(), "{:?}", seen.disk.reconcile().culprits);
    // What a poller writes down itself: a file of a table that no mapping names.
    let mut disk = Disk::new(&["x"]);
    let config = disk.config(CONFIG);
    paused(async {
        let hanging = Hanging::new("unmapped", Place::Settle, 1);
        let running = Running::start(&mut disk, &config, |edges| hanging.wrap(edges)).await;
        let at = running.clock.now();
        running
            .queue
            .send(event_body("game-a", "s/unmapped/20251123-000000001.parquet", 7, "e", at, 1))
            .await;
        for _ in 0..60 {
            let entry = disk.put("x", 3);
            running.announce(&entry).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        running.idle().await;
        let snapshot = running.tree.root.send(Snapshot).await.unwrap();
        assert_eq!((hanging.left(), snapshot.crashes), (0, 1));
        assert_eq!(running.tree.holding().await.held_messages, 0);
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
}

/// Runs `main` on a world of one table with these settings; nobody may be ended meanwhile, and all is loaded.
fn undisturbed(extra: &str, main: impl AsyncFnOnce(&mut Disk, &Running, &Arc<Hanging>)) {
    let mut disk = Disk::new(&["x"]);
    let config = disk.config(extra);
    paused(async {
        let hanging = Hanging::new("x", Place::Nowhere, 0);
        let running = Running::start(&mut disk, &config, |edges| hanging.wrap(edges)).await;
        main(&mut disk, &running, &hanging).await;
        running.idle().await;
        let snapshot = running.tree.root.send(Snapshot).await.unwrap();
        assert_eq!(snapshot.crashes, 0);
    });
    let result = disk.reconcile();
    assert!(result.is_good() && result.total.files.loaded > 0, "{:?}", result.culprits);
}

async fn feed(disk: &mut Disk, running: &Running, files: u64, pause: Duration) {
    for _ in 0..files {
        let entry = disk.put("x", 3);
        running.announce(&entry).await;
        tokio::time::sleep(pause).await;
    }
}

#[test]
fn waits_that_last_are_left_alone() {
    let hour = Duration::from_secs(3600);
    // A job that runs for an hour, asked about every five seconds; and one behind it for want of a slot.
    let config = "[batching]\nwindow = \"10s\"\n[limits]\nloads_in_flight = 1\n";
    undisturbed(config, async |disk, running, hanging| {
        hanging.running.store(720, Ordering::SeqCst);
        feed(disk, running, 10, Duration::from_secs(20)).await;
        tokio::time::sleep(hour).await;
        assert_eq!(hanging.running.load(Ordering::SeqCst), 0, "the job ran for an hour");
    });
    // A window of ten minutes.
    undisturbed(
        "[batching]\nwindow = \"10m\"\n[timing]\ndefer_after = \"20m\"\n",
        async |disk, running, _| {
            feed(disk, running, 10, Duration::from_secs(90)).await;
        },
    );
    // Nothing to do; a pause, with files that wait.
    undisturbed(CONFIG, async |disk, running, _| {
        tokio::time::sleep(hour).await;
        running.tree.root.send(PauseTable(Running::table("x"))).await.unwrap().unwrap();
        feed(disk, running, 10, Duration::from_secs(60)).await;
        tokio::time::sleep(hour).await;
        running.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
    });
    // No credit, for memory and then for bodies.
    undisturbed(CONFIG, async |disk, running, _| {
        for pool in [&running.tree.world.memory_credit, &running.tree.world.spool_credit] {
            let all = pool.take(pool.limit_bytes()).await;
            feed(disk, running, 10, Duration::from_secs(60)).await;
            drop(all);
            feed(disk, running, 10, Duration::from_secs(5)).await;
        }
    });
}

#[test]
fn a_ledger_that_answers_nobody_ends_the_process_and_charges_no_table() {
    let mut disk = Disk::new(&["x", "y", "z"]);
    let config = disk.config(CONFIG);
    paused(async {
        let hanging = Hanging::new("x", Place::Nowhere, 0);
        let running = Running::start(&mut disk, &config, |edges| hanging.wrap(edges)).await;
        let mut fatal = running.tree.fatal.clone();
        let started = tokio::time::Instant::now();
        for table in ["x", "y", "z"].repeat(3) {
            let entry = disk.put(table, 3);
            running.announce(&entry).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        hanging.ledger.store(true, Ordering::SeqCst);
        for table in ["x", "y", "z"] {
            let entry = disk.put(table, 3);
            running.announce(&entry).await;
        }
        fatal.wait_for(Option::is_some).await.unwrap();
        let reason = fatal.borrow().clone().unwrap();
        assert!(reason.starts_with("the ledger has answered nobody for 135 s while"), "{reason}");
        assert!(started.elapsed() < Duration::from_secs(60 + 150), "{:?}", started.elapsed());
        let snapshot = running.tree.root.send(Snapshot).await.unwrap();
        assert_eq!(snapshot.crashes, 0);
    });
    // The next process finds all of it.
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_all(&disk).await;
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
}

/// Keeps the actor thread from moving, once, until it is let go: as an endless loop in a handler would.
struct Brake {
    actors: ThreadId,
    pulled: mpsc::Sender<()>,
    released: Mutex<Option<mpsc::Receiver<()>>>,
}

struct BrakedBucket(Arc<dyn Bucket>, Arc<Brake>);

struct BrakedObject(Arc<dyn Object>, Arc<Brake>);

impl std::fmt::Debug for BrakedObject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Object for BrakedObject {
    fn size_bytes(&self) -> u64 {
        // The batcher asks on the actors' own thread.
        if std::thread::current().id() == self.1.actors
            && let Some(released) = self.1.released.lock().unwrap().take()
        {
            self.1.pulled.send(()).unwrap();
            released.recv().unwrap();
        }
        self.0.size_bytes()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        self.0.read(offset, length)
    }
}

#[async_trait]
impl Bucket for BrakedBucket {
    fn held(&self, file: &FileId) -> Held {
        self.0.held(file)
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        Ok(Arc::new(BrakedObject(self.0.open(file).await?, Arc::clone(&self.1))))
    }
}

/// Waits until `url` answers with this status; answers how long that took. The clock is the real one: the bound is of the
/// product, and another thread keeps it.
fn until_status(url: &str, status: u16, at_most: Duration) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        landbridge::cloud::install_crypto();
        let (client, started) = (reqwest::Client::new(), tokio::time::Instant::now());
        loop {
            let answer = client.get(url).send().await;
            if answer.is_ok_and(|answer| answer.status().as_u16() == status) {
                return started.elapsed();
            }
            assert!(started.elapsed() < at_most, "{url} did not answer {status} within {at_most:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
}

#[test]
fn a_thread_that_does_not_move_fails_the_live_page_within_its_bound() {
    let mut disk = Disk::new(&["x"]);
    let config = disk.config("[batching]\nwindow = \"1s\"\n");
    let (tell_url, url) = mpsc::channel();
    let (pulled, was_pulled) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let tree = std::thread::spawn(move || {
        let main = async move {
            let (actors, released) = (std::thread::current().id(), Mutex::new(Some(released)));
            let brake = Arc::new(Brake { actors, pulled, released });
            let wrap = |edges: Edges| Edges { bucket: Arc::new(BrakedBucket(edges.bucket, brake)), ..edges };
            let running = Running::start(&mut disk, &config, wrap).await;
            let (health, listen) = (HealthState::new(), "127.0.0.1:0".parse().unwrap());
            let parts = Parts {
                health: Arc::clone(&health),
                metrics: PrometheusBuilder::new().build_recorder().handle(),
                access: Access::new(listen, None).unwrap(),
                console: ConsoleSlot::default(),
                clock: Arc::new(SystemClock),
            };
            let (server, bound) = serve(listen, parts).unwrap();
            tokio::spawn(server);
            let _beats = beat(&running.tree, &health);
            health.set_ready(None);
            tell_url.send(format!("http://{bound}")).unwrap();
            let entry = disk.put("x", 3);
            running.announce(&entry).await;
            running.idle().await;
            let snapshot = running.tree.root.send(Snapshot).await.unwrap();
            // A thread that stood still is no child's fault.
            assert_eq!(snapshot.crashes, 0);
            assert!(disk.reconcile().is_good());
        };
        system(main).unwrap();
    });
    let url = url.recv().unwrap();
    was_pulled.recv().unwrap();
    until_status(&format!("{url}/health/live"), 200, Duration::from_secs(10));
    let took = until_status(&format!("{url}/health/live"), 503, HEARTBEAT_AGE_MAX + Duration::from_secs(20));
    assert!(took > HEARTBEAT_AGE_MAX / 2, "{took:?}");
    // Metrics are read all the same.
    until_status(&format!("{url}/metrics"), 200, Duration::from_secs(10));
    release.send(()).unwrap();
    until_status(&format!("{url}/health/live"), 200, Duration::from_secs(10));
    tree.join().unwrap();
}
