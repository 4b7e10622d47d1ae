//! The Parquet file that a batch is written into, page by page: whatever the batch's size, what is in memory is a buffer
//! and what the footer will say.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use self::header::{PageHeader, PageKind};
use super::body::Body;
use super::labels::CREATED_BY;
use super::plan::ColumnPlan;
use crate::domain::fault::{Fault, FaultKind};

pub(super) mod header;
pub(super) mod indices;
pub(super) mod pages;

const MAGIC: &[u8] = b"PAR1";
/// What is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 20;
/// What is written at once, since a copy would take longer than the call.
const DIRECT_BYTES: usize = 128 << 10;
/// The version of the format, as footers have it.
const VERSION: i32 = 2;

/// A Parquet file that is being written. Dropping it unfinished removes it.
pub(super) struct Output {
    file: File,
    target: Target,
    buffer: Vec<u8>,
    /// Bytes of the file before the buffer.
    written: u64,
    schema: Arc<SchemaDescriptor>,
    groups: Vec<RowGroupMetaData>,
    chunks: Vec<ColumnChunkMetaData>,
    header: Vec<u8>,
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

/// A column chunk that is being written.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    start: u64,
    codec: Compression,
    dictionary: Option<u64>,
    data: Option<u64>,
    plain: bool,
    indices: bool,
    values: u64,
    bytes: u64,
}

impl Output {
    /// Creates `path`, over whatever an earlier process left there.
    pub(super) fn create(path: PathBuf, schema: Arc<SchemaDescriptor>) -> Result<Self, Fault> {
        let file = File::create(&path).map_err(|error| spool_fault(&path, error))?;
        let target = Target { path, finished: false };
        Ok(Self {
            file,
            target,
            buffer: MAGIC.to_vec(),
            written: 0,
            schema,
            groups: Vec::new(),
            chunks: Vec::new(),
            header: Vec::new(),
        })
    }

