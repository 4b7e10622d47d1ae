//! DMS's timestamp column: a string `yyyy-MM-dd HH:mm:ss[.ffffff]`, UTC (`dms.md`, section 1.1).

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds since the Unix epoch, or `None` when the text is no such timestamp. More than six digits after the
/// point are cut.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (date, time) = (bytes.get(..10)?, bytes.get(11..19)?);
    let separated = matches!(bytes.get(10), Some(b' ' | b'T'));
    let ([y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1], [h0, h1, b':', i0, i1, b':', s0, s1]) = (date, time)
    else {
        return None;
    };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let (month, day) = (number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*i0, *i1])?, number(&[*s0, *s1])?);
    let real = (1..=12).contains(&month) && day >= 1 && day <= days_in(year, month);
    if !separated || !real || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = fraction(bytes.get(19..)?)?;
    let seconds = days_from_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * MICROS_PER_SECOND + micros)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0_i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// The microseconds of `.ffffff`, or of nothing.
fn fraction(rest: &[u8]) -> Option<i64> {
    match rest.split_first() {
        None => Some(0),
        Some((b'.', digits)) if !digits.is_empty() && digits.len() <= 9 => {
            let shown = digits.get(..digits.len().min(6))?;
            number(digits)?;
            let missing = u32::try_from(6 - shown.len()).ok()?;
            Some(number(shown)? * 10_i64.pow(missing))
        }
        Some(_) => None,
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years begin in March, so that the leap day comes last.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    #[test]
    fn what_dms_writes_is_read() {
        let cases = [
            ("2022-07-26 06:46:18.616807", Some(1_658_817_978_616_807)),
            ("2022-07-26 06:46:18", Some(1_658_817_978_000_000)),
            ("2022-07-26T06:46:18.5", Some(1_658_817_978_500_000)),
            ("2022-07-26 06:46:18.616807999", Some(1_658_817_978_616_807)),
            ("1970-01-01 00:00:00.000000", Some(0)),
            ("1969-12-31 23:59:59.999999", Some(-1)),
            ("2024-02-29 00:00:00", Some(1_709_164_800_000_000)),
            ("2023-02-29 00:00:00", None),
            ("0000-00-00 00:00:00", None),
            ("2022-07-26 24:00:00", None),
            ("2022-07-26 06:46:18.", None),
            ("2022-07-26 06:46:18.61680x", None),
            ("2022-07-26", None),
            ("", None),
            ("2022-07-26 06:46:1é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_as_chrono_writes_it(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
            let moment = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(parse(&moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string()), Some(micros));
        }

        #[test]
        fn nothing_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
