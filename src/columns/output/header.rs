//! The headers of the pages that are written, in Thrift's compact protocol (parquet.thrift, PageHeader).

/// The end of a structure.
const STOP: u8 = 0;
const INT32: u8 = 5;
const STRUCT: u8 = 12;

// Encodings, by their number.
const PLAIN: usize = 0;
const RLE: usize = 3;
const RLE_DICTIONARY: usize = 8;

/// What stands before a page that is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::columns) struct PageHeader {
    pub(in crate::columns) kind: PageKind,
    /// Bytes that follow.
    pub(in crate::columns) stored_bytes: usize,
    /// Bytes that they become.
    pub(in crate::columns) bytes: usize,
    /// How many values; those that are null count.
    pub(in crate::columns) values: usize,
}

/// The kinds of pages that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::columns) enum PageKind {
    /// Values, one after the other.
    Plain,
    /// The values that others point to.
    Dictionary,
    /// Places in the dictionary.
    Indices,
}

impl PageHeader {
    /// Writes it behind `out`.
    pub(in crate::columns) fn write(&self, out: &mut Vec<u8>) {
        let (kind, inner) = match self.kind {
            PageKind::Plain | PageKind::Indices => (0, 5),
            PageKind::Dictionary => (2, 7),
        };
        let encoding = match self.kind {
            PageKind::Plain | PageKind::Dictionary => PLAIN,
            PageKind::Indices => RLE_DICTIONARY,
        };
        let mut last = 0;
        field(out, &mut last, 1, INT32);
        number(out, kind);
        field(out, &mut last, 2, INT32);
        number(out, self.bytes);
        field(out, &mut last, 3, INT32);
        number(out, self.stored_bytes);
        field(out, &mut last, inner, STRUCT);
        let mut last = 0;
        field(out, &mut last, 1, INT32);
        number(out, self.values);
        field(out, &mut last, 2, INT32);
        number(out, encoding);
        if self.kind != PageKind::Dictionary {
            for levels in [3, 4] {
                field(out, &mut last, levels, INT32);
                number(out, RLE);
            }
        }
        out.extend([STOP, STOP]);
    }
}

/// The head of field `id`, where `last` was the one before: never more than 15 further.
fn field(out: &mut Vec<u8>, last: &mut u8, id: u8, kind: u8) {
    out.push((id - *last) << 4 | kind);
    *last = id;
}

/// A number that is not below zero, as Thrift writes numbers with sign.
fn number(out: &mut Vec<u8>, value: usize) {
    varint(out, (value as u64) << 1);
}

/// A whole number without sign, seven bits a byte.
pub(in crate::columns) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes().first().copied().unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes().first().copied().unwrap_or(0));
}
