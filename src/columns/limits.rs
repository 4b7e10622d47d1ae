//! What a file may ask for. Everything here is far above what DMS writes, and is checked before anything of the claimed
//! size is made: a damaged or hostile file is refused, and takes no memory, disk or time out of proportion.
//!
//! `docs/types.md` has the same numbers for those who meet them.

/// The footer. One of 20 columns is 2 MiB for a file of 10 million rows.
pub(super) const FOOTER_BYTES_MAX: usize = 64 << 20;
/// Columns of a file, groups included (BigQuery: 10,000 columns a table).
pub(super) const COLUMNS_MAX: usize = 10_000;
/// Groups within groups. None is carried, but the refusal has to name it.
pub(super) const SCHEMA_DEPTH_MAX: usize = 64;
/// Column chunks of a file: its row groups times its columns. Each takes some hundred bytes while the file is open.
pub(super) const CHUNKS_MAX: usize = 250_000;
/// Elements of any other list in a footer: key-values, encodings, orders.
pub(super) const LIST_ELEMENTS_MAX: usize = 10_000;
/// Structures within structures, in a footer or a page's header.
pub(super) const THRIFT_DEPTH_MAX: usize = 16;
/// The header of a page, which may hold the least and greatest value of the page in full.
pub(super) const PAGE_HEADER_BYTES_MAX: usize = 16 << 20;
/// A page, as it is stored and as it is decompressed (BigQuery: a row of at most 50 MB; DMS closes a page at 1 MiB).
pub(super) const PAGE_BYTES_MAX: usize = 64 << 20;
/// Values of a page.
pub(super) const PAGE_VALUES_MAX: u32 = 1 << 24;

/// The most rows that a file may state, and the most bytes that its values may be once they are decoded: compression,
/// dictionaries and runs of nulls make much of little.
pub(super) fn decoded_bytes_max(size_bytes: u64) -> u64 {
    const FLOOR: u64 = 1 << 30;
    const TIMES: u64 = 256;
    size_bytes.saturating_mul(TIMES).saturating_add(FLOOR)
}

/// Of a name that a file chose, this much is shown.
const SHOWN_LETTERS: usize = 100;

/// A name or a description as a message shows it.
pub(super) fn shown(text: &str) -> &str {
    text.char_indices().nth(SHOWN_LETTERS).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
