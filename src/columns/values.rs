//! Stored values to carried values: exactly, or not at all.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, PrimitiveArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Int32Type, Int64Type};

use super::stored::Stored;
use super::types::ColumnType;

const MICROS_PER_MILLI: i64 = 1000;

/// Why a value cannot be carried: lower case, for a fault's context.
pub(super) type Refusal = String;

/// The values of `array`, stored as `stored`, as values of type `to`. `to` is the stored type or one that it unifies
/// with.
pub(super) fn carry(array: &ArrayRef, stored: Stored, to: ColumnType) -> Result<ArrayRef, Refusal> {
    match (stored, to) {
        (Stored::Signed, ColumnType::Int64) => whole_numbers(array),
        (Stored::Unsigned32 { max }, ColumnType::Int64) => unsigned(array, max),
        (Stored::Unsigned64, ColumnType::Decimal { precision, scale }) => {
            let values = longs(array)?;
            let step = Rescale::new(20, 0, scale)?;
            decimals(values.len(), values.nulls(), precision, scale, |row| {
                let value = values.values().get(row)?;
                step.apply(i128::from(value.cast_unsigned()))
            })
        }
        (
            Stored::Decimal { precision: from_precision, scale: from_scale },
            ColumnType::Decimal { precision, scale },
        ) => rescaled(array, &Rescale::new(from_precision, from_scale, scale)?, precision, scale),
        (Stored::Text, ColumnType::String) | (Stored::Bool, ColumnType::Bool) => Ok(Arc::clone(array)),
        (Stored::Bytes, ColumnType::Bytes) => bytes(array),
        (Stored::Float, ColumnType::Float64) => floats(array),
        (Stored::Days, ColumnType::Date) => {
            let days = integers(array)?;
            Ok(Arc::new(Date32Array::new(days.values().clone(), days.nulls().cloned())))
        }
        (Stored::Millis | Stored::Micros, ColumnType::Datetime) => Ok(Arc::new(moments(array, stored)?)),
        (Stored::Millis | Stored::Micros, ColumnType::Timestamp) => {
            Ok(Arc::new(moments(array, stored)?.with_timezone("UTC")))
        }
        (Stored::TimeMillis | Stored::TimeMicros, ColumnType::Time) => times_of_day(array),
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
            _,
        ) => Err(format!("values stored as {stored:?} cannot be carried as {to}")),
    }
}

/// Moments in microseconds, without a time zone.
pub(super) fn moments(array: &ArrayRef, stored: Stored) -> Result<TimestampMicrosecondArray, Refusal> {
    let values = longs(array)?;
    let nulls = values.nulls().cloned();
    if stored == Stored::Micros {
        return Ok(TimestampMicrosecondArray::new(values.values().clone(), nulls));
    }
    let micros = checked(values, |millis| millis.checked_mul(MICROS_PER_MILLI))
        .map_err(|millis| format!("the moment of {millis} milliseconds is out of range"))?;
    Ok(TimestampMicrosecondArray::new(micros.into(), nulls))
}

fn times_of_day(array: &ArrayRef) -> Result<ArrayRef, Refusal> {
    let Some(millis) = array.as_primitive_opt::<Int32Type>() else {
        let micros = longs(array)?;
        let micros = Time64MicrosecondArray::new(micros.values().clone(), micros.nulls().cloned());
        return Ok(Arc::new(micros));
    };
    let wide = millis.values().iter();
    let wide = wide.map(|value| i64::from(*value) * MICROS_PER_MILLI).collect();
    Ok(Arc::new(Time64MicrosecondArray::new(wide, millis.nulls().cloned())))
}

/// Each value through `carry`; a null's value is whatever the reader left there, and stays out of it.
fn checked<F: ArrowPrimitiveType, T: Copy + Default>(
    values: &PrimitiveArray<F>,
    carry: impl Fn(F::Native) -> Option<T>,
) -> Result<Vec<T>, F::Native> {
    let nulls = values.nulls();
    let one = |(row, value): (usize, &F::Native)| match carry(*value) {
        Some(carried) => Ok(carried),
        None if nulls.is_some_and(|nulls| nulls.is_null(row)) => Ok(T::default()),
        None => Err(*value),
    };
    values.values().iter().enumerate().map(one).collect()
}

fn whole_numbers(array: &ArrayRef) -> Result<ArrayRef, Refusal> {
    let Some(values) = array.as_primitive_opt::<Int32Type>() else {
        return longs(array).map(|_| Arc::clone(array));
    };
    let wide: ScalarBuffer<i64> = values.values().iter().map(|value| i64::from(*value)).collect();
    Ok(Arc::new(Int64Array::new(wide, values.nulls().cloned())))
}

