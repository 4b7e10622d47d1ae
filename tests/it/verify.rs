//! `landbridge verify` on a lake, as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use landbridge::warehouse::lake::data_files;
use serde_json::Value;

use crate::cli::{Running, generate, landbridge, output, until};

/// Verifies with more arguments. Answers the exit code and everything that was said.
pub fn verify(config: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = landbridge();
    let (output, text) = output(command.args(["verify", "--config"]).arg(config).args(arguments));
    (output.status.code().unwrap(), text)
}

/// A configuration whose files, 400 rows each, are all loaded.
fn loaded(folder: &Path, rows: u64) -> PathBuf {
    generate(folder, rows, 400);
    let config = folder.join("landbridge.toml");
    let (output, text) = output(landbridge().args(["run", "--until-idle", "--config"]).arg(&config));
    assert!(output.status.success(), "{text}");
    config
}

/// Everything below a folder, with lengths and times.
fn picture(folder: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut picture = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            picture.extend(self::picture(&path));
        }
        picture.push((path, metadata.len(), metadata.modified().ok()));
    }
    picture.sort();
    picture
}

#[test]
fn a_lake_is_verified_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = loaded(folder.path(), 2_000);
    let before = picture(folder.path());
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.lines().last(), Some("verified 2000 rows of 5 files in 1 tables: missing 0, doubled 0"));
    let (code, text) = verify(&config, &["--json", "--table", "game-a.casino.bet_history", "--since", "1h"]);
    assert_eq!(code, 0, "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[0]["counts"]["files"].as_u64()), (2, Some(5)), "{text}");
    assert_eq!(lines[1]["verified"]["counts"]["rows"], 2_000);
    let (_, later) = verify(&config, &["--since", "2999-01-01"]);
    assert!(later.contains("verified 0 rows of 0 files in 1 tables: missing 0, doubled 0"), "{later}");
    assert_eq!(picture(folder.path()), before);
}

#[test]
fn a_file_of_the_lake_that_is_copied_or_removed_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let config = loaded(folder.path(), 2_000);
    let original = data_files(&folder.path().join("lake")).unwrap().remove(0);
    let day = original.parent().unwrap().with_file_name("date=2001-01-01");
    fs::create_dir_all(&day).unwrap();
    let copy = day.join("copied by hand.parquet");
    fs::copy(&original, &copy).unwrap();
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("missing 0, doubled 2000\n") && text.contains("400 beyond its 400"), "{text}");
    assert!(text.contains("delete those of a batch that is not the file's"), "{text}");
    let (code, text) = verify(&config, &["--json", "--findings", "2"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len(), lines[0]["findings"].as_u64()), (1, 4, Some(5)), "{text}");
    assert_eq!(lines[1]["finding"], "doubled");
    assert!(lines[1]["job"].as_str().unwrap().starts_with("lb_game_a_bet_history_"), "{text}");
    fs::remove_file(&copy).unwrap();
    assert_eq!(verify(&config, &[]).0, 0);
    fs::remove_file(&original).unwrap();
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("missing 2000, doubled 0\n") && text.contains("400 of its 400 rows are not"),
        "{text}"
    );
}

#[test]
fn what_keeps_it_from_verifying_is_told_and_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 400, 400);
    let config = folder.path().join("landbridge.toml");
    let before = picture(folder.path());
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("there is no ledger to be read at") && text.contains("nothing was created"),
        "{text}"
    );
    assert_eq!(picture(folder.path()), before);
    let config = loaded(folder.path(), 400);
    let (code, text) = verify(&config, &["--table", "game-a/casino.bet_histroy"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("did you mean `game-a/casino.bet_history`?"), "{text}");
    let (code, text) = verify(&config, &["--since", "yesterday"]);
    assert!(code == 2 && text.contains("expected a date"), "{text}");
    let damaged = data_files(&folder.path().join("lake")).unwrap().remove(0);
    fs::write(&damaged, "PAR1 no Parquet PAR1").unwrap();
    let (code, text) = verify(&config, &[]);
    assert!(
        code == 2 && text.contains("not verified: cannot read") && text.contains("restore the file"),
        "{text}"
    );
    fs::remove_dir_all(folder.path().join("lake")).unwrap();
    let (code, text) = verify(&config, &[]);
    assert!(code == 2 && text.contains("there is no lake at"), "{text}");
    fs::write(&config, "nonsense = 1").unwrap();
    let (code, text) = verify(&config, &[]);
    assert!(code == 2 && text.contains("in the configuration"), "{text}");
}

#[test]
fn beside_a_running_landbridge_nothing_is_found() {
    const FILES: usize = 600;
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 400 * FILES as u64, 400);
    let config = folder.path().join("landbridge.toml");
    let running = Running::start_with(folder.path(), "1s", &[("LANDBRIDGE__BATCHING__FILES", "4")]);
    let loaded = || running.get("/metrics").contains(&format!("outcome=\"loaded\"}} {FILES}\n"));
    until("all files loaded", || {
        let (code, text) = verify(&config, &[]);
        assert_eq!(code, 0, "{text}");
        loaded()
    });
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("verified {} rows of {FILES} files", 400 * FILES)), "{text}");
    assert!(running.stop());
}
