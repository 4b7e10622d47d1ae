//! The letters of a COLUMN_TYPE: white space, comments, words, numbers and quoted texts.

use std::iter::Peekable;
use std::str::Chars;

use super::parse::{TypeError, wrong};

/// What a type has in its parentheses.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// Lengths and digits.
    pub(super) numbers: Vec<u32>,
    /// The members of an ENUM or SET.
    pub(super) members: Vec<String>,
}

impl Parameters {
    /// The one number, or what stands where none is given; within `from` and `to`.
    pub(super) fn number(
        &self,
        name: &str,
        default: Option<u32>,
        from: u32,
        to: u32,
    ) -> Result<u32, TypeError> {
        let example = default.unwrap_or(to).max(from);
        let expected = || format!("expected {from} to {to}, as in `{name}({example})`");
        let given = match (self.numbers.as_slice(), default) {
            ([], Some(default)) => default,
            ([], None) => return Err(wrong(format!("{name} has no length"), expected())),
            ([number], _) => *number,
            _ => return Err(wrong(format!("{name} has too many numbers"), expected())),
        };
        if (from..=to).contains(&given) {
            Ok(given)
        } else {
            Err(wrong(format!("{name}({given}) is out of range"), expected()))
        }
    }

    /// The same, of numbers that are small.
    pub(super) fn byte(&self, name: &str, default: u8, from: u8, to: u8) -> Result<u8, TypeError> {
        let number = self.number(name, Some(default.into()), from.into(), to.into())?;
        Ok(u8::try_from(number).unwrap_or(to))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.members.is_empty()
    }
}

/// Steps over white space and comments.
pub(super) fn skip(letters: &mut Peekable<Chars<'_>>) -> Result<(), TypeError> {
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let mut ahead = letters.clone();
        if (ahead.next(), ahead.next()) != (Some('/'), Some('*')) {
            return Ok(());
        }
        let mut star = false;
        loop {
            match ahead.next() {
                Some('/') if star => break,
                Some(letter) => star = letter == '*',
                None => return Err(wrong("a comment has no end", "expected `*/`")),
            }
        }
        *letters = ahead;
    }
}

/// Letters, digits and `_`, in lower case; empty when there are none.
pub(super) fn word(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// What stands behind the opening parenthesis, and the closing one.
pub(super) fn parameters(letters: &mut Peekable<Chars<'_>>, name: &str) -> Result<Parameters, TypeError> {
    let mut found = Parameters::default();
    loop {
        skip(letters)?;
        match letters.peek() {
            Some('\'') => found.members.push(member(letters)?),
            Some('0'..='9') => {
                let digits = word(letters);
                let number = digits.parse().map_err(|_| {
                    wrong(format!("`{digits}` is no number that {name} may have"), "expected a whole number")
                })?;
                found.numbers.push(number);
            }
            Some(_) | None => {
                let expected = format!("expected numbers, or texts in single quotes, and `)`: `{name}(…)`");
                return Err(wrong(format!("what {name} has in parentheses is not understood"), expected));
            }
        }
        skip(letters)?;
        match letters.next() {
            Some(',') => {}
            Some(')') if found.numbers.is_empty() || found.members.is_empty() => return Ok(found),
            Some(_) | None => {
                return Err(wrong(
                    format!("the parentheses of {name} do not end well"),
                    "expected `,` or `)`",
                ));
            }
        }
    }
}

/// A text in single quotes, as MySQL writes it: `''` is one quote, `\` gives the next letter another meaning.
fn member(letters: &mut Peekable<Chars<'_>>) -> Result<String, TypeError> {
    let unended = || wrong("a quoted text has no end", "expected `'` at its end, and `''` for one within");
    let mut text = String::new();
    letters.next();
    loop {
        match letters.next().ok_or_else(unended)? {
            '\'' => match letters.next_if_eq(&'\'') {
                Some(quote) => text.push(quote),
                None => return Ok(text),
            },
            '\\' => text.push(match letters.next().ok_or_else(unended)? {
                '0' => '\0',
                'b' => '\u{8}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'Z' => '\u{1A}',
                other => other,
            }),
            other => text.push(other),
        }
    }
}
