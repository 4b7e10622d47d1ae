//! The header of a page.

use parquet::basic::Encoding;

use crate::columns::limits::{PAGE_BYTES_MAX, PAGE_VALUES_MAX};
use crate::columns::thrift::{Broken, Compact, Field, Kind as Thrift};

/// What stands before a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    /// What it is.
    pub(super) kind: Kind,
    /// Bytes that follow.
    pub(super) stored_bytes: usize,
    /// Bytes that they become.
    pub(super) bytes: usize,
    /// CRC-32 of what follows.
    pub(super) crc: Option<u32>,
}

/// The kinds of pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Values, with levels before them.
    Data(Data),
    /// Values, with levels that are never compressed.
    DataV2(Data, V2),
    /// The values that others point to.
    Dictionary(Data),
    /// Nothing that is needed.
    Index,
}

/// The values of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Data {
    /// How many; those that are null count.
    pub(super) values: u32,
    /// How they are stored.
    pub(super) encoding: Encoding,
    /// How the definition levels are stored.
    pub(super) levels: Encoding,
}

/// What only pages of the second version have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct V2 {
    pub(super) nulls: u32,
    pub(super) level_bytes: u32,
    pub(super) repetition_bytes: u32,
    pub(super) compressed: bool,
}

impl V2 {
    /// The bytes before the values, and how many of them are repetition levels.
    pub(super) fn heads(self) -> (usize, usize) {
        let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        (size(self.repetition_bytes).saturating_add(size(self.level_bytes)), size(self.repetition_bytes))
    }
}

/// Why there is no header.
#[derive(Debug)]
pub(super) enum Problem {
    Broken(Broken),
    Refused(String),
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Refused(text.into()))
}

impl Header {
    /// Reads the header at the beginning of `bytes`; gives its length too.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, usize), Problem> {
        let mut compact = Compact::new(bytes);
        let header = Raw::read(&mut compact)?.checked()?;
        Ok((header, bytes.len() - compact.left()))
    }
}

/// The fields as they stand (parquet.thrift, PageHeader).
#[derive(Default)]
struct Raw {
    kind: Option<i32>,
    bytes: Option<i32>,
    stored_bytes: Option<i32>,
    crc: Option<i32>,
    data: Option<Fields>,
    dictionary: Option<Fields>,
    data_v2: Option<Fields>,
}

/// The fields of the inner structure, by their number from 1: numbers and codes, and one flag.
#[derive(Clone, Copy, Default)]
struct Fields {
    numbers: [Option<i32>; 7],
    flag: Option<bool>,
}

impl Raw {
    fn read(compact: &mut Compact<'_>) -> Result<Self, Broken> {
        let mut raw = Self::default();
        let mut last = 0;
        while let Some(Field { id, kind }) = compact.field(last)? {
            match (id, kind) {
                (1, Thrift::Int) => raw.kind = Some(compact.int32()?),
                (2, Thrift::Int) => raw.bytes = Some(compact.int32()?),
                (3, Thrift::Int) => raw.stored_bytes = Some(compact.int32()?),
                (4, Thrift::Int) => raw.crc = Some(compact.int32()?),
                (5, Thrift::Struct) => raw.data = Some(Fields::read(compact)?),
                (7, Thrift::Struct) => raw.dictionary = Some(Fields::read(compact)?),
                (8, Thrift::Struct) => raw.data_v2 = Some(Fields::read(compact)?),
                (_, kind) => compact.skip(kind)?,
            }
            last = id;
        }
        Ok(raw)
    }

    fn checked(self) -> Result<Header, Problem> {
        let size = |bytes: Option<i32>| match bytes.map(usize::try_from) {
            Some(Ok(bytes)) if bytes <= PAGE_BYTES_MAX => Ok(bytes),
            Some(Ok(bytes)) => {
                refused(format!("it is {bytes} bytes long, and {PAGE_BYTES_MAX} at most are read"))
            }
            Some(Err(_)) => refused("its length is below zero"),
            None => refused("its header states no length"),
        };
        let inner = |fields: Option<Fields>| match fields {
            Some(fields) => Ok(fields),
            None => refused("its header lacks what belongs to its type"),
        };
        let kind = match self.kind {
            Some(0) => {
                let fields = inner(self.data)?;
                // Of repetition levels there are none, but they have an encoding.
                encoding_of(fields.number(4)?)?;
                Kind::Data(fields.data(2, Some(3))?)
            }
            Some(1) => Kind::Index,
            Some(2) => Kind::Dictionary(inner(self.dictionary)?.data(2, None)?),
            Some(3) => {
                let fields = inner(self.data_v2)?;
                // As many as values, without lists; some writers state none.
                fields.count(3)?;
                let v2 = V2 {
                    nulls: fields.count(2)?,
                    level_bytes: fields.count(5)?,
                    repetition_bytes: fields.count(6)?,
                    compressed: fields.flag.unwrap_or(true),
                };
                Kind::DataV2(fields.data(4, None)?, v2)
            }
            Some(kind) => return refused(format!("it is of the unknown type {kind}")),
            None => return refused("its header states no type"),
        };
        Ok(Header {
            kind,
            stored_bytes: size(self.stored_bytes)?,
            bytes: size(self.bytes)?,
            crc: self.crc.map(i32::cast_unsigned),
        })
    }
}

impl Fields {
    fn read(compact: &mut Compact<'_>) -> Result<Self, Broken> {
        let mut fields = Self::default();
        let mut last = 0;
        while let Some(Field { id, kind }) = compact.field(last)? {
            let place = usize::try_from(id - 1).ok().and_then(|place| fields.numbers.get_mut(place));
            match (kind, place) {
                (Thrift::Int, Some(place)) => *place = Some(compact.int32()?),
                (Thrift::True, Some(_)) => fields.flag = Some(true),
                (Thrift::False, Some(_)) => fields.flag = Some(false),
                (kind, _) => compact.skip(kind)?,
            }
            last = id;
        }
        Ok(fields)
    }

    fn number(&self, id: usize) -> Result<i32, Problem> {
        match self.numbers.get(id - 1) {
            Some(Some(number)) => Ok(*number),
            Some(None) | None => refused("its header lacks what belongs to its type"),
        }
    }

    fn count(&self, id: usize) -> Result<u32, Problem> {
        match u32::try_from(self.number(id)?) {
            Ok(count) => Ok(count),
            Err(_) => refused("its header counts below zero"),
        }
    }

    fn data(&self, encoding: usize, levels: Option<usize>) -> Result<Data, Problem> {
        let values = self.count(1)?;
        if values > PAGE_VALUES_MAX {
            return refused(format!("it has {values} values, and {PAGE_VALUES_MAX} at most are read"));
        }
        let encoding = encoding_of(self.number(encoding)?)?;
        let levels = match levels {
            Some(levels) => encoding_of(self.number(levels)?)?,
            None => Encoding::RLE,
        };
        Ok(Data { values, encoding, levels })
    }
}

/// The encodings of the format, by their number (parquet.thrift).
fn encoding_of(code: i32) -> Result<Encoding, Problem> {
    Ok(match code {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        // Deprecated, and told by `Levels` and `Values`, where it matters.
        #[allow(deprecated)]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return refused(format!("it has the unknown encoding {code}")),
    })
}
