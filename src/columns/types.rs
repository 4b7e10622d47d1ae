//! The types that landbridge carries, between the file's and the warehouse's.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

/// The most digits that a decimal may have.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// The type of one column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnType {
    /// A whole number of 64 bits with sign.
    Int64,
    /// An exact decimal number.
    Decimal {
        /// All its digits, 1 to 38.
        precision: u8,
        /// The digits after the point, 0 to `precision`.
        scale: i8,
    },
    /// Text in UTF-8.
    String,
    /// Bytes without a meaning.
    Bytes,
    /// True or false.
    Bool,
    /// A floating-point number of 64 bits.
    Float64,
    /// A calendar day.
    Date,
    /// What a wall clock showed, to the microsecond, in no particular time zone.
    Datetime,
    /// A moment in UTC, to the microsecond.
    Timestamp,
    /// A time of day, to the microsecond.
    Time,
}

impl ColumnType {
    /// The Arrow type in which values of this type are written.
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

    /// The one type that holds every value of both, exactly; `None` when there is none.
    pub fn unify(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(self);
        }
        let (
            Self::Decimal { precision, scale },
            Self::Decimal { precision: other_precision, scale: other_scale },
        ) = (self, other)
        else {
            return None;
        };
        let integer_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
        let scale_max = scale.max(other_scale);
        let digits = integer_digits(precision, scale).max(integer_digits(other_precision, other_scale))
            + i16::from(scale_max);
        let precision = u8::try_from(digits).ok()?;
        (precision <= DECIMAL_PRECISION_MAX).then_some(Self::Decimal { precision, scale: scale_max })
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64 => formatter.write_str("INT64"),
            Self::Decimal { precision, scale } => write!(formatter, "DECIMAL({precision},{scale})"),
            Self::String => formatter.write_str("STRING"),
            Self::Bytes => formatter.write_str("BYTES"),
            Self::Bool => formatter.write_str("BOOL"),
            Self::Float64 => formatter.write_str("FLOAT64"),
            Self::Date => formatter.write_str("DATE"),
            Self::Datetime => formatter.write_str("DATETIME"),
            Self::Timestamp => formatter.write_str("TIMESTAMP"),
            Self::Time => formatter.write_str("TIME"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: i8) -> ColumnType {
        ColumnType::Decimal { precision, scale }
    }

    #[test]
    fn decimals_widen_only_as_far_as_nothing_is_lost() {
        assert_eq!(decimal(10, 2).unify(decimal(5, 4)), Some(decimal(12, 4)));
        assert_eq!(decimal(38, 0).unify(decimal(38, 0)), Some(decimal(38, 0)));
        assert_eq!(decimal(30, 0).unify(decimal(10, 8)), Some(decimal(38, 8)));
        assert_eq!(decimal(31, 0).unify(decimal(10, 8)), None);
        assert_eq!(decimal(38, 38).unify(decimal(1, 0)), None);
    }

    #[test]
    fn other_types_do_not_mix() {
        assert_eq!(ColumnType::Int64.unify(decimal(20, 0)), None);
        assert_eq!(ColumnType::Datetime.unify(ColumnType::Timestamp), None);
        assert_eq!(ColumnType::String.unify(ColumnType::String), Some(ColumnType::String));
    }
}
