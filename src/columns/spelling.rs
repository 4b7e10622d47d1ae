//! Values as text: for masks, for columns that are carried as text, and for what is rescued.

use std::io::Write;

use arrow::datatypes::i256;
use chrono::{Datelike, NaiveDate};
use parquet::basic::Type as Physical;

use super::stored::Stored;
use super::values::{Refusal, byte_arrays, number_of, numbers};
use crate::domain::column_type::DECIMAL_PRECISION_MAX;

const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The day of the Unix epoch in days of the common era.
const EPOCH_DAY: i64 = 719_163;
/// The most bytes of a decimal: 76 digits.
const DECIMAL_BYTES_MAX: usize = 32;

/// Takes what writes one text.
type Telling<'a> = dyn FnMut(&dyn Fn(&mut Vec<u8>)) -> Result<(), Refusal> + 'a;

/// How the values of a column are written as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spelling {
    pub(super) stored: Stored,
    pub(super) physical: Physical,
    /// Bytes of each value, where that is fixed.
    pub(super) bytes: usize,
    /// Times are moments in UTC.
    pub(super) instant: bool,
}

impl Spelling {
    /// Gives the text of each of `count` values, as they stand in a page, to `each`. Whole numbers and decimals have all
    /// their digits, bytes two hexadecimal digits each, moments end in `+00`. Texts are given as they are, UTF-8 or not.
    pub(super) fn each(
        self,
        values: &[u8],
        count: usize,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut text = Vec::new();
        let mut told = |write: &dyn Fn(&mut Vec<u8>)| {
            text.clear();
            write(&mut text);
            each(&text)
        };
        match self.stored {
            Stored::Text => byte_arrays(values).try_for_each(each),
            Stored::Bytes if self.physical == Physical::BYTE_ARRAY => {
                byte_arrays(values).try_for_each(|value| told(&|text| hexadecimal(value, text)))
            }
            Stored::Bytes => {
                values.chunks(self.bytes.max(1)).try_for_each(|value| told(&|text| hexadecimal(value, text)))
            }
            Stored::Bool => (0..count).try_for_each(|place| {
                let set = values.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
                told(&|text| text.extend(if set { &b"true"[..] } else { b"false" }))
            }),
            Stored::Signed => self.whole(values, &mut |value| told(&|text| put(text, value))),
            // As text every value can be written, those beyond their declared types too.
            Stored::Unsigned32 { .. } => self.whole(values, &mut |value| {
                let value = (value as i32).cast_unsigned();
                told(&|text| put(text, value))
            }),
            Stored::Unsigned64 => {
                self.whole(values, &mut |value| told(&|text| put(text, value.cast_unsigned())))
            }
            Stored::Float => self.floats(values, &mut |value| told(value)),
            Stored::Days => self.whole(values, &mut |days| told(&|text| date(days, text))),
            Stored::Millis => self.whole(values, &mut |millis| {
                told(&|text| self.moment(i128::from(millis) * i128::from(MICROS_PER_MILLI), text))
            }),
            Stored::Micros => {
                self.whole(values, &mut |micros| told(&|text| self.moment(micros.into(), text)))
            }
            Stored::TimeMillis => self.whole(values, &mut |millis| {
                told(&|text| time(millis.saturating_mul(MICROS_PER_MILLI), text))
            }),
            Stored::TimeMicros => self.whole(values, &mut |micros| told(&|text| time(micros, text))),
            Stored::Decimal { precision, scale } if precision <= DECIMAL_PRECISION_MAX => {
                numbers(number_of(self.physical, self.bytes)?, values, |value| {
                    let value = value.ok_or("a decimal has no bytes, or more than 16")?;
                    told(&|text| decimal(&value.to_string(), scale, text))
                })
            }
            Stored::Decimal { scale, .. } => self
                .long_decimals(values, &mut |value| told(&|text| decimal(&value.to_string(), scale, text))),
        }
    }

    /// INT32 and INT64.
    fn whole(self, values: &[u8], each: &mut dyn FnMut(i64) -> Result<(), Refusal>) -> Result<(), Refusal> {
        if self.physical == Physical::INT32 {
            let mut values = values.as_chunks::<4>().0.iter();
            return values.try_for_each(|bytes| each(i32::from_le_bytes(*bytes).into()));
        }
        values.as_chunks::<8>().0.iter().try_for_each(|bytes| each(i64::from_le_bytes(*bytes)))
    }

    /// The fewest digits that are read back as the same number.
    fn floats(self, values: &[u8], each: &mut Telling<'_>) -> Result<(), Refusal> {
        let mut shown = |value: f64, short: &dyn Fn(&mut Vec<u8>)| {
            let name: &[u8] = match value {
                value if value.is_nan() => b"NaN",
                f64::INFINITY => b"Infinity",
                f64::NEG_INFINITY => b"-Infinity",
                _ => return each(short),
            };
            each(&|text| text.extend(name))
        };
        if self.physical == Physical::FLOAT {
            let mut values = values.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            return values.try_for_each(|value| shown(value.into(), &|text| put(text, value)));
        }
        let mut values = values.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        values.try_for_each(|value| shown(value, &|text| put(text, value)))
    }

    fn long_decimals(
        self,
        values: &[u8],
        each: &mut dyn FnMut(i256) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut one = |bytes: &[u8]| {
            let fill = if bytes.first().is_some_and(|first| !first.is_ascii()) { 0xFF } else { 0 };
            let mut whole = [fill; DECIMAL_BYTES_MAX];
            let place = DECIMAL_BYTES_MAX.checked_sub(bytes.len()).filter(|_| !bytes.is_empty());
            let Some(place) = place.and_then(|start| whole.get_mut(start..)) else {
                return Err(format!("a decimal has {} bytes", bytes.len()));
            };
            place.copy_from_slice(bytes);
            each(i256::from_be_bytes(whole))
        };
        if self.physical == Physical::BYTE_ARRAY {
            return byte_arrays(values).try_for_each(one);
        }
        values.chunks(self.bytes.max(1)).try_for_each(&mut one)
    }

