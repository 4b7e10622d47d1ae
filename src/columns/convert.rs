//! One column's values into the type of the plan: exactly, or not at all.

use std::sync::Arc;

use arrow::array::types::{TimestampMicrosecondType, TimestampMillisecondType};
use arrow::array::{
    Array, ArrayRef, AsArray, PrimitiveArray, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;

use super::committed;
use super::types::ColumnType;

/// `values` as `kind`. A value that does not fit is an error, never another value.
pub fn to_type(values: &ArrayRef, kind: ColumnType) -> Result<ArrayRef, ArrowError> {
    let target = kind.arrow();
    if *values.data_type() == target {
        return Ok(Arc::clone(values));
    }
    match kind {
        ColumnType::Datetime => Ok(Arc::new(micros(values)?)),
        ColumnType::Timestamp => Ok(Arc::new(micros(values)?.with_timezone("UTC"))),
        ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::String
        | ColumnType::Bytes
        | ColumnType::Bool
        | ColumnType::Float64
        | ColumnType::Date
        | ColumnType::Time => {
            cast_with_options(values, &target, &CastOptions { safe: false, ..CastOptions::default() })
        }
    }
}

/// Timestamps in microseconds, without a zone: the number is what the file holds, whatever its annotation.
fn micros(values: &ArrayRef) -> Result<TimestampMicrosecondArray, ArrowError> {
    let values: PrimitiveArray<TimestampMicrosecondType> = match values.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let millis = values.as_primitive::<TimestampMillisecondType>();
            millis.try_unary(|value: i64| {
                value.checked_mul(1_000).ok_or_else(|| {
                    ArrowError::ComputeError(format!("{value} ms are beyond the range of microseconds"))
                })
            })?
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            values.as_primitive::<TimestampMicrosecondType>().clone()
        }
        other => return Err(ArrowError::CastError(format!("{other} is no timestamp"))),
    };
    Ok(values.with_timezone_opt::<Arc<str>>(None))
}

/// DMS's timestamp column as instants; what cannot be read is null.
pub fn committed_at(values: Option<&ArrayRef>, rows: usize) -> Result<ArrayRef, ArrowError> {
    let Some(values) = values else {
        return Ok(new_null_array(&ColumnType::Timestamp.arrow(), rows));
    };
    let Some(texts) = values.as_any().downcast_ref::<StringArray>() else {
        return to_type(values, ColumnType::Timestamp);
    };
    let parsed: TimestampMicrosecondArray =
        texts.iter().map(|text| text.and_then(committed::parse)).collect();
    Ok(Arc::new(parsed.with_timezone("UTC")))
}

/// A text column in which the empty text means none.
pub fn non_empty(values: Option<&ArrayRef>, rows: usize) -> ArrayRef {
    let Some(texts) = values.and_then(|values| values.as_any().downcast_ref::<StringArray>()) else {
        return new_null_array(&DataType::Utf8, rows);
    };
    if texts.iter().flatten().all(|text| !text.is_empty()) {
        return Arc::new(texts.clone());
    }
    Arc::new(texts.iter().map(|text| text.filter(|text| !text.is_empty())).collect::<StringArray>())
}
