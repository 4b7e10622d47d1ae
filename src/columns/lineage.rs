//! The columns that say where a row came from, after the table's own.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

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

/// True when a table's column of this name would collide with a lineage column. BigQuery does not tell upper from
/// lower case.
pub fn is_reserved(name: &str) -> bool {
    NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// A moment in UTC, as Arrow has it.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// Text that is the same over many rows: written as one dictionary entry.
pub(super) fn repeated_text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The lineage columns as Arrow fields, in order.
pub fn fields() -> Vec<Field> {
    vec![
        Field::new(OP, DataType::Utf8, true),
        Field::new(COMMITTED_AT, instant(), true),
        Field::new(CHANGE_SEQ, DataType::Utf8, true),
        Field::new(SOURCE_FILE, repeated_text(), false),
        Field::new(SOURCE_ROW, DataType::Int64, false),
        Field::new(BATCH_ID, repeated_text(), false),
        Field::new(CLAIMED_AT, instant(), false),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_the_names_in_order() {
        let fields = fields();
        let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, NAMES);
        assert!(is_reserved("_OP"));
        assert!(!is_reserved("op"));
    }
}
