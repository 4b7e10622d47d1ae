//! A ledger that is copied elsewhere, or lost and made anew: the real binary.

use std::fs;
use std::path::{Path, PathBuf};

use landbridge::domain::instant::Instant;
use landbridge::ledger::Ledger;
use landbridge::ledger::sqlite::SqliteLedger;

use crate::cli::{Running, landbridge, output, rows_in};
use crate::identity::{lake, until_idle};
use crate::peers::cloud::World;
use crate::peers::process::Process;
use crate::verify::verify;

/// `landbridge ledger …`. Answers whether it went well, and all that was said.
fn ledger(config: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = landbridge();
    command.arg("ledger").args(arguments).arg("--config").arg(config);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let (output, text) = output(command.env("AWS_EC2_METADATA_DISABLED", "true"));
    (output.status.success(), text)
}

/// The same configuration with another ledger.
fn beside(config: &Path, name: &str) -> PathBuf {
    let text = fs::read_to_string(config).unwrap();
    let other = config.with_file_name(format!("{name}.toml"));
    fs::write(&other, format!("[ledger]\npath = \"{name}/ledger.db\"\n{text}")).unwrap();
    other
}

/// Marks the ledger as one that is being filled.
fn fill(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = SqliteLedger::open(path).unwrap();
        ledger.fill(true).await.unwrap();
        ledger.close().await.unwrap();
    });
}

#[test]
fn a_copied_ledger_goes_on_and_the_one_it_came_from_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (old, lines) = (lake(folder.path()), folder.path().join("ledger.jsonl"));
    let lines = lines.to_str().unwrap();
    fs::write(folder.path().join("bucket/casino/bet_history/20251123-000000000.parquet"), "no Parquet")
        .unwrap();
    assert!(until_idle(&old).0);
    let (done, text) = ledger(&old, &["export", "--to", lines]);
    assert!(done && text.contains("with 2 files, 1 file in none"), "{text}");
    let (done, text) = ledger(&old, &["export", "--to", lines]);
    assert!(!done && text.contains("there is such a file"), "{text}");
    let running = Running::start_with(folder.path(), "1s", &[]);
    let (done, text) = ledger(&old, &["export", "--to", &format!("{lines}.2")]);
    assert!(!done && text.contains("another process has the ledger"), "{text}");
    drop(running);

    let new = beside(&old, "new");
    let (done, text) = ledger(&new, &["import", "--from", lines]);
    assert!(!done && text.contains("a later state of the ledger"), "it has gone on since the export: {text}");
    fs::remove_file(lines).unwrap();
    assert!(ledger(&old, &["export", "--to", lines]).0);
    let whole = fs::read_to_string(lines).unwrap();
    let cut: String = whole.lines().take(2).map(|line| format!("{line}\n")).collect();
    fs::write(lines, cut).unwrap();
    let (done, text) = ledger(&new, &["import", "--from", lines]);
    assert!(!done && text.contains("line 3: its end is missing"), "{text}");
    fs::write(lines, whole).unwrap();
    // As an import leaves it that is killed before its end.
    fill(&folder.path().join("new/ledger.db"));
    let (done, text) = until_idle(&new);
    assert!(!done && text.contains("did not come to its end"), "{text}");
    let (done, text) = ledger(&new, &["import", "--from", lines]);
    assert!(done && text.contains("with 2 files, 1 file in none"), "{text}");
    let (done, text) = ledger(&new, &["import", "--from", lines]);
    assert!(!done && text.contains("a later state of the ledger"), "it has started since: {text}");
    let (done, text) = until_idle(&old);
    assert!(!done && text.contains("a later state of the ledger"), "{text}");
    assert!(until_idle(&new).0);
    assert_eq!(rows_in(&folder.path().join("lake")), 200);
    assert_eq!(verify(&new, &[]).0, 0);
}

