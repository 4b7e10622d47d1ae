//! The stand-ins, started once for all tests, and a world of one test's own buckets, queues and datasets in them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_credential_types::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use landbridge::demo::rows::{Column, Layout, Slice, Values, rows};
use landbridge::demo::writer::{Codec, write};
use landbridge::domain::instant::Instant;
use serde_json::Value;

/// The project of all tests; datasets keep them apart.
pub const PROJECT: &str = "test-project";
/// The columns of every table of these tests, before DMS's own.
const COLUMNS: [Column; 7] = [
    Column { name: "id", values: Values::Number, nulls: 0 },
    Column { name: "user_id", values: Values::User, nulls: 0 },
    Column { name: "amount", values: Values::Money(23, 4, 500_000_000), nulls: 10 },
    Column { name: "note", values: Values::OneOf(&["", "x", "€ñ"]), nulls: 30 },
    Column { name: "token", values: Values::Token, nulls: 10 },
    Column { name: "day", values: Values::Day, nulls: 5 },
    Column { name: "at", values: Values::At, nulls: 0 },
];
/// What a later file may have besides.
pub const ADDED: Column = Column { name: "added", values: Values::Double, nulls: 20 };

static WORLDS: AtomicU64 = AtomicU64::new(0);
static OBJECTS: AtomicU64 = AtomicU64::new(0);

/// The stand-ins' addresses.
#[derive(Debug)]
pub struct Emulators {
    pub aws: String,
    pub bigquery: String,
    pub python: PathBuf,
    /// The Storage Write API, over gRPC.
    pub storage: String,
    /// Where a test writes its address to be asked at each call to a stream.
    pub gates: PathBuf,
    /// They end when its standard input does.
    _process: Child,
}

impl Emulators {
    /// Starts them, unless that was done.
    pub fn get() -> &'static Self {
        static EMULATORS: OnceLock<Emulators> = OnceLock::new();
        EMULATORS.get_or_init(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators/serve.py");
            let mut process = Command::new("python3")
                .arg(script)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("the stand-ins of the clouds need python3");
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let places: Value = serde_json::from_str(&line).expect("the stand-ins did not start; see above");
            let place = |name: &str| places[name].as_str().unwrap().to_owned();
            let (aws, bigquery, python) = (place("aws"), place("bigquery"), place("python").into());
            let (storage, gates) = (place("storage"), place("gates").into());
            Self { aws, bigquery, python, storage, gates, _process: process }
        })
    }

    /// How the clients of AWS reach it.
    pub async fn aws_config(&self) -> aws_config::SdkConfig {
        landbridge::cloud::install_crypto();
        aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&self.aws)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .load()
            .await
    }
}

/// Buckets, queues, and a folder for landbridge. The names are this test's alone.
pub struct World {
    pub name: String,
    pub folder: tempfile::TempDir,
    pub s3: aws_sdk_s3::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub clusters: Vec<Cluster>,
    /// BigQuery's address: the stand-in's, or that of a proxy before it.
    pub bigquery: String,
    /// Rows go by streams.
    pub streamed: bool,
}

pub struct Cluster {
    pub name: String,
    pub bucket: String,
    pub queue: String,
    pub dataset: String,
    pub tables: Vec<String>,
}

