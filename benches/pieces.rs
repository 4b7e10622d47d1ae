//! The ways of a column one by one, each of one column of a million rows in files of 10,000 (or 400) rows:
//! `cargo bench --bench pieces [-- NAME]`. Criterion says how sure each time is, and what has changed since the last run.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use landbridge::columns::footer::read_footer;
use landbridge::columns::layout::Layout;
use landbridge::columns::plan::ColumnPlan;
use landbridge::columns::rules::ColumnRules;
use landbridge::columns::transcode::{Input, build};
use landbridge::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileId;
use landbridge::domain::ids::TableId;
use landbridge::domain::instant::Instant;
use landbridge::domain::object::Object;
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const ROWS: usize = 1_000_000;
const SAMPLES: usize = 10;

#[derive(Debug)]
struct Memory(Bytes);

impl Object for Memory {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        let start = usize::try_from(offset).unwrap();
        Ok(self.0.slice(start..start + length))
    }
}

/// A column: its declaration, the rows of a file, with dictionary or not, and the files.
struct Piece {
    name: &'static str,
    files: Vec<Bytes>,
}

fn files<T: DataType>(
    declared: &str,
    rows: usize,
    dictionary: bool,
    value: impl Fn(u64) -> T::T,
) -> Vec<Bytes> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {declared} }}")).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::GZIP(GzipLevel::default()))
        .set_dictionary_enabled(dictionary)
        .build();
    let properties = Arc::new(properties);
    let file = |number: usize| {
        let mut writer =
            SerializedFileWriter::new(Vec::new(), Arc::clone(&schema), Arc::clone(&properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<_> = (0..rows).map(|row| value((number * rows + row) as u64)).collect();
        let levels = vec![1; rows];
        let optional = declared.starts_with("optional").then_some(&levels[..]);
        column.typed::<T>().write_batch(&values, optional, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        Bytes::from(writer.into_inner().unwrap())
    };
    (0..ROWS / rows).map(file).collect()
}

/// A number without pattern.
fn noise(row: u64) -> u64 {
    let mixed = (row ^ (row >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn text(row: u64) -> ByteArray {
    format!("{:016x}", noise(row)).into_bytes().into()
}

fn moment(row: u64) -> ByteArray {
    let seconds = row / 1000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("2025-11-23 {hour:02}:{minute:02}:{second:02}.{:06}", row % 1000 * 1000).into_bytes().into()
}

fn pieces() -> Vec<Piece> {
    let long = |row: u64| noise(row).cast_signed();
    let decimal = |row: u64| ByteArray::from((noise(row) >> 30).to_be_bytes()[..].to_vec()).into();
    let word = |row: u64| {
        ByteArray::from(
            ["ios", "android", "web", "kiosk"]
                .get((noise(row) % 4) as usize)
                .copied()
                .unwrap_or_default()
                .as_bytes()
                .to_vec(),
        )
    };
    let piece = |name, files| Piece { name, files };
    vec![
        piece("copy INT64", files::<Int64Type>("optional int64 c;", 10_000, false, long)),
        piece("copy text", files::<ByteArrayType>("optional binary c (UTF8);", 10_000, false, text)),
        piece(
            "merge small INT64",
            files::<Int64Type>("optional int64 c;", 400, false, |row| row.cast_signed()),
        ),
        piece("merge small text", files::<ByteArrayType>("optional binary c (UTF8);", 100, false, text)),
        piece("gather dictionaries", files::<ByteArrayType>("optional binary c (UTF8);", 400, true, word)),
        piece("merge dictionaries", files::<Int64Type>("optional int64 c;", 400, true, long)),
        piece("make optional", files::<Int64Type>("required int64 c;", 10_000, false, long)),
        piece(
            "INT32 to INT64",
            files::<Int32Type>("optional int32 c;", 10_000, false, |row| (row % 60) as i32),
        ),
        piece(
            "milliseconds",
            files::<Int64Type>("optional int64 c (TIMESTAMP_MILLIS);", 10_000, false, |row| {
                row.cast_signed()
            }),
        ),
        piece("UINT_64 to DECIMAL", files::<Int64Type>("optional int64 c (UINT_64);", 10_000, false, long)),
        piece(
            "DECIMAL anew",
            files::<FixedLenByteArrayType>(
                "required fixed_len_byte_array(8) c (DECIMAL(12,2));",
                10_000,
                false,
                decimal,
            ),
        ),
        piece("commit times", files::<ByteArrayType>("required binary ts (UTF8);", 10_000, false, moment)),
    ]
}

fn inputs(files: &[Bytes], rules: &ColumnRules, table: &TableId) -> Vec<Input> {
    let input = |(number, bytes): (usize, &Bytes)| {
        let object: Arc<dyn Object> = Arc::new(Memory(bytes.clone()));
        let file = FileId {
            table: table.clone(),
            bucket: "b".into(),
            key: format!("{number}.parquet").into(),
            etag: "e".into(),
            size_bytes: bytes.len() as u64,
        };
        Input { footer: read_footer(&file, Arc::clone(&object), rules).unwrap(), file, object }
    };
    files.iter().enumerate().map(input).collect()
}

/// Measures how a body of these files is built; the body is deleted outside of the measure.
fn measure(criterion: &mut Criterion, piece: &Piece) {
    let rules = ColumnRules { timestamp: Some("ts".into()), ..ColumnRules::default() };
    let table = TableId::new("c", "s", "t");
    let inputs = inputs(&piece.files, &rules, &table);
    let plan =
        inputs.iter().fold(ColumnPlan::empty(), |plan, input| plan.unify(input.footer.plan()).unwrap());
    let entries =
        inputs.iter().map(|input| ManifestEntry { file: input.file.clone(), rows: input.footer.rows() });
    let manifest = Manifest { entries: entries.collect() };
    let destination =
        Destination { project: "".into(), location: "".into(), dataset: "d".into(), table: "t".into() };
    let batch = Batch::plan(table, destination, Instant::from_micros(0), None, manifest);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let whole = || build(&Layout::DEFAULT, &batch, &plan, &rules, &inputs, path.clone(), &|| true).unwrap();
    let stored: usize = piece.files.iter().map(Bytes::len).sum();
    println!("{}: {stored} bytes become {}", piece.name, whole().size_bytes());
    let mut group = criterion.benchmark_group("pieces");
    group.sample_size(SAMPLES).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function(piece.name, |bencher| {
        bencher.iter_batched(|| (), |()| whole(), BatchSize::PerIteration)
    });
    group.finish();
}

fn ways(criterion: &mut Criterion) {
    pieces().iter().for_each(|piece| measure(criterion, piece));
}

criterion_group!(benches, ways);
criterion_main!(benches);
