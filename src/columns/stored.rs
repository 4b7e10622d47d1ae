//! How a column's values are stored in a file, and which type they are.
//!
//! The Parquet reader is told the physical types only; what the annotations mean is decided here and nowhere else,
//! so that no conversion happens which this module has not chosen. (The reader would narrow an out-of-range INT_8
//! silently, and panic over an over-long decimal.)

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::Type;

use super::types::{ColumnType, DECIMAL_PRECISION_MAX};

/// The most digits of a decimal that is read; MySQL's have 65 at most.
const DECIMAL_DIGITS_MAX: i32 = 76;

/// How the values of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// INT32 or INT64 with sign, as they are.
    Signed,
    /// INT32 without sign, at most `max`.
    Unsigned32 { max: u32 },
    /// INT64 without sign.
    Unsigned64,
    /// The unscaled value of a decimal of at most 76 digits, in INT32, INT64 or big-endian bytes.
    Decimal { precision: u8, scale: i8 },
    /// BYTE_ARRAY in UTF-8.
    Text,
    /// BYTE_ARRAY or FIXED_LEN_BYTE_ARRAY.
    Bytes,
    /// BOOLEAN.
    Bool,
    /// FLOAT or DOUBLE.
    Float,
    /// Days since the Unix epoch in INT32.
    Days,
    /// Milliseconds since the Unix epoch in INT64.
    Millis,
    /// Microseconds since the Unix epoch in INT64.
    Micros,
    /// Milliseconds since midnight in INT32.
    TimeMillis,
    /// Microseconds since midnight in INT64.
    TimeMicros,
}

impl Stored {
    /// How `leaf` is stored; `None` when this version does not carry its type.
    pub(super) fn of(leaf: &Type) -> Option<Self> {
        let (Type::PrimitiveType { physical_type, .. }, false) = (leaf, is_repeated(leaf)) else {
            return None;
        };
        match physical_type {
            Physical::BOOLEAN => plain(leaf).then_some(Self::Bool),
            Physical::INT32 => int32(leaf),
            Physical::INT64 => int64(leaf),
            Physical::INT96 => None,
            Physical::FLOAT | Physical::DOUBLE => plain(leaf).then_some(Self::Float),
            Physical::BYTE_ARRAY => byte_array(leaf),
            Physical::FIXED_LEN_BYTE_ARRAY => fixed(leaf),
        }
    }

    /// The type of the values; of decimals of more digits than any type has, text. `instant` is the mapping's word on what a stored time means.
    pub(super) fn column_type(self, instant: bool) -> ColumnType {
        match self {
            Self::Signed | Self::Unsigned32 { .. } => ColumnType::Int64,
            Self::Unsigned64 => ColumnType::Decimal { precision: 20, scale: 0 },
            Self::Decimal { precision, scale } if precision <= DECIMAL_PRECISION_MAX => {
                ColumnType::Decimal { precision, scale }
            }
            Self::Text | Self::Decimal { .. } => ColumnType::String,
            Self::Bytes => ColumnType::Bytes,
            Self::Bool => ColumnType::Bool,
            Self::Float => ColumnType::Float64,
            Self::Days => ColumnType::Date,
            Self::Millis | Self::Micros if instant => ColumnType::Timestamp,
            Self::Millis | Self::Micros => ColumnType::Datetime,
            Self::TimeMillis | Self::TimeMicros => ColumnType::Time,
        }
    }

    /// `leaf` without its annotation, for the reader; text stays text, so that its UTF-8 is checked.
    pub(super) fn physical(self, leaf: &Type) -> Result<Type> {
        let Type::PrimitiveType { physical_type, type_length, .. } = leaf else {
            return Ok(leaf.clone());
        };
        Type::primitive_type_builder(leaf.name(), *physical_type)
            .with_repetition(leaf.get_basic_info().repetition())
            .with_length(*type_length)
            .with_logical_type((self == Self::Text).then_some(LogicalType::String))
            .build()
    }
}

/// The type as a person reads it in a refusal.
pub(super) fn describe(leaf: &Type) -> String {
    let info = leaf.get_basic_info();
    let repeated = if is_repeated(leaf) { "repeated " } else { "" };
    let annotation = match (info.logical_type_ref(), info.converted_type()) {
        (Some(logical), _) => format!(" ({logical:?})"),
        (None, ConvertedType::NONE) => String::new(),
        (None, ConvertedType::DECIMAL) if !leaf.is_group() => {
            format!(" (DECIMAL({},{}))", leaf.get_precision(), leaf.get_scale())
        }
        (None, converted) => format!(" ({converted})"),
    };
    match leaf {
        Type::PrimitiveType { physical_type, .. } => format!("{repeated}{physical_type}{annotation}"),
        Type::GroupType { .. } => format!("{repeated}group{annotation}"),
    }
}

