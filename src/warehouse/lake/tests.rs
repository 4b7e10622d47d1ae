//! The lake against a real directory.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::{AttemptNumber, TableId};
use crate::domain::instant::Instant;

struct Bench {
    folder: TempDir,
    lake: Lake,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("spool")).unwrap();
    let lake = Lake::open(folder.path().join("lake")).unwrap();
    Bench { folder, lake }
}

fn batch(dataset: &str, key: &str) -> Batch {
    let table = TableId::new("game-a", "casino", "bets");
    let file =
        FileId { table: table.clone(), bucket: "b".into(), key: key.into(), etag: "e".into(), size_bytes: 7 };
    let destination = Destination {
        project: "".into(),
        location: "".into(),
        dataset: dataset.into(),
        table: "bets".into(),
    };
    let entries = vec![ManifestEntry { file, rows: 0 }];
    let claimed_at = Instant::from_micros(1_763_856_000_123_456);
    Batch::plan(table, destination, claimed_at, None, Manifest { entries })
}

fn attempt(batch: &Batch) -> Attempt {
    batch.attempt(AttemptNumber::FIRST, "plan")
}

impl Bench {
    /// A body without rows that says that it is `batch`'s.
    fn body(&self, batch: &Batch) -> Body {
        let count = TEMPORARY_COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("spool/body-{count}.parquet"));
        let mut file = File::create_new(&path).unwrap();
        let values = [
            (labels::BATCH_ID, batch.id.as_str()),
            (labels::DATASET, &batch.destination.dataset),
            (labels::TABLE, &batch.destination.table),
        ];
        labels::write_empty(&mut file, &path, &values).unwrap();
        let size_bytes = file.metadata().unwrap().len();
        Body::new(path, size_bytes, 0, crate::columns::plan::ColumnPlan::empty())
    }

    fn path(&self, batch: &Batch) -> PathBuf {
        self.lake.place(&attempt(batch)).path
    }

    fn files(&self) -> Vec<PathBuf> {
        data_files(self.lake.root()).unwrap()
    }

    /// Every name below the lake, hidden ones too.
    fn names(&self) -> usize {
        let mut count = 0;
        walk(self.lake.root(), &mut |_| count += 1).unwrap();
        count
    }
}

fn succeeded(batch: &Batch) -> JobStatus {
    JobStatus::Succeeded { rows: 0, batch: Some(batch.id.clone()), destination_matches: true }
}

#[tokio::test]
async fn a_batch_lands_once() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let attempt = attempt(&batch);
    assert_eq!(bench.lake.ask(&attempt).await.unwrap(), JobStatus::NotFound);
    let body = bench.body(&batch);
    assert_eq!(bench.lake.submit(&attempt, &body).await.unwrap(), Submission::Accepted);
    let first = fs::read(body.path()).unwrap();
    drop(body);
    assert_eq!(bench.lake.ask(&attempt).await.unwrap(), succeeded(&batch));
    // Another body under the same id changes nothing.
    let other = self::batch("game_b", "k");
    let body = bench.body(&other);
    assert_eq!(bench.lake.submit(&attempt, &body).await.unwrap(), Submission::Duplicate);
    assert_eq!(bench.lake.ask(&attempt).await.unwrap(), succeeded(&batch));
    let expected = format!("game_a/bets/date=2025-11-23/{}-1.parquet", batch.id);
    assert_eq!(bench.files(), [bench.lake.root().join(expected)]);
    assert_eq!(fs::read(&bench.files()[0]).unwrap(), first);
    assert_eq!(bench.names(), 1);
}

#[tokio::test]
async fn attempts_are_files_of_their_own() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let second = batch.attempt(AttemptNumber::FIRST.next(), "plan");
    assert_eq!(bench.lake.fence(&attempt(&batch)).await.unwrap(), FenceAnswer::Accepted);
    let body = bench.body(&batch);
    assert_eq!(bench.lake.submit(&second, &body).await.unwrap(), Submission::Accepted);
    assert_eq!(bench.lake.ask(&attempt(&batch)).await.unwrap(), JobStatus::Fenced);
    assert_eq!(bench.lake.ask(&second).await.unwrap(), succeeded(&batch));
    assert_eq!(bench.files().len(), 2);
}

