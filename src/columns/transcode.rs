//! The files of a batch into one body.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::types::Int32Type;
use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::body::Body;
use super::convert::{committed_at, non_empty, to_type};
use super::footer::Footer;
use super::lineage;
use super::plan::ColumnPlan;
use super::reader::ObjectReader;
use super::rules::ColumnRules;
use super::types::ColumnType;
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

/// Rows decoded at one time.
const ROWS_PER_STEP: usize = 8_192;
/// A row group ends at this many encoded bytes: BigQuery likes 16 MiB and more (`bigquery.md`, section 2.2), memory
/// likes less.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// A row group ends at this many rows.
const ROW_GROUP_ROWS: usize = 500_000;

/// The key of the batch's id in a body's footer.
pub const KEY_BATCH: &str = "landbridge.batch_id";
/// The key of the manifest's hash.
pub const KEY_MANIFEST: &str = "landbridge.manifest_hash";
/// The key of the destination's dataset.
pub const KEY_DATASET: &str = "landbridge.dataset";
/// The key of the destination's table.
pub const KEY_TABLE: &str = "landbridge.table";

/// One file of a batch, open, with its footer.
#[derive(Debug)]
pub struct Input {
    /// The file.
    pub file: FileId,
    /// Its bytes.
    pub object: Arc<dyn Object>,
    /// Its footer.
    pub footer: Footer,
}

/// Why a body could not be built.
#[derive(Debug)]
pub struct BuildFailure {
    /// The culprit, when one file is to blame.
    pub file: Option<FileId>,
    /// What is wrong.
    pub fault: Fault,
}

impl From<Fault> for BuildFailure {
    fn from(fault: Fault) -> Self {
        Self { file: None, fault }
    }
}

/// Writes the rows of `inputs`, in their order, into one Parquet file at `path`. The rows are a pure function of
/// manifest and rules (Invariant I-3b). Stops between steps when nobody waits any more.
pub fn build(
    batch: &Batch,
    plan: &ColumnPlan,
    rules: &ColumnRules,
    inputs: &[Input],
    path: PathBuf,
    wanted: &dyn Fn() -> bool,
) -> Result<Body, BuildFailure> {
    let shown = path.display().to_string();
    let file =
        File::create(&path).map_err(|error| Fault::from_io(format!("cannot create {shown}"), error))?;
    // From here on the file is removed when anything fails.
    let body = Body::begun(path.clone());
    let schema = Arc::new(plan.schema());
    let options =
        ArrowWriterOptions::new().with_properties(properties(batch, plan)).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, Arc::clone(&schema), options)
        .map_err(|error| Fault::from_error(FaultKind::Internal, format!("cannot begin {shown}"), error))?;
    for input in inputs {
        append(&mut writer, &schema, batch, plan, rules, input, wanted)?;
    }
    let metadata = writer.close().map_err(|error| spool_fault(&shown, error))?;
    let size = std::fs::metadata(&path)
        .map_err(|error| Fault::from_io(format!("cannot read {shown}"), error))?
        .len();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    Ok(body.finished(size, rows))
}

fn spool_fault(path: &str, error: parquet::errors::ParquetError) -> Fault {
    let text = error.to_string();
    let full = text.contains("No space left") || text.contains("StorageFull") || text.contains("Disk quota");
    let kind = if full { FaultKind::DiskFull } else { FaultKind::Unavailable };
    Fault::from_error(kind, format!("cannot write {path}"), error)
}