fn is_repeated(leaf: &Type) -> bool {
    let info = leaf.get_basic_info();
    !info.has_repetition() || info.repetition() == Repetition::REPEATED
}

fn plain(leaf: &Type) -> bool {
    let info = leaf.get_basic_info();
    info.logical_type_ref().is_none() && info.converted_type() == ConvertedType::NONE
}

// LogicalType and ConvertedType belong to parquet and grow; whatever is not named below is refused.
#[allow(clippy::wildcard_enum_match_arm)]
fn int32(leaf: &Type) -> Option<Stored> {
    let info = leaf.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Integer(int)), _) => match (int.bit_width, int.is_signed) {
            (8 | 16 | 32, true) => Some(Stored::Signed),
            (8, false) => Some(Stored::Unsigned32 { max: u8::MAX.into() }),
            (16, false) => Some(Stored::Unsigned32 { max: u16::MAX.into() }),
            (32, false) => Some(Stored::Unsigned32 { max: u32::MAX }),
            _ => None,
        },
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => decimal(leaf),
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Some(Stored::Days),
        (Some(LogicalType::Time(time)), _) if time.unit == TimeUnit::MILLIS => Some(Stored::TimeMillis),
        (None, ConvertedType::TIME_MILLIS) => Some(Stored::TimeMillis),
        (
            None,
            ConvertedType::NONE | ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32,
        ) => Some(Stored::Signed),
        (None, ConvertedType::UINT_8) => Some(Stored::Unsigned32 { max: u8::MAX.into() }),
        (None, ConvertedType::UINT_16) => Some(Stored::Unsigned32 { max: u16::MAX.into() }),
        (None, ConvertedType::UINT_32) => Some(Stored::Unsigned32 { max: u32::MAX }),
        _ => None,
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn int64(leaf: &Type) -> Option<Stored> {
    let info = leaf.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Integer(int)), _) if int.bit_width == 64 && int.is_signed => Some(Stored::Signed),
        (Some(LogicalType::Integer(int)), _) if int.bit_width == 64 => Some(Stored::Unsigned64),
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => decimal(leaf),
        (Some(LogicalType::Timestamp(timestamp)), _) => match timestamp.unit {
            TimeUnit::MILLIS => Some(Stored::Millis),
            TimeUnit::MICROS => Some(Stored::Micros),
            TimeUnit::NANOS => None,
        },
        (Some(LogicalType::Time(time)), _) if time.unit == TimeUnit::MICROS => Some(Stored::TimeMicros),
        (None, ConvertedType::NONE | ConvertedType::INT_64) => Some(Stored::Signed),
        (None, ConvertedType::UINT_64) => Some(Stored::Unsigned64),
        (None, ConvertedType::TIMESTAMP_MILLIS) => Some(Stored::Millis),
        (None, ConvertedType::TIMESTAMP_MICROS) => Some(Stored::Micros),
        (None, ConvertedType::TIME_MICROS) => Some(Stored::TimeMicros),
        _ => None,
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn byte_array(leaf: &Type) -> Option<Stored> {
    let info = leaf.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::String | LogicalType::Json | LogicalType::Enum), _)
        | (None, ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM) => Some(Stored::Text),
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => decimal(leaf),
        (None, ConvertedType::NONE) => Some(Stored::Bytes),
        _ => None,
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn fixed(leaf: &Type) -> Option<Stored> {
    let Type::PrimitiveType { type_length: 1.., .. } = leaf else {
        return None;
    };
    let info = leaf.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => decimal(leaf),
        (None, ConvertedType::NONE) => Some(Stored::Bytes),
        _ => None,
    }
}

fn decimal(leaf: &Type) -> Option<Stored> {
    let (precision, scale) = match leaf.get_basic_info().logical_type_ref() {
        Some(LogicalType::Decimal(decimal)) => (decimal.precision, decimal.scale),
        _ => (leaf.get_precision(), leaf.get_scale()),
    };
    let sound = (1..=DECIMAL_DIGITS_MAX).contains(&precision) && (0..=precision).contains(&scale);
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    sound.then_some(Stored::Decimal { precision, scale })
}