fn unsigned(array: &ArrayRef, max: u32) -> Result<ArrayRef, Refusal> {
    let values = integers(array)?;
    let wide = checked(values, |value| {
        let value = value.cast_unsigned();
        (value <= max).then_some(i64::from(value))
    })
    .map_err(|value| format!("{} is more than {max}, the most of its type", value.cast_unsigned()))?;
    Ok(Arc::new(Int64Array::new(wide.into(), values.nulls().cloned())))
}

fn floats(array: &ArrayRef) -> Result<ArrayRef, Refusal> {
    if array.data_type() == &DataType::Float64 {
        return Ok(Arc::clone(array));
    }
    let values = array.as_primitive_opt::<Float32Type>().ok_or_else(|| surprise(array))?;
    // Every FLOAT is a DOUBLE too.
    let wide: ScalarBuffer<f64> = values.values().iter().map(|value| f64::from(*value)).collect();
    Ok(Arc::new(Float64Array::new(wide, values.nulls().cloned())))
}

fn bytes(array: &ArrayRef) -> Result<ArrayRef, Refusal> {
    let Some(fixed) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
        return match array.as_any().downcast_ref::<BinaryArray>() {
            Some(_) => Ok(Arc::clone(array)),
            None => Err(surprise(array)),
        };
    };
    Ok(Arc::new(fixed.iter().collect::<BinaryArray>()))
}

/// From one scale to a scale at least as large.
struct Rescale {
    /// The least number that has too many digits for the stored type.
    limit: i128,
    factor: i128,
}

impl Rescale {
    fn new(precision: u8, scale: i8, to_scale: i8) -> Result<Self, Refusal> {
        let refusal = || format!("a decimal of scale {scale} cannot be carried in scale {to_scale}");
        let power = |exponent: u32| 10_i128.checked_pow(exponent).ok_or_else(refusal);
        let digits = i16::from(to_scale) - i16::from(scale);
        Ok(Self {
            limit: power(u32::from(precision))?,
            factor: power(u32::try_from(digits).map_err(|_| refusal())?)?,
        })
    }

    fn apply(&self, value: i128) -> Option<i128> {
        // The writer cuts a decimal down to the bytes that its precision needs: one too large would change silently.
        (value > -self.limit && value < self.limit).then(|| value.checked_mul(self.factor)).flatten()
    }
}

fn rescaled(array: &ArrayRef, step: &Rescale, precision: u8, scale: i8) -> Result<ArrayRef, Refusal> {
    let (rows, nulls) = (array.len(), array.nulls());
    if let Some(values) = array.as_primitive_opt::<Int32Type>() {
        let value = |row: usize| values.values().get(row).map(|value| i128::from(*value));
        return decimals(rows, nulls, precision, scale, |row| step.apply(value(row)?));
    }
    if let Some(values) = array.as_primitive_opt::<Int64Type>() {
        let value = |row: usize| values.values().get(row).map(|value| i128::from(*value));
        return decimals(rows, nulls, precision, scale, |row| step.apply(value(row)?));
    }
    if let Some(values) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() {
        return decimals(rows, nulls, precision, scale, |row| step.apply(big_endian(values.value(row))?));
    }
    let values = array.as_any().downcast_ref::<BinaryArray>().ok_or_else(|| surprise(array))?;
    decimals(rows, nulls, precision, scale, |row| step.apply(big_endian(values.value(row))?))
}

fn decimals(
    rows: usize,
    nulls: Option<&NullBuffer>,
    precision: u8,
    scale: i8,
    value: impl Fn(usize) -> Option<i128>,
) -> Result<ArrayRef, Refusal> {
    let one = |row: usize| match value(row) {
        Some(value) => Ok(value),
        None if nulls.is_some_and(|nulls| nulls.is_null(row)) => Ok(0),
        None => Err(format!("a decimal has more digits than its type, or none, {row} rows into the batch")),
    };
    let values = (0..rows).map(one).collect::<Result<Vec<i128>, Refusal>>()?;
    let array = Decimal128Array::try_new(values.into(), nulls.cloned())
        .and_then(|array| array.with_precision_and_scale(precision, scale))
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(array))
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
    whole.iter_mut().rev().zip(tail.iter().rev()).for_each(|(to, from)| *to = *from);
    let value = i128::from_be_bytes(whole);
    let fits = head.iter().all(|byte| *byte == fill) && (value < 0) == (fill == 0xFF);
    fits.then_some(value)
}

fn integers(array: &ArrayRef) -> Result<&Int32Array, Refusal> {
    array.as_primitive_opt().ok_or_else(|| surprise(array))
}

fn longs(array: &ArrayRef) -> Result<&Int64Array, Refusal> {
    array.as_primitive_opt().ok_or_else(|| surprise(array))
}

fn surprise(array: &ArrayRef) -> Refusal {
    format!("the reader gave {}, which its stored type excludes", array.data_type())
}
