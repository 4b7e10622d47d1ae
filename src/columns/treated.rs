//! Columns whose values do not stay as they are: masked, written as text, or NULL where they cannot be carried.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::bits::Bits;
use super::dms::without;
use super::output::pages::Filling;
use super::pages::unpacked::Rows;
use super::pages::values::Shape;
use super::rules::ColumnRules;
use super::spelling::Spelling;
use super::stored::Stored;
use super::types::ColumnType;
use super::values::{Refusal, Step, byte_arrays, push};
use crate::domain::batch::hex;
use crate::domain::column_type::DECIMAL_PRECISION_MAX;
use crate::domain::source_type::SourceType;
use crate::domain::treatment::{Fallback, Mask, MaskKey, OnInvalid, Treatment, ValueChange};

/// 0001-01-01 and 10000-01-01 in days since the Unix epoch: what MySQL and BigQuery have of dates.
const DAYS: std::ops::Range<i64> = -719_162..2_932_897;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What is done with the values of a column of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treated {
    /// They are carried exactly, or the file is refused.
    Own,
    /// Each is looked at: those that cannot be carried become NULL, or refuse the file.
    Judged {
        /// They refuse it.
        refuses: bool,
        /// Those that are no JSON, too.
        json: bool,
    },
    /// They are carried as text.
    Spelled,
    /// They are made unreadable.
    Masked(Mask),
}

impl Treated {
    /// Its values are still what the source calls them: one that is text because nothing else is asked for may be JSON.
    pub(super) fn keeps_meaning(self) -> bool {
        match self {
            Self::Own | Self::Judged { .. } => true,
            Self::Spelled | Self::Masked(_) => false,
        }
    }
}

impl ColumnRules {
    /// What is done with the values of a column that are stored so, and the type that they are carried as.
    pub(super) fn treated(&self, column: &str, stored: Stored) -> (Treated, ColumnType) {
        let Treatment { mask, on_invalid } = self.treatment(column);
        let own = self.own_type(column, stored);
        let json = self.source_type(column) == Some(&SourceType::Json);
        match (mask, on_invalid, own) {
            (Some(mask @ (Mask::Hash | Mask::Partial { .. })), _, _) => {
                (Treated::Masked(mask), ColumnType::String)
            }
            (Some(Mask::Redact), _, own) => {
                (Treated::Masked(Mask::Redact), own.unwrap_or(ColumnType::String))
            }
            (None, Some(OnInvalid::String), _)
            | (None, Some(OnInvalid::Refuse | OnInvalid::Null) | None, None) => {
                (Treated::Spelled, ColumnType::String)
            }
            (None, Some(OnInvalid::Null), Some(own)) => (Treated::Judged { refuses: false, json }, own),
            (None, Some(OnInvalid::Refuse), Some(own)) => (Treated::Judged { refuses: true, json }, own),
            (None, None, Some(own)) => (Treated::Own, own),
        }
    }

    /// The type that holds the values themselves; `None` where only text does.
    fn own_type(&self, column: &str, stored: Stored) -> Option<ColumnType> {
        // No reader of Parquet but BigQuery has decimals of so many digits.
        if matches!(stored, Stored::Decimal { precision, .. } if precision > DECIMAL_PRECISION_MAX) {
            return None;
        }
        let own = stored.column_type(self.is_instant(column));
        let fallback = match own {
            ColumnType::Datetime => self.datetimes,
            ColumnType::Time => self.times,
            ColumnType::Int64
            | ColumnType::Decimal { .. }
            | ColumnType::String
            | ColumnType::Bytes
            | ColumnType::Bool
            | ColumnType::Float64
            | ColumnType::Date
            | ColumnType::Timestamp
            | ColumnType::Json => Fallback::Native,
        };
        match fallback {
            Fallback::Native => Some(own),
            Fallback::Timestamp => Some(ColumnType::Timestamp),
            Fallback::String => None,
        }
    }
}

/// How the values of a column that are stored one way become those of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Treating<'a> {
    pub(super) treated: Treated,
    pub(super) spelling: Spelling,
    /// How a value that can be carried is.
    pub(super) step: Step,
    /// The type of the column in the body.
    pub(super) to: ColumnType,
    pub(super) key: Option<&'a MaskKey>,
}

/// How many values of a column were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) nulled: u64,
    pub(super) replaced: u64,
    pub(super) cut: u64,
}

impl Changed {
    /// Counts more.
    pub(super) fn add(&mut self, more: Self) {
        self.nulled += more.nulled;
        self.replaced += more.replaced;
        self.cut += more.cut;
    }

    /// The changes that there were.
    pub(super) fn all(self) -> impl Iterator<Item = (ValueChange, u64)> {
        let all = [
            (ValueChange::Nulled, self.nulled),
            (ValueChange::Replaced, self.replaced),
            (ValueChange::Cut, self.cut),
        ];
        all.into_iter().filter(|(_, values)| *values > 0)
    }
}

