//! Numbers that BigQuery's JSON stores, and shows, as they are written.

use super::shown;

/// Letters of a number: far more than any has that is not rounded. GoogleSQL refuses those of more than 1,500.
const LETTERS_MAX: usize = 1_000;

/// A number of JSON, and one that is stored as it is written.
pub(super) fn is_exact(number: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, power) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, p)| (m, Some(p)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let sound = is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && power.is_none_or(|power| is_digits(power.strip_prefix(['+', '-']).unwrap_or(power)));
    // A whole number has no zero below zero.
    if !sound || number == "-0" || number.len() > LETTERS_MAX {
        return false;
    }
    let is_whole = fraction.is_none() && power.is_none();
    if is_whole && (number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok()) {
        return true;
    }
    let Some(written) = Digits::of(whole, fraction.unwrap_or_default(), power.unwrap_or("0")) else {
        return false;
    };
    if written.digits.is_empty() {
        return true;
    }
    // What a reader of the stored number sees.
    let shown = unsigned.parse().ok().and_then(shown::digits);
    shown.is_some_and(|(digits, last)| Digits::of(&digits, "", &last.to_string()) == Some(written))
}

/// A decimal number: 0.`digits` times ten to the `power`. Of zero, no digits and no power.
#[derive(PartialEq, Eq)]
struct Digits {
    digits: String,
    power: i64,
}

impl Digits {
    /// Of digits before and behind the point, and a power of ten that follows them; `None` where that is out of every range.
    fn of(whole: &str, fraction: &str, power: &str) -> Option<Self> {
        let all = format!("{whole}{fraction}");
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { digits, power: 0 });
        }
        let before = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
        Some(Self { digits, power: power.parse::<i64>().ok()?.checked_add(before)? })
    }
}
