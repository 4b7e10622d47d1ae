//! The columns that say where a row came from, after the table's own.

use super::types::ColumnType;

pub use crate::domain::lineage::{
    BATCH_ID, CHANGE_SEQ, CLAIMED_AT, COMMITTED_AT, NAMES, OP, SOURCE_FILE, SOURCE_ROW, is_reserved,
};

/// Their types, and whether every row has a value.
pub(super) const COLUMNS: [(&str, ColumnType, bool); 7] = [
    (OP, ColumnType::String, false),
    (COMMITTED_AT, ColumnType::Timestamp, false),
    (CHANGE_SEQ, ColumnType::String, false),
    (SOURCE_FILE, ColumnType::String, true),
    (SOURCE_ROW, ColumnType::Int64, true),
    (BATCH_ID, ColumnType::String, true),
    (CLAIMED_AT, ColumnType::Timestamp, true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_names_in_order() {
        assert_eq!(COLUMNS.map(|(name, ..)| name), NAMES);
        assert!(is_reserved("_OP"));
        assert!(!is_reserved("op"));
    }
}