#[tokio::test]
async fn a_fence_keeps_a_late_submission_out() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let attempt = attempt(&batch);
    assert_eq!(bench.lake.fence(&attempt).await.unwrap(), FenceAnswer::Accepted);
    let body = bench.body(&batch);
    assert_eq!(bench.lake.submit(&attempt, &body).await.unwrap(), Submission::Duplicate);
    assert_eq!(bench.lake.ask(&attempt).await.unwrap(), JobStatus::Fenced);
    assert_eq!(bench.lake.fence(&attempt).await.unwrap(), FenceAnswer::Duplicate);
    assert_eq!(bench.names(), 1);
}

#[tokio::test]
async fn a_fence_comes_too_late_for_a_loaded_batch() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let (attempt, body) = (attempt(&batch), bench.body(&batch));
    assert_eq!(bench.lake.submit(&attempt, &body).await.unwrap(), Submission::Accepted);
    assert_eq!(bench.lake.fence(&attempt).await.unwrap(), FenceAnswer::Duplicate);
    assert_eq!(bench.lake.ask(&attempt).await.unwrap(), succeeded(&batch));
}

#[tokio::test]
async fn a_foreign_file_is_not_taken_for_ours() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let foreign = self::batch("game_b", "other");
    let body = bench.body(&foreign);
    fs::create_dir_all(bench.path(&batch).parent().unwrap()).unwrap();
    fs::hard_link(body.path(), bench.path(&batch)).unwrap();
    let expected =
        JobStatus::Succeeded { rows: 0, batch: Some(foreign.id.clone()), destination_matches: false };
    assert_eq!(bench.lake.ask(&attempt(&batch)).await.unwrap(), expected);
    // A fence of another job does not say that this attempt has failed.
    let elsewhere = self::batch("game_c", "k");
    bench.lake.fence(&attempt(&elsewhere)).await.unwrap();
    fs::remove_file(bench.path(&batch)).unwrap();
    fs::hard_link(bench.path(&elsewhere), bench.path(&batch)).unwrap();
    let expected = JobStatus::Succeeded { rows: 0, batch: None, destination_matches: false };
    assert_eq!(bench.lake.ask(&attempt(&batch)).await.unwrap(), expected);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_leaves_the_question_open() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    fs::create_dir_all(bench.path(&batch).parent().unwrap()).unwrap();
    fs::write(bench.path(&batch), "no Parquet").unwrap();
    let fault = bench.lake.ask(&attempt(&batch)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.context.contains("read the footer"), "{}", fault.chain());
}

#[tokio::test]
async fn a_lake_that_is_gone_is_not_an_empty_lake() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let body = bench.body(&batch);
    fs::remove_dir(bench.lake.root()).unwrap();
    let asked = bench.lake.ask(&attempt(&batch)).await.unwrap_err();
    let submitted = bench.lake.submit(&attempt(&batch), &body).await.unwrap_err();
    assert_eq!((asked.kind, submitted.kind), (FaultKind::Unavailable, FaultKind::Unavailable));
    assert!(!bench.lake.root().exists());
}

#[tokio::test]
async fn a_body_that_is_gone_is_no_vanished_object() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let body = bench.body(&batch);
    fs::remove_file(body.path()).unwrap();
    let fault = bench.lake.submit(&attempt(&batch), &body).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert_eq!(bench.lake.ask(&attempt(&batch)).await.unwrap(), JobStatus::NotFound);
}

#[tokio::test]
async fn racing_submissions_have_one_winner() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let attempt = attempt(&batch);
    let bodies: Vec<_> = (0..8).map(|_| bench.body(&batch)).collect();
    let mut racers = tokio::task::JoinSet::new();
    for body in bodies {
        let (lake, attempt) = (bench.lake.clone(), attempt.clone());
        racers.spawn(async move { lake.submit(&attempt, &body).await.unwrap() });
    }
    let answers = racers.join_all().await;
    let accepted = answers.iter().filter(|answer| **answer == Submission::Accepted);
    assert_eq!(accepted.count(), 1);
    assert_eq!(bench.names(), 1);
}

/// The file system's answers when it cannot link, or will not.
const REFUSALS: [fn(&Path, &Path) -> io::Result<()>; 3] = [
    |_, _| Err(io::ErrorKind::CrossesDevices.into()),
    |_, _| Err(io::ErrorKind::Unsupported.into()),
    |_, _| Err(io::ErrorKind::PermissionDenied.into()),
];

