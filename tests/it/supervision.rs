//! Panics: of a batcher, of a delivery; what the others notice (nothing), what is lost (nothing).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use landbridge::bucket::{Bucket, Held};
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::clock::Clock;
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileId;
use landbridge::domain::object::Object;
use landbridge::domain::transition::TableMode;
use landbridge::domain::typed_view::TypedView;
use landbridge::messages::child::Stop;
use landbridge::messages::root::{PauseTable, ResumeTable, Snapshot};
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};

use crate::support::{Disk, Edges, Running, paused};

const CONFIG: &str = "[batching]\nwindow = \"10s\"\n[timing]\ndefer_after = \"2m\"\n";

/// Where a panic happens.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Nowhere,
    Batcher,
    Delivery,
    /// In the decoder, at the pages of one file.
    Page,
}

/// Panics for files of table `x`, this often.
struct Panics {
    place: Where,
    left: AtomicUsize,
    actors: ThreadId,
    /// When each table submitted.
    submitted: Mutex<BTreeMap<String, Vec<i64>>>,
}

impl Panics {
    fn due(&self, table: &str, place: Where) -> bool {
        table == "x"
            && place == self.place
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn wrap(self: &Arc<Self>, edges: Edges, clock: Arc<dyn Clock>) -> Edges {
        let (bucket, warehouse) = (edges.bucket, edges.warehouse);
        Edges {
            bucket: Arc::new(PanickingBucket { inner: bucket, panics: Arc::clone(self) }),
            warehouse: Arc::new(PanickingWarehouse { inner: warehouse, panics: Arc::clone(self), clock }),
            ledger: edges.ledger,
        }
    }
}

struct PanickingBucket {
    inner: Arc<dyn Bucket>,
    panics: Arc<Panics>,
}

struct PanickingObject {
    inner: Arc<dyn Object>,
    table: String,
    bad_page: bool,
    panics: Arc<Panics>,
}

impl std::fmt::Debug for PanickingObject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(formatter)
    }
}

impl Object for PanickingObject {
    fn size_bytes(&self) -> u64 {
        // The fetcher asks on a blocking thread, the batcher on the actors' own.
        if std::thread::current().id() == self.panics.actors && self.panics.due(&self.table, Where::Batcher) {
            panic!("on purpose, in the batcher");
        }
        self.inner.size_bytes()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        // The magic is at 0, the first page right behind it; the footer is far away.
        if (1..100).contains(&offset) && self.bad_page && self.panics.due(&self.table, Where::Page) {
            panic!("on purpose, in the decoder");
        }
        self.inner.read(offset, length)
    }
}

#[async_trait]
impl Bucket for PanickingBucket {
    fn held(&self, file: &FileId) -> Held {
        self.inner.held(file)
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        let inner = self.inner.open(file).await?;
        let (table, panics) = (file.table.table.to_string(), Arc::clone(&self.panics));
        let bad_page = file.key.contains("-000000003");
        Ok(Arc::new(PanickingObject { inner, table, bad_page, panics }))
    }
}

struct PanickingWarehouse {
    inner: Arc<dyn Warehouse>,
    panics: Arc<Panics>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Warehouse for PanickingWarehouse {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let table = attempt.destination.table.to_string();
        if self.panics.due(&table, Where::Delivery) {
            panic!("on purpose, in the delivery");
        }
        self.panics.submitted.lock().unwrap().entry(table).or_default().push(self.clock.now().micros());
        self.inner.submit(attempt, body).await
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        self.inner.ask(attempt).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.inner.fence(attempt).await
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.inner.columns(destination).await
    }

    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.inner.publish_view(destination, view).await
    }
}

/// What was seen of one run.
struct Seen {
    submitted: BTreeMap<String, Vec<i64>>,
    modes: BTreeMap<String, TableMode>,
    generations: BTreeMap<String, u64>,
    disk: Disk,
}

struct ClockOfTheRun(std::sync::OnceLock<Arc<dyn Clock>>);

