//! The configuration as the rest of landbridge uses it: validated, with defaults filled in and paths made absolute
//! against the folder of the file that names them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::secret::Secret;
use crate::domain::cost::Prices;
use crate::domain::cost::budget::OnBudget;
use crate::domain::route::SourceRoute;
use crate::domain::signature::SigningKey;
use crate::domain::treatment::{Fallback, MaskKey};

mod table;

pub use table::{ColumnSettings, TableSettings};

/// Everything that `landbridge run` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[http]`
    pub http: Http,
    /// `[log]`
    pub log: Log,
    /// `[ledger]`
    pub ledger: Ledger,
    /// `[ledger] horizon`: how long a loaded file is remembered.
    pub horizon: Duration,
    /// `[warehouse]`
    pub warehouse: Warehouse,
    /// `[warehouse] datetimes`: what a DATETIME is carried as.
    pub datetimes: Fallback,
    /// `[warehouse] times`: what a TIME is carried as.
    pub times: Fallback,
    /// `[warehouse] json`: what JSON is carried as where a table's rows go by streams.
    pub json: Fallback,
    /// `[masking]`: the key of columns that are hashed.
    pub mask_key: Option<MaskKey>,
    /// `[aws]`
    pub aws: Aws,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[receiver.NAME]`: who is told of loaded batches.
    pub receivers: Vec<Receiver>,
    /// `[notify] give_up_after`: a notice that is older is told nobody any more.
    pub give_up_after: Duration,
    /// `[spool]`
    pub spool: Spool,
    /// `[batching]`
    pub batching: Batching,
    /// `[planner]`; none where windows are fixed.
    pub planner: Option<Planner>,
    /// `[status]`; none where no table of the tables' status is written.
    pub status: Option<StatusTable>,
    /// `[cost]`
    pub cost: Cost,
    /// `[limits]`
    pub limits: Limits,
    /// `[timing]`
    pub timing: Timing,
    /// The mapping files and `[[mapping]]` sections, one per cluster.
    pub mappings: Vec<Mapping>,
}

/// Where health, metrics, the status page and the admin API are served.
#[derive(Clone, Debug)]
pub struct Http {
    /// Address and port; `None` (`listen = "off"`) serves nothing.
    pub listen: Option<SocketAddr>,
    /// SHA-256 of the admin token, in lower-case hexadecimal digits; there where `listen` is not loopback.
    pub admin_token_sha256: Option<String>,
}

/// How the log is written, to standard error.
#[derive(Clone, Debug)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// Level filter, as `tracing_subscriber::EnvFilter` reads it.
    pub filter: String,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The ledger.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// One file, for one process.
    Sqlite {
        /// The file. Its folder must be on a durable volume.
        path: PathBuf,
        /// It is said to be.
        is_declared_durable: bool,
    },
    /// One table, for several processes.
    DynamoDb {
        /// Its name.
        table: String,
        /// Its region; else that of `aws.region`, the environment, the profile, the machine.
        region: Option<String>,
    },
}

/// The warehouse.
#[derive(Clone, Debug)]
pub enum Warehouse {
    /// Parquet files in a directory.
    Lake {
        /// The directory.
        path: PathBuf,
    },
    /// Google BigQuery.
    BigQuery(BigQuery),
}

/// How BigQuery is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BigQuery {
    /// The project whose datasets are loaded and in which the jobs run.
    pub project: Arc<str>,
    /// The location of its datasets (`EU`, `asia-northeast3`); sent with every call.
    pub location: Arc<str>,
    /// Scheme and host, without a slash at its end.
    pub endpoint: String,
    /// The same of the Storage Write API.
    pub storage_endpoint: String,
    /// Who landbridge is there.
    pub credentials: GoogleCredentials,
}

/// Who landbridge is at Google.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleCredentials {
    /// Application default credentials.
    Default,
    /// A service account's key file.
    File(PathBuf),
    /// Nobody: for a stand-in on `http://`.
    Anonymous,
}

/// How S3 and SQS are reached. Who landbridge is there comes from AWS's default credential chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aws {
    /// Region; `None` takes the environment's or the profile's.
    pub region: Option<String>,
    /// Another endpoint for both services.
    pub endpoint: Option<String>,
    /// The bucket's name in the path instead of the host name.
    pub path_style: bool,
}

/// Who is told when a person must act.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// A Slack-compatible webhook. Whoever knows the address may write there, so it is a secret.
    pub webhook_url: Option<Secret>,
}

