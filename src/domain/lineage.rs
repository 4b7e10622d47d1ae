//! The names of the columns that landbridge adds to a table's own.

/// The operation: I, U, D, or null when DMS gave none.
pub const OP: &str = "_op";
/// The commit time at the source, or null.
pub const COMMITTED_AT: &str = "_committed_at";
/// DMS's change sequence, or null.
pub const CHANGE_SEQ: &str = "_change_seq";
/// `bucket/key@etag` of the row's file (Invariant I-6).
pub const SOURCE_FILE: &str = "_source_file";
/// The row's number within its file, from 0 (Invariant I-6).
pub const SOURCE_ROW: &str = "_source_row";
/// The batch that carried the row.
pub const BATCH_ID: &str = "_batch_id";
/// When the batch was claimed: the same in every attempt.
pub const CLAIMED_AT: &str = "_claimed_at";

/// All of them, in the order in which they are written.
pub const NAMES: [&str; 7] = [OP, COMMITTED_AT, CHANGE_SEQ, SOURCE_FILE, SOURCE_ROW, BATCH_ID, CLAIMED_AT];

/// Values that fit no column of their table, as one JSON object by the names of their columns in the files; null in rows
/// that have none. Only tables whose policy is `rescue` have it.
pub const RESCUED: &str = "_rescued";

/// True when a table's column of this name would collide with a lineage column. BigQuery does not tell upper from
/// lower case.
pub fn is_reserved(name: &str) -> bool {
    NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}
