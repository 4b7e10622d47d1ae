//! A dataset is loaded by one ledger, and by none that has forgotten what was loaded (Invariant I-7): the real binary.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{generate, landbridge, output, rows_in};
use crate::peers::cloud::{Emulators, World};
use crate::peers::process::Process;

pub fn until_idle(config: &Path) -> (bool, String) {
    let mut command = landbridge();
    command.args(["run", "--until-idle", "--config"]).arg(config).env("LANDBRIDGE__HTTP__LISTEN", "off");
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let (output, text) = output(command.env("AWS_EC2_METADATA_DISABLED", "true"));
    (output.status.success(), text)
}

/// A lake, its ledger, and two files of 100 rows.
pub fn lake(folder: &Path) -> PathBuf {
    generate(folder, 200, 100);
    let text = "[batching]\nwindow = \"1s\"\n[[mapping]]\ncluster = \"a\"\nsource = \"bucket\"\ndataset = \"a\"\n\
        [mapping.dms]\ntimestamp = \"dms_timestamp\"\nsequence = \"dms_change_seq\"\n\
        [[mapping.table]]\nname = \"casino.bet_history\"\nkey = [\"id\"]\n";
    let path = folder.join("landbridge.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_empty_ledger_and_an_older_one_load_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = lake(folder.path());
    let (ledger, aside) = (folder.path().join("state"), folder.path().join("aside"));
    let (done, text) = until_idle(&config);
    assert!(done, "{text}");
    assert_eq!(rows_in(&folder.path().join("lake")), 200);
    // The volume is not mounted: the ledger is empty.
    fs::rename(&ledger, &aside).unwrap();
    for _ in 0..3 {
        let (done, text) = until_idle(&config);
        assert!(!done && text.contains("the lake is loaded by the ledger"), "{text}");
        assert!(text.contains("is that mounted?"), "{text}");
    }
    fs::remove_dir_all(&ledger).unwrap();
    // A copy that stays behind while the ledger goes on.
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(aside.join("ledger.db"), copy.join("ledger.db")).unwrap();
    fs::rename(&aside, &ledger).unwrap();
    let (done, text) = until_idle(&config);
    assert!(done, "{text}");
    fs::rename(&ledger, &aside).unwrap();
    fs::rename(&copy, &ledger).unwrap();
    for _ in 0..3 {
        let (done, text) = until_idle(&config);
        assert!(!done && text.contains("a later state of the ledger"), "{text}");
    }
    fs::remove_dir_all(&ledger).unwrap();
    fs::rename(&aside, &ledger).unwrap();
    assert!(until_idle(&config).0);
    assert_eq!(rows_in(&folder.path().join("lake")), 200);
}

/// Two processes on one ledger in DynamoDB, whose datasets are BigQuery's; then another ledger comes.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_ledger_and_a_third_with_another_is_refused() {
    let world = World::new(1, 2).await;
    let settings = |table: &str, spool: &str| {
        format!(
            "[ledger]\nkind = \"dynamodb\"\ntable = \"{table}-{}\"\n[spool]\npath = \"{spool}\"\n[batching]\nwindow = \"1s\"\n",
            world.name
        )
    };
    let configured = |name: &str, extra: &str| {
        let path = world.folder.path().join(name);
        fs::rename(world.configure(extra), &path).unwrap();
        path
    };
    let one = configured("one.toml", &settings("ledger", "spool-one"));
    let two = configured("two.toml", &settings("ledger", "spool-two"));
    let (first, second) = (Process::start(&one).await, Process::start(&two).await);
    let cluster = &world.clusters[0];
    for _ in 0..12 {
        for table in &cluster.tables {
            world.put(cluster, table, 40).await;
        }
    }
    first.until("all rows are there", || async { world.loaded_rows().await >= 960 }).await;
    assert_eq!(world.must_be_equal(&[]), 960);
    let loaded =
        async |process: &Process| process.metric("landbridge_files_total", "outcome=\"loaded\"").await;
    assert_eq!(loaded(&first).await + loaded(&second).await, 24.0);

    let table = format!("{}/casino.t0", cluster.name);
    let mut pause = landbridge();
    assert!(output(pause.args(["pause", &table, "--url", &first.url])).0.status.success());
    let shown = format!("{}/api/v1/tables/{}/casino/t0", second.url, cluster.name);
    second
        .until("the other process knows of the pause", || async {
            let answer = reqwest::get(&shown).await.unwrap().text().await.unwrap();
            answer.contains("\"mode\":\"paused\"")
        })
        .await;

    let mut verify = landbridge();
    verify.args(["verify", "--config"]).arg(&one).env("AWS_ACCESS_KEY_ID", "test");
    let (verified, text) = output(verify.env("AWS_SECRET_ACCESS_KEY", "test"));
    assert!(verified.status.success() && text.contains("960"), "{text}");
    drop((first, second));

    let other = configured("other.toml", &settings("another", "spool-other"));
    let (done, text) = until_idle(&other);
    assert!(!done && text.contains("is loaded by the ledger"), "{text}");
    let labels = reqwest::get(format!(
        "{}/bigquery/v2/projects/{}/datasets/{}",
        Emulators::get().bigquery,
        crate::peers::cloud::PROJECT,
        cluster.dataset
    ));
    let labels = labels.await.unwrap().text().await.unwrap();
    assert!(labels.contains("landbridge_ledger") && labels.contains("landbridge_epoch"), "{labels}");
    assert_eq!(world.must_be_equal(&[]), 960);
}