#[test]
fn across_file_systems_a_copy_is_linked() {
    for refuse in REFUSALS {
        let (bench, batch) = (bench(), batch("game_a", "k"));
        let (body, place) = (bench.body(&batch), bench.lake.place(&attempt(&batch)));
        place.create_folders().unwrap();
        assert_eq!(place.link(body.path(), refuse).unwrap(), Linked::New);
        assert_eq!(fs::read(&place.path).unwrap(), fs::read(body.path()).unwrap());
        assert_eq!(place.link(body.path(), refuse).unwrap(), Linked::Taken);
        // The temporary copies are gone.
        assert_eq!(bench.names(), 1);
    }
}

#[test]
fn other_refusals_to_link_are_faults() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let (body, place) = (bench.body(&batch), bench.lake.place(&attempt(&batch)));
    place.create_folders().unwrap();
    let full = |_: &Path, _: &Path| Err(io::ErrorKind::StorageFull.into());
    assert_eq!(place.link(body.path(), full).unwrap_err().kind, FaultKind::DiskFull);
    assert_eq!(bench.files(), [] as [PathBuf; 0]);
}

#[test]
fn opening_removes_what_was_left_unfinished_and_nothing_else() {
    let (bench, batch) = (bench(), batch("game_a", "k"));
    let place = bench.lake.place(&attempt(&batch));
    place.create_folders().unwrap();
    let (_, temporary) = place.temporary().unwrap();
    std::mem::forget(temporary);
    let folder = place.path.parent().unwrap().to_owned();
    fs::write(folder.join("kept.parquet"), "").unwrap();
    fs::write(folder.join(".hidden.parquet"), "").unwrap();
    fs::write(folder.join("kept.tmp"), "").unwrap();
    fs::create_dir(folder.join(".trash")).unwrap();
    fs::write(folder.join(".trash/old.parquet"), "").unwrap();
    assert_eq!(bench.names(), 4);
    Lake::open(bench.lake.root().to_owned()).unwrap();
    assert_eq!(bench.names(), 3);
    assert_eq!(bench.files(), [folder.join("kept.parquet")]);
}

#[test]
fn a_lake_needs_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let fault = Lake::open(file.clone()).unwrap_err();
    assert!(fault.context.contains("create the lake"), "{}", fault.chain());
    let nowhere = folder.path().join("link");
    symlink(folder.path().join("missing"), &nowhere).unwrap();
    assert!(Lake::open(nowhere).is_err());
    assert!(data_files(&folder.path().join("missing")).is_err());
    let lake = Lake::open(folder.path().join("a/b/c")).unwrap();
    assert_eq!(lake.root(), folder.path().join("a/b/c"));
}

#[test]
fn names_stay_within_their_folder_and_apart() {
    let names = ["", "a", ".", "..", "../x", "a/b", "a\\b", "a\0b", "%", "%25", "a%2Fb", ".hidden", "ß 漢"];
    let safe: Vec<_> = names.iter().map(|name| path_safe(name)).collect();
    for name in &safe {
        assert_eq!(Path::new(name).components().count(), 1, "{name}");
        assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.'), "{name}");
    }
    let apart: std::collections::BTreeSet<_> = safe.iter().collect();
    assert_eq!(apart.len(), names.len());
    assert_eq!(path_safe("game_a.v2 ß"), "game_a.v2 ß");
}

#[tokio::test]
async fn the_status_is_replaced_as_a_whole() {
    use crate::domain::table_status::TableStatus;
    use crate::warehouse::status::{Status, StatusTable, Written};
    let bench = bench();
    let row = |rows_today| TableStatus {
        cluster: "a".into(),
        source_table: "s.t".to_owned(),
        dataset: "d".into(),
        table: "t".into(),
        watermark: None,
        last_commit_at: None,
        last_loaded_at: None,
        rows_today,
        files_today: 0,
        files_waiting: 0,
        files_poison: 0,
        files_lost: 0,
        mode: "paused",
        lag_seconds: None,
        written_at: Instant::from_micros(0).rfc3339(),
    };
    let status = |rows| Status { dataset: "land bridge/".into(), job_id: "one".to_owned(), rows };
    let path = bench.lake.root().join("land bridge%2F/table_status.json");
    for rows in [vec![row(1), row(2)], vec![row(3)], Vec::new()] {
        let written = bench.lake.write(&status(rows.clone())).await.unwrap();
        assert_eq!(written, Written::Now);
        let lines = fs::read_to_string(&path).unwrap();
        let read = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let expected: Vec<_> = rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect();
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing unfinished stays");
    assert_eq!(data_files(bench.lake.root()).unwrap(), [] as [PathBuf; 0]);
}
