//! Columns whose types change: files of the old shape and of the new one, through the real binary, into BigQuery.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;

use super::cloud::{PROJECT, World};
use super::journeys::FAST;
use super::process::Process;
use super::typed_view::until_column;
use crate::cli::landbridge;

/// A type in the files, with one value of it, and that value as BigQuery answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Unsigned,
    Money,
    Fine,
    Long,
    Text,
    Bytes,
    Bool,
    Float,
    Date,
    Datetime,
    Time,
}

use Kind::{Bool, Bytes, Date, Datetime, Fine, Float, Int, Long, Money, Text, Time, Unsigned};

impl Kind {
    fn array(self) -> ArrayRef {
        let decimal = |value: i128, precision, scale| {
            Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap())
        };
        match self {
            Int => Arc::new(Int64Array::from(vec![i64::MIN])),
            Unsigned => Arc::new(UInt64Array::from(vec![u64::MAX])),
            Money => decimal(-123, 10, 2),
            Fine => decimal(12_345, 12, 4),
            Long => decimal(10_i128.pow(29) + 7, 38, 10),
            Text => Arc::new(StringArray::from(vec!["é\u{0}x"])),
            Bytes => Arc::new(BinaryArray::from(vec![&b"\xFF\x00"[..]])),
            Bool => Arc::new(BooleanArray::from(vec![false])),
            Float => Arc::new(Float64Array::from(vec![0.1])),
            Date => Arc::new(Date32Array::from(vec![20_000])),
            Datetime => Arc::new(TimestampMicrosecondArray::from(vec![1_763_856_000_000_001])),
            Time => Arc::new(Time64MicrosecondArray::from(vec![3_723_000_004])),
        }
    }

    fn shown(self) -> &'static str {
        match self {
            Int => "-9223372036854775808",
            Unsigned => "18446744073709551615",
            Money => "-1.23",
            Fine => "1.2345",
            Long => "10000000000000000000.0000000007",
            Text => "é\u{0}x",
            Bytes => "/wA=",
            Bool => "false",
            Float => "0.1",
            Date => "2024-10-04",
            Datetime => "2025-11-23T00:00:00.000001",
            Time => "01:02:03.000004",
        }
    }

    /// What `_rescued` has of it.
    fn rescued(self) -> String {
        let value = match self {
            Int | Unsigned | Bool | Float => self.shown().to_owned(),
            Text => "\"é\\u0000x\"".to_owned(),
            Bytes => "\"ff00\"".to_owned(),
            Datetime => "\"2025-11-23 00:00:00.000001\"".to_owned(),
            Money | Fine | Long | Date | Time => format!("\"{}\"", self.shown()),
        };
        format!("{{\"c\":{value}}}")
    }

    /// The value as a text, of which it is one with the values of other types.
    fn as_text(self) -> String {
        let shown = self.shown();
        match self {
            Datetime => shown.replace('T', " "),
            Int | Unsigned | Money | Fine | Long | Text | Bytes | Bool | Float | Date | Time => {
                shown.to_owned()
            }
        }
    }

    /// One row of `id` and `c`.
    fn file(self, id: i64) -> Vec<u8> {
        let columns = [("id", Arc::new(Int64Array::from(vec![id])) as ArrayRef), ("c", self.array())];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        bytes
    }
}

