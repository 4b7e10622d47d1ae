//! The types of MySQL's and MariaDB's columns: what a DMS file does not say of its own.
//!
//! They are written as information_schema's COLUMN_TYPE writes them (MySQL 8.4 manual, chapter 13, "Data Types", and the
//! sections of information_schema; MariaDB's own `uuid`, `inet4`, `inet6` and `vector` from its knowledge base). What
//! has no part in a value is not kept: display widths, ZEROFILL, the decimals of FLOAT(m,d).

use std::fmt;
use std::str::FromStr;

mod letters;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::{NAMES, TypeError};

/// The type of a column at the source. Two texts that mean the same type are equal here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceType {
    /// TINYINT to BIGINT.
    Integer {
        /// How many bytes it has.
        size: IntegerSize,
        /// Without sign.
        unsigned: bool,
        /// TINYINT(1), which is what BOOLEAN declares. It holds -128 to 127 all the same.
        boolean: bool,
    },
    /// DECIMAL.
    Decimal {
        /// All its digits, 1 to 65.
        precision: u8,
        /// The digits after the point, 0 to 30.
        scale: u8,
        /// Without sign.
        unsigned: bool,
    },
    /// FLOAT: 32 bits.
    Float {
        /// Without sign.
        unsigned: bool,
    },
    /// DOUBLE: 64 bits.
    Double {
        /// Without sign.
        unsigned: bool,
    },
    /// BIT.
    Bit {
        /// Its bits, 1 to 64.
        width: u8,
    },
    /// DATE.
    Date,
    /// DATETIME: what a wall clock showed.
    Datetime {
        /// The digits of its seconds' fraction, 0 to 6.
        digits: u8,
    },
    /// TIMESTAMP: an instant, in UTC.
    Timestamp {
        /// The digits of its seconds' fraction, 0 to 6.
        digits: u8,
    },
    /// TIME: -838:59:59 to 838:59:59.
    Time {
        /// The digits of its seconds' fraction, 0 to 6.
        digits: u8,
    },
    /// YEAR: 0000, and 1901 to 2155.
    Year,
    /// CHAR.
    Char {
        /// Its letters, at most 255.
        letters: u32,
    },
    /// VARCHAR.
    Varchar {
        /// Its letters, at most 65,535.
        letters: u32,
    },
    /// TINYTEXT to LONGTEXT.
    Text(LobSize),
    /// BINARY, filled up with zero bytes.
    Binary {
        /// Its bytes, at most 255.
        bytes: u32,
    },
    /// VARBINARY.
    Varbinary {
        /// Its bytes, at most 65,535.
        bytes: u32,
    },
    /// TINYBLOB to LONGBLOB.
    Blob(LobSize),
    /// ENUM, with its members in their order.
    Enum(Vec<String>),
    /// SET, with its members in their order. No member holds a comma.
    Set(Vec<String>),
    /// JSON. MariaDB says LONGTEXT, with a check by `json_valid`.
    Json,
    /// POINT, POLYGON and their like: a SRID of 4 bytes, then WKB.
    Geometry(GeometryKind),
    /// MariaDB's UUID.
    Uuid,
    /// MariaDB's INET4.
    Inet4,
    /// MariaDB's INET6.
    Inet6,
    /// VECTOR: numbers of 32 bits, little-endian.
    Vector {
        /// How many numbers.
        dimensions: u32,
    },
}

/// The size of a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntegerSize {
    /// 8 bits.
    Tiny,
    /// 16 bits.
    Small,
    /// 24 bits.
    Medium,
    /// 32 bits.
    Int,
    /// 64 bits.
    Big,
}

/// The size of a TEXT or BLOB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LobSize {
    /// 255 bytes.
    Tiny,
    /// 65,535 bytes.
    Regular,
    /// 16 MiB. For DMS a LOB from here on: cut at LobMaxSize.
    Medium,
    /// 4 GiB.
    Long,
}

