//! DMS's timestamp column is text: `yyyy-MM-dd HH:mm:ss[.ffffff]`, in UTC.

use std::collections::BTreeMap;

use super::reading::Part;
use crate::domain::instant::Instant;
use crate::domain::summary::CommitSpan;
use crate::domain::watermark::is_change;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Reads one text after the other, most of them of the same day and all of the same length.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The day that was read last, as it is written, and its midnight.
    day: [u8; 10],
    midnight: i64,
}

impl Reader {
    /// As `parse`.
    pub(super) fn read(&mut self, text: &[u8]) -> Option<i64> {
        let (Some((day, rest)), 26) = (text.split_first_chunk::<10>(), text.len()) else {
            return parse(text);
        };
        #[rustfmt::skip]
        let &[b' ', h1, h2, b':', n1, n2, b':', s1, s2, b'.', f1, f2, f3, f4, f5, f6] = rest else {
            return None;
        };
        if *day != self.day {
            let (date, midnight) = (*day, [b' ', b'0', b'0', b':', b'0', b'0', b':', b'0', b'0']);
            let mut whole = date.to_vec();
            whole.extend(midnight);
            self.midnight = parse(&whole)?;
            self.day = date;
        }
        let digits = [h1, h2, n1, n2, s1, s2, f1, f2, f3, f4, f5, f6].map(|byte| byte.wrapping_sub(b'0'));
        if digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let [h1, h2, n1, n2, s1, s2, f1, f2, f3, f4, f5, f6] = digits.map(i64::from);
        let (hour, minute, second) = (h1 * 10 + h2, n1 * 10 + n2, s1 * 10 + s2);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros = ((((f1 * 10 + f2) * 10 + f3) * 10 + f4) * 10 + f5) * 10 + f6;
        Some(self.midnight + ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
    }
}

/// Notes the first and the last of these commit times, in microseconds and little endian, of the file that the part is of. Those of
/// a full load are none: DMS writes when it has copied the row.
pub(super) fn note_commits(commits: &mut BTreeMap<usize, CommitSpan>, part: &Part<'_>, values: &[u8]) {
    if !is_change(&part.input.file) {
        return;
    }
    let (times, _) = values.as_chunks::<{ size_of::<i64>() }>();
    let times = times.iter().map(|bytes| i64::from_le_bytes(*bytes));
    let span = times.fold(None, |span: Option<(i64, i64)>, at| {
        Some(span.map_or((at, at), |(oldest, newest)| (oldest.min(at), newest.max(at))))
    });
    let Some((oldest, newest)) = span else { return };
    let found = CommitSpan { oldest: Instant::from_micros(oldest), newest: Instant::from_micros(newest) };
    commits.entry(part.place).and_modify(|known| *known = known.joined(found)).or_insert(found);
}

/// Microseconds since the Unix epoch; `None` for anything that is not exactly such a text or names no real day.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (seconds, fraction) = text.split_at_checked(19)?;
    #[rustfmt::skip]
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] = seconds else {
        return None;
    };
    let year = pair(y1, y2)? * 100 + pair(y3, y4)?;
    let (month, day) = (pair(m1, m2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    let real = year >= 1
        && (1..=12).contains(&month)
        && day >= 1
        && day <= days_of_month(year, month)
        && hour < 24
        && minute < 60
        && second < 60;
    if !real {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * MICROS_PER_SECOND + micros(fraction)?)
}

/// The fraction with its point, one to six digits, or nothing.
fn micros(fraction: &[u8]) -> Option<i64> {
    let Some((point, digits)) = fraction.split_first() else {
        return Some(0);
    };
    if *point != b'.' || digits.is_empty() || digits.len() > 6 {
        return None;
    }
    let value = digits.iter().try_fold(0_i64, |value, byte| Some(value * 10 + digit(*byte)?))?;
    (digits.len()..6).try_fold(value, |value, _| value.checked_mul(10))
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar. The year is taken to begin in March, so that the day which some years
/// have and others have not is its last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    #[test]
    fn reads_what_dms_writes() {
        let cases = [
            ("1970-01-01 00:00:00", 0),
            ("1970-01-01 00:00:00.000001", 1),
            ("1969-12-31 23:59:59.999999", -1),
            ("2022-07-26 06:46:18.616807", 1_658_817_978_616_807),
            ("2024-02-29 12:00:00.5", 1_709_208_000_500_000),
            ("0001-01-01 00:00:00", -62_135_596_800_000_000),
            ("9999-12-31 23:59:59.999999", 253_402_300_799_999_999),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "0000-00-00 00:00:00",
            "2023-02-29 00:00:00",
            "1900-02-29 00:00:00",
            "2024-04-31 00:00:00",
            "2024-13-01 00:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01 00:60:00",
            "2024-01-01 00:00:60",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00.",
            "2024-01-01 00:00:00.1234567",
            "2024-01-01 00:00:00,5",
            "2024-01-01 00:00:00Z",
            "2024-01-01 00:00",
            "2024-01-01 24:00:00.000000",
            "2024-01-01 00:00:00.00000a",
            "2024-01-32 00:00:00.000000",
            "2024-01-01T00:00:00.000000",
            "2024-01-01 00:00:00.00000:",
            "+024-01-01 00:00:00",
            "２024-01-01 00:00:00",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
            assert_eq!(Reader::default().read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            let text = chrono::DateTime::from_timestamp_micros(micros)
                .unwrap()
                .format("%Y-%m-%d %H:%M:%S%.6f")
                .to_string();
            prop_assert_eq!(parse(text.as_bytes()), Some(micros));
            let mut reader = Reader::default();
            prop_assert_eq!([0, 1].map(|_| reader.read(text.as_bytes())), [Some(micros); 2]);
        }

        #[test]
        fn never_reads_what_the_calendar_refuses(text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]") {
            let expected = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S")
                .ok()
                .filter(|_| !text.ends_with(":60") && !text.starts_with("0000"))
                .map(|time| time.and_utc().timestamp_micros());
            prop_assert_eq!(parse(text.as_bytes()), expected);
            let long = format!("{text}.000007");
            prop_assert_eq!(Reader::default().read(long.as_bytes()), parse(long.as_bytes()));
        }
    }
}
