//! The adapters of a configuration.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;

use super::SystemClock;
use super::console::TreeConsole;
use super::costs::{self, Costs, LatestReport};
use super::membership::{Opened, enter};
use super::poison_copies::DeadLetterQueues;
use super::project_jobs::{JobLists, Lister};
use super::receivers;
use super::table_status::{StatusWriter, Writer};
use super::upkeep::{self, Upkeep};
use super::watermarks::{self, Watermarks};
use crate::actors::world::{Ports, World};
use crate::bucket::local::LocalBucket;
use crate::bucket::local::announcer::Announcer;
use crate::bucket::s3::{S3Bucket, Spooling};
use crate::bucket::{Bucket, Buckets};
use crate::cloud;
use crate::config::types::{Config, Ledger as LedgerConfig, Source, Warehouse as WarehouseConfig};
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::Identity;
use crate::domain::ids::QueueId;
use crate::flow::meter::Meter;
use crate::ledger::dynamodb::DynamoDbLedger;
use crate::ledger::front::FrontedLedger;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::usage::UsageKeeper;
use crate::queue::Queue;
use crate::queue::local::LocalQueue;
use crate::queue::sqs::SqsQueue;
use crate::telemetry::events;
use crate::warehouse::Warehouse;
use crate::warehouse::bigquery::audit::BigQueryAudit;
use crate::warehouse::bigquery::{BigQuery, Keys};
use crate::warehouse::jobs::ProjectJobs;
use crate::warehouse::lake::Lake;
use crate::warehouse::lake::audit::LakeAudit;
use crate::warehouse::lineage::Lineage;
use crate::warehouse::stamps::Stamps;
use crate::warehouse::status::StatusTable;

/// Messages that a directory's queue holds before its announcer waits.
const LOCAL_QUEUE_MESSAGES: usize = 10_000;
/// How long a ledger that cannot be heard is waited for at start, and the wait before the next try.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(60);
pub(super) const START_AGAIN: Duration = Duration::from_secs(1);
/// The spool's lock.
const SPOOL_LOCK: &str = ".lock";
/// What the names of spool files begin with.
const SPOOL_FILES: [&str; 2] = ["body-", "object-"];

/// The adapters: directories with queues in process, S3 with SQS; lake or BigQuery; SQLite or DynamoDB.
pub struct Edges {
    /// The ports.
    pub ports: Ports,
    /// The queues in process, by cluster, for those who announce.
    pub queues: BTreeMap<QueueId, Arc<LocalQueue>>,
    /// What was counted, on its way into the ledger.
    pub usage: Arc<UsageKeeper>,
    opened: Arc<Opened>,
    stamps: Arc<dyn Stamps>,
    status: Arc<dyn StatusTable>,
    /// None of a warehouse without quotas.
    jobs: Option<Arc<dyn ProjectJobs>>,
    /// The SQS queues.
    sqs: BTreeMap<QueueId, Arc<SqsQueue>>,
    /// Held for the process's life, where the ledger is not for one process alone.
    _spool: Option<File>,
}

