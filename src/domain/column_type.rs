//! The types that landbridge carries, between the file's and the warehouse's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most digits that a decimal may have.
pub const DECIMAL_PRECISION_MAX: u8 = 38;
/// The digits that an INT64 may have before the point.
const INT64_DIGITS: i16 = 19;

/// The type of one column of a table. As text, and in JSON, it is what `Display` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ColumnType {
    /// A whole number of 64 bits with sign.
    Int64,
    /// An exact decimal number.
    Decimal {
        /// All its digits, 1 to 38.
        precision: u8,
        /// The digits after the point, 0 to `precision`.
        scale: i8,
    },
    /// Text in UTF-8.
    String,
    /// Bytes without a meaning.
    Bytes,
    /// True or false.
    Bool,
    /// A floating-point number of 64 bits.
    Float64,
    /// A calendar day.
    Date,
    /// What a wall clock showed, to the microsecond, in no particular time zone.
    Datetime,
    /// A moment in UTC, to the microsecond.
    Timestamp,
    /// A time of day, to the microsecond.
    Time,
    /// A text that is JSON, in a column that holds its meaning and not its letters.
    Json,
}

/// A text that is no type's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchType(String);

impl fmt::Display for NoSuchType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no type of a column", self.0)
    }
}

impl std::error::Error for NoSuchType {}

impl ColumnType {
    /// The one type that holds every value of both, exactly; `None` when there is none.
    pub fn unify(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(self);
        }
        let (
            Self::Decimal { precision, scale },
            Self::Decimal { precision: other_precision, scale: other_scale },
        ) = (self, other)
        else {
            return None;
        };
        let scale_max = scale.max(other_scale);
        let whole_max = whole_digits(precision, scale).max(whole_digits(other_precision, other_scale));
        decimal(whole_max, scale_max)
    }

    /// The type to which a column of the destination may be altered so that it holds every value of both, exactly;
    /// `None` when there is none. An INT64 is not made a FLOAT64: whole numbers beyond 2^53 would be rounded.
    pub fn widen(self, to: Self) -> Option<Self> {
        if self.holds(to) {
            return Some(self);
        }
        if let (Self::Int64, Self::Decimal { precision, scale })
        | (Self::Decimal { precision, scale }, Self::Int64) = (self, to)
        {
            return decimal(whole_digits(precision, scale).max(INT64_DIGITS), scale);
        }
        self.unify(to)
    }

    /// True when a column of this type holds every value of `other`, exactly, as it is. Text holds every JSON, letter by letter.
    pub fn holds(self, other: Self) -> bool {
        let Self::Decimal { precision, scale } = self else {
            return self == other || (self == Self::String && other == Self::Json);
        };
        let whole = whole_digits(precision, scale);
        match other {
            Self::Int64 => whole >= INT64_DIGITS,
            Self::Decimal { precision: other, scale: other_scale } => {
                scale >= other_scale && whole >= whole_digits(other, other_scale)
            }
            Self::String
            | Self::Bytes
            | Self::Bool
            | Self::Float64
            | Self::Date
            | Self::Datetime
            | Self::Timestamp
            | Self::Time
            | Self::Json => false,
        }
    }

    /// The decimal that holds every value of this type and no more, where there is one.
    pub const fn as_decimal(self) -> Option<Self> {
        match self {
            Self::Int64 => Some(Self::Decimal { precision: INT64_DIGITS as u8, scale: 0 }),
            Self::Decimal { .. } => Some(self),
            Self::String
            | Self::Bytes
            | Self::Bool
            | Self::Float64
            | Self::Date
            | Self::Datetime
            | Self::Timestamp
            | Self::Time
            | Self::Json => None,
        }
    }

    /// The type without its digits, in lower case: what a column that is added beside another is named for.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Int64 => "int64",
            Self::Decimal { .. } => "numeric",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::Float64 => "float64",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Timestamp => "timestamp",
            Self::Time => "time",
            Self::Json => "json",
        }
    }
}

fn whole_digits(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

/// The decimal with so many digits before and after the point, if it can be carried.
fn decimal(whole: i16, scale: i8) -> Option<ColumnType> {
    let precision = u8::try_from(whole + i16::from(scale)).ok()?;
    (precision <= DECIMAL_PRECISION_MAX).then_some(ColumnType::Decimal { precision, scale })
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int64 => formatter.write_str("INT64"),
            Self::Decimal { precision, scale } => write!(formatter, "DECIMAL({precision},{scale})"),
            Self::String => formatter.write_str("STRING"),
            Self::Bytes => formatter.write_str("BYTES"),
            Self::Bool => formatter.write_str("BOOL"),
            Self::Float64 => formatter.write_str("FLOAT64"),
            Self::Date => formatter.write_str("DATE"),
            Self::Datetime => formatter.write_str("DATETIME"),
            Self::Timestamp => formatter.write_str("TIMESTAMP"),
            Self::Time => formatter.write_str("TIME"),
            Self::Json => formatter.write_str("JSON"),
        }
    }
}

