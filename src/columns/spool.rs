//! The Parquet file that a batch is written into.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::body::Body;
use super::labels::CREATED_BY;
use super::lineage;
use super::plan::ColumnPlan;
use crate::domain::fault::{Fault, FaultKind};

/// A row group is closed when it holds this many bytes in memory. Together with the pages being filled this bounds a
/// build to some tens of MiB, whatever the batch's size.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// A row group is closed at this many rows, whatever its bytes.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// One page per column is filled at a time.
const PAGE_BYTES: usize = 256 << 10;

/// A Parquet file that is being written. Dropping it unfinished removes it.
pub(super) struct Spool {
    writer: ArrowWriter<SpoolFile>,
    error: Arc<Mutex<Option<io::Error>>>,
    target: Target,
}

/// Removes the file unless it has become a body.
struct Target {
    path: PathBuf,
    finished: bool,
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.finished {
            // A file that stays is removed when the process next starts.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Spool {
    /// Creates `path`, over whatever an earlier process left there.
    pub(super) fn create(path: PathBuf, schema: SchemaRef, labels: Vec<KeyValue>) -> Result<Self, Fault> {
        let file = File::create(&path).map_err(|error| spool_fault(&path, error))?;
        let target = Target { path, finished: false };
        let error = Arc::new(Mutex::new(None));
        let file = SpoolFile { file, error: Arc::clone(&error) };
        let options =
            ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties(labels));
        let writer = ArrowWriter::try_new_with_options(file, schema, options)
            .map_err(|cause| writer_fault(&target.path, &error, cause))?;
        Ok(Self { writer, error, target })
    }

    /// Writes rows.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), Fault> {
        self.writer
            .write(rows)
            .and_then(|()| {
                if self.writer.memory_size() < ROW_GROUP_BYTES {
                    return Ok(());
                }
                self.writer.flush()
            })
            .map_err(|cause| writer_fault(&self.target.path, &self.error, cause))
    }

    /// Writes the footer and checks that all `rows` rows are in.
    pub(super) fn finish(mut self, rows: u64, plan: ColumnPlan) -> Result<Body, Fault> {
        let metadata =
            self.writer.finish().map_err(|cause| writer_fault(&self.target.path, &self.error, cause))?;
        let written = metadata.file_metadata().num_rows();
        if u64::try_from(written) != Ok(rows) {
            let text = format!("{written} of {rows} rows are in {}", self.target.path.display());
            return Err(Fault::new(FaultKind::Internal, text));
        }
        let size_bytes = u64::try_from(self.writer.bytes_written()).unwrap_or(u64::MAX);
        self.target.finished = true;
        Ok(Body::new(self.target.path.clone(), size_bytes, rows, plan))
    }
}

/// How the file is written, measured on files of 20 columns as DMS writes them. Zstandard at its lowest level makes
/// half the bytes of Snappy for a tenth more work. Dictionaries cost a third of the rows per second and make the body
/// larger, except where a value repeats over a whole file. Statistics cost nothing that can be measured.
fn properties(labels: Vec<KeyValue>) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(Some(labels))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(4096)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    for name in [lineage::SOURCE_FILE, lineage::BATCH_ID] {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
    }
    builder.build()
}

/// Keeps the error of the file system, which the Parquet writer turns into text.
struct SpoolFile {
    file: File,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl SpoolFile {
    fn keep<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
            kind.into()
        })
    }
}

impl Write for SpoolFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        self.keep(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.keep(result)
    }
}

fn writer_fault(path: &Path, error: &Mutex<Option<io::Error>>, cause: ParquetError) -> Fault {
    match error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => spool_fault(path, error),
        None => Fault::from_error(FaultKind::Internal, format!("cannot write {}", path.display()), cause),
    }
}

fn spool_fault(path: &Path, error: io::Error) -> Fault {
    let mut fault = Fault::from_io(format!("cannot write {}", path.display()), error);
    if fault.kind == FaultKind::Vanished {
        // What is not found here is the spool directory, never the object.
        fault.kind = FaultKind::Unavailable;
    }
    fault
}
