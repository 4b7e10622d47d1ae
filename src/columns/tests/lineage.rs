//! DMS's own columns and lineage.

use arrow::array::Array;
use parquet::basic::{Compression, GzipLevel};

use super::super::layout::Layout;
use super::super::lineage;
use super::{
    CLAIMED_AT, Cells, PLAIN, Style, batch_of, built, file, footer, inputs, some, texts, times, try_build,
};
use crate::domain::fault::FaultKind;
use crate::domain::instant::Instant;
use crate::domain::summary::CommitSpan;

fn ids(count: i64) -> Cells {
    Cells::Int64((0..count).map(Some).collect())
}

#[test]
fn op_may_be_required_optional_first_last_or_absent() {
    let op = || texts(&[Some("I"), Some("U"), Some("D")]);
    let files = [
        file("required binary Op (UTF8); optional int64 id;", &[vec![op(), ids(3)]], PLAIN),
        file("optional int64 id; optional binary Op (UTF8);", &[vec![ids(3), op()]], PLAIN),
        file("optional int64 id;", &[vec![ids(3)]], PLAIN),
        file(
            "optional binary Op (UTF8); optional int64 id;",
            &[vec![texts(&[Some("D"), None, Some("")]), ids(3)]],
            PLAIN,
        ),
    ];
    let built = built(&files);
    assert_eq!(built.names()[0], "id");
    assert_eq!(built.names()[1..], lineage::NAMES);
    assert_eq!(built.column("id"), times(some(&["0", "1", "2"]), 4));
    let mut expected = times(some(&["I", "U", "D"]), 2);
    expected.extend(vec![None; 3]);
    expected.extend([Some("D".to_owned()), None, None]);
    assert_eq!(built.column("_op"), expected);
}

#[test]
fn an_operation_that_dms_does_not_know_is_a_conflict() {
    let bytes = file("optional binary Op (UTF8);", &[vec![texts(&[Some("I"), Some("shipped")])]], PLAIN);
    let inputs = inputs(&[bytes]).unwrap();
    let failure = try_build(&inputs, &|| true).err().unwrap();
    assert_eq!(failure.fault.kind, FaultKind::SchemaConflict);
    assert_eq!(failure.file.as_ref(), Some(&inputs[0].file));
    assert!(failure.fault.context.contains("shipped"), "{}", failure.fault.context);
}

#[test]
fn commit_times_come_as_text_or_as_moments() {
    let stamps = texts(&[Some("2025-11-23 00:00:00.123456"), Some("0000-00-00 00:00:00"), None]);
    let files = [
        file("optional binary ts (UTF8);", &[vec![stamps]], PLAIN),
        file("required int64 ts (TIMESTAMP_MILLIS);", &[vec![Cells::Int64(vec![Some(-1)])]], PLAIN),
        file("optional int64 ts (TIMESTAMP_MICROS);", &[vec![Cells::Int64(vec![Some(7), None])]], PLAIN),
    ];
    let built = built(&files);
    let mut expected = some(&["1763856000123456Z"]);
    expected.extend([None, None, Some("-1000Z".to_owned()), Some("7Z".to_owned()), None]);
    assert_eq!(built.column("_committed_at"), expected);
    assert_eq!(built.names(), lineage::NAMES);
}

/// The first and the last commit time of each file are told, whatever way its column goes: decoded from text, written anew, copied
/// as it is compressed; not of a full load, and not where none can be read.
#[test]
fn commit_times_of_each_change_file_are_told() {
    let gzip = Style { codec: Compression::GZIP(GzipLevel::default()), ..PLAIN };
    let stamps = |told: &[Option<&str>]| file("optional binary ts (UTF8);", &[vec![texts(told)]], PLAIN);
    let moments = |unit: &str, values: Vec<Option<i64>>| {
        file(&format!("optional int64 ts ({unit});"), &[vec![Cells::Int64(values)]], gzip)
    };
    let (early, late) = ("2025-11-23 00:00:00.000001", "2025-11-23 00:00:01");
    let files = [
        stamps(&[Some(late), None, Some("none"), Some(early)]),
        stamps(&[None, Some("")]),
        stamps(&[Some(early)]),
        moments("TIMESTAMP_MILLIS", vec![Some(5), Some(-1)]),
    ];
    let mut changes = inputs(&files).unwrap();
    changes[2].file.key = "dms/casino/bets/LOAD00000001.parquet".into();
    let span = |oldest, newest| CommitSpan {
        oldest: Instant::from_micros(oldest),
        newest: Instant::from_micros(newest),
    };
    let told = try_build(&changes, &|| true).unwrap();
    let midnight = 1_763_856_000_000_000;
    let expected = [(0, span(midnight + 1, midnight + 1_000_000)), (3, span(-1_000, 5_000))];
    assert_eq!(*told.body.commits(), expected.into());
    let copied = inputs(&[moments("TIMESTAMP_MICROS", vec![Some(9), None, Some(-3)])]).unwrap();
    let copying = Layout { copied_bytes_min: 1, ..Layout::DEFAULT };
    let told = super::try_build_as(&copying, &copied, &|| true).unwrap();
    let columns = told.metadata.row_group(0).columns();
    let column = columns.iter().find(|column| column.column_descr().name() == "_committed_at").unwrap();
    assert!(matches!(column.compression(), Compression::GZIP(_)), "not copied: {}", column.compression());
    assert_eq!(*told.body.commits(), [(0, span(-3, 9))].into());
}

