use std::fs;
use std::path::Path;
use std::time::Duration;

use super::types::{Config, Ledger};
use super::*;
use crate::domain::route::Unmapped;
use crate::domain::shape::Policy;

mod columns;
mod planner;
mod receivers;
mod status;

/// A folder with a source directory `in`, and what is written into `landbridge.toml`.
struct Place(tempfile::TempDir);

const MAPPING: &str =
    "[[mapping]]\ncluster = \"a\"\nsource = \"in\"\ndataset = \"d\"\n[[mapping.table]]\nname = \"s.t\"\n";

impl Place {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::write(folder.path().join("landbridge.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&self.path().join("landbridge.toml"), environment)
    }

    /// All errors as text, with the folder's name taken out.
    fn errors(&self, environment: &[(&str, &str)]) -> String {
        let folder = format!("{}/", self.path().display());
        self.load(environment).unwrap_err().to_string().replace(&folder, "")
    }
}

#[test]
fn the_least_that_works_has_the_documented_defaults() {
    let place = Place::new(MAPPING);
    let config = place.load(&[]).unwrap();
    assert_eq!(config.batching.window, Duration::from_secs(60));
    assert_eq!(config.limits.memory_credit_bytes, 128 << 20);
    match &config.ledger {
        Ledger::Sqlite { path, .. } => assert_eq!(*path, place.path().join("state/ledger.db")),
        Ledger::DynamoDb { .. } => panic!("{:?}", config.ledger),
    }
    assert_eq!(config.spool.path, place.path().join("lake/.spool"));
    assert_eq!(config.http.listen.unwrap().to_string(), "127.0.0.1:9464");
    let route = &config.mappings[0].route;
    assert_eq!(
        (&*route.cluster, &*route.tables[0].destination.table, route.unmapped),
        ("a", "t", Unmapped::Defer)
    );
    assert_eq!(&*config.mappings[0].dms.op, "Op");
    assert_eq!(config.mappings[0].tables[0].schema_changes, Policy::Evolve);
    assert!(config.mappings[0].tables[0].typed_view);
}

#[test]
fn mapping_files_and_the_environment_are_read() {
    let place = Place::new("tables = \"tables/*.toml\"\n[batching]\nwindow = \"90s\"\n");
    fs::create_dir(place.path().join("tables")).unwrap();
    fs::create_dir(place.path().join("other")).unwrap();
    let mapping = "cluster = \"game-a\"\nsource = \"../in\"\ndataset = \"d\"\nunmapped = \"ignore\"\nschema_changes = \"freeze\"\ntyped_view = false\n[dms]\ntimestamp = \"ts\"\n[[table]]\nname = \"s.t\"\nas = \"u\"\nwindow = \"5s\"\ninstants = [\"at\"]\n[[table]]\nname = \"s.v\"\nschema_changes = \"evolve\"\ntyped_view = true\n";
    fs::write(place.path().join("tables/game-a.toml"), mapping).unwrap();
    let other = place.path().join("other").display().to_string();
    let overrides = [
        ("LANDBRIDGE__LIMITS__FETCHERS", "7"),
        ("LANDBRIDGE__HTTP__LISTEN", "off"),
        ("LANDBRIDGE__MAPPING__GAME_A__SOURCE", &other),
    ];
    let config = place.load(&overrides).unwrap();
    assert_eq!((config.limits.fetchers, config.http.listen), (7, None));
    assert_eq!(config.batching.window, Duration::from_secs(90));
    let mapping = &config.mappings[0];
    assert_eq!(mapping.source, types::Source::Directory(other.into()));
    assert_eq!(&*mapping.route.tables[0].destination.table, "u");
    assert_eq!(mapping.tables[0].window, Some(Duration::from_secs(5)));
    let policies: Vec<_> = mapping.tables.iter().map(|table| table.schema_changes).collect();
    assert_eq!(policies, [Policy::Freeze, Policy::Evolve]);
    assert_eq!(mapping.tables.iter().map(|table| table.typed_view).collect::<Vec<_>>(), [false, true]);
}

/// A broken configuration, and what must stand in the message.
fn check(text: &str, expected: &[&str]) {
    let errors = Place::new(text).errors(&[]);
    for part in expected {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
}

#[test]
fn broken_configurations_name_the_place_and_the_remedy() {
    let with = |head: &str| format!("{head}\n{MAPPING}");
    check("[batching\nwindow = 1", &["landbridge.toml:1:10: syntax:", "expected TOML"]);
    check(
        &with("[limits]\nmemory_credti = \"64MiB\""),
        &[
            "landbridge.toml:2:1: limits.memory_credti: unknown key",
            "expected one of: memory_credit",
            "did you mean `memory_credit`?",
        ],
    );
    check(
        &with("[limts]\nfetchers = 1"),
        &["landbridge.toml:1:2: limts: unknown key", "did you mean `limits`?"],
    );
    check(
        &with("[batching]\nwindow = 60"),
        &[
            "landbridge.toml:2:1: batching.window: 60 is not what is expected",
            "expected duration, 1s to 1h, written as \"60s\"",
        ],
    );
    check(
        &with("[batching]\nbytes = \"1000000\""),
        &["batching.bytes: \"1000000\" has no unit", "written as \"64MiB\""],
    );
    check(
        &with("[batching]\nfiles = 100"),
        &["landbridge.toml:2:1: batching.files: 100 is out of range", "number, 1 to 90"],
    );
    check(&with("[http]\nlisten = \"9464\""), &["http.listen: \"9464\" is not", "`address:port` or `off`"]);
    check(
        &with("[warehouse]\nkind = \"snowflake\""),
        &["warehouse.kind: \"snowflake\" is not", "`\"lake\"` or `\"bigquery\"`"],
    );
}

#[test]
fn what_bigquery_needs_is_told() {
    let with = |lines: &str| format!("[warehouse]\nkind = \"bigquery\"\n{lines}\n{MAPPING}");
    let whole = "project = \"p\"\nlocation = \"EU\"";
    check(
        &with(""),
        &[
            "landbridge.toml:1:2: warehouse.project: BigQuery needs a project",
            "landbridge.toml:1:2: warehouse.location: BigQuery needs a location",
        ],
    );
    check(
        &with("project = \"p/../q\"\nlocation = \"EU\""),
        &["landbridge.toml:3:1: warehouse.project: \"p/../q\" cannot be a project"],
    );
    check(
        &with(&format!("{whole}\nendpoint = \"bigquery.googleapis.com\"")),
        &["warehouse.endpoint: \"bigquery.googleapis.com\" is no address", "`https://`"],
    );
    check(
        &with(&format!("{whole}\nendpoint = \"http://localhost:1\"")),
        &["warehouse.endpoint: the credentials would travel in clear"],
    );
    check(
        &with(&format!("{whole}\ncredentials = \"anonymous\"")),
        &["landbridge.toml:5:1: warehouse.credentials: nobody is let in without credentials"],
    );
    check(
        &with(&format!("{whole}\ncredentials = \"key.json\"")),
        &["warehouse.credentials: key.json is not a file", "a service account's key file"],
    );
    let config = Place::new(&with(whole)).load(&[]).unwrap();
    let destination = &config.mappings[0].route.tables[0].destination;
    assert_eq!((&*destination.project, &*destination.location), ("p", "EU"));
    assert!(config.spool.path.ends_with("state/spool"));
}

#[test]
fn buckets_and_queues_are_read_and_checked() {
    let mapping = |source: &str, queue: &str| {
        MAPPING.replace("source = \"in\"", &format!("source = \"{source}\"\nqueue = \"{queue}\""))
    };
    let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/cdc";
    let text = mapping("s3://game-a-cdc/dms", queue);
    check(
        &text,
        &[
            "ledger.volume: files are loaded from S3",
            "`volume = \"durable\"` once it is",
            "`kind = \"dynamodb\"`",
        ],
    );
    let shared = text.clone() + "[ledger]\nkind = \"dynamodb\"\n";
    Place::new(&shared).load(&[]).unwrap();
    check(&(shared + "volume = \"durable\"\n"), &["a ledger of the kind `dynamodb` has no volume"]);
    let durable = ("LANDBRIDGE__LEDGER__VOLUME", "durable");
    let place = Place::new(&mapping("s3://game-a-cdc/dms", queue));
    let one = place.load(&[durable]).unwrap().mappings.remove(0);
    assert_eq!(one.source, types::Source::S3 { queue: queue.into() });
    assert_eq!((&*one.route.bucket, &*one.route.prefix), ("game-a-cdc", "dms/"));
    let other = "http://127.0.0.1:1/0/q";
    let overrides =
        [durable, ("LANDBRIDGE__MAPPING__A__SOURCE", "s3://abc"), ("LANDBRIDGE__MAPPING__A__QUEUE", other)];
    let one = place.load(&overrides).unwrap().mappings.remove(0);
    assert_eq!(one.source, types::Source::S3 { queue: other.into() });
    assert_eq!((&*one.route.bucket, &*one.route.prefix), ("abc", ""));
    check(
        &mapping("s3://B_1/dms/", queue),
        &["landbridge.toml:3:1: source: \"B_1\" cannot be the name of a bucket"],
    );
    check(
        &MAPPING.replace("\"in\"", "\"s3://abc/dms/\""),
        &["queue: an s3:// source needs the queue that announces it", "https://sqs.REGION.amazonaws.com"],
    );
    check(&mapping("s3://abc/", "my-queue"), &["landbridge.toml:4:1: queue: \"my-queue\" is no queue URL"]);
    check(
        &mapping("s3://abc/", &format!("{queue}.fifo")),
        &["is a FIFO queue, which S3 does not announce to"],
    );
    let two = mapping("s3://abc/dms/", queue) + &mapping("s3://abc/dms/x/", queue).replace("\"a\"", "\"b\"");
    check(&two, &["s3://abc/dms/x/ and s3://abc/dms/ lie within each other"]);
}

#[test]
fn the_webhook_is_never_shown() {
    let place = Place::new(MAPPING);
    let url = "https://hooks.example.com/hunter2";
    let config = place.load(&[("LANDBRIDGE__ALERTS__WEBHOOK_URL", url)]).unwrap();
    assert_eq!(config.alerts.webhook_url.as_ref().unwrap().expose(), url);
    assert!(!format!("{config:?}").contains("hunter2"));
    let errors = Place::new(&format!("[alerts]\nwebhook_url = 12345678\n{MAPPING}")).errors(&[]);
    assert!(errors.contains("alerts.webhook_url") && !errors.contains("12345678"), "{errors}");
}

#[test]
fn broken_mappings_name_the_place_and_the_remedy() {
    let with = |head: &str| format!("{head}\n{MAPPING}");
    check("", &["mapping: no table is mapped", "[[mapping]]"]);
    check(
        &MAPPING.replace("\"in\"", "\"out\""),
        &["landbridge.toml:3:1: source: ", "out is not a directory", "create it"],
    );
    check(
        &MAPPING.replace("\"in\"", "\"gs://b/dms/\""),
        &["source: landbridge does not read gs:// sources", "expected `\"s3://BUCKET/PREFIX/\"`"],
    );
    check(
        &MAPPING.replace("s.t", "t"),
        &["landbridge.toml:6:1: table.name: \"t\" names no schema", "`schema.table`"],
    );
    check(
        &MAPPING.replace("dataset", "datset"),
        &["no `dataset`", "datset: unknown key", "did you mean `dataset`?"],
    );
    check(
        &MAPPING.replace("\"d\"", "\"d-1\""),
        &["dataset: \"d-1\" cannot be a name in the warehouse", "letters, digits and `_`"],
    );
    check(
        &MAPPING.replace("name =", "key = \"id\"\nname ="),
        &["landbridge.toml:6:1: table.key: the value is no list", "`[\"id\"]`"],
    );
    check(
        &format!("{MAPPING}[[mapping.table]]\nname = \"s2.T\"\n"),
        &["landbridge.toml:8:1: table.name: a/s2.T and a/s.t go to one table, d.T", "another `as`"],
    );
    check(&format!("{MAPPING}{MAPPING}"), &["cluster: the cluster \"a\" is mapped twice", "source: "]);
    check(
        &with("[warehouse]\npath = \"in/lake\""),
        &["warehouse.path", "lies within the source", "read what it writes"],
    );
    check(
        &with("[timing]\ndefer_after = \"30s\""),
        &["timing.defer_after: files would be deferred before the longest window (1m)"],
    );
    check(
        &MAPPING.replace("[[mapping.table]]", "unmapped = \"defre\"\n[[mapping.table]]"),
        &["unmapped: \"defre\" is no choice", "did you mean `defer`?"],
    );
    for broken in [
        MAPPING.replace("[[mapping.table]]", "schema_changes = \"freze\"\n[[mapping.table]]"),
        MAPPING.replace("name =", "schema_changes = \"freze\"\nname ="),
    ] {
        check(&broken, &["schema_changes: \"freze\" is no choice", "`\"evolve\"`", "did you mean `freeze`?"]);
    }
    check(
        &MAPPING.replace("[[mapping.table]]", "queue = \"https://sqs/q\"\n[[mapping.table]]"),
        &["queue: \"https://sqs/q\" cannot announce a directory"],
    );
}

#[test]
fn all_errors_are_told_at_once() {
    let errors =
        Place::new(&format!("[batching]\nwindow = 1\nfiles = 0\n[log]\nformat = \"xml\"\n{MAPPING}"))
            .errors(&[]);
    assert!(errors.ends_with("3 errors in the configuration"), "{errors}");
}

#[test]
fn an_unknown_override_is_an_error_and_never_shows_its_value() {
    let place = Place::new(MAPPING);
    let errors =
        place.errors(&[("LANDBRIDGE__BATCHING__WINDWO", "hunter2"), ("LANDBRIDGE__HTTP__TOKEN", "hunter2")]);
    assert!(errors.contains("environment variable LANDBRIDGE__BATCHING__WINDWO"), "{errors}");
    assert!(errors.contains("did you mean `LANDBRIDGE__BATCHING__WINDOW`?"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
    let errors = place.errors(&[("LANDBRIDGE__BATCHING__WINDOW", "soon")]);
    assert!(
        errors.contains("environment variable LANDBRIDGE__BATCHING__WINDOW: batching.window"),
        "{errors}"
    );
}

#[test]
fn the_file_itself_may_be_missing() {
    let errors = load(Path::new("/nowhere/landbridge.toml"), []).unwrap_err().to_string();
    assert!(errors.contains("/nowhere/landbridge.toml:1:1: file: cannot be read"), "{errors}");
}

#[test]
fn the_examples_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = load(&root.join("config/local.toml"), []).unwrap();
    assert_eq!(config.mappings[0].route.tables.len(), 1);
    let place = Place::new(&crate::demo::world::config(5));
    for cluster in crate::demo::world::CLUSTERS {
        fs::create_dir_all(place.path().join("bucket").join(cluster)).unwrap();
    }
    assert_eq!(
        place.load(&[]).unwrap().mappings.iter().map(|mapping| mapping.tables.len()).sum::<usize>(),
        70
    );
}

#[test]
fn an_address_that_others_reach_needs_a_token_and_a_token_is_never_repeated() {
    let place = Place::new(&format!("[http]\nlisten = \"0.0.0.0:9464\"\n{MAPPING}"));
    let errors = place.errors(&[]);
    assert!(errors.contains("landbridge.toml:2:1: http.listen: 0.0.0.0:9464 can be reached"), "{errors}");
    assert!(errors.contains("`landbridge token` prints") && errors.contains("1 error"), "{errors}");
    let digest = "AB".repeat(32);
    let token = [("LANDBRIDGE__HTTP__ADMIN_TOKEN_SHA256", digest.as_str())];
    let config = place.load(&token).unwrap();
    assert_eq!(config.http.admin_token_sha256.unwrap(), "ab".repeat(32));
    // Someone gave the token where its hash belongs.
    let errors = place.errors(&[("LANDBRIDGE__HTTP__ADMIN_TOKEN_SHA256", "hunter2")]);
    assert!(errors.contains("64 hexadecimal digits") && errors.contains("1 error"), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
    let place = Place::new(MAPPING);
    let errors = place.errors(&[("LANDBRIDGE__HTTP__LISTEN", "[::]:80")]);
    assert!(errors.contains("environment variable LANDBRIDGE__HTTP__LISTEN: http.listen"), "{errors}");
    for loopback in ["127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "off"] {
        place.load(&[("LANDBRIDGE__HTTP__LISTEN", loopback)]).unwrap();
    }
}

#[test]
fn a_key_without_a_letter_is_shown() {
    let told = Place::new(&format!("'' = 1\n{MAPPING}")).errors(&[]);
    assert!(told.contains("\"\""), "{told}");
}

#[test]
fn a_table_with_the_name_of_anothers_view_is_refused_and_both_are_named() {
    let other = format!("{MAPPING}[[mapping.table]]\nname = \"s.other\"\nas = \"T_typed\"\n");
    let bigquery = "[ledger]\nvolume = \"durable\"\n[warehouse]\nkind = \"bigquery\"\nproject = \"project\"\nlocation = \"EU\"\n";
    let text = format!("{bigquery}{other}");
    check(
        &text,
        &["a/s.other goes to d.T_typed, which is the name of the typed view of a/s.t", "typed_view = false"],
    );
    let without = text.replace("name = \"s.t\"", "name = \"s.t\"\ntyped_view = false");
    for sound in [&without, &other] {
        assert!(Place::new(sound).load(&[]).is_ok(), "{}", Place::new(sound).errors(&[]));
    }
    check(
        &MAPPING.replace("name =", "typed_view = \"no\"\nname ="),
        &["typed_view: the value is neither true nor false"],
    );
}