#[test]
fn a_lost_ledger_is_made_anew_from_the_lake() {
    let folder = tempfile::tempdir().unwrap();
    let config = lake(folder.path());
    let bucket = folder.path().join("bucket/casino/bet_history");
    fs::write(bucket.join("20251123-000000000.parquet"), "no Parquet").unwrap();
    assert!(until_idle(&config).0);
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    // Of what was loaded one file is gone; and one has come.
    let mut files: Vec<_> = fs::read_dir(&bucket).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (gone, kept) = (files[1].clone(), files[2].clone());
    fs::remove_file(gone).unwrap();
    fs::copy(kept, bucket.join("20251124-000000000.parquet")).unwrap();
    let (done, text) = ledger(&config, &["rebuild"]);
    assert!(done && text.contains("nothing was written; --yes writes it into"), "{text}");
    assert!(!folder.path().join("state").exists());
    let (done, text) = ledger(&config, &["rebuild", "--yes"]);
    let all = text.lines().find(|line| line.starts_with("all ")).unwrap_or_default();
    let numbers: Vec<_> = all.split_whitespace().skip(1).take(6).collect();
    assert!(done && numbers == ["2", "200", "1", "2", "0", "0"], "{text}");
    let (done, text) = ledger(&config, &["rebuild", "--yes"]);
    assert!(!done && text.contains("has been started 1 times"), "{text}");
    let (done, text) = until_idle(&config);
    assert!(done, "{text}");
    assert_eq!(rows_in(&folder.path().join("lake")), 300);
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn messages_that_could_not_be_parsed_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = lake(folder.path());
    let shown = |arguments: &[&str]| {
        let mut command = landbridge();
        let (output, text) =
            output(command.args(["dlq", "messages", "--config"]).arg(&config).args(arguments));
        (output.status.success(), text)
    };
    let (done, text) = shown(&[]);
    assert!(!done && text.contains("there is no ledger to be read at"), "{text}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("state/ledger.db")).unwrap();
    assert_eq!(shown(&[]), (true, "no message was put aside\n".to_owned()));
    for number in 0..3 {
        let (body, at) = (format!("{{\"no\": {number}\u{1b}"), Instant::from_micros(number));
        runtime.block_on(ledger.dead_letter("q", &body, "it is no JSON", at)).unwrap();
    }
    let (done, text) = shown(&[]);
    assert!(
        done && text
            .contains("1970-01-01T00:00:00.000Z  queue q\n    it is no JSON\n    {\"no\": 0\u{fffd}\n"),
        "{text}"
    );
    let (_, text) = shown(&["--json"]);
    assert_eq!(text.lines().count(), 3, "{text}");
}

/// The table of a shared ledger is gone while files come and are loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_lost_under_load_is_made_anew_from_bigquery_and_s3() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    world.keep_versions(cluster).await;
    let configured = |name: &str| {
        let ledger = format!("[ledger]\nkind = \"dynamodb\"\ntable = \"{name}-{}\"\n", world.name);
        let path = world.folder.path().join(format!("{name}.toml"));
        fs::rename(
            world.configure(&format!(
                "{ledger}[batching]\nwindow = \"1s\"\n[timing]\nvisibility_timeout = \"30s\"\n"
            )),
            &path,
        )
        .unwrap();
        path
    };
    let (lost, anew) = (configured("lost"), configured("anew"));
    let process = Process::start(&lost).await;
    let mut first = String::new();
    for number in 0..10 {
        let key = world.put(cluster, &cluster.tables[number % 2], 40).await;
        first = if number == 0 { key } else { first };
    }
    process.until_files("loaded", 3).await;
    // What was loaded is overwritten: the old version has its rows, the new one has none yet.
    world.put_bytes(&cluster.bucket, &first, world.file(40, &[])).await;
    process.kill();
    let rows = world.loaded_rows().await;
    assert!(rows >= 120);
    let (done, text) = until_idle(&anew);
    assert!(!done && text.contains("is loaded by the ledger"), "{text}");
    let other = configured("other");
    let (done, text) = ledger(&other, &["rebuild", "--yes"]);
    assert!(done && text.contains("casino.t1"), "{text}");
    let process = Process::start(&other).await;
    process.until("all rows are there", || async { world.loaded_rows().await >= 400 }).await;
    // Of the object that was overwritten a version is loaded: whether the other is a copy, a person says.
    let table = format!("{}/casino.t0", cluster.name);
    let mut redrive = landbridge();
    let (_, text) = output(redrive.args(["dlq", "redrive", &table, "--all", "--url", &process.url]));
    process.until(&format!("all are there: {text}"), || async { world.loaded_rows().await >= 440 }).await;
    process.until("the queue is empty", || async { world.waiting(cluster).await == 0 }).await;
    drop(process);
    assert_eq!(world.loaded_rows().await, 440);
    let per_file = format!(
        "SELECT count(*), count(DISTINCT concat(_source_file, '#', cast(_source_row AS STRING))) FROM `{}.{}.t0`",
        crate::peers::cloud::PROJECT,
        cluster.dataset
    );
    let counted = world.query(&per_file).await;
    assert_eq!(counted[0][0], counted[0][1], "{counted:?}");
    let (done, text) = until_idle(&lost);
    assert!(!done && text.contains("is loaded by the ledger"), "{text}");
}
