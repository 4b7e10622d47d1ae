//! Stored values to carried values: exactly, or not at all. Both as they stand in PLAIN pages, one after the other.

use parquet::basic::Type as Physical;

use super::stored::Stored;
use super::target::Target;
use super::types::ColumnType;
use crate::domain::exact_json::is_exact;

const MICROS_PER_MILLI: i64 = 1000;

/// Why a value cannot be carried: lower case, for a fault's context.
pub(super) type Refusal = String;

/// What is done with the values of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Same,
    /// Nothing: they are text, and must be UTF-8.
    Text,
    /// The same, for a column of JSON: whether that holds them exactly is asked beside.
    Json,
    /// Nothing, but no number may have more digits than its type.
    Digits { number: Number, limit: i128 },
    /// INT32 to INT64.
    Widen,
    /// INT32 without sign, at most `max`, to INT64.
    Unsigned { max: u32 },
    /// FLOAT to DOUBLE.
    Double,
    /// Milliseconds to microseconds.
    Millis,
    /// Milliseconds in INT32 to microseconds in INT64.
    TimeMillis,
    /// Bytes of one length to bytes that each have theirs.
    Fixed { bytes: usize },
    /// A decimal, into another scale or another number.
    Decimal { from: Number, limit: i128, factor: i128, to: Number },
}

/// How the unscaled value of a decimal is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Int32,
    Int64,
    /// INT32 without sign.
    Unsigned32,
    /// INT64 without sign.
    Unsigned64,
    /// Big-endian bytes.
    Fixed(usize),
    /// Big-endian bytes, each with its length.
    Bytes,
}

impl Step {
    /// How values that are stored as `stored`, in `physical` (of `bytes` bytes, where it is fixed), become those of `to`.
    pub(super) fn of(stored: Stored, physical: Physical, bytes: usize, to: Target) -> Result<Self, Refusal> {
        let is_int32 = physical == Physical::INT32;
        if let Some(own) = digits(stored)
            && matches!(to.kind, ColumnType::Decimal { .. })
            && !to.kind.holds(own)
        {
            return Err(format!("{} does not hold every {own}", to.kind));
        }
        Ok(match (stored, to.kind) {
            (Stored::Signed, ColumnType::Int64) if is_int32 && to.physical != physical => Self::Widen,
            (Stored::Signed, ColumnType::Int64)
            | (Stored::Bool, ColumnType::Bool)
            | (Stored::Days, ColumnType::Date)
            | (Stored::Micros, ColumnType::Datetime | ColumnType::Timestamp)
            | (Stored::TimeMicros, ColumnType::Time) => Self::Same,
            (Stored::Unsigned32 { max }, ColumnType::Int64) => Self::Unsigned { max },
            (Stored::Text, ColumnType::String) => Self::Text,
            (Stored::Text, ColumnType::Json) => Self::Json,
            (Stored::Bytes, ColumnType::Bytes) if physical == Physical::BYTE_ARRAY => Self::Same,
            (Stored::Bytes, ColumnType::Bytes) => Self::Fixed { bytes },
            (Stored::Float, ColumnType::Float64) if physical == to.physical => Self::Same,
            (Stored::Float, ColumnType::Float64) => Self::Double,
            (Stored::Millis, ColumnType::Datetime | ColumnType::Timestamp) => Self::Millis,
            (Stored::TimeMillis, ColumnType::Time) => Self::TimeMillis,
            // A column that has taken decimals since.
            (Stored::Signed, ColumnType::Decimal { scale, .. }) => {
                let from = number_of(physical, bytes)?;
                decimal(from, (19, 0), number_of(to.physical, to.fixed_bytes)?, scale)?
            }
            (Stored::Unsigned32 { max }, ColumnType::Decimal { scale, .. }) => {
                let step =
                    decimal(Number::Unsigned32, (10, 0), number_of(to.physical, to.fixed_bytes)?, scale)?;
                step.limited(i128::from(max) + 1)
            }
            (Stored::Unsigned64, ColumnType::Decimal { scale, .. }) => {
                decimal(Number::Unsigned64, (20, 0), number_of(to.physical, to.fixed_bytes)?, scale)?
            }
            (Stored::Decimal { precision, scale: from_scale }, ColumnType::Decimal { scale, .. }) => {
                let from = number_of(physical, bytes)?;
                decimal(from, (precision, from_scale), number_of(to.physical, to.fixed_bytes)?, scale)?
            }
            (
                Stored::Signed
                | Stored::Unsigned32 { .. }
                | Stored::Unsigned64
                | Stored::Decimal { .. }
                | Stored::Text
                | Stored::Bytes
                | Stored::Bool
                | Stored::Float
                | Stored::Days
                | Stored::Millis
                | Stored::Micros
                | Stored::TimeMillis
                | Stored::TimeMicros,
                kind,
            ) => return Err(format!("values stored as {stored:?} cannot be carried as {kind}")),
        })
    }

