//! The pages of a column chunk: found, checked and decompressed here; what they hold is then sound, and of bounded size.
//!
//! The Parquet reader's own way to the pages trusts what files say of themselves: a gzip page of some kilobytes becomes
//! gigabytes of memory, a count makes it reserve as much as is claimed, and damaged levels end in a panic. Here every page is
//! held against its header, its column chunk and `limits`. (docs/adr/0008 has the reasons.)

use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

pub(super) mod chunk;
mod exotic;
mod header;
mod inflate;
pub(super) mod places;
mod runs;
pub(super) mod unpacked;
pub(super) mod values;

pub(super) use self::inflate::gzip_claims;

/// Where a chunk begins, and its bytes, as the footer states them; they were checked to lie in the file.
pub(super) fn range(chunk: &ColumnChunkMetaData) -> Option<(u64, u64)> {
    // Some writers put 0 where there is no dictionary.
    let start = dictionary_offset(chunk).unwrap_or_else(|| chunk.data_page_offset());
    Some((u64::try_from(start).ok()?, u64::try_from(chunk.compressed_size()).ok()?))
}

/// Where the dictionary is, if the footer says that there is one.
pub(super) fn dictionary_offset(chunk: &ColumnChunkMetaData) -> Option<i64> {
    chunk.dictionary_page_offset().filter(|offset| *offset != 0)
}

/// True when values of the chunk may share their beginnings.
fn shares_prefixes(chunk: &ColumnChunkMetaData) -> bool {
    chunk.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}
