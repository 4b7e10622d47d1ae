//! The column types that landbridge carries, and which Parquet types become which (`dms.md`, section 3).

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::schema::types::ColumnDescriptor;

/// The largest decimal precision carried: 16 bytes of two's complement.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// The type of a table's column in the warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Every integer but `BIGINT UNSIGNED`.
    Int64,
    /// Exact numbers; `BIGINT UNSIGNED` is `Decimal(20, 0)`.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// UTF-8.
    String,
    /// Bytes.
    Bytes,
    /// True or false.
    Bool,
    /// 64-bit floating point.
    Float64,
    /// A day.
    Date,
    /// A wall clock's date and time in microseconds, without a zone.
    Datetime,
    /// An instant in microseconds, UTC.
    Timestamp,
    /// A time of day in microseconds.
    Time,
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

impl ColumnType {
    /// The Arrow type in which its values travel.
    pub fn arrow(self) -> DataType {
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

    /// The type that holds the values of both without change, if there is one.
    pub fn unify(self, other: Self) -> Option<Self> {
        let (Self::Decimal { precision: p, scale: s }, Self::Decimal { precision: q, scale: t }) =
            (self, other)
        else {
            return (self == other).then_some(self);
        };
        let scale = s.max(t);
        let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
        let precision = u8::try_from(whole + i16::from(scale)).ok()?;
        (precision <= DECIMAL_PRECISION_MAX).then_some(Self::Decimal { precision, scale })
    }

    /// The type of a Parquet column that Arrow reads as `read`; `Err` names the type that is not carried. `instant`
    /// chooses TIMESTAMP instead of DATETIME: the file cannot tell them apart (`dms.md`, section 0, fact 2).
    pub fn of(column: &ColumnDescriptor, read: &DataType, instant: bool) -> Result<Self, String> {
        let refused = || Err(describe(column));
        if column.max_rep_level() > 0 || column.path().parts().len() != 1 || column.max_def_level() > 1 {
            return Err(format!("a nested or repeated column ({})", describe(column)));
        }
        let binary = matches!(column.converted_type(), ConvertedType::BSON | ConvertedType::ENUM)
            || matches!(column.logical_type_ref(), Some(LogicalType::Bson | LogicalType::Enum));
        if column.physical_type() == PhysicalType::INT96 || binary {
            return refused();
        }
        // Arrow's types are many and grow; whatever is not named here is refused.
        #[allow(clippy::wildcard_enum_match_arm)]
        match read {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(Self::Int64),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Ok(Self::Int64),
            DataType::UInt64 => Ok(Self::Decimal { precision: 20, scale: 0 }),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
                if *precision <= DECIMAL_PRECISION_MAX && *scale >= 0 =>
            {
                Ok(Self::Decimal { precision: *precision, scale: *scale })
            }
            DataType::Utf8 => Ok(Self::String),
            DataType::Binary | DataType::FixedSizeBinary(_) => Ok(Self::Bytes),
            DataType::Boolean => Ok(Self::Bool),
            DataType::Float32 | DataType::Float64 => Ok(Self::Float64),
            DataType::Date32 => Ok(Self::Date),
            DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, _) => {
                Ok(if instant { Self::Timestamp } else { Self::Datetime })
            }
            DataType::Time32(TimeUnit::Millisecond) | DataType::Time64(TimeUnit::Microsecond) => {
                Ok(Self::Time)
            }
            _ => refused(),
        }
    }
}

/// A Parquet type as people write it.
fn describe(column: &ColumnDescriptor) -> String {
    let physical = column.physical_type();
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(logical), _) => format!("{physical} {logical:?}"),
        (None, ConvertedType::NONE) => physical.to_string(),
        (None, ConvertedType::DECIMAL) => {
            format!("{physical} DECIMAL({},{})", column.type_precision(), column.type_scale())
        }
        (None, converted) => format!("{physical} {converted}"),
    }
}
