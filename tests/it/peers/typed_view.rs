//! Typed views: what is in a table, read through the view beside it.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use super::cloud::{Emulators, PROJECT, World};
use super::journeys::FAST;
use super::process::Process;
use crate::verify::verify;

/// The columns of a table or a view; none where it is not there.
async fn columns(dataset: &str, table: &str) -> Vec<String> {
    let address = &Emulators::get().bigquery;
    let url = format!("{address}/bigquery/v2/projects/{PROJECT}/datasets/{dataset}/tables/{table}");
    let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let fields = answer["schema"]["fields"].as_array().cloned().unwrap_or_default();
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the table's view has a column.
pub async fn until_column(process: &Process, dataset: &str, table: &str, column: &str) {
    let view = format!("{table}_typed");
    let what = format!("{dataset}.{view} has {column}");
    process.until(&what, || async { columns(dataset, &view).await.iter().any(|name| name == column) }).await;
}

pub fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn bytes(values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(BinaryArray::from(values.to_vec()))
}

pub fn numbers(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, values)| (name, values, true)),
    )
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    bytes
}

/// A point of 10 and 20, with this SRID.
fn point(srid: u32) -> Vec<u8> {
    let mut bytes = srid.to_le_bytes().to_vec();
    bytes.extend([1, 1, 0, 0, 0]);
    bytes.extend(10_f64.to_le_bytes());
    bytes.extend(20_f64.to_le_bytes());
    bytes
}

/// The types of the columns at the source.
const TYPES: &str = "key = [\"id\"]\n[mapping.table.columns]\npayload = { type = \"json\" }\n\
    tags = { type = \"set('a','b')\" }\nflags = { type = \"bit(12)\" }\nplace = { type = \"point\" }\n\
    amount = { type = \"decimal(65,30)\" }\nspan = { type = \"time(6)\" }\nat = { type = \"datetime(6)\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_read_as_their_source_meant_them_and_nothing_raises() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("key = [\"id\"]\n", TYPES)).unwrap();
    let process = Process::start(&config).await;
    let (near, flat, far, cut) = (point(4326), point(0), point(3857), point(4326)[..9].to_vec());
    let long = "12345678901234567890.123456789";
    let moments = vec![Some(1_763_856_000_000_001), None, None, None, None];
    let file = parquet(vec![
        ("id", numbers((1..=5).map(Some).collect())),
        ("payload", texts(&[Some(r#"{"a": 1.5}"#), Some("no json"), Some("[]"), Some("null"), None])),
        ("tags", texts(&[Some("a,b"), Some(""), Some("b"), None, None])),
        ("flags", bytes(&[Some(b"\x0F\xFF"), Some(b"\x01"), Some(b""), None, None])),
        ("place", bytes(&[Some(&near), Some(&flat), Some(&far), Some(&cut), None])),
        ("amount", texts(&[Some(long), Some("-0.5"), Some("not a number"), Some(""), None])),
        ("span", texts(&[Some("11:12:13.000004"), Some("838:59:59"), Some("-01:00:00"), None, None])),
        ("at", Arc::new(TimestampMicrosecondArray::from(moments)) as ArrayRef),
    ]);
    world.put_bytes(&cluster.bucket, &world.key("t0"), file).await;
    process.until_files("loaded", 1).await;
    until_column(&process, &cluster.dataset, "t0", "payload").await;
    let query = format!(
        "SELECT JSON_VALUE(payload, '$.a'), payload__raw, ARRAY_TO_STRING(tags, '|'), CAST(tags IS NULL AS STRING), \
         CAST(flags AS STRING), ST_ASTEXT(place), CAST(place__raw IS NULL AS STRING), CAST(amount > 1 AS STRING), \
         amount__raw, CAST(span AS STRING), span__raw, CAST(at AS STRING) FROM `{PROJECT}.{}.t0_typed` ORDER BY id",
        cluster.dataset
    );
    let rows = world.query(&query).await;
    let shown =
        rows.iter().map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("-")).collect::<Vec<_>>());
    let shown: Vec<_> = shown.map(|cells| cells.join("; ")).collect();
    let moment = "2025-11-23 00:00:00.000001";
    let expected = [
        format!(
            r#"1.5; {{"a": 1.5}}; a|b; false; 4095; POINT(10 20); false; true; {long}; 11:12:13.000004; 11:12:13.000004; {moment}"#
        ),
        "-; no json; ; false; 1; POINT(10 20); false; false; -0.5; -; 838:59:59; -".to_owned(),
        "-; []; b; false; -; -; false; -; not a number; -; -01:00:00; -".to_owned(),
        "-; null; -; true; -; -; false; -; ; -; -; -".to_owned(),
        "-; -; -; true; -; -; true; -; -; -; -; -".to_owned(),
    ];
    assert_eq!(shown, expected);
    assert_eq!(process.metric("landbridge_view_failures_total", "").await, 0.0);
}

/// Key, change sequence, operation, a value.
type Change<'a> = (Option<i64>, Option<&'a str>, Option<&'a str>, &'a str);

