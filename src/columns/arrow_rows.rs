//! The rows of a body as Arrow record batches, in pieces: what is appended to a stream of the Storage Write API.
//!
//! A stream carries the same rows as a load job does, because both have them from the same body: types, masks and lineage are
//! decided once, where the body is built.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as Physical;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::domain::fault::{Fault, FaultKind};

/// A piece is made no larger than this, if it has more than one row.
const PIECE_BYTES: usize = 1 << 20;
/// The largest row that is given to a stream. A request has at most 10 MB (Google Cloud, BigQuery: "Quotas and limits", Storage Write
/// API), the schema and the frame among them; a load job takes rows of 100 MB.
pub const ROW_BYTES_MAX: usize = 8 << 20;
/// What rows of texts that are in dictionaries come to at the most, when they are decoded.
const DECODED_BYTES: usize = 64 << 20;
/// The most rows that are decoded at a time.
const ROWS_MAX: usize = 4_096;

/// Some rows, one after the other.
#[derive(Debug)]
pub struct Piece {
    /// How many.
    pub rows: u64,
    /// A record batch as a message of Arrow's IPC.
    pub message: Vec<u8>,
}

/// A body's rows, in their order.
pub struct ArrowRows {
    reader: ParquetRecordBatchReader,
    schema: Arc<Schema>,
    /// Pieces of the batch in hand that are still to be given, the next one last.
    waiting: Vec<RecordBatch>,
    context: IpcWriteContext,
}

impl ArrowRows {
    /// Opens the body at `path`, whose columns are sent as `types`.
    pub fn open(path: &Path, types: &[DataType]) -> Result<Self, Fault> {
        let builder = open(path)?;
        let batch_rows = rows_at_a_time(builder.metadata());
        let names = Arc::clone(builder.schema());
        if names.fields().len() != types.len() {
            let text =
                format!("{} has {} columns, not {}", path.display(), names.fields().len(), types.len());
            return Err(Fault::new(FaultKind::Internal, text));
        }
        let fields = names.fields().iter().zip(types);
        let fields: Vec<_> = fields.map(|(own, kind)| Field::new(own.name(), kind.clone(), true)).collect();
        let reader =
            builder.with_batch_size(batch_rows).build().map_err(|error| unreadable("read", error.into()))?;
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { reader, schema, waiting: Vec::new(), context: IpcWriteContext::default() })
    }

    /// The schema of all pieces, as a message of Arrow's IPC.
    pub fn schema(&self) -> Result<Vec<u8>, Fault> {
        let (options, mut tracker) = (IpcWriteOptions::default(), DictionaryTracker::new(false));
        let generator = IpcDataGenerator::default();
        let encoded = generator.schema_to_bytes_with_dictionary_tracker(&self.schema, &mut tracker, &options);
        framed(encoded).map_err(|error| unreadable("encode the schema of", error))
    }

    /// The next rows; none when there are no more.
    pub fn piece(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            let batch = match self.waiting.pop() {
                Some(batch) => batch,
                None => match self.reader.next() {
                    Some(read) => {
                        let batch = read.and_then(|batch| self.typed(&batch));
                        batch.map_err(|error| unreadable("read", error))?
                    }
                    None => return Ok(None),
                },
            };
            let rows = batch.num_rows();
            if rows == 0 {
                continue;
            }
            let message = self.encoded(&batch).map_err(|error| unreadable("encode", error))?;
            if rows == 1 || message.len() <= PIECE_BYTES {
                return Ok(Some(Piece { rows: rows as u64, message }));
            }
            let half = rows / 2;
            self.waiting.extend([batch.slice(half, rows - half), batch.slice(0, half)]);
        }
    }

    fn typed(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns: Result<Vec<_>, _> = columns
            .map(|(column, field)| {
                if column.data_type() == field.data_type() {
                    Ok(Arc::clone(column))
                } else {
                    // What does not fit is refused, and not made NULL.
                    cast_with_options(
                        column,
                        field.data_type(),
                        &CastOptions { safe: false, ..CastOptions::default() },
                    )
                }
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns?)
    }

    fn encoded(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let (options, mut tracker) = (IpcWriteOptions::default(), DictionaryTracker::new(false));
        let generator = IpcDataGenerator::default();
        // No column of ours is a dictionary.
        let (_, encoded) = generator.encode(batch, &mut tracker, &options, &mut self.context)?;
        framed(encoded)
    }
}

