//! The demo, killed in the middle and started again on the same directory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::cli::landbridge;

/// How often the demo is killed.
const KILLS: u64 = 20;

fn demo(dir: &Path, seconds: u64) -> Command {
    let mut command = landbridge();
    command
        .args(["demo", "--json", "--window-seconds", "1", "--seconds", &seconds.to_string(), "--dir"])
        .arg(dir);
    command
}

#[test]
fn a_demo_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SmallRng::seed_from_u64(20);
    for _ in 0..KILLS {
        let mut child = demo(folder.path(), 60).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment of the kill is what is tried here; nothing waits for it.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_millis(random.random_range(50..1_500)));
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