/// A file of changes.
fn changes(rows: &[Change<'_>]) -> Vec<u8> {
    parquet(vec![
        ("Op", texts(&rows.iter().map(|row| row.2).collect::<Vec<_>>())),
        ("id", numbers(rows.iter().map(|row| row.0).collect())),
        ("v", texts(&rows.iter().map(|row| Some(row.3)).collect::<Vec<_>>())),
        ("dms_change_seq", texts(&rows.iter().map(|row| row.1).collect::<Vec<_>>())),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_dms_has_written_again_is_there_once_and_counted() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let process = Process::start(&config).await;
    let (one, two) =
        (Some("20251123000000000000000000000000001"), Some("20251123000000000000000000000000002"));
    let first = changes(&[
        (Some(1), one, Some("I"), "first"),
        (Some(1), two, Some("U"), "first"),
        (Some(1), two, Some("D"), "first"),
        (Some(2), two, Some("U"), "first"),
        // A full load.
        (Some(3), None, None, "whole"),
        (Some(3), None, None, "whole"),
        // Nobody knows which row this is.
        (None, two, Some("U"), "nameless"),
        (None, two, Some("U"), "nameless"),
    ]);
    world.put_bytes(&cluster.bucket, &world.key("t0"), first).await;
    process.until_files("loaded", 1).await;
    let again = changes(&[
        (Some(1), two, Some("U"), "again"),
        (Some(1), one, Some("I"), "again"),
        (Some(2), one, Some("I"), "late"),
    ]);
    world.put_bytes(&cluster.bucket, &world.key("t0"), again).await;
    process.until_files("loaded", 2).await;
    until_column(&process, &cluster.dataset, "t0", "v").await;
    let view = format!("`{PROJECT}.{}.t0_typed`", cluster.dataset);
    let rows = world.query(&format!("SELECT v, COUNT(*) FROM {view} GROUP BY v ORDER BY v")).await;
    let counted = [("first", "4"), ("late", "1"), ("nameless", "2"), ("whole", "2")];
    assert_eq!(rows, counted.map(|(v, n)| [Some(v.to_owned()), Some(n.to_owned())]));
    // All of them are rows of their files, and no finding.
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 rows are changes that DMS has written again"), "{text}");
    let (_, text) = verify(&config, &["--json"]);
    assert!(text.contains("\"repeats\":2"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_views_name_stays_and_loads_go_on() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let text = std::fs::read_to_string(&config).unwrap();
    // The second table has none.
    let (first, second) = text.rsplit_once("key = [\"id\"]\n").unwrap();
    std::fs::write(&config, format!("{first}key = [\"id\"]\ntyped_view = false\n{second}")).unwrap();
    let process = Process::start(&config).await;
    world.put(cluster, "t1", 3).await;
    process.until_files("loaded", 1).await;
    world.query(&format!("CREATE TABLE `{PROJECT}.{}.t0_typed` (mine INT64)", cluster.dataset)).await;
    for files in 2..=4 {
        world.put(cluster, "t0", 5).await;
        process.until_files("loaded", files).await;
    }
    let failures = || async { process.metric("landbridge_view_failures_total", "destination_refused").await };
    process.until("it is told", || async { failures().await > 0.5 }).await;
    let log = process.log();
    assert!(log.contains("what has its name is no view") && log.contains("typed_view = false"), "{log}");
    // Not with every load again.
    assert!(failures().await < 2.5, "{log}");
    assert_eq!(columns(&cluster.dataset, "t0_typed").await, ["mine"]);
    assert!(columns(&cluster.dataset, "t1_typed").await.is_empty());
    assert_eq!(world.must_be_equal(&[]), 18);
}