    /// The same for numbers below `limit` only.
    fn limited(self, limit: i128) -> Self {
        match self {
            Self::Decimal { from, limit: _, factor, to } => Self::Decimal { from, limit, factor, to },
            Self::Digits { number, limit: _ } => Self::Digits { number, limit },
            Self::Same
            | Self::Text
            | Self::Json
            | Self::Widen
            | Self::Unsigned { .. }
            | Self::Double
            | Self::Millis
            | Self::TimeMillis
            | Self::Fixed { .. } => self,
        }
    }

    /// True when the bytes of the values stay as they are.
    pub(super) fn keeps_bytes(self) -> bool {
        match self {
            Self::Same | Self::Text | Self::Json | Self::Digits { .. } => true,
            Self::Widen
            | Self::Unsigned { .. }
            | Self::Double
            | Self::Millis
            | Self::TimeMillis
            | Self::Fixed { .. }
            | Self::Decimal { .. } => false,
        }
    }

    /// Holds values against what they must be.
    pub(super) fn check(self, values: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Text | Self::Json => check_text(values),
            Self::Digits { number, limit } => {
                numbers(number, values, |value| within(value, limit).map(|_| ()))
            }
            Self::Same
            | Self::Widen
            | Self::Unsigned { .. }
            | Self::Double
            | Self::Millis
            | Self::TimeMillis
            | Self::Fixed { .. }
            | Self::Decimal { .. } => Ok(()),
        }
    }

    /// Appends what `values` become to `out`.
    pub(super) fn carry(self, values: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Self::Same | Self::Text | Self::Json | Self::Digits { .. } => {
                self.check(values)?;
                out.extend_from_slice(values);
            }
            Self::Widen => integers(values).for_each(|value| out.extend(i64::from(value).to_le_bytes())),
            Self::Unsigned { max } => {
                for value in integers(values).map(i32::cast_unsigned) {
                    if value > max {
                        return Err(format!("{value} is more than {max}, the most of its type"));
                    }
                    out.extend(i64::from(value).to_le_bytes());
                }
            }
            // Every FLOAT is a DOUBLE too.
            Self::Double => integers(values)
                .map(|bits| f64::from(f32::from_bits(bits.cast_unsigned())))
                .for_each(|value| out.extend(value.to_le_bytes())),
            Self::Millis => {
                for millis in longs(values) {
                    let micros = millis
                        .checked_mul(MICROS_PER_MILLI)
                        .ok_or_else(|| format!("the moment of {millis} milliseconds is out of range"))?;
                    out.extend(micros.to_le_bytes());
                }
            }
            Self::TimeMillis => integers(values)
                .for_each(|value| out.extend((i64::from(value) * MICROS_PER_MILLI).to_le_bytes())),
            Self::Fixed { bytes } => {
                let length = u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
                for value in values.chunks(bytes.max(1)) {
                    out.extend(length);
                    out.extend_from_slice(value);
                }
            }
            Self::Decimal { from, limit, factor, to } => {
                out.reserve(values.len());
                numbers(from, values, |value| {
                    let value = within(value, limit)?.checked_mul(factor).ok_or(DIGITS)?;
                    write_number(to, value, out);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

const DIGITS: &str = "a decimal has more digits than its type, or none";

fn within(value: Option<i128>, limit: i128) -> Result<i128, Refusal> {
    value.filter(|value| *value > -limit && *value < limit).ok_or_else(|| DIGITS.to_owned())
}

/// How a decimal is stored in this physical type.
pub(super) fn number_of(physical: Physical, bytes: usize) -> Result<Number, Refusal> {
    match physical {
        Physical::INT32 => Ok(Number::Int32),
        Physical::INT64 => Ok(Number::Int64),
        Physical::FIXED_LEN_BYTE_ARRAY => Ok(Number::Fixed(bytes)),
        Physical::BYTE_ARRAY => Ok(Number::Bytes),
        Physical::BOOLEAN | Physical::INT96 | Physical::FLOAT | Physical::DOUBLE => {
            Err(format!("{physical} is no decimal"))
        }
    }
}

/// The decimal that holds every number that is stored so; none of what is no exact number.
fn digits(stored: Stored) -> Option<ColumnType> {
    let (precision, scale) = match stored {
        Stored::Signed => return Some(ColumnType::Int64),
        Stored::Unsigned32 { .. } => (10, 0),
        Stored::Unsigned64 => (20, 0),
        Stored::Decimal { precision, scale } => (precision, scale),
        Stored::Text
        | Stored::Bytes
        | Stored::Bool
        | Stored::Float
        | Stored::Days
        | Stored::Millis
        | Stored::Micros
        | Stored::TimeMillis
        | Stored::TimeMicros => return None,
    };
    Some(ColumnType::Decimal { precision, scale })
}

/// From one scale to a scale at least as large.
fn decimal(from: Number, (precision, scale): (u8, i8), to: Number, to_scale: i8) -> Result<Step, Refusal> {
    let refusal = || format!("a decimal of scale {scale} cannot be carried in scale {to_scale}");
    let power = |exponent: u32| 10_i128.checked_pow(exponent).ok_or_else(refusal);
    let digits = i16::from(to_scale) - i16::from(scale);
    let limit = power(u32::from(precision))?;
    let factor = power(u32::try_from(digits).map_err(|_| refusal())?)?;
    if factor == 1 && from == to {
        Ok(Step::Digits { number: from, limit })
    } else {
        Ok(Step::Decimal { from, limit, factor, to })
    }
}

fn integers(values: &[u8]) -> impl Iterator<Item = i32> {
    values.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes))
}

fn longs(values: &[u8]) -> impl Iterator<Item = i64> {
    values.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes))
}