/// What a geometry column admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GeometryKind {
    /// Any of them.
    Any,
    /// One point.
    Point,
    /// One line.
    LineString,
    /// One polygon.
    Polygon,
    /// Points.
    MultiPoint,
    /// Lines.
    MultiLineString,
    /// Polygons.
    MultiPolygon,
    /// Any of them, mixed.
    Collection,
}

impl SourceType {
    /// True of TIMESTAMP, whose values are moments in UTC.
    pub const fn is_instant(&self) -> bool {
        matches!(self, Self::Timestamp { .. })
    }
}

impl FromStr for SourceType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        parse::parse(text)
    }
}

impl fmt::Display for SourceType {
    /// As MySQL 8 writes it; parsed again, it is the same type.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |unsigned: &bool| if *unsigned { " unsigned" } else { "" };
        let timed = |formatter: &mut fmt::Formatter<'_>, name: &str, digits: &u8| match digits {
            0 => formatter.write_str(name),
            digits => write!(formatter, "{name}({digits})"),
        };
        match self {
            Self::Integer { size, unsigned, boolean } => {
                let width = if *boolean { "(1)" } else { "" };
                write!(formatter, "{}{width}{}", size.name(), sign(unsigned))
            }
            Self::Decimal { precision, scale, unsigned } => {
                write!(formatter, "decimal({precision},{scale}){}", sign(unsigned))
            }
            Self::Float { unsigned } => write!(formatter, "float{}", sign(unsigned)),
            Self::Double { unsigned } => write!(formatter, "double{}", sign(unsigned)),
            Self::Bit { width } => write!(formatter, "bit({width})"),
            Self::Date => formatter.write_str("date"),
            Self::Datetime { digits } => timed(formatter, "datetime", digits),
            Self::Timestamp { digits } => timed(formatter, "timestamp", digits),
            Self::Time { digits } => timed(formatter, "time", digits),
            Self::Year => formatter.write_str("year"),
            Self::Char { letters } => write!(formatter, "char({letters})"),
            Self::Varchar { letters } => write!(formatter, "varchar({letters})"),
            Self::Text(size) => write!(formatter, "{}text", size.prefix()),
            Self::Binary { bytes } => write!(formatter, "binary({bytes})"),
            Self::Varbinary { bytes } => write!(formatter, "varbinary({bytes})"),
            Self::Blob(size) => write!(formatter, "{}blob", size.prefix()),
            Self::Enum(members) => write!(formatter, "enum({})", quoted(members)),
            Self::Set(members) => write!(formatter, "set({})", quoted(members)),
            Self::Json => formatter.write_str("json"),
            Self::Geometry(kind) => formatter.write_str(kind.name()),
            Self::Uuid => formatter.write_str("uuid"),
            Self::Inet4 => formatter.write_str("inet4"),
            Self::Inet6 => formatter.write_str("inet6"),
            Self::Vector { dimensions } => write!(formatter, "vector({dimensions})"),
        }
    }
}

/// Members as MySQL quotes them: `'` doubled; zero byte, newline, return and `\` behind a `\`.
fn quoted(members: &[String]) -> String {
    let one = |member: &String| {
        let mut text = String::from("'");
        for letter in member.chars() {
            match letter {
                '\'' => text.push_str("''"),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\0' => text.push_str("\\0"),
                other => text.push(other),
            }
        }
        text.push('\'');
        text
    };
    members.iter().map(one).collect::<Vec<_>>().join(",")
}

impl IntegerSize {
    const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tinyint",
            Self::Small => "smallint",
            Self::Medium => "mediumint",
            Self::Int => "int",
            Self::Big => "bigint",
        }
    }
}

impl LobSize {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Regular => "",
            Self::Medium => "medium",
            Self::Long => "long",
        }
    }
}

impl GeometryKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Any => "geometry",
            Self::Point => "point",
            Self::LineString => "linestring",
            Self::Polygon => "polygon",
            Self::MultiPoint => "multipoint",
            Self::MultiLineString => "multilinestring",
            Self::MultiPolygon => "multipolygon",
            Self::Collection => "geometrycollection",
        }
    }
}