impl Clock for ClockOfTheRun {
    fn now(&self) -> landbridge::domain::instant::Instant {
        self.0.get().map(|clock| clock.now()).unwrap_or_default()
    }
}

/// Feeds three tables a file each every five virtual seconds for five minutes, while `x` panics this often.
fn run(place: Where, panics: usize, resume: bool) -> Seen {
    let mut disk = Disk::new(&["x", "y", "z"]);
    let config = disk.config(CONFIG);
    paused(async move {
        let panics = Arc::new(Panics {
            place,
            left: AtomicUsize::new(panics),
            actors: std::thread::current().id(),
            submitted: Mutex::default(),
        });
        let clock = Arc::new(ClockOfTheRun(std::sync::OnceLock::new()));
        let shared = Arc::clone(&clock);
        let running = Running::start(&mut disk, &config, |edges| panics.wrap(edges, shared)).await;
        let _ = clock.0.set(Arc::clone(&running.clock));
        for _ in 0..60 {
            for table in ["x", "y", "z"] {
                let entry = disk.put(table, 3);
                running.announce(&entry).await;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        // Long enough for everything that is parked to be deferred.
        tokio::time::sleep(Duration::from_secs(300)).await;
        if resume {
            running.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
        }
        running.idle().await;
        let snapshot = running.tree.root.send(Snapshot).await.unwrap();
        let modes = snapshot.tables.iter().map(|(table, mode, _)| (table.table.to_string(), mode.clone()));
        let generations =
            snapshot.tables.iter().map(|(table, _, generation)| (table.table.to_string(), *generation));
        let (modes, generations) = (modes.collect(), generations.collect());
        let submitted = panics.submitted.lock().unwrap().clone();
        assert_eq!(
            running.tree.world.memory_credit.available_bytes(),
            running.tree.world.memory_credit.limit_bytes()
        );
        assert_eq!(
            running.tree.world.spool_credit.available_bytes(),
            running.tree.world.spool_credit.limit_bytes()
        );
        Seen { submitted, modes, generations, disk }
    })
}

fn others_keep_their_pace(quiet: &Seen, seen: &Seen) {
    for table in ["y", "z"] {
        let second = |times: &Vec<i64>| times.iter().map(|time| time / 1_000_000).collect::<Vec<_>>();
        assert_eq!(second(&quiet.submitted[table]), second(&seen.submitted[table]), "{table}");
        assert_eq!(seen.modes[table], TableMode::Running);
        assert_eq!(seen.generations[table], 1);
    }
}

#[test]
fn a_panic_in_one_batcher_is_that_tables_alone_and_loses_nothing() {
    let quiet = run(Where::Nowhere, 0, false);
    assert!(quiet.disk.reconcile().is_good());
    let seen = run(Where::Batcher, 1, false);
    assert!(seen.disk.reconcile().is_good(), "{:?}", seen.disk.reconcile().culprits);
    assert_eq!(seen.generations["x"], 2);
    others_keep_their_pace(&quiet, &seen);
}

#[test]
fn one_panic_is_one_strike_however_often_the_file_was_announced() {
    let mut disk = Disk::new(&["x"]);
    let config = disk.config(CONFIG);
    paused(async {
        let panics = Arc::new(Panics {
            place: Where::Batcher,
            left: AtomicUsize::new(1),
            actors: std::thread::current().id(),
            submitted: Mutex::default(),
        });
        let clock = Arc::new(ClockOfTheRun(std::sync::OnceLock::new()));
        let running = Running::start(&mut disk, &config, |edges| panics.wrap(edges, clock)).await;
        let entry = disk.put("x", 3);
        for _ in 0..5 {
            running.announce(&entry).await;
        }
        running.idle().await;
        assert_eq!(panics.left.load(Ordering::SeqCst), 0);
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!((result.total.files.loaded, result.total.files.poisoned), (1, 0));
}

#[test]
fn a_panic_while_a_batch_is_loaded_is_that_tables_alone_and_loses_nothing() {
    let quiet = run(Where::Nowhere, 0, false);
    for panics in [1, 3] {
        let seen = run(Where::Delivery, panics, false);
        assert!(seen.disk.reconcile().is_good(), "{:?}", seen.disk.reconcile().culprits);
        assert_eq!(seen.modes["x"], TableMode::Running);
        others_keep_their_pace(&quiet, &seen);
    }
}

#[test]
fn the_fifth_crash_quarantines_that_table_alone_and_its_files_wait_in_the_ledger() {
    let quiet = run(Where::Nowhere, 0, false);
    for place in [Where::Batcher, Where::Delivery] {
        let seen = run(place, 5, false);
        assert!(matches!(&seen.modes["x"], TableMode::Quarantined(_)), "{:?}", seen.modes);
        others_keep_their_pace(&quiet, &seen);
        let result = seen.disk.reconcile();
        assert_eq!(result.total.rows.duplicated, 0);
        assert!(result.total.rows.missing > 0);
    }
}

#[test]
fn a_quarantined_table_that_is_resumed_takes_up_everything() {
    for place in [Where::Batcher, Where::Delivery] {
        let seen = run(place, 5, true);
        assert_eq!(seen.modes["x"], TableMode::Running);
        let result = seen.disk.reconcile();
        // Two strikes are forgiven; a file that was alone in hand in three crashes is poison.
        let poisoned = if place == Where::Batcher { result.total.rows.missing } else { 0 };
        assert!(poisoned <= 3, "{:?}", result.culprits);
        assert_eq!(
            (result.total.rows.missing - poisoned, result.total.rows.duplicated),
            (0, 0),
            "{:?}",
            result.culprits
        );
    }
}

#[test]
fn a_file_whose_pages_make_the_decoder_panic_is_found_and_is_poison_alone() {
    let quiet = run(Where::Nowhere, 0, false);
    let seen = run(Where::Page, usize::MAX, false);
    others_keep_their_pace(&quiet, &seen);
    assert_eq!((&seen.modes["x"], seen.generations["x"]), (&TableMode::Running, 1));
    let result = seen.disk.reconcile();
    assert_eq!((result.total.rows.missing, result.total.rows.duplicated), (3, 0), "{:?}", result.culprits);
    assert!(result.culprits[0].contains("s/x/20251123-000000003"), "{:?}", result.culprits);
}

#[test]
fn a_loader_or_fetcher_that_ends_is_replaced_and_nothing_in_its_hands_is_lost() {
    let mut disk = Disk::new(&["x", "y"]);
    let config = disk.config(CONFIG);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        for round in 0..20 {
            for table in ["x", "y"] {
                let entry = disk.put(table, 3);
                running.announce(&entry).await;
            }
            tokio::time::sleep(Duration::from_millis(3_300)).await;
            let directory = &running.tree.world.directory;
            if round % 10 == 4 {
                directory.loader().unwrap().send(Stop).await.unwrap();
            }
            if round % 10 == 8 {
                directory.fetcher().unwrap().send(Stop).await.unwrap();
            }
        }
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 40);
}

#[test]
fn a_paused_table_keeps_its_files_in_the_ledger_over_a_restart() {
    let mut disk = Disk::new(&["x", "y"]);
    let config = disk.config(CONFIG);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.tree.root.send(PauseTable(Running::table("x"))).await.unwrap().unwrap();
        for _ in 0..10 {
            let (x, y) = (disk.put("x", 3), disk.put("y", 3));
            running.announce(&x).await;
            running.announce(&y).await;
        }
        tokio::time::sleep(Duration::from_secs(400)).await;
        running.idle().await;
    });
    assert_eq!(disk.reconcile().total.files.loaded, 10);
    paused(async {
        // Nothing is announced again: the ledger alone knows what waits.
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.idle().await;
        assert_eq!(disk.reconcile().total.files.loaded, 10);
        running.tree.root.send(ResumeTable(Running::table("x"))).await.unwrap().unwrap();
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 20);
}
