//! What a stored value is, said a second time and value by value, so that both can be compared.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};

use super::super::stored::Stored;
use super::super::types::ColumnType;

/// Each value as a text that no other value has.
// DataType is Arrow's and grows; what is not named below is never written.
#[allow(clippy::wildcard_enum_match_arm)]
pub(in crate::columns) fn exact_texts(array: &ArrayRef) -> Vec<Option<String>> {
    let one = |row: usize| {
        if array.is_null(row) {
            return None;
        }
        Some(match array.data_type() {
            DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
            DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Decimal128(_, scale) => {
                format!("{}e-{scale}", array.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
            DataType::Binary => format!("{:?}", array.as_binary::<i32>().value(row)),
            DataType::Boolean => array.as_boolean().value(row).to_string(),
            DataType::Float64 => format!("{:x}", array.as_primitive::<Float64Type>().value(row).to_bits()),
            DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
            DataType::Timestamp(_, zone) => {
                let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                format!("{micros}{}", if zone.is_some() { "Z" } else { "" })
            }
            DataType::Time64(_) => array.as_primitive::<Time64MicrosecondType>().value(row).to_string(),
            other => panic!("{other} is not written"),
        })
    };
    (0..array.len()).map(one).collect()
}

/// The same texts for values as they stand in a file: the array has their physical type.
pub(in crate::columns) fn stored_texts(
    array: &ArrayRef,
    stored: Stored,
    kind: ColumnType,
) -> Vec<Option<String>> {
    (0..array.len()).map(|row| (!array.is_null(row)).then(|| text(array, row, stored, kind))).collect()
}

fn text(array: &ArrayRef, row: usize, stored: Stored, kind: ColumnType) -> String {
    let zone = if kind == ColumnType::Timestamp { "Z" } else { "" };
    let scaled = |value: i128, from: i8| {
        let ColumnType::Decimal { scale, .. } = kind else { panic!("{kind} is no decimal") };
        format!("{}e-{scale}", value * 10_i128.pow(u32::try_from(scale - from).unwrap()))
    };
    match stored {
        Stored::Signed | Stored::Days | Stored::TimeMicros => number(array, row).to_string(),
        Stored::Unsigned32 { .. } => (number(array, row) & 0xFFFF_FFFF).to_string(),
        Stored::Unsigned64 => scaled(number(array, row) & i128::from(u64::MAX), 0),
        Stored::Decimal { scale, .. } => scaled(number(array, row), scale),
        Stored::Text => array.as_string::<i32>().value(row).to_owned(),
        Stored::Bytes => format!("{:?}", bytes(array, row)),
        Stored::Bool => array.as_boolean().value(row).to_string(),
        Stored::Float => {
            let value = match array.as_primitive_opt::<Float32Type>() {
                Some(array) => f64::from(array.value(row)),
                None => array.as_primitive::<Float64Type>().value(row),
            };
            format!("{:x}", value.to_bits())
        }
        Stored::Millis => format!("{}{zone}", number(array, row) * 1000),
        Stored::Micros => format!("{}{zone}", number(array, row)),
        Stored::TimeMillis => (number(array, row) * 1000).to_string(),
    }
}

fn bytes(array: &ArrayRef, row: usize) -> &[u8] {
    match array.as_binary_opt::<i32>() {
        Some(array) => array.value(row),
        None => array.as_fixed_size_binary().value(row),
    }
}

fn number(array: &ArrayRef, row: usize) -> i128 {
    if let Some(array) = array.as_primitive_opt::<Int32Type>() {
        return array.value(row).into();
    }
    if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        return array.value(row).into();
    }
    let bytes = bytes(array, row);
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    bytes.iter().fold(sign, |value, byte| (value << 8) | i128::from(*byte))
}
