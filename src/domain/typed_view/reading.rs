//! How the columns of a table are read in its view.

use crate::domain::column_type::ColumnType;
use crate::domain::source_type::SourceType;

/// The exact number that holds every other: BigQuery's BIGNUMERIC.
const ANY_NUMBER: ColumnType = ColumnType::Decimal { precision: 76, scale: 38 };
/// The bits of BIT from which on it has numbers that no INT64 has.
const BITS_TOO_MANY: u8 = 64;

/// How a column is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As it is. Several are of one type, or exact numbers.
    AsIs,
    /// As text, whatever it is; bytes in Base64.
    Text,
    /// A text as JSON; null where it is none. What is JSON stays as it is.
    Json,
    /// A text as the members of a SET: the empty text is the empty set.
    Set,
    /// A SRID of 4 bytes, little-endian, and WKB, as a GEOGRAPHY; null where it is none on the globe.
    Geography,
    /// The bits of a BIT as an INT64.
    Bits,
    /// As an exact number of this type; null where it is none.
    Number(ColumnType),
    /// As a DATE; null where it is none.
    Date,
    /// As a DATETIME, what a clock in UTC showed; null where it is none.
    Datetime,
    /// As a TIMESTAMP, what was shown being UTC; null where it is none.
    Timestamp,
    /// As a TIME of day; null where it is none.
    Time,
}

impl Reading {
    /// How columns of these types are read that hold one column of the source.
    pub(super) fn of(kinds: &[ColumnType], source: Option<&SourceType>, is_instant: bool) -> Self {
        let plain = Self::plain(kinds);
        let clocks = |kind: &ColumnType| matches!(kind, ColumnType::Datetime | ColumnType::Timestamp);
        let wanted = match source {
            Some(source) => Self::wanted(kinds, source),
            None if is_instant => Some(Self::Timestamp),
            // The mapping named it as an instant once, and does no more.
            None => (plain == Self::Text && kinds.iter().all(clocks)).then_some(Self::Datetime),
        };
        let fits = |wanted: &Self| {
            kinds.iter().all(|kind| wanted.takes(*kind)) && kinds.iter().any(|kind| wanted.changes(*kind))
        };
        wanted.filter(fits).unwrap_or(plain)
    }

    /// What the source's type asks for.
    fn wanted(kinds: &[ColumnType], source: &SourceType) -> Option<Self> {
        match source {
            SourceType::Json => Some(Self::Json),
            SourceType::Set(_) => Some(Self::Set),
            SourceType::Geometry(_) => Some(Self::Geography),
            SourceType::Bit { width } => (*width < BITS_TOO_MANY).then_some(Self::Bits),
            SourceType::Decimal { precision, scale, .. } => {
                let scale = i8::try_from(*scale).ok()?;
                let of_source = ColumnType::Decimal { precision: *precision, scale };
                Some(Self::Number(widest(
                    kinds.iter().filter_map(|kind| kind.as_decimal()).chain([of_source]),
                )))
            }
            SourceType::Date => Some(Self::Date),
            SourceType::Datetime { .. } => Some(Self::Datetime),
            SourceType::Timestamp { .. } => Some(Self::Timestamp),
            SourceType::Time { .. } => Some(Self::Time),
            SourceType::Integer { .. }
            | SourceType::Float { .. }
            | SourceType::Double { .. }
            | SourceType::Year
            | SourceType::Char { .. }
            | SourceType::Varchar { .. }
            | SourceType::Text(_)
            | SourceType::Binary { .. }
            | SourceType::Varbinary { .. }
            | SourceType::Blob(_)
            | SourceType::Enum(_)
            | SourceType::Uuid
            | SourceType::Inet4
            | SourceType::Inet6
            | SourceType::Vector { .. } => None,
        }
    }

    /// What holds every value of these types, whatever they mean.
    pub(super) fn plain(kinds: &[ColumnType]) -> Self {
        let all_numbers = kinds.iter().all(|kind| kind.as_decimal().is_some());
        let one = kinds.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
        if one || all_numbers { Self::AsIs } else { Self::Text }
    }

    /// A column of this type can be read so.
    fn takes(self, kind: ColumnType) -> bool {
        let is_text = kind == ColumnType::String;
        match self {
            Self::AsIs | Self::Text => true,
            Self::Json => is_text || kind == ColumnType::Json,
            Self::Set => is_text,
            Self::Geography => kind == ColumnType::Bytes,
            Self::Bits => matches!(kind, ColumnType::Bytes | ColumnType::Int64 | ColumnType::Bool),
            Self::Number(_) => is_text || kind.as_decimal().is_some(),
            Self::Date => is_text || kind == ColumnType::Date,
            Self::Datetime | Self::Timestamp => {
                is_text || matches!(kind, ColumnType::Datetime | ColumnType::Timestamp)
            }
            Self::Time => is_text || kind == ColumnType::Time,
        }
    }

    /// A column of this type is another one when it is read so.
    fn changes(self, kind: ColumnType) -> bool {
        match self {
            Self::AsIs => false,
            Self::Json => kind != ColumnType::Json,
            Self::Set | Self::Geography => true,
            Self::Text => kind != ColumnType::String,
            Self::Bits => kind != ColumnType::Int64,
            Self::Number(_) => kind.as_decimal().is_none(),
            Self::Date => kind != ColumnType::Date,
            Self::Datetime => kind != ColumnType::Datetime,
            Self::Timestamp => kind != ColumnType::Timestamp,
            Self::Time => kind != ColumnType::Time,
        }
    }

    /// A value of such a column may come to nothing, or to less than it says, when it is read so. A set keeps every
    /// value: the empty one and none at all are told apart by `IS NULL`.
    pub(super) fn may_lose(self, kind: ColumnType) -> bool {
        match self {
            Self::AsIs | Self::Text | Self::Set => false,
            Self::Json => kind != ColumnType::Json,
            Self::Geography => true,
            Self::Bits => kind == ColumnType::Bytes,
            Self::Number(_) | Self::Date | Self::Datetime | Self::Timestamp | Self::Time => {
                kind == ColumnType::String
            }
        }
    }
}

/// The exact number that holds all of these.
fn widest(numbers: impl Iterator<Item = ColumnType>) -> ColumnType {
    numbers.reduce(|one, other| one.widen(other).unwrap_or(ANY_NUMBER)).unwrap_or(ANY_NUMBER)
}