/// Who is told of loaded batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, in mappings, metrics and the log.
    pub name: Arc<str>,
    /// How it is reached.
    pub way: Way,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A POST, signed.
    Webhook {
        /// Where to. It may have a secret in it.
        url: Secret,
        /// What it is signed with: one key, or two while they change.
        keys: Vec<SigningKey>,
    },
    /// A topic of Amazon SNS.
    Sns {
        /// Its ARN.
        topic: Arc<str>,
        /// The region of the ARN.
        region: Arc<str>,
    },
    /// A topic of Google Pub/Sub.
    PubSub {
        /// `projects/PROJECT/topics/TOPIC`.
        topic: Arc<str>,
        /// Scheme and host, without a slash at its end, where it is not Google's.
        endpoint: Option<String>,
    },
}

/// Where bodies are built before they are loaded.
#[derive(Clone, Debug)]
pub struct Spool {
    /// The directory. Emptied at start. With a lake, on the lake's file system.
    pub path: PathBuf,
    /// The most bytes that bodies may occupy at one time.
    pub limit_bytes: u64,
    /// Objects larger than this go to disk when they are fetched.
    pub threshold_bytes: u64,
    /// The most bytes that such objects may occupy at one time.
    pub objects_limit_bytes: u64,
}

/// When a table's window closes.
#[derive(Clone, Debug)]
pub struct Batching {
    /// Age of its first file.
    pub window: Duration,
    /// Bytes of its files.
    pub bytes_max: u64,
    /// Number of its files, at most `FILES_PER_BATCH_MAX`.
    pub files_max: usize,
    /// Column chunks of at least this many bytes, on the mean, are copied as they are compressed.
    pub copied_bytes_min: u64,
}

/// How windows are planned.
#[derive(Clone, Copy, Debug)]
pub struct Planner {
    /// No window is open longer.
    pub max_staleness: Duration,
    /// Load jobs of the project in 24 hours.
    pub jobs_per_day: u64,
    /// The project's load jobs are listed, to count those of others.
    pub lists_jobs: bool,
}

/// The table of the tables' status.
#[derive(Clone, Debug)]
pub struct StatusTable {
    /// Its dataset.
    pub dataset: Arc<str>,
    /// How often it is written.
    pub every: Duration,
}

/// What it costs.
#[derive(Clone, Debug)]
pub struct Cost {
    /// What a month may cost, in US dollars, where somebody has said so.
    pub budget_usd_month: Option<f64>,
    /// What is done when it is going to cost more.
    pub on_budget: OnBudget,
    /// What things cost.
    pub prices: Prices,
}

/// Bounds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Memory that fetched, not yet loaded objects may occupy.
    pub memory_credit_bytes: u64,
    /// Fetcher actors.
    pub fetchers: usize,
    /// Objects that one fetcher opens at one time.
    pub fetches_per_fetcher: usize,
    /// Batches in flight over all tables.
    pub loads_in_flight: usize,
    /// Batches in flight of one table.
    pub loads_per_table: usize,
    /// Messages of one queue that are held at one time.
    pub held_messages_per_queue: usize,
    /// Files of one queue that wait for a table that does not run, before they are deferred.
    pub parked_files_per_queue: usize,
    /// Files of one table in hand at one time; more are parked.
    pub files_per_table: usize,
    /// Loaded files that are remembered in memory.
    pub loaded_front_files: usize,
}

/// Waits and deadlines.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long a received message stays invisible; extended at half of it.
    pub visibility_timeout: Duration,
    /// How long a file may be held unclaimed before it is deferred.
    pub defer_after: Duration,
    /// How long the drain after SIGTERM may take.
    pub drain_timeout: Duration,
    /// How often a directory is listed in addition to being watched.
    pub rescan_interval: Duration,
    /// How long the warehouse is asked about one attempt before the batch is fenced.
    pub job_timeout: Duration,
}

/// One cluster: where its files are, how its tables are named, where they go.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// What the router needs: cluster, bucket, prefix, tables.
    pub route: SourceRoute,
    /// Where the objects are.
    pub source: Source,
    /// The names of DMS's own columns.
    pub dms: DmsColumns,
    /// More of each table, in the order of `route.tables`.
    pub tables: Vec<TableSettings>,
}

/// Where the objects of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory of this machine, watched; announced on a queue in process.
    Directory(PathBuf),
    /// A bucket (named by the route), announced on an SQS queue.
    S3 {
        /// The queue's URL.
        queue: Arc<str>,
    },
}

/// The names that the DMS task was told to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmsColumns {
    /// The operation column; DMS always calls it `Op`.
    pub op: Arc<str>,
    /// `TimestampColumnName`.
    pub timestamp: Option<Arc<str>>,
    /// The column made of `$AR_H_CHANGE_SEQ`.
    pub sequence: Option<Arc<str>>,
    /// `LobMaxSize`, in bytes.
    pub lob_max_bytes: Option<u32>,
}
