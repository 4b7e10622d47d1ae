//! Reads a COLUMN_TYPE: a name, what it has in parentheses, and words behind it.
//!
//! Either case is taken, and white space and comments anywhere: MariaDB writes `datetime /* mariadb-5.3 */` and
//! `varchar(9) /*M!100301 COMPRESSED*/`.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::{GeometryKind, IntegerSize, LobSize, SourceType};

/// The names of types, for the nearest match.
pub const NAMES: [&str; 46] = [
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "bool",
    "boolean",
    "decimal",
    "numeric",
    "float",
    "double",
    "bit",
    "date",
    "datetime",
    "timestamp",
    "time",
    "year",
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "enum",
    "set",
    "json",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
    "uuid",
    "inet4",
    "inet6",
    "vector",
];

/// Why a text is no type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// What is wrong.
    pub problem: String,
    /// What is expected instead.
    pub expected: String,
    /// The name that is no type's, in lower case, if that is what is wrong.
    pub unknown: Option<String>,
}

impl fmt::Display for TypeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.problem, self.expected)
    }
}

impl std::error::Error for TypeError {}

fn wrong(problem: impl Into<String>, expected: impl Into<String>) -> TypeError {
    TypeError { problem: problem.into(), expected: expected.into(), unknown: None }
}

/// What a type has in its parentheses.
#[derive(Debug, Default)]
struct Parameters {
    numbers: Vec<u32>,
    members: Vec<String>,
}

impl Parameters {
    /// The one number, or what stands where none is given; within `from` and `to`.
    fn number(&self, name: &str, default: Option<u32>, from: u32, to: u32) -> Result<u32, TypeError> {
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

    fn byte(&self, name: &str, default: u8, from: u8, to: u8) -> Result<u8, TypeError> {
        let number = self.number(name, Some(default.into()), from.into(), to.into())?;
        Ok(u8::try_from(number).unwrap_or(to))
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.members.is_empty()
    }
}

/// Reads a type.
pub(super) fn parse(text: &str) -> Result<SourceType, TypeError> {
    let mut letters = text.chars().peekable();
    skip(&mut letters)?;
    let name = word(&mut letters);
    if name.is_empty() {
        return Err(wrong(
            "the text does not begin with a type's name",
            "expected a type as MySQL's information_schema writes it, as in `bigint unsigned`",
        ));
    }
    skip(&mut letters)?;
    let parameters = match letters.next_if_eq(&'(') {
        Some(_) => parameters(&mut letters, &name)?,
        None => Parameters::default(),
    };
    let mut unsigned = false;
    loop {
        skip(&mut letters)?;
        let word = word(&mut letters);
        match word.as_str() {
            // ZEROFILL makes a column unsigned, whether it is said or not.
            "unsigned" | "zerofill" => unsigned = true,
            "signed" => {}
            "precision" if name == "double" => {}
            "" if letters.peek().is_none() => break,
            _ => {
                let rest = if word.is_empty() { letters.collect() } else { word };
                return Err(wrong(
                    format!("`{rest}` is not understood behind {name}"),
                    "expected nothing more, or `unsigned` behind a number's type",
                ));
            }
        }
    }
    let (found, numeric) = named(&name, &parameters, unsigned)?;
    if unsigned && !numeric {
        return Err(wrong(
            format!("{name} has no sign to leave out"),
            "expected `unsigned` behind a number's type only",
        ));
    }
    Ok(found)
}

/// The type of this name, and whether `unsigned` may stand behind it.
fn named(name: &str, given: &Parameters, unsigned: bool) -> Result<(SourceType, bool), TypeError> {
    if let Some(found) = number(name, given, unsigned)? {
        return Ok((found, true));
    }
    let members = matches!(name, "enum" | "set");
    if members != !given.members.is_empty() {
        return Err(if members {
            wrong(
                format!("{name} has no members"),
                format!("expected them in quotes, as in `{name}('a','b')`"),
            )
        } else {
            wrong(format!("{name} has no members"), "expected members of `enum` and `set` only")
        });
    }
    let found = match name {
        "bit" => SourceType::Bit { width: given.byte(name, 1, 1, 64)? },
        "datetime" => SourceType::Datetime { digits: given.byte(name, 0, 0, 6)? },
        "timestamp" => SourceType::Timestamp { digits: given.byte(name, 0, 0, 6)? },
        "time" => SourceType::Time { digits: given.byte(name, 0, 0, 6)? },
        "year" => given.number(name, Some(4), 2, 4).map(|_| SourceType::Year)?,
        "char" => SourceType::Char { letters: given.number(name, Some(1), 0, 255)? },
        "varchar" => SourceType::Varchar { letters: given.number(name, None, 0, 65_535)? },
        "binary" => SourceType::Binary { bytes: given.number(name, Some(1), 0, 255)? },
        "varbinary" => SourceType::Varbinary { bytes: given.number(name, None, 0, 65_535)? },
        "vector" => SourceType::Vector { dimensions: given.number(name, Some(2_048), 1, 16_383)? },
        "enum" => SourceType::Enum(given.members.clone()),
        "set" => SourceType::Set(given.members.clone()),
        _ => bare(name, given)?,
    };
    Ok((found, false))
}

/// Types that have a sign.
fn number(name: &str, given: &Parameters, unsigned: bool) -> Result<Option<SourceType>, TypeError> {
    let size = match name {
        "tinyint" | "bool" | "boolean" => IntegerSize::Tiny,
        "smallint" => IntegerSize::Small,
        "mediumint" => IntegerSize::Medium,
        "int" | "integer" => IntegerSize::Int,
        "bigint" => IntegerSize::Big,
        "decimal" | "numeric" => return decimal(name, given, unsigned).map(Some),
        "float" | "double" => {
            if given.numbers.len() > 2 || !given.members.is_empty() {
                return Err(wrong(
                    format!("{name} has too much in parentheses"),
                    format!("expected `{name}`"),
                ));
            }
            let float = name == "float";
            return Ok(Some(if float {
                SourceType::Float { unsigned }
            } else {
                SourceType::Double { unsigned }
            }));
        }
        _ => return Ok(None),
    };
    let alias = name.starts_with("bool");
    if !given.members.is_empty() || (alias && !given.is_empty()) {
        return Err(wrong(
            format!("{name} has something strange in parentheses"),
            format!("expected `{name}`"),
        ));
    }
    let width = given.number(name, Some(255), 0, 255)?;
    Ok(Some(SourceType::Integer {
        size,
        unsigned,
        boolean: size == IntegerSize::Tiny && (alias || width == 1),
    }))
}

fn decimal(name: &str, given: &Parameters, unsigned: bool) -> Result<SourceType, TypeError> {
    let expected =
        || format!("expected 1 to 65 digits and 0 to 30 of them behind the point, as in `{name}(10,2)`");
    let (precision, scale) = match given.numbers.as_slice() {
        _ if !given.members.is_empty() => return Err(wrong(format!("{name} has no members"), expected())),
        [] => (10, 0),
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return Err(wrong(format!("{name} has too many numbers"), expected())),
    };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=65), Ok(scale @ 0..=30)) if scale <= precision => {
            Ok(SourceType::Decimal { precision, scale, unsigned })
        }
        _ => Err(wrong(format!("{name}({precision},{scale}) is out of range"), expected())),
    }
}

