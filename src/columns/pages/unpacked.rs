//! The rows of a page, however it is encoded, as they stand in a PLAIN page: levels, then values.

use parquet::basic::{Encoding, Type as Physical};
use parquet::errors::ParquetError;

use super::chunk::Content;
use super::exotic;
use super::places::{Places, read_levels};
use super::values::Shape;
use crate::columns::bits::Bits;

/// Rows whose values are looked up at one time.
const ROWS_IN_HAND: usize = 1024;
/// About the most bytes that are looked up at one time.
const BYTES_IN_HAND: usize = 1 << 20;

/// The values that places point to.
#[derive(Debug, Default)]
pub(in crate::columns) struct Dictionary {
    values: Vec<u8>,
    /// Where each value ends, those of variable length with their length before them.
    ends: Vec<usize>,
    longest: usize,
}

impl Dictionary {
    /// Takes the values of a dictionary page, which were checked.
    pub(in crate::columns) fn set(&mut self, shape: Shape, values: &[u8]) {
        self.values.clear();
        self.values.extend_from_slice(values);
        self.ends.clear();
        self.longest = 0;
        let mut end = 0_usize;
        let mut rest = values;
        while !rest.is_empty() {
            let length = match shape.width() {
                Some(width) => width.max(1),
                None => rest.first_chunk::<4>().map_or(4, |length| u32::from_le_bytes(*length) as usize + 4),
            };
            end = end.saturating_add(length);
            self.ends.push(end);
            self.longest = self.longest.max(length);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// How many values there are.
    pub(in crate::columns) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The value at a place, as it stands in a PLAIN page.
    pub(in crate::columns) fn entry(&self, place: u32) -> &[u8] {
        let place = place as usize;
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(place).copied().unwrap_or(start);
        self.values.get(start..end).unwrap_or_default()
    }
}

/// Rows in hand.
#[derive(Clone, Copy, Debug)]
pub(in crate::columns) struct Rows<'a> {
    /// For each row, whether it has a value.
    pub(in crate::columns) levels: &'a Bits,
    /// The values that are there; of a BOOLEAN column, bits.
    pub(in crate::columns) values: &'a [u8],
}

/// Space that is used again from page to page.
#[derive(Debug, Default)]
pub(in crate::columns) struct Space {
    levels: Bits,
    some: Bits,
    flags: Bits,
    places: Vec<u32>,
    values: Vec<u8>,
}

/// Gives the rows of a page to `each`, all at once or some at a time; where they are to be `cut`, never many.
pub(in crate::columns) fn rows<E: From<ParquetError>>(
    shape: Shape,
    content: &Content<'_>,
    dictionary: &Dictionary,
    space: &mut Space,
    cut: bool,
    each: &mut dyn FnMut(Rows<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Space { levels, some, flags, places, values } = space;
    levels.clear();
    match content.levels {
        Some(runs) => read_levels(runs, content.rows, levels),
        None => levels.push_run(true, content.rows),
    }
    if content.encoding == Encoding::PLAIN && !(cut && content.present > ROWS_IN_HAND) {
        return each(Rows { levels, values: content.values });
    }
    let mut cut = Cut { levels, next: 0 };
    if content.encoding == Encoding::PLAIN {
        let (mut rest, mut left) = (content.values, content.present);
        while left > 0 {
            let count = ROWS_IN_HAND.min(left);
            left -= count;
            let (values, after) = rest.split_at_checked(shape.bytes_of(rest, count)).unwrap_or((rest, &[]));
            rest = after;
            cut.take(count, left == 0, some);
            each(Rows { levels: some, values })?;
        }
    } else if matches!(content.encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY) {
        let mut indices = Places::new(content.values);
        let step = (BYTES_IN_HAND / dictionary.longest.max(1)).clamp(1, ROWS_IN_HAND);
        let mut left = content.present;
        while left > 0 {
            let count = step.min(left);
            left -= count;
            places.clear();
            indices.take(count, places);
            values.clear();
            places.iter().for_each(|place| values.extend_from_slice(dictionary.entry(*place)));
            cut.take(count, left == 0, some);
            each(Rows { levels: some, values })?;
        }
    } else {
        let mut left = content.present;
        exotic::decode::<E>(shape, content, &mut |count, decoded| {
            left = left.saturating_sub(count);
            cut.take(count, left == 0, some);
            if shape.physical != Physical::BOOLEAN {
                return each(Rows { levels: some, values: decoded });
            }
            flags.clear();
            decoded.iter().for_each(|flag| flags.push(*flag != 0));
            each(Rows { levels: some, values: flags.bytes() })
        })?;
    }
    if content.present == 0 { each(Rows { levels, values: &[] }) } else { Ok(()) }
}

/// Cuts the levels of a page into those of its pieces.
struct Cut<'a> {
    levels: &'a Bits,
    next: usize,
}

impl Cut<'_> {
    /// The next rows, with `present` values; the last piece has all that are left.
    fn take(&mut self, present: usize, last: bool, into: &mut Bits) {
        into.clear();
        if self.levels.ones() == self.levels.len() {
            into.push_run(true, present);
            return;
        }
        while self.next < self.levels.len() && (last || into.ones() < present) {
            into.push(self.levels.get(self.next));
            self.next += 1;
        }
    }
}