#[test]
fn an_empty_sequence_is_none() {
    let sequence = "20240528202148290000000000000000133";
    let cells = texts(&[Some(sequence), Some(""), None]);
    let built = built(&[file("optional binary seq (UTF8);", &[vec![cells]], PLAIN)]);
    assert_eq!(built.column("_change_seq"), [Some(sequence.to_owned()), None, None]);
}

#[test]
fn every_row_says_which_row_of_which_file_it_is() {
    // 12,000 rows in the second row group: more than are in hand at one time.
    let groups = [vec![ids(3)], vec![ids(12_000)], vec![ids(0)], vec![ids(2)]];
    let files =
        [file("optional int64 id;", &groups, PLAIN), file("optional int64 id;", &[vec![ids(2)]], PLAIN)];
    let inputs = inputs(&files).unwrap();
    let batch = batch_of(&inputs);
    let built = try_build(&inputs, &|| true).unwrap();
    let rows: Vec<_> = (0..12_005).chain(0..2).map(|row| Some(row.to_string())).collect();
    assert_eq!(built.column("_source_row"), rows);
    let mut sources = times(some(&["cdc/dms/casino/bets/0.parquet@etag0"]), 12_005);
    sources.extend(times(some(&["cdc/dms/casino/bets/1.parquet@etag1"]), 2));
    assert_eq!(built.column("_source_file"), sources);
    assert_eq!(built.column("_batch_id"), times(some(&[batch.id.as_str()]), 12_007));
    let claimed = format!("{CLAIMED_AT}Z");
    assert_eq!(built.column("_claimed_at"), times(some(&[&claimed]), 12_007));
    assert_eq!(built.body.rows(), 12_007);
}

#[test]
fn only_what_landbridge_itself_knows_is_required() {
    let built = built(&[file("required int64 id;", &[vec![ids(1)]], PLAIN)]);
    for field in built.rows.schema().fields() {
        let required = ["_source_file", "_source_row", "_batch_id", "_claimed_at"];
        assert_eq!(field.is_nullable(), !required.contains(&field.name().as_str()), "{field}");
    }
    assert_eq!(built.rows.column_by_name("_op").unwrap().null_count(), 1);
}

#[test]
fn dms_columns_of_a_strange_type_are_a_conflict() {
    for column in [
        "optional int32 Op;",
        "optional binary Op;",
        "optional int64 seq;",
        "optional double ts;",
        "optional int32 ts (DATE);",
    ] {
        let fault = footer(&file(column, &[], PLAIN)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::SchemaConflict, "{column}");
        assert!(fault.context.contains("DMS itself"), "{}", fault.context);
    }
}

#[test]
fn a_name_that_is_there_twice_is_a_conflict() {
    for columns in
        ["optional int64 id; optional int64 id;", "optional binary Op (UTF8); optional binary Op (UTF8);"]
    {
        let fault = footer(&file(columns, &[], PLAIN)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::SchemaConflict, "{columns}");
        assert!(fault.context.contains("rename"), "{}", fault.context);
    }
    // Upper and lower case tell DMS's column from the table's.
    let footer = footer(&file("optional binary Op (UTF8); optional int64 op;", &[], PLAIN)).unwrap();
    assert_eq!(&*footer.plan().columns()[0].0, "op");
}
