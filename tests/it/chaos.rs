//! `make chaos`, small: the real binary, killed again and again behind proxies that break the wires, and a verdict that is not
//! landbridge's. The verdict itself must see a file that is loaded twice, and rows that are gone.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::peers::cloud::{Emulators, PROJECT, World};

fn script(name: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos").join(name));
    command.stdin(Stdio::null());
    command
}

/// The last line, and whether the exit code says that all is well.
fn verdict(output: &Output) -> (String, bool) {
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    (text.lines().last().unwrap_or_default().to_owned(), output.status.success())
}

/// Judges a run again.
fn judged(folder: &Path) -> (String, bool) {
    let mut command = Command::new(&Emulators::get().python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/verdict.py")).arg(folder);
    verdict(&command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_behind_hostile_wires_it_loses_nothing_and_doubles_nothing_and_the_verdict_would_see_it() {
    let emulators = Emulators::get();
    let stand_ins = json!({"aws": emulators.aws, "bigquery": emulators.bigquery, "python": emulators.python});
    let folder = tempfile::tempdir().unwrap();
    let mut command = script("chaos.py");
    command.args(["--kills", "3", "--seed", "7", "--rows", "8000", "--clusters", "1", "--tables", "2"]);
    command.args(["--binary", env!("CARGO_BIN_EXE_landbridge"), "--stand-ins", &stand_ins.to_string()]);
    let output = command.arg("--folder").arg(folder.path()).output().unwrap();
    assert_eq!(verdict(&output), ("lost 0 duplicated 0".to_owned(), true));

    // By hand, what landbridge must never do.
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("record.json")).unwrap()).unwrap();
    let destination = record["tables"][0]["destination"].as_str().unwrap();
    let put = record["puts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|put| put["table"] == destination && put["fate"] == "loaded");
    let (file, rows) =
        (put.unwrap()["source_file"].as_str().unwrap(), put.unwrap()["rows"].as_u64().unwrap());
    let world = World::new(0, 0).await;
    let table = format!("`{PROJECT}.{destination}`");
    world.query(&format!("INSERT INTO {table} SELECT * FROM {table} WHERE _source_file = '{file}'")).await;
    assert_eq!(judged(folder.path()), (format!("lost 0 duplicated {rows}"), false));
    world.query(&format!("DELETE FROM {table} WHERE _source_file = '{file}'")).await;
    assert_eq!(judged(folder.path()), (format!("lost {rows} duplicated 0"), false));
}
