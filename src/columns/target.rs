//! The columns of a body: how each type is stored in it, and the schema in its footer.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::lineage;
use super::plan::ColumnPlan;
use super::stored::Stored;
use super::types::ColumnType;
use crate::domain::fault::{Fault, FaultKind};

/// How one column is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: ColumnType,
    pub(super) physical: Physical,
    /// Bytes of a FIXED_LEN_BYTE_ARRAY; 0 for all others.
    pub(super) fixed_bytes: usize,
}

impl Target {
    /// How a type is stored when nothing speaks for another way: as Arrow stores it.
    pub(super) fn of(kind: ColumnType) -> Self {
        let (physical, fixed_bytes) = match kind {
            ColumnType::Decimal { precision: 0..=9, .. } => (Physical::INT32, 0),
            ColumnType::Decimal { precision: 10..=18, .. } => (Physical::INT64, 0),
            ColumnType::Decimal { precision, .. } => {
                (Physical::FIXED_LEN_BYTE_ARRAY, bytes_of_digits(precision))
            }
            ColumnType::Int64 | ColumnType::Datetime | ColumnType::Timestamp | ColumnType::Time => {
                (Physical::INT64, 0)
            }
            ColumnType::String | ColumnType::Json | ColumnType::Bytes => (Physical::BYTE_ARRAY, 0),
            ColumnType::Bool => (Physical::BOOLEAN, 0),
            ColumnType::Float64 => (Physical::DOUBLE, 0),
            ColumnType::Date => (Physical::INT32, 0),
        };
        Self { kind, physical, fixed_bytes }
    }

    /// How a column is stored in the body of files that store it so (in this physical type, of so many bytes): as they do, where
    /// all do alike and in a way that may stay.
    pub(super) fn of_files(
        kind: ColumnType,
        mut stored: impl Iterator<Item = (Stored, Physical, usize)>,
    ) -> Self {
        let own = Self::of(kind);
        let Some(first) = stored.next().filter(|first| stored.all(|other| other == *first)) else {
            return own;
        };
        match (first, kind) {
            // BigQuery takes INT32 as INT64, and so does every reader: half the bytes to make, where any have to be made.
            ((Stored::Signed, physical @ Physical::INT32, _), ColumnType::Int64) => {
                Self { kind, physical, fixed_bytes: 0 }
            }
            (
                (Stored::Decimal { precision: from, scale: from_scale }, physical, fixed_bytes),
                ColumnType::Decimal { precision, scale },
            ) if from == precision && from_scale == scale => match physical {
                Physical::INT32 if precision <= 9 => Self { kind, physical, fixed_bytes: 0 },
                Physical::INT64 if precision <= 18 => Self { kind, physical, fixed_bytes: 0 },
                Physical::FIXED_LEN_BYTE_ARRAY
                    if (bytes_of_digits(precision)..=size_of::<i128>()).contains(&fixed_bytes) =>
                {
                    Self { kind, physical, fixed_bytes }
                }
                Physical::BOOLEAN
                | Physical::INT32
                | Physical::INT64
                | Physical::INT96
                | Physical::FLOAT
                | Physical::DOUBLE
                | Physical::BYTE_ARRAY
                | Physical::FIXED_LEN_BYTE_ARRAY => own,
            },
            _ => own,
        }
    }

    fn schema(self, name: &str, required: bool) -> Result<Type, ParquetError> {
        let timestamp = |utc| LogicalType::timestamp(utc, TimeUnit::MICROS);
        let logical = match self.kind {
            ColumnType::Int64 | ColumnType::Bytes | ColumnType::Bool | ColumnType::Float64 => None,
            ColumnType::Decimal { precision, scale } => {
                Some(LogicalType::decimal(i32::from(scale), i32::from(precision)))
            }
            // A stream takes JSON as text, and nobody else is given any.
            ColumnType::String | ColumnType::Json => Some(LogicalType::String),
            ColumnType::Date => Some(LogicalType::Date),
            ColumnType::Datetime => Some(timestamp(false)),
            ColumnType::Timestamp => Some(timestamp(true)),
            ColumnType::Time => Some(LogicalType::time(false, TimeUnit::MICROS)),
        };
        let (precision, scale) = match self.kind {
            ColumnType::Decimal { precision, scale } => (i32::from(precision), i32::from(scale)),
            ColumnType::Int64
            | ColumnType::String
            | ColumnType::Bytes
            | ColumnType::Bool
            | ColumnType::Float64
            | ColumnType::Date
            | ColumnType::Datetime
            | ColumnType::Timestamp
            | ColumnType::Time
            | ColumnType::Json => (-1, -1),
        };
        Type::primitive_type_builder(name, self.physical)
            .with_repetition(if required { Repetition::REQUIRED } else { Repetition::OPTIONAL })
            .with_length(i32::try_from(self.fixed_bytes).unwrap_or(0))
            .with_logical_type(logical)
            .with_precision(precision)
            .with_scale(scale)
            .build()
    }
}

/// The fewest bytes that hold every number of so many digits, with its sign.
fn bytes_of_digits(digits: u8) -> usize {
    let most = 10_i128.checked_pow(digits.into()).unwrap_or(i128::MAX);
    let bits = i128::BITS - (most - 1).leading_zeros() + 1;
    usize::try_from(bits.div_ceil(8)).unwrap_or(size_of::<i128>())
}

/// The schema of a body: the columns of `plan`, then lineage.
pub(super) fn schema(plan: &ColumnPlan, targets: &[Target]) -> Result<Arc<SchemaDescriptor>, Fault> {
    let own = plan.columns().iter().zip(targets).map(|((name, _), target)| target.schema(name, false));
    let added =
        lineage::COLUMNS.iter().map(|(name, kind, required)| Target::of(*kind).schema(name, *required));
    let fields: Result<Vec<_>, _> = own.chain(added).map(|field| field.map(Arc::new)).collect();
    let root = fields.and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build());
    let cannot =
        |error| Fault::from_error(FaultKind::Internal, "cannot make the schema of a body".to_owned(), error);
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root.map_err(cannot)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_bytes_of_their_digits() {
        let bytes = [19, 20, 21, 23, 24, 26, 38].map(bytes_of_digits);
        assert_eq!(bytes, [9, 9, 9, 10, 11, 11, 16]);
    }
}
