//! The types that landbridge carries, as Arrow has them.

#[cfg(test)]
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

pub use crate::domain::column_type::{ColumnType, DECIMAL_PRECISION_MAX};

impl ColumnType {
    /// The Arrow type as which a reader finds values of this type.
    #[cfg(test)]
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::String | Self::Json => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Bool => DataType::Boolean,
            Self::Float64 => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
        }
    }

    /// The type of values that landbridge wrote in a column that a reader finds as this Arrow type; `None` where it writes
    /// none such. Columns that are copied keep the width that they have in the files.
    // DataType is Arrow's, and open to additions.
    #[allow(clippy::wildcard_enum_match_arm)]
    pub(super) fn of_arrow(kind: &DataType) -> Option<Self> {
        Some(match kind {
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Int64,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale) => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Self::String,
            DataType::Binary | DataType::FixedSizeBinary(_) => Self::Bytes,
            DataType::Boolean => Self::Bool,
            DataType::Float32 | DataType::Float64 => Self::Float64,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, None) => Self::Datetime,
            DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, Some(_)) => Self::Timestamp,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_again() {
        for kind in [
            "INT64",
            "DECIMAL(38,9)",
            "STRING",
            "BYTES",
            "BOOL",
            "FLOAT64",
            "DATE",
            "DATETIME",
            "TIMESTAMP",
            "TIME",
        ] {
            let kind: ColumnType = kind.parse().unwrap();
            assert_eq!(ColumnType::of_arrow(&kind.arrow()), Some(kind));
        }
        // Copied as the file has it.
        for narrow in [DataType::Int8, DataType::UInt16, DataType::Int32] {
            assert_eq!(ColumnType::of_arrow(&narrow), Some(ColumnType::Int64));
        }
        for foreign in [DataType::UInt64, DataType::Duration(TimeUnit::Second), DataType::Null] {
            assert_eq!(ColumnType::of_arrow(&foreign), None);
        }
    }
}