fn framed(encoded: EncodedData) -> Result<Vec<u8>, ArrowError> {
    let mut message = Vec::new();
    write_message(&mut message, encoded, &IpcWriteOptions::default())?;
    Ok(message)
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Fault> {
    let file = File::open(path).map_err(|error| {
        Fault::from_error(FaultKind::Unavailable, format!("cannot open {}", path.display()), error)
    })?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable("read", error.into()))
}

/// A body is landbridge's own: that it cannot be read is no file's fault.
fn unreadable(deed: &str, error: ArrowError) -> Fault {
    Fault::from_error(FaultKind::Internal, format!("cannot {deed} a body (report this)"), error)
}

/// So many rows that they are about one piece.
fn rows_at_a_time(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups().iter();
    let widest = groups.map(|group| group.total_byte_size().max(0) / group.num_rows().max(1)).max();
    let row_bytes = usize::try_from(widest.unwrap_or_default()).unwrap_or(usize::MAX).max(1);
    // A text that is in a dictionary counts once there, and is copied for each row: no value is larger than its dictionary.
    let groups = metadata.row_groups().iter();
    let largest = groups.map(dictionary_bytes).max().unwrap_or_default().max(1);
    (PIECE_BYTES / row_bytes).min(DECODED_BYTES / largest).clamp(1, ROWS_MAX)
}

/// Bytes of the dictionaries of all columns of texts, at the most.
fn dictionary_bytes(group: &RowGroupMetaData) -> usize {
    let texts = group.columns().iter().filter(|column| column.column_type() == Physical::BYTE_ARRAY);
    let coded = texts.filter(|column| column.dictionary_page_offset().is_some());
    let sizes = coded.map(|column| usize::try_from(column.uncompressed_size()).unwrap_or(usize::MAX));
    sizes.fold(0, usize::saturating_add)
}