/// Types that have nothing in parentheses.
fn bare(name: &str, given: &Parameters) -> Result<SourceType, TypeError> {
    let found = match name {
        "date" => SourceType::Date,
        "tinytext" => SourceType::Text(LobSize::Tiny),
        "text" => SourceType::Text(LobSize::Regular),
        "mediumtext" => SourceType::Text(LobSize::Medium),
        "longtext" => SourceType::Text(LobSize::Long),
        "tinyblob" => SourceType::Blob(LobSize::Tiny),
        "blob" => SourceType::Blob(LobSize::Regular),
        "mediumblob" => SourceType::Blob(LobSize::Medium),
        "longblob" => SourceType::Blob(LobSize::Long),
        "json" => SourceType::Json,
        "geometry" => SourceType::Geometry(GeometryKind::Any),
        "point" => SourceType::Geometry(GeometryKind::Point),
        "linestring" => SourceType::Geometry(GeometryKind::LineString),
        "polygon" => SourceType::Geometry(GeometryKind::Polygon),
        "multipoint" => SourceType::Geometry(GeometryKind::MultiPoint),
        "multilinestring" => SourceType::Geometry(GeometryKind::MultiLineString),
        "multipolygon" => SourceType::Geometry(GeometryKind::MultiPolygon),
        "geometrycollection" | "geomcollection" => SourceType::Geometry(GeometryKind::Collection),
        "uuid" => SourceType::Uuid,
        "inet4" => SourceType::Inet4,
        "inet6" => SourceType::Inet6,
        _ => {
            let expected = "expected a type as MySQL's information_schema writes it, as in `bigint unsigned`";
            let unknown = Some(name.to_owned());
            return Err(TypeError { unknown, ..wrong(format!("`{name}` is no type of MySQL"), expected) });
        }
    };
    if given.is_empty() {
        Ok(found)
    } else {
        Err(wrong(format!("{name} has no length"), format!("expected `{name}`")))
    }
}

/// Steps over white space and comments.
fn skip(letters: &mut Peekable<Chars<'_>>) -> Result<(), TypeError> {
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
fn word(letters: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// What stands behind the opening parenthesis, and the closing one.
fn parameters(letters: &mut Peekable<Chars<'_>>, name: &str) -> Result<Parameters, TypeError> {
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
