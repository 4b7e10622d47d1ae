use std::fs;

use proptest::prelude::*;

use super::super::SharedLedger;
use super::*;
use crate::domain::watermark::UNTOLD;
use crate::ledger::model_conformance::{self, moves};

mod conformance_in_memory {
    use super::*;
    crate::ledger::conformance::suite!(Arc::new(SqliteLedger::open_in_memory().unwrap()) as SharedLedger);
}

mod conformance_behind_the_front {
    use super::*;
    use crate::ledger::front::FrontedLedger;
    crate::ledger::conformance::suite!(FrontedLedger::shared(
        Arc::new(SqliteLedger::open_in_memory().unwrap()),
        4
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_file_is_where_the_model_says(moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ledger = SqliteLedger::open_in_memory().unwrap();
        runtime.block_on(model_conformance::every_file_is_where_the_model_says(&ledger, moves));
    }
}

fn refused(path: &Path) -> Fault {
    SqliteLedger::open(path).map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_ledger_is_found_again_and_is_for_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    let table = TableId::new("a", "s", "t");
    ledger.set_mode(&table, &TableMode::Paused, Instant::from_micros(1)).await.unwrap();
    let second = refused(&path);
    assert!(second.chain().contains("another process has the ledger"), "{}", second.chain());
    ledger.close().await.unwrap();
    assert_eq!(ledger.modes().await.unwrap_err().kind, FaultKind::Unavailable);
    drop(ledger);
    let again = SqliteLedger::open(&path).unwrap();
    assert_eq!(again.modes().await.unwrap(), [(table, TableMode::Paused)]);
}

#[test]
fn what_is_no_ledger_of_this_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage");
    fs::write(&garbage, "this is no database at all, but long enough to be looked at by SQLite".repeat(20))
        .unwrap();
    assert_eq!(refused(&garbage).kind, FaultKind::LedgerCorrupt);
    let foreign = folder.path().join("foreign");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(refused(&foreign).chain().contains("no ledger of landbridge"));
    let newer = folder.path().join("newer");
    drop(SqliteLedger::open(&newer).unwrap());
    Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(refused(&newer).chain().contains("has format 99"), "{}", refused(&newer).chain());
}

#[tokio::test]
async fn what_cannot_be_read_back_is_a_clear_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path).unwrap());
    let insert = "INSERT INTO batches (id, table_id, state, destination, claimed_at, manifest, updated_at)
         VALUES ('b', 'no json', 0, '{}', 0, '[]', 0)";
    Connection::open(&path).unwrap().execute_batch(insert).unwrap();
    let fault = SqliteLedger::open(&path).unwrap().open_batches(None, 1).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::LedgerCorrupt);
    assert!(fault.chain().contains("a table's name cannot be read back"), "{}", fault.chain());
}

#[tokio::test]
async fn a_ledger_of_the_first_format_is_brought_up_to_date_with_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.execute_batch(&format!(
        "PRAGMA application_id = {}; PRAGMA user_version = 1;
         INSERT INTO batches VALUES (1, 'b', '[\"a\",\"s\",\"t\"]', 2, '{{}}', 0, NULL,
             '[[\"b\",\"k\",\"e\",7,3],[\"b\",\"l\",\"e\",7,4]]', 86400000001);
         INSERT INTO files VALUES (x'01', 3, NULL, '[\"a\",\"s\",\"t\"]', '{{}}', NULL, 5);",
        schema::APPLICATION_ID
    ))
    .unwrap();
    drop(old);
    let ledger = SqliteLedger::open(&path).unwrap();
    let expected = TableSummary {
        files_of_day: 2,
        rows_of_day: 7,
        last_load_at: Some(Instant::from_micros(86_400_000_001)),
        oldest_pending_event: Some(Instant::from_micros(5)),
        deferred: 1,
        ..TableSummary::empty(TableId::new("a", "s", "t"))
    };
    assert_eq!(ledger.summary(Instant::from_micros(86_400_000_002)).await.unwrap(), [expected]);
}

