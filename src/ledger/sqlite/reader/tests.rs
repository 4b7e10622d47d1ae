use super::*;
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::ids::AttemptNumber;
use crate::domain::instant::Instant;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Ledger, SharedLedger};
use crate::ledger::{archive_conformance, reader_conformance};

fn both(folder: &Path) -> (SharedLedger, SqliteReader) {
    let path = folder.join("a ledger?#%.db");
    let ledger: SharedLedger = Arc::new(SqliteLedger::open(&path).unwrap());
    let reader = SqliteReader::open(&path).unwrap();
    (ledger, reader)
}

#[tokio::test]
async fn batches_are_paged() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, reader) = both(folder.path());
    reader_conformance::batches_are_paged(ledger, &reader).await;
}

#[tokio::test]
async fn files_are_shown_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, reader) = both(folder.path());
    reader_conformance::files_are_shown_where_they_are(ledger, &reader).await;
}

#[tokio::test]
async fn a_copy_is_the_same_ledger() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let ((ledger, reader), (other, of_other)) = (both(folders[0].path()), both(folders[1].path()));
    archive_conformance::a_copy_is_the_same_ledger((ledger, &reader), (other, &of_other)).await;
}

async fn claim(ledger: &dyn Ledger, name: &str) -> Batch {
    let table = TableId::new("a", "s", "t");
    let file = FileId {
        table: table.clone(),
        bucket: "b".into(),
        key: name.into(),
        etag: "e".into(),
        size_bytes: 7,
    };
    let manifest = Manifest { entries: vec![ManifestEntry { file, rows: 3 }] };
    let batch = Batch::plan(table, Destination::default(), Instant::from_micros(1), None, manifest);
    let attempt = batch.attempt(AttemptNumber::FIRST, "plan");
    ledger.claim(&batch, Some(&attempt), Instant::from_micros(1)).await.unwrap();
    batch
}

async fn batches(reader: &SqliteReader) -> usize {
    reader.batches(&Scope::default(), &BatchCursor::new(), 100).await.unwrap().batches.len()
}

/// Names, lengths and times of everything in a folder.
fn picture(folder: &Path) -> Vec<(String, u64, Option<SystemTime>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut picture: Vec<_> = entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (entry.file_name().to_string_lossy().into_owned(), metadata.len(), metadata.modified().ok())
        })
        .collect();
    picture.sort();
    picture
}

#[tokio::test]
async fn a_reader_sees_what_a_process_does_before_during_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = SqliteLedger::open(&path).unwrap();
    claim(&first, "x").await;
    first.close().await.unwrap();
    drop(first);
    let before = picture(folder.path());
    let reader = SqliteReader::open(&path).unwrap();
    assert_eq!(batches(&reader).await, 1);
    assert_eq!(picture(folder.path()), before, "reading leaves no trace");
    let second = SqliteLedger::open(&path).unwrap();
    claim(&second, "y").await;
    assert_eq!(batches(&reader).await, 2, "a process that started since is seen");
    claim(&second, "z").await;
    let during = picture(folder.path());
    assert_eq!(batches(&reader).await, 3);
    assert_eq!(picture(folder.path()), during);
    second.close().await.unwrap();
    drop(second);
    assert_eq!(batches(&reader).await, 3);
}

/// A copy of a ledger with its log is what a killed process leaves.
#[tokio::test]
async fn the_log_of_a_killed_process_is_read_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    std::fs::create_dir_all(&other).unwrap();
    let ledger = SqliteLedger::open(&one.join("ledger.db")).unwrap();
    claim(&ledger, "x").await;
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        std::fs::copy(one.join(name), other.join(name)).unwrap();
    }
    let before = picture(&other);
    let reader = SqliteReader::open(&other.join("ledger.db")).unwrap();
    assert_eq!(batches(&reader).await, 1);
    drop(reader);
    assert_eq!(picture(&other), before);
}

#[test]
fn what_is_no_ledger_of_this_format_is_refused_and_nothing_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| SqliteReader::open(path).map(|_| ()).unwrap_err();
    let missing = folder.path().join("none.db");
    let fault = refused(&missing);
    assert_eq!(fault.kind, FaultKind::Vanished);
    assert!(fault.chain().contains("there is no ledger"), "{}", fault.chain());
    assert_eq!(picture(folder.path()), []);
    let old = folder.path().join("old.db");
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    let stamp = format!("PRAGMA application_id = {}; PRAGMA user_version = 1;", schema::APPLICATION_ID);
    connection.execute_batch(&stamp).unwrap();
    drop(connection);
    assert!(refused(&old).chain().contains("has format 1"), "{}", refused(&old).chain());
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(refused(&empty).kind, FaultKind::LedgerCorrupt);
}

#[tokio::test]
async fn entries_that_point_to_a_batch_without_the_file_are_strays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    let batch = claim(&ledger, "x").await;
    ledger.close().await.unwrap();
    drop(ledger);
    let spoiled = Connection::open(&path).unwrap();
    spoiled
        .execute_batch(
            "PRAGMA foreign_keys = OFF; INSERT INTO files (key, home, batch) VALUES (x'00', 0, 1), (x'01', 0, 99);",
        )
        .unwrap();
    drop(spoiled);
    let reader = SqliteReader::open(&path).unwrap();
    let strays = reader.files(&Scope::default(), None, 100).await.unwrap().stray;
    let seen: Vec<_> = strays.iter().map(|stray| (stray.key.as_str(), stray.batch.as_str())).collect();
    assert_eq!(seen, [("00", batch.id.as_str()), ("01", "number 99")]);
    assert!(strays[0].text.contains("does not name it") && strays[1].text.contains("not there"));
}