    fn moment(self, micros: i128, text: &mut Vec<u8>) {
        let day = i128::from(SECONDS_PER_DAY * MICROS_PER_SECOND);
        date(i64::try_from(micros.div_euclid(day)).unwrap_or(i64::MAX), text);
        text.push(b' ');
        time(i64::try_from(micros.rem_euclid(day)).unwrap_or(0), text);
        if self.instant {
            text.extend(b"+00");
        }
    }
}

fn put(text: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Memory takes everything.
    let _ = write!(text, "{value}");
}

fn hexadecimal(value: &[u8], text: &mut Vec<u8>) {
    value.iter().for_each(|byte| put(text, format_args!("{byte:02x}")));
}

/// `digits` with a point before the last `scale` of them.
fn decimal(digits: &str, scale: i8, text: &mut Vec<u8>) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let scale = usize::try_from(scale).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - scale).unwrap_or((&padded, ""));
    put(text, format_args!("{sign}{whole}"));
    if scale > 0 {
        put(text, format_args!(".{fraction}"));
    }
}

/// A day of the proleptic Gregorian calendar, by its number since the Unix epoch.
fn date(days: i64, text: &mut Vec<u8>) {
    let day =
        i32::try_from(days.saturating_add(EPOCH_DAY)).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
    match day {
        Some(day) => put(text, format_args!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())),
        // No calendar that is known here goes so far.
        None => put(text, format_args!("{days} days after 1970-01-01")),
    }
}

/// A time of day, or a duration, as MySQL writes it; the fraction only where there is one.
fn time(micros: i64, text: &mut Vec<u8>) {
    let sign = if micros < 0 { "-" } else { "" };
    let whole = micros.unsigned_abs();
    let (seconds, fraction) = (whole / 1_000_000, whole % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    put(text, format_args!("{sign}{hours:02}:{minutes:02}:{seconds:02}"));
    if fraction > 0 {
        put(text, format_args!(".{fraction:06}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(stored: Stored, physical: Physical, bytes: usize, values: &[u8], count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        let spelling = Spelling { stored, physical, bytes, instant: false };
        spelling
            .each(values, count, &mut |text| {
                texts.push(String::from_utf8(text.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        texts
    }

    #[test]
    fn every_value_has_one_text() {
        let micros = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let int64 =
            |stored, values: &[i64]| spelled(stored, Physical::INT64, 0, &micros(values), values.len());
        assert_eq!(int64(Stored::Signed, &[i64::MIN, 7]), ["-9223372036854775808", "7"]);
        assert_eq!(int64(Stored::Unsigned64, &[-1]), ["18446744073709551615"]);
        assert_eq!(
            int64(Stored::Micros, &[0, -1, 253_402_300_799_999_999, -62_135_596_800_000_000]),
            [
                "1970-01-01 00:00:00",
                "1969-12-31 23:59:59.999999",
                "9999-12-31 23:59:59.999999",
                "0001-01-01 00:00:00"
            ]
        );
        assert_eq!(int64(Stored::TimeMicros, &[-3_020_399_000_000, 1]), ["-838:59:59", "00:00:00.000001"]);
        assert_eq!(
            spelled(Stored::Decimal { precision: 4, scale: 2 }, Physical::INT64, 0, &micros(&[-5, 1234]), 2),
            ["-0.05", "12.34"]
        );
        assert_eq!(spelled(Stored::Bool, Physical::BOOLEAN, 0, &[0b101], 3), ["true", "false", "true"]);
        assert_eq!(
            spelled(Stored::Bytes, Physical::FIXED_LEN_BYTE_ARRAY, 2, b"\x00\xFFab", 2),
            ["00ff", "6162"]
        );
        let floats: Vec<_> =
            [0.1, f64::NAN, f64::NEG_INFINITY].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(spelled(Stored::Float, Physical::DOUBLE, 0, &floats, 3), ["0.1", "NaN", "-Infinity"]);
        assert_eq!(spelled(Stored::Float, Physical::FLOAT, 0, &0.1_f32.to_le_bytes(), 1), ["0.1"]);
    }

    #[test]
    fn decimals_of_65_digits_are_written_whole() {
        let long = Stored::Decimal { precision: 65, scale: 30 };
        let most = i256::from_string(&"9".repeat(65)).unwrap();
        for (value, expected) in [
            (most, format!("{}.{}", "9".repeat(35), "9".repeat(30))),
            (most.wrapping_neg(), format!("-{}.{}", "9".repeat(35), "9".repeat(30))),
            (i256::from_i128(-1), format!("-0.{}1", "0".repeat(29))),
        ] {
            let bytes = &value.to_be_bytes()[4..];
            assert_eq!(spelled(long, Physical::FIXED_LEN_BYTE_ARRAY, 28, bytes, 1), [expected]);
        }
        // Beyond the declared digits there is still a text.
        let over = i256::from_string(&("1".to_owned() + &"0".repeat(65))).unwrap().to_be_bytes();
        let expected = format!("1{}.{}", "0".repeat(35), "0".repeat(30));
        assert_eq!(spelled(long, Physical::FIXED_LEN_BYTE_ARRAY, 28, &over[4..], 1), [expected]);
    }
}
