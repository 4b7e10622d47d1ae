//! `landbridge plan`: what a configuration will need, before anything is loaded.

use std::fs;

use serde_json::Value;

use crate::cli::{landbridge, output};

const WAREHOUSE: &str = "[warehouse]\nkind = \"bigquery\"\nproject = \"p\"\nlocation = \"EU\"\n\
                         credentials = \"anonymous\"\nendpoint = \"http://localhost:1\"\n";

/// Runs it over so many tables of a thousand rows a day each; the exit code, what it said, and its last line.
fn plan(tables: usize, more: &str, rates: Option<usize>) -> (i32, String, Value) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let mut config =
        format!("{WAREHOUSE}{more}[[mapping]]\ncluster = \"game-a\"\nsource = \"in\"\ndataset = \"d\"\n");
    let mut rows = String::new();
    for number in 0..tables {
        config.push_str(&format!("[[mapping.table]]\nname = \"casino.t{number}\"\n"));
        if number < rates.unwrap_or(tables) {
            rows.push_str(&format!("\"game-a/casino.t{number}\" = {}\n", 1_000_000 / (number + 1)));
        }
    }
    fs::write(folder.path().join("landbridge.toml"), config).unwrap();
    fs::write(folder.path().join("rates.toml"), rows).unwrap();
    let mut command = landbridge();
    command.current_dir(folder.path()).args([
        "plan",
        "--quota",
        "--config",
        "landbridge.toml",
        "--rates",
        "rates.toml",
    ]);
    let (output, text) = output(&mut command);
    let last = text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    (output.status.code().unwrap(), text, last)
}

#[test]
fn what_fits_is_said_to_fit_and_what_does_not_is_not() {
    let (code, text, last) = plan(5, "", None);
    assert_eq!(code, 0, "{text}");
    assert_eq!(last["load_jobs"]["quota_crossed"], false);
    // Files every minute, loaded at once: a job takes six seconds on the median.
    let median = last["load_jobs"]["all"]["p50"].as_f64().unwrap();
    assert!((5.0..12.0).contains(&median) && text.contains("data out of AWS"), "{text}");
    // 288 jobs a day would be enough for a table that waits as long as it may, and the day of five needs more than these.
    let (code, text, last) = plan(5, "[planner]\njobs_per_day = 1600\n", None);
    assert!(code == 0 && last["load_jobs"]["all"]["p50"].as_f64().unwrap() > median, "{text}");
    let (code, text, _) = plan(5, "[planner]\njobs_per_day = 1000\n", None);
    assert!(code == 2 && text.contains("need 1440 load jobs a day"), "{text}");
}

#[test]
fn what_is_not_said_is_asked_for() {
    let (code, text, _) = plan(3, "", Some(2));
    assert!(code == 2 && text.contains("rates.toml says nothing of game-a/casino.t2"), "{text}");
    let mut command = landbridge();
    let (more, said) = output(command.args(["plan", "--quota", "--every", "0"]));
    assert!(more.status.code() == Some(2) && said.contains("1..=86400"), "{said}");
    let mut command = landbridge();
    let (output, text) = output(command.args(["plan", "--quota"]));
    assert!(output.status.code() == Some(2) && text.contains("--config"), "{text}");
}
