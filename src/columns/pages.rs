//! The pages of a row group, as the Parquet reader wants them: found, checked and decompressed here, decoded there.
//!
//! The reader's own way to the pages trusts what files say of themselves: a gzip page of some kilobytes becomes gigabytes
//! of memory, a count makes it reserve as much as is claimed, and damaged levels end in a panic. Here every page is held
//! against its header, its column chunk and `limits`; what the decoders then see is sound, and of bounded size.
//! (docs/adr/0008 has the reasons.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use self::chunk::ChunkPages;
use super::limits::{PAGES_IN_HAND_BYTES_MAX, ROW_BYTES_MAX};
use super::source::Source;

mod chunk;
mod header;
mod inflate;
mod runs;
mod values;

/// The most rows that are in hand at one time: a row group of DMS has 10,000.
pub(super) const ROWS_IN_HAND_MAX: usize = 10_240;
/// About the most bytes that are in hand at one time: rows with large texts are taken fewer at a time.
const BYTES_IN_HAND: usize = 8 << 20;

/// The bytes of pages that were decompressed since the last rows were taken.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: AtomicUsize,
    exceeded: AtomicBool,
}

impl Budget {
    /// Begins anew: the rows were taken.
    pub(super) fn reset(&self) {
        self.used.store(0, Ordering::Relaxed);
    }

    /// True when more was needed than there is: fewer rows at a time need less.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Begins anew, with fewer rows at a time.
    pub(super) fn restart(&self) {
        self.reset();
        self.exceeded.store(false, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if used <= PAGES_IN_HAND_BYTES_MAX {
            return Ok(());
        }
        self.exceeded.store(true, Ordering::Relaxed);
        let text = format!("the pages of one row take more than {PAGES_IN_HAND_BYTES_MAX} bytes");
        Err(ParquetError::General(text))
    }
}

/// One row group, open.
pub(super) struct Group {
    source: Source,
    metadata: Arc<ParquetMetaData>,
    index: usize,
    budget: Arc<Budget>,
    /// Bytes of a row, as far as they are known before it is read.
    row_bytes: usize,
}

impl Group {
    /// Opens row group `index`: reads what its dictionaries hold.
    pub(super) fn open(source: Source, metadata: Arc<ParquetMetaData>, index: usize) -> Result<Self> {
        let mut group = Self { source, metadata, index, budget: Arc::default(), row_bytes: 0 };
        let (mut fixed_bytes, mut longest_bytes) = (0_usize, 0_usize);
        for chunk in group.row_group()?.columns() {
            let fixed = match chunk.column_type() {
                Physical::BYTE_ARRAY => {
                    // Each row may repeat the longest value of a dictionary, or, where values share their beginnings, be as
                    // long as its page.
                    let longest =
                        ChunkPages::open(group.source.clone(), chunk, Arc::default())?.longest_bytes()?;
                    longest_bytes = longest_bytes.saturating_add(longest);
                    size_of::<i32>()
                }
                Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(chunk.column_descr().type_length())
                    .unwrap_or(usize::MAX)
                    .max(size_of::<i128>()),
                Physical::BOOLEAN => size_of::<bool>(),
                // Shorter ones are carried as long ones.
                Physical::INT32 | Physical::INT64 | Physical::INT96 | Physical::FLOAT | Physical::DOUBLE => {
                    size_of::<i64>()
                }
            };
            fixed_bytes = fixed_bytes.saturating_add(fixed);
        }
        if fixed_bytes > ROW_BYTES_MAX {
            let text = format!(
                "a row of its columns takes {fixed_bytes} bytes, and {ROW_BYTES_MAX} at most are read"
            );
            return Err(ParquetError::General(text));
        }
        group.row_bytes = longest_bytes.saturating_add(fixed_bytes);
        Ok(group)
    }

    /// What is used while it is read.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How many rows to take at a time.
    pub(super) fn rows_in_hand(&self) -> usize {
        let Ok(group) = self.row_group() else { return 1 };
        let rows = usize::try_from(group.num_rows()).unwrap_or(1).max(1);
        let stated_bytes = usize::try_from(group.total_byte_size()).unwrap_or(0) / rows;
        let fit = BYTES_IN_HAND.checked_div(stated_bytes.max(self.row_bytes)).unwrap_or(ROWS_IN_HAND_MAX);
        fit.clamp(1, ROWS_IN_HAND_MAX).min(rows)
    }

    fn row_group(&self) -> Result<&RowGroupMetaData> {
        let found = self.metadata.row_groups().get(self.index);
        found.ok_or_else(|| ParquetError::General(format!("there is no row group {}", self.index)))
    }
}

impl RowGroups for Group {
    fn num_rows(&self) -> usize {
        self.row_group().ok().and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let chunk = self.row_group()?.columns().get(column);
        let chunk = chunk.ok_or_else(|| ParquetError::General(format!("there is no column {column}")))?;
        let pages = ChunkPages::open(self.source.clone(), chunk, Arc::clone(&self.budget))?;
        Ok(Box::new(OneChunk(Some(Box::new(pages)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().get(self.index).into_iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The chunks of a column over one row group: there is one.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// Where a chunk begins, and its bytes, as the footer states them; they were checked to lie in the file.
pub(super) fn range(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    // Some writers put 0 where there is no dictionary.
    let dictionary = chunk.dictionary_page_offset().filter(|offset| *offset != 0);
    let start = dictionary.unwrap_or_else(|| chunk.data_page_offset());
    Some((u64::try_from(start).ok()?, u64::try_from(chunk.compressed_size()).ok()?))
}

/// True when values of the chunk may share their beginnings.
fn shares_prefixes(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}
