//! A world in a temporary folder: the real tree, the embedded adapters, a clock that can stand still, and the
//! generator's record to reconcile with.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use landbridge::actors::world::Ports;
use landbridge::app::{Tree, receivers};
use landbridge::bucket::Bucket;
use landbridge::bucket::local::LocalBucket;
use landbridge::config::load;
use landbridge::config::types::Config;
use landbridge::demo::reconcile::{Reconciliation, reconcile};
use landbridge::demo::record::{Entry, Fate, Record};
use landbridge::demo::rows::{Column, Layout, Slice, Values, rows};
use landbridge::demo::writer::{Codec, write};
use landbridge::domain::clock::Clock;
use landbridge::domain::ids::{QueueId, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::notification::event_body;
use landbridge::flow::cpu::CpuPool;
use landbridge::ledger::Ledger;
use landbridge::ledger::sqlite::SqliteLedger;
use landbridge::queue::Queue;
use landbridge::queue::local::LocalQueue;
use landbridge::warehouse::Warehouse;
use landbridge::warehouse::lake::Lake;
use landbridge::warehouse::lake::audit::LakeAudit;

pub mod browser;
pub mod dms_file;
pub mod faults;
pub mod hanging;
pub mod http;
pub mod mariadb;
mod watched;

use watched::Watched;

/// The one cluster of these worlds.
pub const CLUSTER: &str = "game-a";

/// Wall time that moves with tokio's clock.
pub struct TestClock {
    started: tokio::time::Instant,
    base: Instant,
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.base.plus(self.started.elapsed())
    }
}

/// What is on disk, and survives a crash.
pub struct Disk {
    folder: tempfile::TempDir,
    pub record: Record,
    pub ledger: SqliteLedger,
    tables: Vec<String>,
    next_row: BTreeMap<String, u64>,
    /// Moves on with each session, so that a restart is later than what it follows.
    sessions: u64,
    breaches: Arc<Mutex<Vec<String>>>,
}