impl World {
    /// So many clusters, each with its bucket, its queue, and tables named `t0`, `t1`, …
    pub async fn new(clusters: usize, tables: usize) -> Self {
        let emulators = Emulators::get();
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("w{}x{number}", std::process::id());
        let config = emulators.aws_config().await;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(&config),
            clusters: Vec::new(),
            bigquery: emulators.bigquery.clone(),
            streamed: false,
            name,
        };
        for cluster in 0..clusters {
            let name = format!("{}-c{cluster}", world.name);
            let tables = (0..tables).map(|table| format!("t{table}")).collect();
            let cluster = world.cluster(name, tables).await;
            world.clusters.push(cluster);
        }
        world
    }

    async fn cluster(&self, name: String, tables: Vec<String>) -> Cluster {
        let bucket = format!("b-{name}");
        self.s3.create_bucket().bucket(&bucket).send().await.unwrap();
        let queue = self.sqs.create_queue().queue_name(format!("q-{name}")).send().await.unwrap();
        let queue = queue.queue_url.unwrap();
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:q-{name}");
        let to_queue =
            QueueConfiguration::builder().queue_arn(arn).events(Event::S3ObjectCreated).build().unwrap();
        self.s3
            .put_bucket_notification_configuration()
            .bucket(&bucket)
            .notification_configuration(
                NotificationConfiguration::builder().queue_configurations(to_queue).build(),
            )
            .send()
            .await
            .unwrap();
        let dataset = name.replace('-', "_");
        Cluster { name, bucket, queue, dataset, tables }
    }

    /// Writes the configuration; `extra` sections stand before the mappings.
    pub fn configure(&self, extra: &str) -> PathBuf {
        // The folder outlives the processes of a test.
        let ledger = if extra.contains("[ledger]") { "" } else { "[ledger]\nvolume = \"durable\"\n" };
        let mut text = format!(
            "[warehouse]\nkind = \"bigquery\"\nproject = \"{PROJECT}\"\nlocation = \"US\"\ncredentials = \"anonymous\"\n\
             endpoint = \"{}\"\nstorage_endpoint = \"{}\"\n[aws]\nregion = \"us-east-1\"\nendpoint = \"{}\"\npath_style = \"always\"\n{ledger}{extra}\n",
            self.bigquery,
            Emulators::get().storage,
            Emulators::get().aws
        );
        for cluster in &self.clusters {
            let Cluster { name, bucket, queue, dataset, tables } = cluster;
            text.push_str(&format!(
                "[[mapping]]\ncluster = \"{name}\"\nsource = \"s3://{bucket}/dms/\"\nqueue = \"{queue}\"\ndataset = \"{dataset}\"\n\
                 [mapping.dms]\ntimestamp = \"dms_timestamp\"\nsequence = \"dms_change_seq\"\n"
            ));
            for table in tables {
                text.push_str(&format!("[[mapping.table]]\nname = \"casino.{table}\"\nkey = [\"id\"]\n"));
                if self.streamed {
                    text.push_str("delivery = \"storage_write\"\n");
                }
            }
        }
        let path = self.folder.path().join("landbridge.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A DMS file's bytes: `count` rows, no two files alike.
    pub fn file(&self, count: usize, more: &[Column]) -> Vec<u8> {
        let number = OBJECTS.fetch_add(1, Ordering::Relaxed);
        let columns: Vec<_> = COLUMNS.iter().chain(more).copied().collect();
        let slice = Slice {
            first: number * 1_000_000,
            rows: count,
            commit: Instant::from_micros(1_763_856_000_000_000),
            step_micros: 1_000,
            seed: number,
        };
        let path = self.folder.path().join(format!("object-{number}"));
        write(&path, &rows(&columns, Layout::Changes, slice).unwrap(), Codec::Gzip).unwrap();
        std::fs::read(path).unwrap()
    }

    /// The key of a new change file.
    pub fn key(&self, table: &str) -> String {
        let number = OBJECTS.fetch_add(1, Ordering::Relaxed);
        format!("dms/casino/{table}/20251123-{number:09}.parquet")
    }

    /// Puts bytes; S3 announces them. Answers the ETag.
    pub async fn put_bytes(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> String {
        let put = self.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(bytes));
        put.send().await.unwrap().e_tag.unwrap().trim_matches('"').to_owned()
    }

    /// Puts a file of `count` rows of a table. Answers the key.
    pub async fn put(&self, cluster: &Cluster, table: &str, count: usize) -> String {
        let key = self.key(table);
        self.put_bytes(&cluster.bucket, &key, self.file(count, &[])).await;
        key
    }

    /// Compares S3 with BigQuery. Answers the script's verdict, and whether all is equal.
    pub fn compare(&self, without: &[&str], arguments: &[&str]) -> (bool, Value) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators/check.py");
        let emulators = Emulators::get();
        let mut command = Command::new(&emulators.python);
        command.arg(script).args(["--s3", &emulators.aws, "--bigquery", &emulators.bigquery]);
        command.args(["--project", PROJECT]).args(arguments);
        for key in without {
            command.args(["--not", key]);
        }
        for cluster in &self.clusters {
            for table in &cluster.tables {
                let Cluster { bucket, dataset, .. } = cluster;
                command.arg(format!("{bucket}/dms/casino/{table}/={dataset}.{table}"));
            }
        }
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() != Some(2), "{errors}");
        let verdict = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
        (output.status.success(), verdict)
    }

    /// Every row of every object is in BigQuery once, with equal values; answers the number of rows.
    pub fn must_be_equal(&self, without: &[&str]) -> u64 {
        let dms = ["--timestamp", "dms_timestamp", "--sequence", "dms_change_seq"];
        let (equal, verdict) = self.compare(without, &dms);
        assert!(equal, "{verdict:#}");
        verdict["rows"].as_u64().unwrap()
    }

    /// Runs a statement in BigQuery, by its own REST call. Answers the rows.
    pub async fn query(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        let url = format!("{}/bigquery/v2/projects/{PROJECT}/queries", Emulators::get().bigquery);
        let body = serde_json::json!({"query": statement, "useLegacySql": false, "timeoutMs": 30_000});
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{statement}: {}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        let cells = |row: &Value| {
            let cells = row["f"].as_array().unwrap();
            cells.iter().map(|cell| cell["v"].as_str().map(str::to_owned)).collect()
        };
        rows.iter().map(cells).collect()
    }

    /// Rows in all tables of all clusters; none in those that do not exist yet.
    pub async fn loaded_rows(&self) -> u64 {
        let mut rows = 0;
        for cluster in &self.clusters {
            for table in &cluster.tables {
                let there = format!(
                    "{}/bigquery/v2/projects/{PROJECT}/datasets/{}/tables/{table}",
                    Emulators::get().bigquery,
                    cluster.dataset
                );
                if reqwest::get(there).await.unwrap().status().is_success() {
                    let count = format!("SELECT count(*) FROM `{PROJECT}.{}.{table}`", cluster.dataset);
                    rows += self.query(&count).await[0][0].as_ref().unwrap().parse::<u64>().unwrap();
                }
            }
        }
        rows
    }

    /// The bucket keeps every version from now on.
    pub async fn keep_versions(&self, cluster: &Cluster) {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.s3.put_bucket_versioning().bucket(&cluster.bucket).versioning_configuration(enabled);
        put.send().await.unwrap();
    }

    /// The bucket no longer announces: the test does.
    pub async fn announce_nothing(&self, cluster: &Cluster) {
        let nothing = NotificationConfiguration::builder().build();
        let put = self.s3.put_bucket_notification_configuration().bucket(&cluster.bucket);
        put.notification_configuration(nothing).send().await.unwrap();
        self.sqs.purge_queue().queue_url(&cluster.queue).send().await.unwrap();
    }

    /// Messages that the queue holds, visible or not.
    pub async fn waiting(&self, cluster: &Cluster) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName::All;
        let get = self.sqs.get_queue_attributes().queue_url(&cluster.queue).attribute_names(All);
        let attributes = get.send().await.unwrap().attributes.unwrap();
        let counts = attributes.iter().filter(|(name, _)| {
            matches!(name.as_str(), "ApproximateNumberOfMessages" | "ApproximateNumberOfMessagesNotVisible")
        });
        counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum()
    }
}
