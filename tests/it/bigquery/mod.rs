//! The BigQuery adapter over real HTTP, against scripted answers: those that the service gave and was recorded giving, and those
//! that no stand-in gives.

use std::path::Path;
use std::sync::Arc;

use landbridge::bucket::Bucket;
use landbridge::bucket::local::{LocalBucket, etag_of};
use landbridge::columns::body::Body;
use landbridge::columns::footer::read_footer;
use landbridge::columns::rules::ColumnRules;
use landbridge::columns::transcode::{Input, build};
use landbridge::config::types::{BigQuery as Settings, GoogleCredentials};
use landbridge::demo::rows::{Column, Layout, Slice, Values, rows};
use landbridge::demo::writer::{Codec, write};
use landbridge::domain::batch::{Attempt, Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::file::FileId;
use landbridge::domain::ids::{AttemptNumber, TableId};
use landbridge::domain::instant::Instant;
use landbridge::warehouse::bigquery::{BigQuery, Keys};

mod identity;
mod jobs;
mod reasons;
mod recorded;
mod status;
mod tables;
mod uploads;
mod views;

/// A batch of one file, its attempt and its body.
struct Loaded {
    _folder: tempfile::TempDir,
    attempt: Attempt,
    body: Body,
}

/// A file of so many rows, through the whole of `columns`.
async fn loaded(count: usize) -> Loaded {
    let columns = [
        Column { name: "id", values: Values::Number, nulls: 0 },
        Column { name: "note", values: Values::Hex(40), nulls: 0 },
        Column { name: "amount", values: Values::Money(23, 4, 500_000_000), nulls: 10 },
        Column { name: "token", values: Values::Token, nulls: 10 },
        Column { name: "day", values: Values::Day, nulls: 10 },
        Column { name: "at", values: Values::At, nulls: 10 },
        Column { name: "flag", values: Values::Flag(50), nulls: 10 },
        Column { name: "rate", values: Values::Double, nulls: 10 },
    ];
    let folder = tempfile::tempdir().unwrap();
    let slice = Slice { first: 0, rows: count, commit: Instant::from_micros(0), step_micros: 1, seed: 1 };
    let path = folder.path().join("LOAD00000001.parquet");
    write(&path, &rows(&columns, Layout::Changes, slice).unwrap(), Codec::None).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    let table = TableId::new("c", "s", "t");
    let file = FileId {
        table: table.clone(),
        bucket: "c".into(),
        key: "LOAD00000001.parquet".into(),
        etag: etag_of(&metadata).into(),
        size_bytes: metadata.len(),
    };
    let rules = ColumnRules {
        op: "Op".into(),
        timestamp: Some("dms_timestamp".into()),
        sequence: Some("dms_change_seq".into()),
        instants: std::collections::BTreeSet::new(),
        ..ColumnRules::default()
    };
    let bucket = LocalBucket::new([(Arc::from("c"), folder.path().to_owned())]);
    let object = bucket.open(&file).await.unwrap();
    let footer = read_footer(&file, Arc::clone(&object), &rules).unwrap();
    let plan = footer.plan().clone();
    let manifest = Manifest { entries: vec![ManifestEntry { file: file.clone(), rows: footer.rows() }] };
    let batch =
        Batch::plan(table, destination(), Instant::from_micros(1_763_856_000_000_000), None, manifest);
    let inputs = [Input { file, object, footer }];
    let body = build(
        &landbridge::columns::layout::Layout::DEFAULT,
        &batch,
        &plan,
        &rules,
        &inputs,
        folder.path().join("body"),
        &|| true,
    )
    .unwrap();
    let attempt = batch.attempt(AttemptNumber::FIRST, "plan");
    Loaded { _folder: folder, attempt, body }
}

fn destination() -> Destination {
    Destination { project: "p".into(), location: "EU".into(), dataset: "d".into(), table: "t".into() }
}

async fn connect(endpoint: &str) -> BigQuery {
    let settings = Settings {
        project: "p".into(),
        location: "EU".into(),
        endpoint: endpoint.to_owned(),
        storage_endpoint: "http://127.0.0.1:9".to_owned(),
        credentials: GoogleCredentials::Anonymous,
    };
    let keys = Keys::from([(("d".into(), "t".into()), vec!["id".to_owned(), "rate".to_owned()])]);
    BigQuery::new(&settings, keys).await.unwrap()
}

fn data(name: &str) -> serde_json::Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bigquery-recorded");
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// A table as `tables.get` shows it, with the columns of `loaded` and lineage, and others besides.
fn table(more: &[(&str, &str)]) -> serde_json::Value {
    let own = [
        ("id", "INTEGER"),
        ("note", "STRING"),
        ("amount", "NUMERIC"),
        ("token", "BYTES"),
        ("day", "DATE"),
        ("at", "DATETIME"),
        ("flag", "BOOLEAN"),
        ("rate", "FLOAT"),
        ("_op", "STRING"),
        ("_committed_at", "TIMESTAMP"),
        ("_change_seq", "STRING"),
        ("_source_file", "STRING"),
        ("_source_row", "INTEGER"),
        ("_batch_id", "STRING"),
        ("_claimed_at", "TIMESTAMP"),
    ];
    // Later entries stand for earlier ones of the same name.
    let mut columns: Vec<(&str, &str)> = Vec::new();
    for column in own.iter().chain(more) {
        columns.retain(|(name, _)| *name != column.0);
        columns.push(*column);
    }
    let fields: Vec<_> =
        columns.iter().map(|(name, kind)| serde_json::json!({"name": name, "type": kind})).collect();
    serde_json::json!({
        "kind": "bigquery#table", "id": "p:d.t", "location": "EU", "type": "TABLE",
        "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"},
        "schema": {"fields": fields},
    })
}