    fn position(&self) -> u64 {
        self.written.saturating_add(self.buffer.len() as u64)
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let is_long = bytes.len() >= DIRECT_BYTES;
        if is_long || self.buffer.len().saturating_add(bytes.len()) > BUFFER_BYTES {
            self.flush()?;
        }
        if !is_long {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.file.write_all(bytes).map_err(|error| spool_fault(&self.target.path, error))?;
        self.written = self.written.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.file.write_all(&self.buffer).map_err(|error| spool_fault(&self.target.path, error))?;
        self.written = self.written.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Begins the next column's chunk.
    pub(super) fn begin(&self, codec: Compression) -> Chunk {
        Chunk {
            start: self.position(),
            codec,
            dictionary: None,
            data: None,
            plain: false,
            indices: false,
            values: 0,
            bytes: 0,
        }
    }

    /// Takes back all that was written of a chunk.
    pub(super) fn take_back(&mut self, chunk: &Chunk) -> Result<(), Fault> {
        self.flush()?;
        let cut = self.file.set_len(chunk.start).and_then(|()| self.file.seek(SeekFrom::Start(chunk.start)));
        cut.map_err(|error| spool_fault(&self.target.path, error))?;
        self.written = chunk.start;
        Ok(())
    }

    /// Writes a page of the chunk: `stored` as it is, under a header of our own.
    pub(super) fn page(&mut self, chunk: &mut Chunk, page: PageHeader, stored: &[u8]) -> Result<(), Fault> {
        let position = self.position();
        match page.kind {
            PageKind::Dictionary => chunk.dictionary = Some(position),
            PageKind::Plain => chunk.plain = true,
            PageKind::Indices => chunk.indices = true,
        }
        if page.kind != PageKind::Dictionary {
            chunk.data.get_or_insert(position);
            chunk.values = chunk.values.saturating_add(page.values as u64);
        }
        let mut header = std::mem::take(&mut self.header);
        header.clear();
        page.write(&mut header);
        chunk.bytes = chunk.bytes.saturating_add((header.len() + page.bytes) as u64);
        let written = self.write_bytes(&header);
        self.header = header;
        written?;
        self.write_bytes(stored)
    }

    /// Ends a chunk. `nulls` says how many of its values are null, where that is known.
    pub(super) fn end(&mut self, chunk: &Chunk, nulls: Option<u64>) -> Result<(), Fault> {
        let mut encodings = vec![Encoding::RLE];
        if chunk.plain || chunk.dictionary.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        if chunk.indices {
            encodings.push(Encoding::RLE_DICTIONARY);
        }
        let column = self.schema.columns().get(self.chunks.len()).map(Arc::clone);
        let column = column.ok_or_else(|| Fault::new(FaultKind::Internal, "a chunk of no column"))?;
        let stored_bytes = self.position().saturating_sub(chunk.start);
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut builder = ColumnChunkMetaData::builder(Arc::clone(&column))
            .set_encodings(encodings)
            .set_compression(chunk.codec)
            .set_num_values(signed(chunk.values))
            .set_total_compressed_size(signed(stored_bytes))
            .set_total_uncompressed_size(signed(chunk.bytes))
            .set_dictionary_page_offset(chunk.dictionary.map(signed))
            .set_data_page_offset(signed(chunk.data.unwrap_or(chunk.start)));
        if let Some(nulls) = nulls {
            builder = builder.set_statistics(null_count(&column, nulls));
        }
        self.chunks.push(builder.build().map_err(|error| self.unbuilt(error))?);
        Ok(())
    }

    /// Ends a row group, whose columns are all written.
    pub(super) fn end_group(&mut self, rows: u64) -> Result<(), Fault> {
        let chunks = std::mem::take(&mut self.chunks);
        let bytes = chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        let group = RowGroupMetaData::builder(Arc::clone(&self.schema))
            .set_num_rows(i64::try_from(rows).unwrap_or(i64::MAX))
            .set_total_byte_size(bytes)
            .set_column_metadata(chunks)
            .build()
            .map_err(|error| self.unbuilt(error))?;
        self.groups.push(group);
        Ok(())
    }

    /// Writes the footer and checks that all `rows` rows are in.
    pub(super) fn finish(
        mut self,
        rows: u64,
        plan: ColumnPlan,
        labels: Vec<KeyValue>,
    ) -> Result<Body, Fault> {
        let groups = std::mem::take(&mut self.groups);
        let written: i64 = groups.iter().map(RowGroupMetaData::num_rows).sum();
        if u64::try_from(written) != Ok(rows) {
            let text = format!("{written} of {rows} rows are in {}", self.target.path.display());
            return Err(Fault::new(FaultKind::Internal, text));
        }
        let schema = Arc::clone(&self.schema);
        let file =
            FileMetaData::new(VERSION, written, Some(CREATED_BY.to_owned()), Some(labels), schema, None);
        let metadata = ParquetMetaData::new(file, groups);
        let mut footer = Vec::new();
        ParquetMetaDataWriter::new(&mut footer, &metadata).finish().map_err(|error| self.unbuilt(error))?;
        self.write_bytes(&footer)?;
        self.flush()?;
        self.target.finished = true;
        Ok(Body::new(self.target.path.clone(), self.written, rows, plan))
    }

    fn unbuilt(&self, cause: ParquetError) -> Fault {
        let text = format!("cannot write {}", self.target.path.display());
        Fault::from_error(FaultKind::Internal, text, cause)
    }
}

/// Statistics that say how many values are null, and nothing else.
fn null_count(column: &parquet::schema::types::ColumnDescriptor, nulls: u64) -> Statistics {
    use parquet::basic::Type as Physical;
    let nulls = Some(nulls);
    match column.physical_type() {
        Physical::BOOLEAN => Statistics::boolean(None, None, None, nulls, false),
        Physical::INT32 => Statistics::int32(None, None, None, nulls, false),
        Physical::INT64 => Statistics::int64(None, None, None, nulls, false),
        Physical::INT96 => Statistics::int96(None, None, None, nulls, false),
        Physical::FLOAT => Statistics::float(None, None, None, nulls, false),
        Physical::DOUBLE => Statistics::double(None, None, None, nulls, false),
        Physical::BYTE_ARRAY => Statistics::byte_array(None, None, None, nulls, false),
        Physical::FIXED_LEN_BYTE_ARRAY => Statistics::fixed_len_byte_array(None, None, None, nulls, false),
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
