//! The columns that say where a row came from, after the table's own.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

pub use crate::domain::lineage::{
    BATCH_ID, CHANGE_SEQ, CLAIMED_AT, COMMITTED_AT, NAMES, OP, SOURCE_FILE, SOURCE_ROW, is_reserved,
};

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