fn append(
    writer: &mut ArrowWriter<File>,
    schema: &SchemaRef,
    batch: &Batch,
    plan: &ColumnPlan,
    rules: &ColumnRules,
    input: &Input,
    wanted: &dyn Fn() -> bool,
) -> Result<(), BuildFailure> {
    let blame = |fault: Fault| BuildFailure { file: Some(input.file.clone()), fault };
    let reader = ObjectReader::new(Arc::clone(&input.object));
    let damaged = format!("{}: its pages cannot be read", input.file);
    let rows =
        ParquetRecordBatchReaderBuilder::new_with_metadata(reader.clone(), input.footer.metadata().clone())
            .with_batch_size(ROWS_PER_STEP)
            .build()
            .map_err(|error| blame(reader.fault(damaged.clone(), error)))?;
    let source_file = input.file.source_file();
    let mut row = 0_u64;
    for decoded in rows {
        if !wanted() {
            return Err(Fault::new(FaultKind::Internal, "nobody waits for this batch any more").into());
        }
        let decoded = decoded.map_err(|error| blame(reader.fault(damaged.clone(), error)))?;
        let columns = Columns { batch, plan, rules, source_file: &source_file, first_row: row };
        let whole = columns.of(&decoded, schema).map_err(|error| {
            let context = format!("{}: a value does not fit its column's type", input.file);
            blame(Fault::from_error(FaultKind::UnsupportedType, context, error))
        })?;
        writer.write(&whole).map_err(|error| spool_fault("the spool", error))?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(|error| spool_fault("the spool", error))?;
        }
        row = row.saturating_add(decoded.num_rows() as u64);
    }
    if row != input.footer.rows() {
        let text = format!("{}: {row} rows were read, its footer states {}", input.file, input.footer.rows());
        return Err(blame(Fault::new(FaultKind::Unreadable, text)));
    }
    Ok(())
}

/// What one step's rows become.
struct Columns<'a> {
    batch: &'a Batch,
    plan: &'a ColumnPlan,
    rules: &'a ColumnRules,
    source_file: &'a str,
    first_row: u64,
}

impl Columns<'_> {
    fn of(&self, decoded: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
        let rows = decoded.num_rows();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (name, kind) in self.plan.columns() {
            columns.push(match decoded.column_by_name(name) {
                Some(values) => to_type(values, *kind)?,
                None => new_null_array(&kind.arrow(), rows),
            });
        }
        let by_name = |name: &Option<Arc<str>>| name.as_deref().and_then(|name| decoded.column_by_name(name));
        columns.push(non_empty(decoded.column_by_name(&self.rules.op), rows));
        columns.push(committed_at(by_name(&self.rules.timestamp), rows)?);
        columns.push(non_empty(by_name(&self.rules.sequence), rows));
        columns.push(constant(self.source_file, rows)?);
        let first = i64::try_from(self.first_row).unwrap_or(i64::MAX);
        columns.push(Arc::new(Int64Array::from_iter_values((first..).take(rows))));
        columns.push(constant(self.batch.id.as_str(), rows)?);
        let claimed = TimestampMicrosecondArray::from_value(self.batch.claimed_at.micros(), rows);
        columns.push(Arc::new(claimed.with_timezone("UTC")));
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

/// One text, `rows` times, as a dictionary of one.
fn constant(text: &str, rows: usize) -> Result<ArrayRef, arrow::error::ArrowError> {
    let values = Arc::new(StringArray::from(vec![text]));
    let keys = Int32Array::from_value(0, rows);
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
}

fn properties(batch: &Batch, plan: &ColumnPlan) -> WriterProperties {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let labels = vec![
        pair(KEY_BATCH, batch.id.to_string()),
        pair(KEY_MANIFEST, batch.manifest.hash()),
        pair(KEY_DATASET, batch.destination.dataset.to_string()),
        pair(KEY_TABLE, batch.destination.table.to_string()),
    ];
    let level = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
    let mut builder = WriterProperties::builder()
        .set_compression(level)
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("landbridge ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(labels));
    // A dictionary pays for texts that repeat; for numbers it only costs.
    for (name, kind) in plan.columns() {
        let repeats = matches!(kind, ColumnType::String | ColumnType::Bytes);
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name.to_string()), repeats);
    }
    for name in [lineage::COMMITTED_AT, lineage::CHANGE_SEQ, lineage::SOURCE_ROW] {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    builder.build()
}
