//! Texts that BigQuery's JSON holds exactly: whoever reads the value reads what the text says.
//!
//! Google Cloud, BigQuery, "Data types", JSON type: strings, booleans, nulls and the order of arrays are kept exactly; whole numbers from
//! -2^63 to 2^64-1; other numbers as FLOAT64; of a key that an object has twice the first only. "Working with JSON data", limitations: 500 levels at
//! most. White space, the order of keys and the spelling of numbers are not kept, and mean nothing.

use std::borrow::Cow;

mod number;
mod shown;

/// Levels of arrays and objects.
const LEVELS_MAX: usize = 500;

/// True where `text` is JSON (RFC 8259) of which BigQuery's JSON loses nothing: no number is rounded, no key is there twice.
pub fn is_exact(text: &str) -> bool {
    Scanner { rest: text.as_bytes(), open: Vec::new() }.scan().is_some()
}

/// An array or an object that is not closed yet.
#[derive(Default)]
struct Level<'a> {
    /// The keys so far; none of an array.
    keys: Option<Vec<Cow<'a, [u8]>>>,
}

impl Level<'_> {
    /// Whether it may be closed by this byte.
    fn closes(&mut self, byte: u8) -> bool {
        let Some(keys) = &mut self.keys else { return byte == b']' };
        keys.sort_unstable();
        byte == b'}' && keys.windows(2).all(|pair| !matches!(pair, [one, other] if one == other))
    }
}

/// What is still to be read, and within what.
struct Scanner<'a> {
    rest: &'a [u8],
    open: Vec<Level<'a>>,
}

