//! Times and numbers for people.

use crate::domain::instant::Instant;

/// A duration in its largest unit that is at least one: `12 s`, `3 min`, `5 h`, `2 d`.
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    for (unit, length) in [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)] {
        if seconds >= 2.0 * length || (unit != "d" && seconds >= length) {
            return format!("{} {unit}", (seconds / length).floor());
        }
    }
    format!("{} s", seconds.floor())
}

/// How long ago a moment was.
pub fn ago(now: Instant, at: Instant) -> String {
    duration(now.since(at).as_secs_f64())
}

/// A number in groups of three digits, apart by thin spaces.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun, in the plural where it must be.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let shown = [0.4, 59.9, 60.0, 3_599.0, 3_600.0, 172_799.0, 172_800.0, -3.0, f64::NAN].map(duration);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d", "0 s", "0 s"]);
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(shown, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!((counted(1, "file"), counted(2, "file")), ("1 file".to_owned(), "2 files".to_owned()));
    }
}