fn fast_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl Disk {
    /// A world of these tables of the schema `s`.
    pub fn new(tables: &[&str]) -> Self {
        let folder = fast_folder();
        let bucket = folder.path().join("bucket");
        for table in tables {
            std::fs::create_dir_all(bucket.join(CLUSTER).join("s").join(table)).unwrap();
        }
        let record = Record::open(&folder.path().join("record.jsonl"), &bucket).unwrap();
        let ledger = SqliteLedger::open_in_memory().unwrap();
        let tables = tables.iter().map(|&table| table.to_owned()).collect();
        Self {
            folder,
            record,
            ledger,
            tables,
            next_row: BTreeMap::new(),
            sessions: 0,
            breaches: Arc::default(),
        }
    }

    /// Lets days pass until the next session.
    pub fn pass_days(&mut self, days: u64) {
        self.sessions += 24 * days;
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn lake(&self) -> PathBuf {
        self.path().join("lake")
    }

    /// The configuration, with `extra` sections before the mapping.
    pub fn config(&self, extra: &str) -> Config {
        let mut text = format!(
            "{extra}\n[[mapping]]\ncluster = \"{CLUSTER}\"\nsource = \"bucket/{CLUSTER}\"\ndataset = \"game_a\"\n\
             [mapping.dms]\ntimestamp = \"dms_timestamp\"\nsequence = \"dms_change_seq\"\n"
        );
        for table in &self.tables {
            text.push_str(&format!("[[mapping.table]]\nname = \"s.{table}\"\nkey = [\"id\"]\n"));
        }
        let path = self.path().join("landbridge.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, []).unwrap()
    }

    /// Puts a file of `count` rows into the bucket and the record. Not announced yet.
    pub fn put(&mut self, table: &str, count: u64) -> Entry {
        self.put_as(table, count, Fate::Good, &[])
    }

    /// The same, with a fate and further columns.
    pub fn put_as(&mut self, table: &str, count: u64, fate: Fate, more: &[Column]) -> Entry {
        let key = format!("s/{table}/20251123-{:09}.parquet", self.record.next_number());
        self.put_at(&key, table, count, fate, more)
    }

    /// Puts a file of a full load into the bucket and the record.
    pub fn put_full_load(&mut self, table: &str, count: u64) -> Entry {
        let key = format!("s/{table}/LOAD{:08X}.parquet", self.record.next_number());
        self.put_at(&key, table, count, Fate::Good, &[])
    }

    fn put_at(&mut self, key: &str, table: &str, count: u64, fate: Fate, more: &[Column]) -> Entry {
        let first = self.next_row.entry(table.to_owned()).or_default();
        let mut columns = vec![
            Column { name: "id", values: Values::Number, nulls: 0 },
            Column { name: "note", values: Values::OneOf(&["", "x"]), nulls: 30 },
        ];
        columns.extend_from_slice(more);
        let rows_of = usize::try_from(count).unwrap();
        let slice = Slice {
            first: *first,
            rows: rows_of,
            commit: Instant::from_micros(0),
            step_micros: 1,
            seed: *first,
        };
        *first += count;
        let temporary = self.record.temporary(CLUSTER, key);
        write(&temporary, &rows(&columns, Layout::Changes, slice).unwrap(), Codec::None).unwrap();
        if fate == Fate::Poison {
            std::fs::write(&temporary, "PAR1 this is no Parquet file").unwrap();
        }
        self.record.put(CLUSTER, key, count, fate, Instant::from_micros(0)).unwrap()
    }

    /// The lake against the record. Fails when a message was deleted before its files were final.
    pub fn reconcile(&self) -> Reconciliation {
        assert_eq!(*self.breaches.lock().unwrap(), [""; 0]);
        reconcile(&self.record, &self.lake()).unwrap()
    }
}

/// The ports of a world, each to be wrapped as a test likes.
pub struct Edges {
    pub bucket: Arc<dyn Bucket>,
    pub warehouse: Arc<dyn Warehouse>,
    pub ledger: Arc<dyn Ledger>,
}

/// A running tree over a `Disk`.
pub struct Running {
    pub tree: Tree,
    pub queue: Arc<LocalQueue>,
    pub clock: Arc<dyn Clock>,
}

impl Running {
    /// Starts the tree of `config` on `disk`; `wrap` may put something between it and the edges.
    pub async fn start(disk: &mut Disk, config: &Config, wrap: impl FnOnce(Edges) -> Edges) -> Self {
        disk.sessions += 1;
        let base = Instant::from_micros(
            1_763_856_000_000_000 + i64::try_from(disk.sessions).unwrap() * 3_600_000_000,
        );
        let clock: Arc<dyn Clock> = Arc::new(TestClock { started: tokio::time::Instant::now(), base });
        Self::start_at(disk, config, clock, wrap).await
    }

    /// The same beside one that runs: they have one time.
    pub async fn start_at(
        disk: &mut Disk,
        config: &Config,
        clock: Arc<dyn Clock>,
        wrap: impl FnOnce(Edges) -> Edges,
    ) -> Self {
        let roots = [(Arc::from(CLUSTER), disk.path().join("bucket").join(CLUSTER))];
        let edges = wrap(Edges {
            bucket: Arc::new(LocalBucket::new(roots)),
            warehouse: Arc::new(Lake::open(disk.lake()).unwrap()),
            ledger: Arc::new(disk.ledger.clone()),
        });
        std::fs::create_dir_all(&config.spool.path).unwrap();
        let queue = LocalQueue::new(CLUSTER, 10_000);
        let true_ledger: Arc<dyn Ledger> = Arc::new(disk.ledger.clone());
        let watched =
            Watched::new(Arc::clone(&queue) as Arc<dyn Queue>, true_ledger, Arc::clone(&disk.breaches));
        let ports = Ports {
            ledger: edges.ledger,
            bucket: edges.bucket,
            warehouse: edges.warehouse,
            lineage: Arc::new(LakeAudit::open(disk.lake()).unwrap()),
            queues: BTreeMap::from([(QueueId(CLUSTER.into()), watched as Arc<dyn Queue>)]),
            receivers: receivers::open(config, &clock).await.unwrap(),
            clock: Arc::clone(&clock),
        };
        let tree = Tree::start(config, ports, CpuPool::new(1)).await.unwrap();
        Self { tree, queue, clock }
    }

    /// Announces a file.
    pub async fn announce(&self, entry: &Entry) {
        self.announce_as_of(entry, self.clock.now()).await;
    }

    /// Announces a file as one that was written at that time.
    pub async fn announce_as_of(&self, entry: &Entry, at: Instant) {
        let body = event_body(&entry.cluster, &entry.key, entry.size_bytes, &entry.etag, at, entry.number);
        self.queue.send(body).await;
    }

    /// Announces all files of the record, as a rescan after a start does.
    pub async fn announce_all(&self, disk: &Disk) {
        for entry in disk.record.entries() {
            self.announce(entry).await;
        }
    }

    /// Waits until nothing is left to do.
    pub async fn idle(&self) {
        self.tree.until_idle(|| true).await;
    }

    /// The id of a table.
    pub fn table(name: &str) -> TableId {
        TableId::new(CLUSTER, "s", name)
    }
}

/// Runs `main` in an actix system on one thread whose clock stands still until everything waits.
pub fn paused<T>(main: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    actix_rt::System::with_tokio_rt(move || runtime).block_on(main)
}