impl Edges {
    /// Opens ledger and warehouse, empties the spool. Asks whose the datasets are (Invariant I-7).
    pub async fn open(config: &Config) -> Result<Self, Fault> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let meter = meter(config);
        let opened = open_ledger(config, &meter).await?;
        let Warehouses { warehouse, lineage, stamps, status, jobs } = warehouse(config, &meter).await?;
        enter(config, &opened, &*stamps).await?;
        let (ledger, opened) = (opened.ledger(), Arc::new(opened));
        let spool = spool_lock(config)?;
        // Only the lock, the ledger's or its own, makes the spool ours.
        empty(&config.spool.path)?;
        let (mut queues, mut sqs) = (BTreeMap::new(), BTreeMap::new());
        let mut letters: BTreeMap<Arc<str>, Arc<dyn Queue>> = BTreeMap::new();
        let mut stores: BTreeMap<Arc<str>, Arc<dyn Bucket>> = BTreeMap::new();
        let mut regions = BTreeMap::new();
        let mut by_url: BTreeMap<Arc<str>, Arc<SqsQueue>> = BTreeMap::new();
        for mapping in &config.mappings {
            let (cluster, bucket) = (&mapping.route.cluster, &mapping.route.bucket);
            let id = QueueId(Arc::clone(cluster));
            match &mapping.source {
                Source::Directory(root) => {
                    queues.insert(id, LocalQueue::new(Arc::clone(cluster), LOCAL_QUEUE_MESSAGES));
                    let local = LocalBucket::new([(Arc::clone(bucket), root.clone())]);
                    stores.insert(Arc::clone(bucket), Arc::new(local));
                }
                Source::S3 { queue } => {
                    // A bucket announces to queues of its own region only.
                    let name = cloud::aws::region_of(&config.aws, queue);
                    let region = match regions.entry(name.clone()) {
                        Entry::Occupied(entry) => entry.into_mut(),
                        Entry::Vacant(entry) => entry.insert(AwsRegion::connect(config, name, &meter).await),
                    };
                    // Clusters that share a queue share its poller: whose file it is tells the key.
                    let one = match by_url.entry(Arc::clone(queue)) {
                        Entry::Occupied(entry) => Arc::clone(entry.get()),
                        Entry::Vacant(entry) => {
                            let one = SqsQueue::new(&region.sdk, Arc::clone(queue), Arc::clone(&clock));
                            let one = Arc::clone(entry.insert(Arc::new(one.metered(&meter))));
                            sqs.insert(id, Arc::clone(&one));
                            one
                        }
                    };
                    letters.insert(Arc::clone(cluster), one);
                    stores.insert(Arc::clone(bucket), Arc::clone(&region.s3));
                }
            }
        }
        let local = queues.iter().map(|(id, queue)| (id.clone(), Arc::clone(queue) as Arc<dyn Queue>));
        let remote = sqs.iter().map(|(id, queue)| (id.clone(), Arc::clone(queue) as Arc<dyn Queue>));
        let usage = Arc::new(UsageKeeper::new(meter, Arc::clone(&clock)));
        let ledger = FrontedLedger::new(ledger, config.limits.loaded_front_files);
        let ledger = ledger.with_usage(Arc::clone(&usage));
        let ports = Ports {
            ledger: Arc::new(ledger.with_copies(Arc::new(DeadLetterQueues(letters)))),
            bucket: Arc::new(Buckets::new(stores)),
            warehouse,
            lineage,
            queues: local.chain(remote).collect(),
            receivers: receivers::open(config, &clock).await?,
            clock,
        };
        Ok(Self { ports, queues, sqs, usage, opened, stamps, status, jobs, _spool: spool })
    }

    /// Starts what is done to the ledger every hour.
    pub fn keep_up(&self, config: &Config, world: &Arc<World>) -> Upkeep {
        upkeep::start(config.clone(), Arc::clone(&self.opened), Arc::clone(&self.stamps), Arc::clone(world))
    }

    /// Starts what tells how far the tables are loaded: the watermarks, and the warehouse's own table of them.
    pub async fn tell_how_far(
        &self,
        config: &Config,
        world: &Arc<World>,
        console: &Arc<TreeConsole>,
    ) -> Result<(Watermarks, Option<StatusWriter>), Fault> {
        let Identity { ledger, epoch } = patiently("identity", async || self.opened.identity().await).await?;
        let watermarks = watermarks::start(Arc::clone(world), epoch <= 1);
        let Some(settings) = config.status.clone() else { return Ok((watermarks, None)) };
        let (table, console, world) = (Arc::clone(&self.status), Arc::clone(console), Arc::clone(world));
        Ok((watermarks, Some(Writer { settings, ledger, table, console, world }.start())))
    }

    /// Starts to look at what it costs.
    pub fn look_at_costs(&self, config: &Config, latest: &LatestReport, world: &Arc<World>) -> Costs {
        costs::start(config.cost.clone(), Arc::clone(&self.usage), latest.clone(), Arc::clone(world))
    }

    /// Starts to list the project's load jobs, where they are planned and are to be listed.
    pub fn list_jobs(&self, config: &Config, world: &Arc<World>) -> Option<JobLists> {
        let jobs = self.jobs.as_ref().filter(|_| config.planner.is_some_and(|planner| planner.lists_jobs))?;
        world.quotas?;
        Some(Lister::new(Arc::clone(jobs), Arc::clone(world)).start())
    }

    /// Starts an announcer for each directory.
    pub fn announce(&self, config: &Config) -> Vec<Announcer> {
        let announcers = config.mappings.iter().filter_map(|mapping| {
            let root = match &mapping.source {
                Source::Directory(root) => root.clone(),
                Source::S3 { .. } => return None,
            };
            let queue = self.queues.get(&QueueId(Arc::clone(&mapping.route.cluster)))?;
            let (bucket, clock) = (Arc::clone(&mapping.route.bucket), Arc::clone(&self.ports.clock));
            Some(Announcer::start(bucket, root, Arc::clone(queue), config.timing.rescan_interval, clock))
        });
        announcers.collect()
    }

    /// Looks whether the SQS queues are there and set up as they should be, and tells what is not. Nothing waits for it:
    /// a queue that cannot be reached now is tried on by its poller.
    pub fn look_at_queues(&self) {
        for (id, queue) in &self.sqs {
            let (id, queue) = (id.clone(), Arc::clone(queue));
            tokio::spawn(async move {
                match queue.setup().await {
                    Ok(setup) => events::QueueSeen { queue: &id, receives_max: setup.receives_max }.emit(),
                    Err(fault) => events::QueueCallFailed { queue: &id, call: "setup", fault: &fault }.emit(),
                }
            });
        }
    }
}

/// One warehouse, by what is asked of it.
struct Warehouses {
    warehouse: Arc<dyn Warehouse>,
    lineage: Arc<dyn Lineage>,
    stamps: Arc<dyn Stamps>,
    status: Arc<dyn StatusTable>,
    jobs: Option<Arc<dyn ProjectJobs>>,
}