/// Appends a value of BYTE_ARRAY as it stands in a PLAIN page: its length before it.
pub(super) fn push(value: &[u8], values: &mut Vec<u8>) {
    values.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    values.extend_from_slice(value);
}

/// The values of a PLAIN page of BYTE_ARRAY, which was checked.
pub(super) fn byte_arrays(values: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = values;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        Some(value)
    })
}

fn check_text(values: &[u8]) -> Result<(), Refusal> {
    // The lengths between the values are ASCII too, where all values are short.
    if values.is_ascii() {
        return Ok(());
    }
    for value in byte_arrays(values) {
        simdutf8::compat::from_utf8(value).map_err(|error| format!("a text is not UTF-8: {error}"))?;
    }
    Ok(())
}

/// Whether BigQuery's JSON holds each of these texts exactly.
pub(super) fn are_exact_json(values: &[u8]) -> bool {
    byte_arrays(values).all(|value| simdutf8::basic::from_utf8(value).is_ok_and(is_exact))
}

/// Gives each number to `each`; `None` where none of at most 16 bytes is.
pub(super) fn numbers(
    number: Number,
    values: &[u8],
    mut each: impl FnMut(Option<i128>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match number {
        Number::Int32 => integers(values).try_for_each(|value| each(Some(value.into()))),
        Number::Int64 => longs(values).try_for_each(|value| each(Some(value.into()))),
        Number::Unsigned32 => integers(values).try_for_each(|value| each(Some(value.cast_unsigned().into()))),
        Number::Unsigned64 => longs(values).try_for_each(|value| each(Some(value.cast_unsigned().into()))),
        Number::Fixed(16) => {
            let mut wide = values.as_chunks::<16>().0.iter();
            wide.try_for_each(|bytes| each(Some(i128::from_be_bytes(*bytes))))
        }
        Number::Fixed(bytes) => values.chunks(bytes.max(1)).try_for_each(|value| each(big_endian(value))),
        Number::Bytes => byte_arrays(values).try_for_each(|value| each(big_endian(value))),
    }
}

/// A two's complement number of any length; `None` when it is empty or needs more than 16 bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let (first, rest) = bytes.split_first()?;
    if bytes.len() <= 8 {
        let start = i64::from(first.cast_signed());
        return Some(i128::from(rest.iter().fold(start, |value, byte| (value << 8) | i64::from(*byte))));
    }
    let fill = if first.is_ascii() { 0x00 } else { 0xFF };
    let (head, tail) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut whole = [fill; 16];
    let place = whole.get_mut(16 - tail.len()..)?;
    place.copy_from_slice(tail);
    let value = i128::from_be_bytes(whole);
    let fits = head.iter().all(|byte| *byte == fill) && (value < 0) == (fill == 0xFF);
    fits.then_some(value)
}

/// Appends a number that fits.
fn write_number(to: Number, value: i128, out: &mut Vec<u8>) {
    let little = value.to_le_bytes();
    match to {
        Number::Int32 | Number::Unsigned32 => out.extend(little.into_iter().take(4)),
        Number::Int64 | Number::Unsigned64 => out.extend((value as i64).to_le_bytes()),
        Number::Fixed(bytes) => {
            let big = value.to_be_bytes();
            out.extend_from_slice(big.get(16_usize.saturating_sub(bytes)..).unwrap_or(&big));
        }
        Number::Bytes => {
            out.extend(16_u32.to_le_bytes());
            out.extend(value.to_be_bytes());
        }
    }
}
