//! Thrift's compact protocol, as far as a footer and a page's header need it. Works on a slice and allocates nothing.
//!
//! Stricter than the Parquet reader's own: a list that is longer than its bytes, a structure that is nested without end
//! and a list of booleans (which that reader takes for elements of no bytes) are refused.

use super::limits::{LIST_ELEMENTS_MAX, THRIFT_DEPTH_MAX};

/// Why bytes are no Thrift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// They end too early: more of them may help.
    Short,
    /// They make no sense, however many follow.
    Wrong(&'static str),
}

impl Broken {
    /// In words.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Short => "it ends too early",
            Self::Wrong(text) => text,
        }
    }
}

/// The kind of a field or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    True,
    False,
    Byte,
    /// Of 16, 32 or 64 bits.
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Kind {
    fn of(code: u8) -> Result<Self, Broken> {
        Ok(match code {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Broken::Wrong("it has a field of no known type")),
        })
    }

    fn of_element(code: u8) -> Result<Self, Broken> {
        match Self::of(code)? {
            Self::True | Self::False => Err(Broken::Wrong("it has a list of booleans")),
            kind @ (Self::Byte
            | Self::Int
            | Self::Double
            | Self::Binary
            | Self::List
            | Self::Map
            | Self::Struct
            | Self::Uuid) => Ok(kind),
        }
    }
}

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) id: i16,
    pub(super) kind: Kind,
}

/// Reads on from the beginning of a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compact<'a> {
    rest: &'a [u8],
}

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that were not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let (byte, rest) = self.rest.split_first().ok_or(Broken::Short)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn pass(&mut self, count: usize) -> Result<(), Broken> {
        let (_, rest) = self.rest.split_at_checked(count).ok_or(Broken::Short)?;
        self.rest = rest;
        Ok(())
    }

    /// A whole number without sign.
    pub(super) fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            // Of the tenth byte only one bit is left.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken::Wrong("it has a number of more than 64 bits"))
    }

    /// A whole number with sign.
    pub(super) fn int(&mut self) -> Result<i64, Broken> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number of 32 bits with sign, as the format's own types are.
    pub(super) fn int32(&mut self) -> Result<i32, Broken> {
        i32::try_from(self.int()?).map_err(|_| Broken::Wrong("it has a number of more than 32 bits"))
    }

    /// The next field of a structure whose last one was `last`; `None` at its end.
    pub(super) fn field(&mut self, last: i16) -> Result<Option<Field>, Broken> {
        let head = self.byte()?;
        if head & 0x0F == 0 {
            return Ok(None);
        }
        let kind = Kind::of(head & 0x0F)?;
        let id = match head >> 4 {
            0 => i16::try_from(self.int()?).ok(),
            delta => last.checked_add(i16::from(delta)),
        };
        Ok(Some(Field { id: id.ok_or(Broken::Wrong("it has a field of no possible number"))?, kind }))
    }

    /// The head of a list: its elements' kind and number. A list never claims more elements than bytes follow.
    pub(super) fn list(&mut self) -> Result<(Kind, usize), Broken> {
        let head = self.byte()?;
        if head == 0 {
            // Some writers give an empty list no type.
            return Ok((Kind::Byte, 0));
        }
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
            count => usize::from(count),
        };
        if count == 0 {
            return Ok((Kind::Byte, 0));
        }
        let kind = Kind::of_element(head & 0x0F)?;
        if count > self.rest.len() { Err(Broken::Short) } else { Ok((kind, count)) }
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, kind: Kind) -> Result<(), Broken> {
        self.skip_within(kind, THRIFT_DEPTH_MAX)
    }

    fn skip_within(&mut self, kind: Kind, depth: usize) -> Result<(), Broken> {
        let depth = depth.checked_sub(1).ok_or(Broken::Wrong("its structures are nested too deep"))?;
        match kind {
            Kind::True | Kind::False => Ok(()),
            Kind::Byte => self.pass(1),
            Kind::Int => self.varint().map(|_| ()),
            Kind::Double => self.pass(8),
            Kind::Uuid => self.pass(16),
            Kind::Binary => {
                let length = self.varint()?;
                self.pass(usize::try_from(length).map_err(|_| Broken::Short)?)
            }
            Kind::Struct => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    self.skip_within(field.kind, depth)?;
                    last = field.id;
                }
                Ok(())
            }
            Kind::List => {
                let (kind, count) = self.list()?;
                bounded(count)?;
                (0..count).try_for_each(|_| self.skip_within(kind, depth))
            }
            Kind::Map => {
                let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                bounded(count)?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                let (key, value) = (Kind::of_element(kinds >> 4)?, Kind::of_element(kinds & 0x0F)?);
                (0..count).try_for_each(|_| {
                    self.skip_within(key, depth)?;
                    self.skip_within(value, depth)
                })
            }
        }
    }
}

fn bounded(count: usize) -> Result<(), Broken> {
    if count > LIST_ELEMENTS_MAX { Err(Broken::Wrong("it has a list of too many elements")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(kind: Kind, bytes: &[u8]) -> Result<usize, Broken> {
        let mut compact = Compact::new(bytes);
        compact.skip(kind)?;
        Ok(bytes.len() - compact.left())
    }

    #[test]
    fn numbers_are_read_to_their_last_bit() {
        let mut most = [0xFF; 10];
        most[9] = 1;
        assert_eq!(Compact::new(&most).varint(), Ok(u64::MAX));
        assert_eq!(Compact::new(&most).int(), Ok(i64::MIN));
        assert_eq!(Compact::new(&[0x03]).int32(), Ok(-2));
        most[9] = 2;
        assert!(matches!(Compact::new(&most).varint(), Err(Broken::Wrong(_))));
        assert_eq!(Compact::new(&[0x80]).varint(), Err(Broken::Short));
        assert!(matches!(Compact::new(&[0xFF; 6]).int32(), Err(Broken::Short)));
    }

    #[test]
    fn structures_are_passed_over_whole() {
        // {1: 5, 3: "ab", 300: [7, 8], 301: {}}
        let bytes = [0x15, 0x0A, 0x28, 2, b'a', b'b', 0x09, 0xD8, 0x04, 0x25, 14, 16, 0x1C, 0, 0, 99];
        assert_eq!(skipped(Kind::Struct, &bytes), Ok(bytes.len() - 1));
    }

    #[test]
    fn what_is_longer_than_its_bytes_is_short() {
        assert_eq!(skipped(Kind::Binary, &[5, 1, 2]), Err(Broken::Short));
        assert_eq!(skipped(Kind::Binary, &[0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), Err(Broken::Short));
        assert_eq!(skipped(Kind::List, &[0xF5, 0xFF, 0xFF, 0xFF, 0x07]), Err(Broken::Short));
    }

    #[test]
    fn nothing_goes_on_without_end() {
        // A list of two thousand million booleans, in six bytes.
        assert!(matches!(skipped(Kind::List, &[0xF1, 0xFF, 0xFF, 0xFF, 0xFF, 0x07]), Err(Broken::Wrong(_))));
        // Lists of one list each.
        assert!(matches!(skipped(Kind::List, &[0x19; 100_000]), Err(Broken::Wrong(_))));
        let mut long = vec![0xF3, 0x91, 0x4E];
        long.resize(20_000, 0);
        assert_eq!(skipped(Kind::List, &long), Err(Broken::Wrong("it has a list of too many elements")));
    }
}
