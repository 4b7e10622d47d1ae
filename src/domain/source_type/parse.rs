//! Reads a COLUMN_TYPE: a name, what it has in parentheses, and words behind it.
//!
//! Either case is taken, and white space and comments anywhere: MariaDB writes `datetime /* mariadb-5.3 */` and
//! `varchar(9) /*M!100301 COMPRESSED*/`.

use std::fmt;

use super::letters::{Parameters, parameters, skip, word};
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

pub(super) fn wrong(problem: impl Into<String>, expected: impl Into<String>) -> TypeError {
    TypeError { problem: problem.into(), expected: expected.into(), unknown: None }
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
    if members == given.members.is_empty() {
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
