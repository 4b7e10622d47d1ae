//! What a chunk and its pages say of themselves.

use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::file::metadata::ColumnChunkMetaData;

use super::pages::chunk::Stored as StoredPage;
use super::pages::{dictionary_offset, gzip_claims};

/// True when a chunk states PLAIN pages only.
// Encodings belong to parquet and grow; whatever is not named below is read and written anew.
#[allow(deprecated)]
pub(super) fn is_plain(chunk: &ColumnChunkMetaData) -> bool {
    dictionary_offset(chunk).is_none()
        && chunk.column_type() != Physical::BOOLEAN
        && chunk
            .encodings()
            .all(|encoding| matches!(encoding, Encoding::PLAIN | Encoding::RLE | Encoding::BIT_PACKED))
}

/// True when a page's own bytes do not say what its header says: it is then looked into.
pub(super) fn is_odd(page: &StoredPage, codec: Compression) -> bool {
    let claims = matches!(codec, Compression::GZIP(_)).then(|| gzip_claims(page.bytes()));
    claims.is_some_and(|claims| claims != u32::try_from(page.unpacked_bytes()).ok())
}