/// A ledger of every earlier format goes on: what was loaded is known, poison is counted, and it has a name.
#[tokio::test]
async fn a_ledger_of_any_earlier_format_is_brought_up_to_date() {
    for format in 1..schema::MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let old = Connection::open(&path).unwrap();
        schema::MIGRATIONS.iter().take(format).for_each(|step| old.execute_batch(step).unwrap());
        let file = r#"{"table":{"cluster":"a","schema":"s","table":"t"},"bucket":"b","key":"k","etag":"e","size_bytes":7}"#;
        old.execute_batch(&format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {format};
             INSERT INTO files (key, home, batch, table_id, identity, reason, at)
                 VALUES (x'01', 1, NULL, '[\"a\",\"s\",\"t\"]', '{file}', 'bad', 5);",
            schema::APPLICATION_ID
        ))
        .unwrap();
        drop(old);
        let ledger = SqliteLedger::open(&path).unwrap();
        let table = TableId::new("a", "s", "t");
        assert_eq!(ledger.summary(Instant::from_micros(9)).await.unwrap()[0].poison, 1, "format {format}");
        assert_eq!(ledger.poison(&table, 9).await.unwrap()[0].reason, "bad", "format {format}");
        // Nobody has written down how old it is.
        assert_eq!(ledger.blocking().await.unwrap().get(&table), Some(&UNTOLD), "format {format}");
        let first = ledger.raise_epoch().await.unwrap();
        assert_eq!((first.ledger.len(), first.epoch), (32, 1), "format {format}");
        drop(ledger);
        let again = SqliteLedger::open(&path).unwrap();
        assert_eq!(again.identity().await.unwrap(), first, "format {format}");
    }
}

#[test]
fn the_summary_scans_neither_files_nor_all_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    for query in summary::QUERIES.into_iter().chain(watermark::QUERIES) {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let parameters = explain.parameter_count();
        let rows = explain
            .query_map(rusqlite::params_from_iter(std::iter::repeat_n(1, parameters)), |row| row.get(3))
            .unwrap();
        for step in rows.map(|row| row.unwrap()).collect::<Vec<String>>() {
            let scans = step.starts_with("SCAN") && (step.contains("files") || step.contains("batches"));
            assert!(!scans || step.contains("open_batches"), "{query}: {step}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_back_is_corrupt_and_not_tried_again() {
    let ledger = SqliteLedger::open_in_memory().unwrap();
    let table = TableId::new("a", "s", "t");
    ledger.set_mode(&table, &TableMode::Paused, Instant::from_micros(1)).await.unwrap();
    let spoil = |statement: &'static str| {
        let ledger = ledger.clone();
        async move {
            ledger
                .step("spoil", move |step| {
                    step.execute_batch("PRAGMA ignore_check_constraints = ON")?;
                    Ok(step.execute_batch(statement)?)
                })
                .await
                .unwrap();
        }
    };
    spoil("INSERT INTO strikes VALUES (x'00', -7, 'r', 1)").await;
    spoil("UPDATE modes SET mode = 9").await;
    assert_eq!(ledger.modes().await.unwrap_err().kind, FaultKind::LedgerCorrupt);
    let read = ledger
        .step("read", |step| Ok(step.query_row("SELECT count FROM strikes", [], |row| row.get::<_, u32>(0))?))
        .await;
    assert_eq!(read.unwrap_err().kind, FaultKind::LedgerCorrupt);
}

/// The disk is full, as SQLite meets it: no page can be added any more.
async fn limit_pages(ledger: &SqliteLedger, pages: impl Fn(i64) -> i64 + Send + 'static) {
    let limit = move |connection: &mut Connection| {
        let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok(connection.pragma_update(None, "max_page_count", pages(now))?)
    };
    ledger.on_connection("limit", limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_with_the_path_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&path).unwrap();
    let table = TableId::new("a", "s", "t");
    let file = |number: u32| FileId {
        table: table.clone(),
        bucket: "b".into(),
        key: format!("{number}-{}", "k".repeat(900)).into(),
        etag: "e".into(),
        size_bytes: 7,
    };
    limit_pages(&ledger, |pages| pages).await;
    let (mut kept, mut full) = (0, None);
    while full.is_none() {
        match ledger.settle(&[(file(kept), Verdict::Defer)], Instant::from_micros(1)).await {
            Ok(_) => kept += 1,
            Err(fault) => full = Some(fault),
        }
    }
    let fault = full.unwrap();
    assert_eq!(fault.kind, FaultKind::DiskFull);
    assert!(fault.chain().contains(&path.display().to_string()), "{}", fault.chain());
    assert!(fault.kind.remedy().contains("disk space"));
    assert_eq!(ledger.deferred_count(&table).await.unwrap(), u64::from(kept));
    assert_eq!(ledger.lookup(&[file(kept)]).await.unwrap(), [None]);
    // There is room again, and the same step goes on.
    limit_pages(&ledger, |_| i64::from(i32::MAX)).await;
    ledger.settle(&[(file(kept), Verdict::Defer)], Instant::from_micros(1)).await.unwrap();
    assert_eq!(ledger.deferred_count(&table).await.unwrap(), u64::from(kept) + 1);
}