/// The type of the first file, that of the second, and the column that takes the second's values.
const CHANGES: [(Kind, Kind, &str); 30] = [
    (Int, Money, "c"),
    (Money, Int, "c"),
    (Int, Unsigned, "c"),
    (Unsigned, Int, "c"),
    (Money, Fine, "c"),
    (Fine, Money, "c"),
    (Money, Unsigned, "c"),
    (Int, Long, "c"),
    (Long, Int, "c"),
    (Long, Fine, "c"),
    (Int, Text, "c__string"),
    (Text, Int, "c__int64"),
    (Money, Text, "c__string"),
    (Text, Money, "c__numeric"),
    (Text, Long, "c__numeric"),
    (Int, Float, "c__float64"),
    (Float, Int, "c__int64"),
    (Float, Text, "c__string"),
    (Bool, Int, "c__int64"),
    (Int, Bool, "c__bool"),
    (Text, Bytes, "c__bytes"),
    (Bytes, Text, "c__string"),
    (Date, Datetime, "c__datetime"),
    (Datetime, Date, "c__date"),
    (Date, Text, "c__string"),
    (Time, Text, "c__string"),
    (Text, Time, "c__time"),
    (Datetime, Int, "c__int64"),
    (Text, Date, "c__date"),
    (Bool, Text, "c__string"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_changes_loses_no_value() {
    let world = World::new(1, CHANGES.len()).await;
    let cluster = &world.clusters[0];
    let process = Process::start(&world.configure(FAST)).await;
    // The old shape, the new one, and the old one again; the last two in one window or in two.
    for (kind, id) in [(0, 1), (1, 2), (0, 3)] {
        for (table, (first, second, _)) in cluster.tables.iter().zip(CHANGES) {
            let kind = if kind == 0 { first } else { second };
            world.put_bytes(&cluster.bucket, &world.key(table), kind.file(id)).await;
        }
        if id == 1 {
            process.until_files("loaded", CHANGES.len()).await;
        }
    }
    process.until_files("loaded", 3 * CHANGES.len()).await;
    for (table, (first, second, column)) in cluster.tables.iter().zip(CHANGES) {
        let query = format!("SELECT c, {column} FROM `{PROJECT}.{}.{table}` ORDER BY id", cluster.dataset);
        let rows = world.query(&query).await;
        let (old, new) = (Some(first.shown().to_owned()), Some(second.shown().to_owned()));
        let beside = |old, new| if column == "c" { vec![new; 2] } else { vec![old, new] };
        let old_row = if column == "c" { vec![old.clone(); 2] } else { vec![old, None] };
        let expected = [old_row.clone(), beside(None, new), old_row];
        assert_eq!(rows, expected, "{first:?} to {second:?}: {query}");
    }
    every_value_is_in_one_column_of_the_view(&world, &process).await;
    // A restart knows it all from the ledger, and the history tells it.
    let mut command = landbridge();
    let table = format!("{}/casino.t10", cluster.name);
    command.args(["schema", "history", &table, "--url", &process.url]);
    let shown = String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned();
    assert!(shown.contains("c__string") && shown.contains("beside"), "{shown}");
    assert_eq!(process.metric("landbridge_restarts_total", "").await, 0.0);
}

/// The view has one column for all that `c` ever was, and what is beside it under its own name.
async fn every_value_is_in_one_column_of_the_view(world: &World, process: &Process) {
    let cluster = &world.clusters[0];
    for (table, (first, second, column)) in cluster.tables.iter().zip(CHANGES) {
        until_column(process, &cluster.dataset, table, column).await;
        let query = format!(
            "SELECT CAST(c AS STRING), {column} IS NULL FROM `{PROJECT}.{}.{table}_typed` ORDER BY id",
            cluster.dataset
        );
        let rows = world.query(&query).await;
        let is_number = |text: &str| text.contains('.') && text.parse::<f64>().is_ok();
        // The stand-in writes all digits that the type has; BigQuery writes those of the number.
        let trimmed = |text: &str| match is_number(text) {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.to_owned(),
        };
        let values: Vec<_> = rows.iter().map(|row| trimmed(row[0].as_ref().unwrap())).collect();
        let expected = [first, second, first].map(Kind::as_text);
        assert_eq!(values, expected, "{first:?} to {second:?}: {query}");
        let beside: Vec<_> = rows.iter().map(|row| row[1].as_deref() == Some("false")).collect();
        assert_eq!(beside, [column == "c", true, column == "c"], "{first:?} to {second:?}: {query}");
    }
    assert_eq!(process.metric("landbridge_view_failures_total", "").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_nowhere_is_rescued_as_json() {
    let (rescued, fitting): (Vec<_>, Vec<_>) = CHANGES.into_iter().partition(|(.., column)| *column != "c");
    assert!(fitting.len() == 10 && rescued.len() == 20);
    let world = World::new(1, rescued.len()).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let text = std::fs::read_to_string(&config).unwrap();
    let policy = format!("dataset = \"{}\"\n", cluster.dataset);
    std::fs::write(&config, text.replace(&policy, &format!("{policy}schema_changes = \"rescue\"\n")))
        .unwrap();
    let process = Process::start(&config).await;
    for (first, id) in [(true, 1), (false, 2), (true, 3)] {
        for (table, (old, new, _)) in cluster.tables.iter().zip(&rescued) {
            let kind = if first { old } else { new };
            world.put_bytes(&cluster.bucket, &world.key(table), kind.file(id)).await;
        }
        if id == 1 {
            process.until_files("loaded", rescued.len()).await;
        }
    }
    process.until_files("loaded", 3 * rescued.len()).await;
    for (table, (old, new, _)) in cluster.tables.iter().zip(&rescued) {
        let query = format!("SELECT c, _rescued FROM `{PROJECT}.{}.{table}` ORDER BY id", cluster.dataset);
        let kept = vec![Some(old.shown().to_owned()), None];
        let expected = [kept.clone(), vec![None, Some(new.rescued())], kept];
        assert_eq!(world.query(&query).await, expected, "{old:?} to {new:?}: {query}");
    }
    assert_eq!(process.metric("landbridge_restarts_total", "").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_to_stay_as_it_is_is_held_and_goes_on_once_its_policy_is_another() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let evolving = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        evolving.replace("key = [\"id\"]", "key = [\"id\"]\nschema_changes = \"freeze\""),
    )
    .unwrap();
    let process = Process::start(&config).await;
    world.put_bytes(&cluster.bucket, &world.key("t0"), Int.file(1)).await;
    process.until_files("loaded", 1).await;
    world.put_bytes(&cluster.bucket, &world.key("t0"), Text.file(2)).await;
    process
        .until("the table is held", || async {
            process.metric("landbridge_table_mode", "mode=\"held\"").await > 0.5
        })
        .await;
    let log = process.log();
    assert!(
        log.contains("schema_changes = \\\"freeze\\\"") || log.contains("schema_changes = \"freeze\""),
        "{log}"
    );
    process.kill();
    assert_eq!(world.loaded_rows().await, 1);
    std::fs::write(&config, evolving).unwrap();
    let process = Process::start(&config).await;
    let table = format!("{}/casino.t0", cluster.name);
    let resumed = landbridge().args(["resume", &table, "--url", &process.url]).output().unwrap();
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    process.until("the second file is loaded", || async { world.loaded_rows().await == 2 }).await;
    let rows =
        world.query(&format!("SELECT c__string FROM `{PROJECT}.{}.t0` ORDER BY id", cluster.dataset)).await;
    assert_eq!(rows, [[None], [Some(Text.shown().to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_a_warehouse_does_not_take_get_others_and_no_value_is_lost() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let process = Process::start(&world.configure(FAST)).await;
    let names = ["id", "ID", "größe", "a b", "_TABLE_x", "_op", "1st"];
    let columns = names
        .iter()
        .enumerate()
        .map(|(place, name)| (*name, Arc::new(Int64Array::from(vec![place as i64])) as ArrayRef));
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    world.put_bytes(&cluster.bucket, &world.key("t0"), bytes).await;
    process.until_files("loaded", 1).await;
    let table = format!("{}/casino.t0", cluster.name);
    let shown =
        landbridge().args(["schema", "history", "--json", &table, "--url", &process.url]).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let entries = shown["entries"].as_array().unwrap();
    assert_eq!(entries.len(), names.len(), "{shown}");
    for (place, name) in names.iter().enumerate() {
        let entry = entries.iter().find(|entry| entry["column"] == **name).unwrap();
        let target = entry["target"].as_str().unwrap();
        let rows = world.query(&format!("SELECT `{target}` FROM `{PROJECT}.{}.t0`", cluster.dataset)).await;
        assert_eq!(rows, [[Some(place.to_string())]], "{name} is {target}");
    }
}
