//! What is shipped for the installation fits the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use landbridge::config::load;
use landbridge::config::types::{Config, GoogleCredentials, Ledger, LogFormat, Source, Warehouse};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts of a value that is one text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Permissions of `services` that a text names, as `s3:GetObject`.
fn permissions(text: &str, services: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for service in services {
        let begin = format!("{service}:");
        for (at, _) in text.match_indices(&begin) {
            let own_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == ':');
            let name: String =
                text[at + begin.len()..].chars().take_while(char::is_ascii_alphanumeric).collect();
            if own_word && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                found.insert(format!("{begin}{name}"));
            }
        }
    }
    found
}

/// A source file without its tests.
fn code(path: &str) -> String {
    read(path).split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

#[test]
fn the_aws_policy_allows_what_the_code_asks_for_and_no_more() {
    let services = ["sqs", "s3", "kms"];
    let mut needed: BTreeSet<_> = ["src/cloud/aws.rs", "src/queue/sqs.rs", "src/bucket/s3.rs"]
        .iter()
        .flat_map(|path| permissions(&code(path), &services))
        .collect();
    // A GET with a version id needs a permission of its own; the code's errors name the call.
    assert!(code("src/bucket/s3.rs").contains("set_version_id"));
    needed.insert("s3:GetObjectVersion".to_owned());
    let policy = json("deploy/iam/aws-policy.json");
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for action in texts(&statement["Action"]) {
            let service = action.split(':').next().unwrap().to_owned();
            for resource in texts(&statement["Resource"]) {
                assert!(resource.starts_with(&format!("arn:aws:{service}:")), "{action} on {resource}");
                // Of objects, and of the bucket that holds them.
                let of_objects = action.starts_with("s3:GetObject");
                assert_eq!(resource.ends_with("/*"), of_objects, "{action} on {resource}");
            }
            allowed.insert(action);
        }
    }
    assert_eq!(allowed, needed);
    assert_eq!(
        permissions("(needs s3:GetObject; also kms:Decrypt) aws:s3:::x s3:prefix", &services).len(),
        2
    );
}

#[test]
fn the_policy_of_the_ledger_allows_what_the_code_asks_for_and_no_more() {
    let files = std::fs::read_dir(root().join("src/ledger/dynamodb")).unwrap();
    let paths = files.map(|file| format!("src/ledger/dynamodb/{}", file.unwrap().file_name().display()));
    let needed: BTreeSet<_> = paths.flat_map(|path| permissions(&code(&path), &["dynamodb"])).collect();
    let policy = json("deploy/iam/dynamodb-policy.json");
    let statements = policy["Statement"].as_array().unwrap();
    let allowed: BTreeSet<_> = statements.iter().flat_map(|statement| texts(&statement["Action"])).collect();
    assert_eq!(allowed, needed);
}

#[test]
fn the_queue_takes_messages_from_the_one_bucket_that_announces_to_it() {
    let policy = json("deploy/iam/sqs-queue-policy.json");
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Principal"]["Service"], "s3.amazonaws.com");
    assert_eq!(statement["Action"], "sqs:SendMessage");
    assert_eq!(statement["Condition"]["ArnEquals"]["aws:SourceArn"], "arn:aws:s3:::BUCKET");
    assert_eq!(statement["Condition"]["StringEquals"]["aws:SourceAccount"], "ACCOUNT");
    let notification = json("deploy/iam/bucket-notification.json");
    let queue = &notification["QueueConfigurations"][0];
    assert_eq!(queue["QueueArn"], statement["Resource"]);
    assert_eq!(queue["Events"][0], "s3:ObjectCreated:*");
    let receiving = &json("deploy/iam/aws-policy.json")["Statement"][0];
    assert_eq!(texts(&receiving["Resource"]), texts(&statement["Resource"]));
    assert_eq!(json("deploy/iam/trust-ec2.json")["Statement"][0]["Action"], "sts:AssumeRole");
}

/// The example, with its own mapping files and nothing of this machine.
fn example(environment: &[(&str, &str)]) -> Config {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(&root().join("config/production.example.toml"), environment)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_example_of_a_production_configuration_is_good() {
    let config = example(&[]);
    let Warehouse::BigQuery(bigquery) = &config.warehouse else { panic!("{:?}", config.warehouse) };
    assert_eq!(bigquery.credentials, GoogleCredentials::Default);
    assert_eq!(config.log.format, LogFormat::Json);
    let mapping = config.mappings.iter().find(|mapping| &*mapping.route.cluster == "game-a").unwrap();
    assert!(matches!(&mapping.source, Source::S3 { queue } if queue.starts_with("https://sqs.")));
    assert!(mapping.route.tables.len() >= 2 && mapping.dms.sequence.is_some());
    assert!(mapping.tables.iter().all(|table| !table.key.is_empty()));
    // The secret is not in the file, and comes by environment.
    assert!(config.alerts.webhook_url.is_none());
    let told = example(&[("LANDBRIDGE__ALERTS__WEBHOOK_URL", "https://hooks.slack.com/services/x")]);
    assert!(told.alerts.webhook_url.is_some());
}

#[test]
fn the_unit_gives_the_drain_its_time_and_keeps_what_must_be_kept() {
    let unit = read("deploy/systemd/landbridge.service");
    let value = |key: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("no {key}=")).to_owned()
    };
    let config = example(&[]);
    let stop = Duration::from_secs(value("TimeoutStopSec").parse().unwrap());
    assert!(stop > config.timing.drain_timeout + landbridge::alerts::FLUSH_TIMEOUT, "{stop:?}");
    assert_eq!(value("Restart"), "on-failure");
    let state = format!("/var/lib/{}", value("StateDirectory"));
    match &config.ledger {
        Ledger::Sqlite { path, .. } => assert!(path.starts_with(&state), "{}", path.display()),
        Ledger::DynamoDb { .. } => panic!("{:?}", config.ledger),
    }
    assert!(config.spool.path.starts_with(&state), "{}", config.spool.path.display());
    assert_eq!(value("RequiresMountsFor"), state);
    // Without its volume it must not begin an empty ledger.
    assert_eq!(value("AssertPathIsMountPoint"), state);
    let command = value("ExecStart");
    let subcommand = command.split_whitespace().nth(1).unwrap();
    assert_eq!(subcommand, "run");
    assert!(value("ExecStartPre").contains(" check --config "));
    assert!(value("EnvironmentFile").trim_start_matches('-').starts_with("/etc/landbridge/"));
}

#[test]
fn the_documents_of_the_installation_name_what_exists() {
    for document in
        ["docs/install.md", "deploy/iam/README.md", "deploy/iam/google.md", "deploy/grafana/README.md"]
    {
        let folder = root().join(document).parent().unwrap().to_owned();
        let text = read(document);
        for link in text.split("](").skip(1).filter_map(|part| part.split(')').next()) {
            let path = link.split('#').next().unwrap();
            assert!(link.starts_with("http") || folder.join(path).exists(), "{document} links to {link}");
        }
        // Names of files of this repository, in commands and in the text.
        for word in text.split(|c: char| c.is_whitespace() || "`()'\",".contains(c)) {
            let ours = ["deploy/", "config/", "docs/"].iter().any(|folder| word.starts_with(folder));
            if ours && !word.contains('$') {
                let word = word.trim_end_matches(['.', ':', ';']);
                assert!(Path::new(&root().join(word)).exists(), "{document} names {word}");
            }
        }
    }
}