impl<'a> Scanner<'a> {
    /// Reads the one value that the text must be. Without recursion: how deep a text goes is its writer's choice.
    fn scan(mut self) -> Option<()> {
        loop {
            self.skip_space();
            let begins = self.rest;
            let is_whole = match self.next()? {
                b'[' => !self.enter(Level::default())?,
                b'{' => !self.enter(Level { keys: Some(Vec::new()) })?,
                b'"' => self.string().map(|_| true)?,
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                b'-' | b'0'..=b'9' => self.number(begins)?,
                _ => return None,
            };
            if is_whole && self.leave()? {
                return Some(());
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip_space(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    /// Enters an array or object, up to its first value. False where there is none, and it is left again.
    fn enter(&mut self, mut level: Level<'a>) -> Option<bool> {
        if self.open.len() == LEVELS_MAX {
            return None;
        }
        self.skip_space();
        if let Some((byte @ (b']' | b'}'), rest)) = self.rest.split_first() {
            self.rest = rest;
            return level.closes(*byte).then_some(false);
        }
        self.open.push(level);
        self.key()?;
        Some(true)
    }

    /// Behind a value: leaves what ends here, up to the next value. True where the text ends.
    fn leave(&mut self) -> Option<bool> {
        loop {
            self.skip_space();
            let Some(level) = self.open.last_mut() else { return self.rest.is_empty().then_some(true) };
            let (first, rest) = self.rest.split_first()?;
            self.rest = rest;
            if *first == b',' {
                self.key()?;
                return Some(false);
            }
            if !level.closes(*first) {
                return None;
            }
            self.open.pop();
        }
    }

    /// The key before a value of an object; an array has none.
    fn key(&mut self) -> Option<()> {
        if self.open.last()?.keys.is_none() {
            return Some(());
        }
        self.skip_space();
        if self.next()? != b'"' {
            return None;
        }
        let key = self.string()?;
        self.open.last_mut()?.keys.as_mut()?.push(key);
        self.skip_space();
        (self.next()? == b':').then_some(())
    }

    fn literal(&mut self, rest: &[u8]) -> Option<bool> {
        self.rest = self.rest.strip_prefix(rest)?;
        Some(true)
    }

    /// The text behind a quotation mark, without escapes. Half of a surrogate pair is no letter, and no string has it.
    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut whole = Cow::Borrowed(&[][..]);
        loop {
            let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest;
            if whole.is_empty() {
                whole = Cow::Borrowed(plain);
            } else {
                whole.to_mut().extend_from_slice(plain);
            }
            match self.next()? {
                b'"' => return Some(whole),
                b'\\' => {
                    let letter = self.escaped()?;
                    whole.to_mut().extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            letter @ (b'"' | b'\\' | b'/') => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                let second = match first {
                    0xD800..=0xDBFF => {
                        self.literal(b"\\u")?;
                        Some(self.unit()?)
                    }
                    _ => None,
                };
                let mut letters = char::decode_utf16([first].into_iter().chain(second));
                let letter = letters.next()?.ok()?;
                letters.next().is_none().then_some(letter)?
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).and_then(|digit| u16::try_from(digit).ok())?;
            Some(unit << 4 | digit)
        })
    }

    /// The number with which `begins` begins.
    fn number(&mut self, begins: &'a [u8]) -> Option<bool> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let end = begins.iter().position(|byte| !is_part(byte)).unwrap_or(begins.len());
        let (number, rest) = begins.split_at_checked(end)?;
        self.rest = rest;
        number::is_exact(std::str::from_utf8(number).ok()?).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn whole_numbers_of_64_bits_are_exact_and_longer_ones_only_where_a_float_has_them() {
        for number in [
            "0",
            "9007199254740993",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "100000000000000000000",
            "1e22",
            "-1E+22",
        ] {
            assert!(is_exact(number), "{number}");
        }
        for number in ["18446744073709551616", "-9223372036854775809", "100000000000000000001"] {
            assert!(!is_exact(number), "{number}");
            assert!(!is_exact(&format!(r#"{{"a": [true, {number}]}}"#)), "{number}");
        }
    }

    #[test]
    fn other_numbers_are_exact_where_a_float_is_read_back_as_they_are_written() {
        for number in [
            "0.1",
            "1.50",
            "-2.5e-3",
            "0.30000000000000004",
            "1.7976931348623157e308",
            "5e-324",
            "0e999999999999",
        ] {
            assert!(is_exact(number), "{number}");
        }
        for number in [
            "1.0000000000000000001",
            "67.174118",
            "1687473876.057356",
            "-0",
            "0.1234567890123456789",
            "1e400",
            "-1e400",
            "1e-400",
            "1e99999999999999999999",
            "1.7976931348623157e309",
            "123456789012345678.9",
        ] {
            assert!(!is_exact(number), "{number}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_exact() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "[1 2]",
            "1 2",
            "nul",
            "NaN",
            "Infinity",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "--1",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\0\"",
            "\"\n\"",
            "\u{FEFF}1",
            "]",
            "[}",
            "{]",
            "{\"a\":1]",
            "[1}",
            "{\"a\":[1}",
            "{\"long\": \"cut he",
            ",",
            "[,1]",
            "{,}",
        ] {
            assert!(!is_exact(text), "{text:?}");
        }
        for text in
            ["null", " true ", "\"\"", "[]", "{}", " [ ] ", "{\"a\" : [ { } , [ ] , \"x\" ] , \"\" : null }"]
        {
            assert!(is_exact(text), "{text:?}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_letter() {
        for text in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud83d \ude00""#, r#"{"\udfff":1}"#]
        {
            assert!(!is_exact(text), "{text}");
        }
        for text in [r#""\ud83d\ude00""#, r#""\u0000\u001f\/\b\f\n\r\t""#, "\"ü😀\u{7f}\""] {
            assert!(is_exact(text), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_would_lose_a_value() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2,"\u0061":3}"#, r#"[{"x":{"k":1,"l":2,"k":3}}]"#] {
            assert!(!is_exact(text), "{text}");
        }
        assert!(is_exact(r#"{"a":{"a":{"a":1}},"A":[{"a":1},{"a":1}]}"#));
    }

    #[test]
    fn five_hundred_levels_are_held_and_no_more() {
        assert!(is_exact(&nested(500)) && !is_exact(&nested(501)));
        let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(is_exact(&objects(500)) && !is_exact(&objects(501)));
        // Nobody's stack is at stake.
        assert!(!is_exact(&"[".repeat(1 << 20)));
        // Levels that are left do not count.
        assert!(is_exact(&format!("[{}]", vec!["[[]]"; 600].join(","))));
    }

    proptest! {
        #[test]
        fn every_number_that_is_stored_is_exact_as_it_is_shown(float: f64, whole: i64, unsigned: u64) {
            let float = shown::digits(float).map_or("0.0".to_owned(), |(digits, last)| format!("-{digits}e{last}"));
            for number in [float, whole.to_string(), unsigned.to_string()] {
                prop_assert!(is_exact(&number), "{}", number);
            }
        }

        #[test]
        fn what_is_exact_is_json_for_others_too(text in r#"[\[\]{}:, "\\ua0-9.eE+\-truefalsn]{0,24}"#) {
            if is_exact(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }

        /// The other way round, for what others read without rounding.
        #[test]
        fn json_of_others_is_exact(keys in proptest::collection::btree_set(".{0,6}", 0..6), text in ".{0,20}", number: i64) {
            let members = keys.into_iter().map(|key| (key, serde_json::json!([text, number, null, {"x": {}}])));
            let object = serde_json::Value::Object(members.collect());
            prop_assert!(is_exact(&object.to_string()), "{}", object);
            prop_assert!(is_exact(&serde_json::to_string_pretty(&object).unwrap()));
        }
    }
}
