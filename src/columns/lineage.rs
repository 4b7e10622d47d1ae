//! The lineage columns, after the table's own (architecture, section 6).

use arrow::datatypes::{DataType, Field};

use super::types::ColumnType;

/// I, U or D; null when DMS gave none.
pub const OP: &str = "_op";
/// DMS's timestamp column; null when absent or unreadable.
pub const COMMITTED_AT: &str = "_committed_at";
/// `$AR_H_CHANGE_SEQ`; null when absent or empty (full load).
pub const CHANGE_SEQ: &str = "_change_seq";
/// `bucket/key@etag` (Invariant I-6).
pub const SOURCE_FILE: &str = "_source_file";
/// The row within its file, from 0 (Invariant I-6).
pub const SOURCE_ROW: &str = "_source_row";
/// The batch that carried the row.
pub const BATCH_ID: &str = "_batch_id";
/// The batch's claim time.
pub const CLAIMED_AT: &str = "_claimed_at";

/// All of them.
pub const NAMES: [&str; 7] = [OP, COMMITTED_AT, CHANGE_SEQ, SOURCE_FILE, SOURCE_ROW, BATCH_ID, CLAIMED_AT];

/// Their Arrow fields, in order.
pub fn fields() -> [Field; 7] {
    let constant = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    [
        Field::new(OP, DataType::Utf8, true),
        Field::new(COMMITTED_AT, ColumnType::Timestamp.arrow(), true),
        Field::new(CHANGE_SEQ, DataType::Utf8, true),
        Field::new(SOURCE_FILE, constant(), false),
        Field::new(SOURCE_ROW, DataType::Int64, false),
        Field::new(BATCH_ID, constant(), false),
        Field::new(CLAIMED_AT, ColumnType::Timestamp.arrow(), false),
    ]
}