impl Treating<'_> {
    /// Appends what the rows become.
    pub(super) fn carry(
        &self,
        rows: Rows<'_>,
        filling: &mut Filling,
        changed: &mut Changed,
    ) -> Result<(), Refusal> {
        match self.treated {
            Treated::Judged { refuses, json } => return self.judge(refuses, json, rows, filling, changed),
            Treated::Masked(Mask::Redact) if self.spelling.stored != Stored::Text => {
                filling.levels.push_run(false, rows.levels.len());
                return Ok(());
            }
            Treated::Own | Treated::Spelled | Treated::Masked(_) => self.write(rows, filling, changed)?,
        }
        filling.levels.push_all(rows.levels);
        Ok(())
    }

    fn write(&self, rows: Rows<'_>, filling: &mut Filling, changed: &mut Changed) -> Result<(), Refusal> {
        self.spelling.each(rows.values, rows.levels.ones(), &mut |text| {
            let values = &mut filling.values;
            match self.treated {
                Treated::Masked(Mask::Hash) => {
                    let key = self.key.ok_or("the mapping hashes a column, and there is no key")?;
                    push(masked(key, text).as_bytes(), values);
                }
                Treated::Masked(Mask::Redact) => push(Mask::REDACTED.as_bytes(), values),
                Treated::Masked(Mask::Partial { kept }) => push(partly(text, kept).as_bytes(), values),
                Treated::Spelled | Treated::Own | Treated::Judged { .. } => {
                    let valid = String::from_utf8_lossy(text);
                    changed.replaced += u64::from(matches!(valid, std::borrow::Cow::Owned(_)));
                    push(valid.as_bytes(), values);
                }
            }
            Ok(())
        })
    }

    /// Values that cannot be carried become NULL, or refuse the file.
    fn judge(
        &self,
        refuses: bool,
        json: bool,
        rows: Rows<'_>,
        filling: &mut Filling,
        changed: &mut Changed,
    ) -> Result<(), Refusal> {
        if self.spelling.stored == Stored::Bool {
            filling.flags.push_packed(rows.values, rows.levels.ones());
            filling.levels.push_all(rows.levels);
            return Ok(());
        }
        let mut kept = Bits::default();
        let mut refused = false;
        self.each_alone(rows.values, &mut |value| {
            let before = filling.values.len();
            let carried = self.step.carry(value, &mut filling.values).is_ok();
            let valid = carried
                && filling.values.get(before..).is_some_and(|value| is_in_range(self.to, value, json));
            if !valid {
                filling.values.truncate(before);
                changed.nulled += u64::from(!refuses);
                refused |= refuses;
            }
            kept.push(valid);
        });
        if refused {
            return Err(format!(
                "a value is none of {}, and the mapping says `on_invalid = \"refuse\"`",
                self.to
            ));
        }
        without(rows.levels, &kept, &mut filling.levels);
        Ok(())
    }

    /// Gives each value alone, as it stands in a page; not of BOOLEAN, whose values are bits.
    fn each_alone(&self, values: &[u8], each: &mut dyn FnMut(&[u8])) {
        let shape = Shape { physical: self.spelling.physical, fixed_bytes: self.spelling.bytes };
        let mut rest = values;
        while let Some((alone, after)) = rest.split_at_checked(shape.bytes_of(rest, 1).max(1)) {
            each(alone);
            rest = after;
        }
    }
}

/// Whether the destination holds a value of this type, which stands so in a page.
fn is_in_range(kind: ColumnType, value: &[u8], json: bool) -> bool {
    let whole = || value.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes));
    match kind {
        ColumnType::Date => {
            value.first_chunk::<4>().is_some_and(|days| DAYS.contains(&i32::from_le_bytes(*days).into()))
        }
        ColumnType::Datetime | ColumnType::Timestamp => {
            whole().is_some_and(|micros| DAYS.contains(&micros.div_euclid(MICROS_PER_DAY)))
        }
        ColumnType::Time => whole().is_some_and(|micros| (0..MICROS_PER_DAY).contains(&micros)),
        ColumnType::String | ColumnType::Json if json => {
            let mut texts = byte_arrays(value);
            texts.all(|text| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok())
        }
        ColumnType::String
        | ColumnType::Json
        | ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::Bytes
        | ColumnType::Bool
        | ColumnType::Float64 => true,
    }
}

/// HMAC-SHA256 of `text`, in hexadecimal digits.
pub(super) fn masked(key: &MaskKey, text: &[u8]) -> String {
    // Keys of any length are taken (RFC 2104).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else { return String::new() };
    mac.update(text);
    hex(&mac.finalize().into_bytes())
}

/// The last `kept` letters, the others `*`; of a text that has no more than `kept`, none.
fn partly(text: &[u8], kept: u8) -> String {
    let text = String::from_utf8_lossy(text);
    let letters = text.chars().count();
    let hidden = letters.checked_sub(usize::from(kept)).filter(|hidden| *hidden > 0).unwrap_or(letters);
    text.chars().enumerate().map(|(place, letter)| if place < hidden { '*' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_only_what_it_says() {
        assert_eq!(partly("4111111111111234".as_bytes(), 4), "************1234");
        assert_eq!(partly("1234".as_bytes(), 4), "****");
        assert_eq!(partly("ümläut".as_bytes(), 2), "****ut");
        assert_eq!(partly(b"", 4), "");
    }

    #[test]
    fn hashes_are_those_of_everyone_else() {
        // RFC 4231, test case 6: a key of 131 bytes.
        let key = MaskKey::new(&[0xAA; 131]).unwrap();
        assert_eq!(
            masked(&key, b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
