//! Source files, made by patching numbers into Parquet files that were built once.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// The most rows of a file.
pub const ROWS_MAX: usize = 20;
/// The id of a row is the number of its file's version times this, plus the row's own number.
pub const IDS_PER_FILE: i64 = 1_000;
/// What stands where the ids will be.
const PLACEHOLDER: i64 = 0x5EED_5EED_5EED_0000;
/// Where the pages begin.
const PAGES: usize = 4;

/// The columns of a file beside its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// A text.
    Text,
    /// A number under the same name: such a file cannot travel with one of the other kind.
    Number,
    /// A group, which landbridge does not carry.
    Group,
}

struct Template {
    bytes: Vec<u8>,
    /// Where the first id is; the others follow.
    ids_at: Option<usize>,
}

static TEXT: LazyLock<Vec<Template>> = LazyLock::new(|| templates(Columns::Text));
static NUMBER: LazyLock<Vec<Template>> = LazyLock::new(|| templates(Columns::Number));
static GROUP: LazyLock<Vec<Template>> = LazyLock::new(|| templates(Columns::Group));

/// The text of a row: JSON in all rows of a file, or in every other one.
fn note(row: usize, rows: usize) -> String {
    if rows.is_multiple_of(2) || row.is_multiple_of(2) { format!("[{row}]") } else { format!("note {row}") }
}

/// Whether a row of a file may have this in its column `note`.
pub fn is_note(row: i64, note: &str) -> bool {
    [format!("[{row}]"), format!("note {row}"), row.to_string()].iter().any(|one| one == note)
}

fn templates(columns: Columns) -> Vec<Template> {
    (0..=ROWS_MAX).map(|rows| template(rows, columns)).collect()
}

fn template(rows: usize, columns: Columns) -> Template {
    let ids = Int64Array::from_iter_values((PLACEHOLDER..).take(rows));
    let note: ArrayRef = match columns {
        Columns::Text => Arc::new(StringArray::from_iter_values((0..rows).map(|row| note(row, rows)))),
        Columns::Number => Arc::new(Int64Array::from_iter_values((0..).take(rows))),
        Columns::Group => {
            let field = Arc::new(Field::new("part", DataType::Int64, false));
            let parts: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(rows)));
            Arc::new(StructArray::new(Fields::from(vec![field]), vec![parts], None))
        }
    };
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("note", note.data_type().clone(), false),
    ]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), note]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let first = PLACEHOLDER.to_le_bytes();
    let ids_at = bytes.windows(8).position(|window| window == first);
    assert_eq!(ids_at.is_some(), rows > 0);
    Template { bytes, ids_at }
}

/// A file of `rows` rows with the ids from `number * IDS_PER_FILE`; negative ids, from -1 down, when `marked`.
pub fn good(number: u64, rows: usize, columns: Columns, marked: bool) -> Bytes {
    let templates = match columns {
        Columns::Text => &TEXT,
        Columns::Number => &NUMBER,
        Columns::Group => &GROUP,
    };
    let template = &templates[rows];
    let mut bytes = template.bytes.clone();
    let first = i64::try_from(number).unwrap() * IDS_PER_FILE;
    let mut place = template.ids_at.unwrap_or_default();
    for id in (first..).take(rows) {
        let id = if marked { -1 - id } else { id };
        bytes[place..place + 8].copy_from_slice(&id.to_le_bytes());
        place += 8;
    }
    bytes.into()
}

/// The same with its first page damaged; the footer is whole.
pub fn damaged(number: u64, rows: usize) -> Bytes {
    let mut bytes = good(number, rows.max(1), Columns::Text, false).to_vec();
    bytes[PAGES..PAGES + 8].fill(0xFF);
    bytes.into()
}

/// No Parquet at all.
pub fn garbage(number: u64) -> Bytes {
    format!("PAR1 this is no Parquet file, number {number}").into()
}
