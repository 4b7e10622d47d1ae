//! The types that landbridge carries, as Arrow has them.

#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
use arrow::datatypes::{DataType, TimeUnit};

pub use crate::domain::column_type::{ColumnType, DECIMAL_PRECISION_MAX};

impl ColumnType {
    /// The Arrow type as which a reader finds values of this type.
    #[cfg(test)]
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Int64 => DataType::Int64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Self::String => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Bool => DataType::Boolean,
            Self::Float64 => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
        }
    }

    /// The type of values that landbridge wrote in this Arrow type; `None` where it writes none.
    pub(super) fn of_arrow(kind: &DataType) -> Option<Self> {
        let known = [
            Self::Int64,
            Self::String,
            Self::Bytes,
            Self::Bool,
            Self::Float64,
            Self::Date,
            Self::Datetime,
            Self::Timestamp,
            Self::Time,
        ];
        if let DataType::Decimal128(precision, scale) = kind {
            return Some(Self::Decimal { precision: *precision, scale: *scale });
        }
        known.into_iter().find(|known| known.arrow() == *kind)
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
        assert_eq!(ColumnType::of_arrow(&DataType::Int8), None);
    }
}
