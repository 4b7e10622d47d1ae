//! The ledger in DynamoDB, on its stand-in: the suites that every ledger passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use landbridge::domain::ids::{BatchId, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::watermark::Hands;
use landbridge::ledger::SharedLedger;
use landbridge::ledger::dynamodb::DynamoDbLedger;
use landbridge::ledger::dynamodb::reader::DynamoDbReader;
use landbridge::ledger::sqlite::SqliteLedger;
use landbridge::ledger::sqlite::reader::SqliteReader;
use proptest::prelude::*;

use crate::peers::cloud::Emulators;

#[path = "../../../src/ledger/archive_conformance.rs"]
mod archive_conformance;
#[path = "../../../src/ledger/conformance.rs"]
pub mod conformance;
#[path = "../../../src/ledger/model_conformance.rs"]
mod model_conformance;
#[path = "../../../src/ledger/reader_conformance.rs"]
mod reader_conformance;

mod counted;
mod dynamodb;

static TABLES: AtomicU64 = AtomicU64::new(0);

/// A name that no other test uses.
fn table() -> String {
    format!("ledger-{}-{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed))
}

async fn open(table: &str) -> DynamoDbLedger {
    DynamoDbLedger::open(&Emulators::get().aws_config().await, table).await.unwrap()
}

async fn empty() -> SharedLedger {
    Arc::new(open(&table()).await)
}

mod conformance_in_dynamodb {
    crate::ledger::conformance::suite!(super::empty().await);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_file_is_where_the_model_says(moves in model_conformance::moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ledger = open(&table()).await;
            model_conformance::every_file_is_where_the_model_says(&ledger, moves).await;
        });
    }
}

async fn both() -> (SharedLedger, DynamoDbReader) {
    let table = table();
    let ledger = open(&table).await;
    let reader = DynamoDbReader::open(&Emulators::get().aws_config().await, &table).await.unwrap();
    (Arc::new(ledger), reader)
}

#[tokio::test]
async fn batches_are_paged() {
    let (ledger, reader) = both().await;
    reader_conformance::batches_are_paged(ledger, &reader).await;
}

/// What others said last is known, until it is too old; what this process said is not told back.
#[tokio::test]
async fn what_others_have_in_hand_is_known() {
    let at = Instant::from_micros;
    let (ledger, _) = both().await;
    let (table, batch) = (TableId::new("a", "s", "t"), BatchId::from_stored("one"));
    let hands = |process: &str, said, event| Hands {
        drained: Some(vec![("a".into(), None), ("b".into(), Some(at(said)))]),
        batches: vec![batch.clone()],
        process: process.to_owned(),
        at: at(said),
        oldest: vec![(table.clone(), at(event))],
        hides_for_seconds: 30,
    };
    assert_eq!(ledger.declare_hands(&hands("one", 10, 5), at(0)).await.unwrap(), []);
    assert_eq!(ledger.declare_hands(&hands("two", 11, 7), at(0)).await.unwrap(), [hands("one", 10, 5)]);
    assert_eq!(ledger.declare_hands(&hands("one", 20, 6), at(0)).await.unwrap(), [hands("two", 11, 7)]);
    assert_eq!(ledger.declare_hands(&hands("one", 30, 6), at(12)).await.unwrap(), []);
    assert_eq!(ledger.declare_hands(&hands("three", 31, 9), at(0)).await.unwrap(), [hands("one", 30, 6)]);
}

#[tokio::test]
async fn files_are_shown_where_they_are() {
    let (ledger, reader) = both().await;
    reader_conformance::files_are_shown_where_they_are(ledger, &reader).await;
}

/// From one kind of ledger to the other, and back.
#[tokio::test]
async fn a_copy_is_the_same_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sqlite = |name: &str| {
        let ledger: SharedLedger = Arc::new(SqliteLedger::open(&path(name)).unwrap());
        (ledger, SqliteReader::open(&path(name)).unwrap())
    };
    let (ledger, reader) = both().await;
    let (other, of_other) = sqlite("to.db");
    archive_conformance::a_copy_is_the_same_ledger((ledger, &reader), (other, &of_other)).await;
    let (ledger, reader) = sqlite("from.db");
    let (other, of_other) = both().await;
    archive_conformance::a_copy_is_the_same_ledger((ledger, &reader), (other, &of_other)).await;
}