/// Counts by the tables of the configuration.
fn meter(config: &Config) -> Arc<Meter> {
    let routes = config.mappings.iter().flat_map(|mapping| &mapping.route.tables);
    Meter::new(routes.map(|route| (&route.table, &route.destination)))
}

async fn warehouse(config: &Config, meter: &Arc<Meter>) -> Result<Warehouses, Fault> {
    Ok(match &config.warehouse {
        WarehouseConfig::Lake { path } => {
            let lake = Arc::new(Lake::open(path.clone())?);
            let lineage = Arc::new(LakeAudit::open(path.clone())?);
            let (stamps, status) = (Arc::clone(&lake), Arc::clone(&lake));
            Warehouses { warehouse: lake, lineage, stamps, status, jobs: None }
        }
        WarehouseConfig::BigQuery(settings) => {
            let bigquery = Arc::new(BigQuery::metered(settings, keys(config), meter).await?);
            let asked = BigQuery::metered(settings, Keys::default(), meter).await?;
            let lineage = BigQueryAudit::new(asked, None);
            let (stamps, status) = (Arc::clone(&bigquery), Arc::clone(&bigquery));
            let jobs = Some(Arc::clone(&bigquery) as Arc<dyn ProjectJobs>);
            Warehouses { warehouse: bigquery, lineage: Arc::new(lineage), stamps, status, jobs }
        }
    })
}

/// AWS in one region.
struct AwsRegion {
    sdk: SdkConfig,
    s3: Arc<dyn Bucket>,
}

impl AwsRegion {
    async fn connect(config: &Config, name: Option<String>, meter: &Arc<Meter>) -> Self {
        let sdk = cloud::aws::connect(&config.aws, name.as_deref()).await;
        let spooling =
            Spooling { path: config.spool.path.clone(), threshold_bytes: config.spool.threshold_bytes };
        let s3 = Arc::new(S3Bucket::new(&sdk, config.aws.path_style, spooling).metered(meter));
        Self { sdk, s3 }
    }
}

pub(super) async fn open_ledger(config: &Config, meter: &Arc<Meter>) -> Result<Opened, Fault> {
    Ok(match &config.ledger {
        LedgerConfig::Sqlite { path, .. } => Opened::Sqlite(SqliteLedger::open(path)?),
        LedgerConfig::DynamoDb { table, region } => {
            let sdk = cloud::aws::connect(&config.aws, region.as_deref()).await;
            let open = async || DynamoDbLedger::open_metered(&sdk, table, meter).await;
            Opened::DynamoDb(patiently("open", open).await?)
        }
    })
}

/// A step of the ledger at start, again while the service cannot be heard: a moment's failure ends no process.
pub async fn patiently<T>(step: &'static str, call: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
    let begun = tokio::time::Instant::now();
    loop {
        match call().await {
            Err(fault) if is_passing(fault.kind) && begun.elapsed() < START_PATIENCE => {
                events::LedgerFailed { step, fault: &fault }.emit();
                tokio::time::sleep(START_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

pub(super) fn is_passing(kind: FaultKind) -> bool {
    [FaultKind::Unavailable, FaultKind::Throttled, FaultKind::QuotaExceeded].contains(&kind)
}

/// Two processes that share a ledger do not share a spool: each empties it at its start.
fn spool_lock(config: &Config) -> Result<Option<File>, Fault> {
    match &config.ledger {
        LedgerConfig::Sqlite { .. } => return Ok(None),
        LedgerConfig::DynamoDb { .. } => {}
    }
    let spool = &config.spool.path;
    let shown = spool.display();
    let cannot = |error| Fault::from_io(format!("cannot lock the spool {shown}"), error);
    std::fs::create_dir_all(spool).map_err(cannot)?;
    let file = File::options().create(true).truncate(false).write(true).open(spool.join(SPOOL_LOCK));
    let file = file.map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let text = format!("another process has the spool {shown}: give each its own `spool.path`");
            Err(Fault::new(FaultKind::AccessDenied, text))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// The keys of all tables, by destination.
fn keys(config: &Config) -> Keys {
    let tables = config.mappings.iter().flat_map(|mapping| mapping.route.tables.iter().zip(&mapping.tables));
    tables
        .map(|(route, settings)| {
            let destination = &route.destination;
            ((Arc::clone(&destination.dataset), Arc::clone(&destination.table)), settings.destination_key())
        })
        .collect()
}

/// Removes what an earlier process left in the spool.
fn empty(spool: &Path) -> Result<(), Fault> {
    let cannot = |error| Fault::from_io(format!("cannot prepare the spool {}", spool.display()), error);
    std::fs::create_dir_all(spool).map_err(cannot)?;
    for entry in std::fs::read_dir(spool).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if SPOOL_FILES.iter().any(|prefix| name.starts_with(prefix)) {
            std::fs::remove_file(entry.path()).map_err(cannot)?;
        }
    }
    Ok(())
}