impl FromStr for ColumnType {
    type Err = NoSuchType;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, NoSuchType> {
        Ok(match text {
            "INT64" => Self::Int64,
            "STRING" => Self::String,
            "BYTES" => Self::Bytes,
            "BOOL" => Self::Bool,
            "FLOAT64" => Self::Float64,
            "DATE" => Self::Date,
            "DATETIME" => Self::Datetime,
            "TIMESTAMP" => Self::Timestamp,
            "TIME" => Self::Time,
            "JSON" => Self::Json,
            other => return decimal_of(other).ok_or_else(|| NoSuchType(other.to_owned())),
        })
    }
}

fn decimal_of(text: &str) -> Option<ColumnType> {
    let digits = text.strip_prefix("DECIMAL(")?.strip_suffix(')')?;
    let (precision, scale) = digits.split_once(',')?;
    let (precision, scale): (u8, i8) = (precision.parse().ok()?, scale.parse().ok()?);
    let sound = (1..=DECIMAL_PRECISION_MAX).contains(&precision)
        && (0..=i16::from(precision)).contains(&scale.into());
    sound.then_some(ColumnType::Decimal { precision, scale })
}

impl From<ColumnType> for String {
    fn from(kind: ColumnType) -> Self {
        kind.to_string()
    }
}

impl TryFrom<String> for ColumnType {
    type Error = NoSuchType;

    fn try_from(text: String) -> Result<Self, NoSuchType> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: i8) -> ColumnType {
        ColumnType::Decimal { precision, scale }
    }

    #[test]
    fn decimals_unify_only_as_far_as_nothing_is_lost() {
        assert_eq!(decimal(10, 2).unify(decimal(5, 4)), Some(decimal(12, 4)));
        assert_eq!(decimal(38, 0).unify(decimal(38, 0)), Some(decimal(38, 0)));
        assert_eq!(decimal(30, 0).unify(decimal(10, 8)), Some(decimal(38, 8)));
        assert_eq!(decimal(31, 0).unify(decimal(10, 8)), None);
        assert_eq!(decimal(38, 38).unify(decimal(1, 0)), None);
    }

    #[test]
    fn other_types_do_not_mix() {
        assert_eq!(ColumnType::Int64.unify(decimal(20, 0)), None);
        assert_eq!(ColumnType::Datetime.unify(ColumnType::Timestamp), None);
        assert_eq!(ColumnType::String.unify(ColumnType::String), Some(ColumnType::String));
    }

    #[test]
    fn a_column_widens_until_it_holds_both_and_never_rounds() {
        use ColumnType::{Bool, Float64, Int64, Json, String};
        let cases = [
            (Int64, decimal(10, 2), Some(decimal(21, 2))),
            (decimal(10, 2), Int64, Some(decimal(21, 2))),
            (decimal(20, 0), Int64, Some(decimal(20, 0))),
            (Int64, decimal(20, 0), Some(decimal(20, 0))),
            (Int64, decimal(38, 19), Some(decimal(38, 19))),
            (Int64, decimal(20, 20), None),
            (decimal(12, 4), decimal(10, 2), Some(decimal(12, 4))),
            (decimal(10, 2), decimal(10, 4), Some(decimal(12, 4))),
            (Int64, Float64, None),
            (Float64, Int64, None),
            (Bool, Int64, None),
            (String, Int64, None),
            (String, String, Some(String)),
            (String, Json, Some(String)),
            (Json, String, None),
            (Json, Json, Some(Json)),
            (Int64, Json, None),
            (Json, decimal(10, 2), None),
        ];
        for (from, to, expected) in cases {
            assert_eq!(from.widen(to), expected, "{from} to {to}");
        }
        // What a warehouse has may be wider than anything that is written.
        assert_eq!(decimal(76, 38).widen(decimal(38, 20)), Some(decimal(76, 38)));
    }

    #[test]
    fn types_are_read_back_from_their_texts() {
        use ColumnType::*;
        for kind in [
            Int64,
            decimal(38, 38),
            decimal(1, 0),
            String,
            Bytes,
            Bool,
            Float64,
            Date,
            Datetime,
            Timestamp,
            Time,
            Json,
        ] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<ColumnType>(&json).unwrap(), kind);
        }
        for text in [
            "",
            "int64",
            "DECIMAL",
            "DECIMAL(0,0)",
            "DECIMAL(39,0)",
            "DECIMAL(3,4)",
            "DECIMAL(3,-1)",
            "RECORD",
        ] {
            assert_eq!(text.parse::<ColumnType>(), Err(NoSuchType(text.to_owned())));
        }
    }
}
