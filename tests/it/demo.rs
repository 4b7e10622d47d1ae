//! The demo, killed in the middle and started again on the same directory.

use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::cli::{landbridge, until};

/// How often the demo is killed.
const KILLS: usize = 20;

/// How many files it announces between two kills, in the mean.
const MEAN_FILES: usize = 15;

fn demo(dir: &Path, seconds: u64) -> Command {
    let mut command = landbridge();
    command
        .args(["demo", "--json", "--window-seconds", "1", "--seconds", &seconds.to_string(), "--dir"])
        .arg(dir);
    command
}

/// How many files the demo in `dir` has announced, by its record.
fn announced(dir: &Path) -> usize {
    let record = std::fs::read_to_string(dir.join("record.jsonl")).unwrap_or_default();
    record.lines().filter(|line| line.contains("done")).count()
}

#[test]
fn a_demo_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SmallRng::seed_from_u64(20);
    for _ in 0..KILLS {
        // So many files, not so much time: a slow machine is killed at the same places as a fast one. None is a kill
        // while it starts.
        let more = random.random_range(0..=2 * MEAN_FILES);
        let before = announced(folder.path());
        let mut child = demo(folder.path(), 60).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the demo to announce files", || announced(folder.path()) >= before + more);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = demo(folder.path(), 2).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{log}");
    let result: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let number = |side: &str, name: &str| result[side][name].as_u64().unwrap();
    assert_eq!((number("rows", "missing"), number("rows", "duplicated")), (0, 0), "{text}\n{log}");
    let accounted = number("files", "loaded") + number("files", "poisoned") + number("files", "vanished");
    assert_eq!(accounted, number("files", "announced"));
    assert!(number("files", "announced") > 200, "{text}");
    assert_eq!((number("files", "poisoned"), number("files", "vanished")), (1, 1));
    assert!(result["lag_seconds"]["p50"].as_f64().unwrap() > 0.0);
}