/// Whether every row of the body at `path` is small enough for a stream. Bodies of little text, which are nearly all, say so by
/// their footers alone; of the others the texts are measured.
pub fn fits_a_stream(path: &Path) -> Result<bool, Fault> {
    let builder = open(path)?;
    let metadata = Arc::clone(builder.metadata());
    let suspects: Vec<_> = metadata
        .row_groups()
        .iter()
        .enumerate()
        .filter(|(_, group)| text_bytes(group) > ROW_BYTES_MAX as u64)
        .map(|(index, _)| index)
        .collect();
    if suspects.is_empty() {
        return Ok(true);
    }
    let descriptor = metadata.file_metadata().schema_descr();
    let texts = descriptor.columns().iter().enumerate();
    let texts = texts.filter(|(_, column)| column.physical_type() == Physical::BYTE_ARRAY);
    let mask = ProjectionMask::leaves(descriptor, texts.map(|(index, _)| index));
    let reader = builder
        .with_row_groups(suspects)
        .with_projection(mask)
        .with_batch_size(rows_at_a_time(&metadata))
        .build()
        .map_err(|error| unreadable("read", error.into()))?;
    for batch in reader {
        let batch = batch.map_err(|error| unreadable("read", error))?;
        let largest: usize = batch.columns().iter().map(|column| longest_value(column.as_ref())).sum();
        if largest > ROW_BYTES_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// No row of the group has more text than this: where a value is in a dictionary, it counts once at the least.
fn text_bytes(group: &RowGroupMetaData) -> u64 {
    let texts = group.columns().iter().filter(|column| column.column_type() == Physical::BYTE_ARRAY);
    texts.map(|column| u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX)).sum()
}

/// Bytes of the longest value of a column of texts.
fn longest_value(column: &dyn Array) -> usize {
    let data = column.to_data();
    let Some(offsets) = data.buffers().first() else { return 0 };
    let offsets: &[i32] = offsets.typed_data();
    let own = offsets.get(data.offset()..).unwrap_or_default();
    let values = own.windows(2).take(data.len());
    let lengths = values.map(|pair| match pair {
        [from, to] => usize::try_from(to - from).unwrap_or(usize::MAX),
        _ => 0,
    });
    lengths.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Decimal128Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::TimeUnit;
    use arrow::ipc::reader::StreamReader;
    use parquet::arrow::ArrowWriter;

    use super::*;

    /// A body of these texts, with a number, a decimal and a moment each.
    fn body(texts: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        let count = i32::try_from(texts.len()).unwrap();
        let amounts = Decimal128Array::from_iter_values((0..count).map(i128::from));
        let moments = TimestampMicrosecondArray::from_iter_values((0..count).map(i64::from));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int32Array::from_iter_values(0..count))),
            ("amount", Arc::new(amounts.with_precision_and_scale(10, 2).unwrap())),
            ("at", Arc::new(moments.with_timezone("UTC"))),
            ("text", Arc::new(StringArray::from_iter_values(texts))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        (folder, path)
    }

    fn types() -> Vec<DataType> {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        vec![DataType::Int64, DataType::Decimal128(38, 9), moment, DataType::Utf8]
    }

    /// What a reader of Arrow makes of schema and pieces.
    fn read(path: &Path) -> (Vec<u64>, Vec<RecordBatch>) {
        let mut rows = ArrowRows::open(path, &types()).unwrap();
        let (mut stream, mut counts) = (rows.schema().unwrap(), Vec::new());
        while let Some(piece) = rows.piece().unwrap() {
            counts.push(piece.rows);
            stream.extend(piece.message);
        }
        let batches = StreamReader::try_new(stream.as_slice(), None).unwrap();
        (counts, batches.map(Result::unwrap).collect())
    }

    #[test]
    fn all_rows_come_in_their_order_in_small_pieces() {
        let long = "x".repeat(700_000);
        let texts: Vec<&str> =
            (0..9).map(|number| if number % 2 == 0 { long.as_str() } else { "y" }).collect();
        let (_folder, path) = body(&texts);
        let (counts, batches) = read(&path);
        assert_eq!(counts.iter().sum::<u64>(), 9);
        assert!(counts.len() > 3, "{counts:?}");
        let ids: Vec<i64> = batches
            .iter()
            .flat_map(|batch| {
                let ids = batch.column(0).as_any().downcast_ref::<arrow::array::Int64Array>().unwrap();
                ids.values().to_vec()
            })
            .collect();
        assert_eq!(ids, (0..9).collect::<Vec<_>>());
        assert_eq!(batches[0].schema().field(1).data_type(), &DataType::Decimal128(38, 9));
    }

    #[test]
    fn only_a_row_that_is_too_large_does_not_fit() {
        let (half, large) = ("x".repeat(ROW_BYTES_MAX / 2), "y".repeat(ROW_BYTES_MAX + 1));
        for (texts, fits) in [
            (vec!["a", "b"], true),
            // More than one row's bytes, in no single row.
            (vec![half.as_str(), "a", half.as_str(), half.as_str()], true),
            (vec!["a", large.as_str()], false),
        ] {
            let (_folder, path) = body(&texts);
            assert_eq!(fits_a_stream(&path).unwrap(), fits, "{} texts", texts.len());
        }
    }

    #[test]
    fn a_body_of_other_columns_is_a_fault() {
        let (_folder, path) = body(&["a"]);
        assert_eq!(ArrowRows::open(&path, &[]).err().unwrap().kind, FaultKind::Internal);
    }
}
