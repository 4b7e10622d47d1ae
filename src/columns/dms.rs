//! DMS's own columns: their values become lineage.

use super::bits::Bits;
use super::commit_time;
use super::output::indices::Indices;
use super::output::pages::Filling;
use super::pages::unpacked::Rows;
use super::stored::Stored;
use super::values::{Refusal, Step, byte_arrays, push};

/// The operations, as the dictionary of a PLAIN page, in the order of their places there.
pub(super) const OPERATIONS: [u8; 15] = *b"\x01\0\0\0I\x01\0\0\0U\x01\0\0\0D";
/// How many.
pub(super) const OPERATION_COUNT: usize = 3;

/// What is wrong with an operation.
pub(super) enum Unknown {
    /// It is no text.
    Text(Refusal),
    /// DMS does not know it.
    Operation(String),
}

/// Operations as their places; an empty one is none.
pub(super) fn operations(rows: Rows<'_>, indices: &mut Indices) -> Result<(), Unknown> {
    let mut kept = Bits::default();
    let mut empty = false;
    for operation in byte_arrays(rows.values) {
        let place = match operation {
            b"I" => 0,
            b"U" => 1,
            b"D" => 2,
            b"" => {
                empty = true;
                kept.push(false);
                continue;
            }
            other => {
                return Err(match std::str::from_utf8(other) {
                    Ok(text) => Unknown::Operation(text.to_owned()),
                    Err(error) => Unknown::Text(format!("a text is not UTF-8: {error}")),
                });
            }
        };
        kept.push(true);
        indices.places.push(place);
    }
    if empty {
        without(rows.levels, &kept, &mut indices.levels);
    } else {
        indices.levels.push_all(rows.levels);
    }
    Ok(())
}

/// True when no text is empty.
pub(super) fn are_given(values: &[u8]) -> bool {
    byte_arrays(values).all(|text| !text.is_empty())
}

/// Change sequences; an empty one is none.
pub(super) fn sequences(rows: Rows<'_>, filling: &mut Filling) -> Result<(), Refusal> {
    if are_given(rows.values) {
        filling.levels.push_all(rows.levels);
        return Step::Text.carry(rows.values, &mut filling.values);
    }
    Step::Text.check(rows.values)?;
    let mut kept = Bits::default();
    for text in byte_arrays(rows.values) {
        kept.push(!text.is_empty());
        if !text.is_empty() {
            push(text, &mut filling.values);
        }
    }
    without(rows.levels, &kept, &mut filling.levels);
    Ok(())
}

/// Commit times in microseconds; one that cannot be read is none.
pub(super) fn commit_times(rows: Rows<'_>, stored: Stored, filling: &mut Filling) -> Result<(), Refusal> {
    match stored {
        Stored::Micros => filling.values.extend_from_slice(rows.values),
        Stored::Millis => Step::Millis.carry(rows.values, &mut filling.values)?,
        Stored::Text
        | Stored::Signed
        | Stored::Unsigned32 { .. }
        | Stored::Unsigned64
        | Stored::Decimal { .. }
        | Stored::Bytes
        | Stored::Bool
        | Stored::Float
        | Stored::Days
        | Stored::TimeMillis
        | Stored::TimeMicros => {
            Step::Text.check(rows.values)?;
            return commit_texts(rows, filling);
        }
    }
    filling.levels.push_all(rows.levels);
    Ok(())
}

fn commit_texts(rows: Rows<'_>, filling: &mut Filling) -> Result<(), Refusal> {
    let (mut kept, mut reader) = (Bits::default(), commit_time::Reader::default());
    filling.values.reserve(rows.levels.ones().saturating_mul(size_of::<i64>()));
    for text in byte_arrays(rows.values) {
        let micros = reader.read(text);
        kept.push(micros.is_some());
        if let Some(micros) = micros {
            filling.values.extend(micros.to_le_bytes());
        }
    }
    if kept.ones() == kept.len() {
        filling.levels.push_all(rows.levels);
    } else {
        without(rows.levels, &kept, &mut filling.levels);
    }
    Ok(())
}

/// The levels of rows of whose values only some are `kept`.
pub(super) fn without(levels: &Bits, kept: &Bits, into: &mut Bits) {
    let mut kept = kept.iter();
    levels.iter().for_each(|present| into.push(present && kept.next().unwrap_or(false)));
}
