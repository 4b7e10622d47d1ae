//! Columns of few different values: a dictionary, and for each row its place there. Every reader knows the encoding.

use super::header::{PageKind, varint};
use super::pages::{PAGE_ROWS, Press, write_levels};
use super::{Chunk, Output};
use crate::columns::bits::Bits;
use crate::domain::fault::Fault;

/// Writes the dictionary, which comes before all indices.
pub(in crate::columns) fn write_dictionary(
    press: &mut Press,
    output: &mut Output,
    chunk: &mut Chunk,
    values: &[u8],
    count: usize,
) -> Result<(), Fault> {
    press.page().extend_from_slice(values);
    press.write(output, chunk, PageKind::Dictionary, count)
}

/// The bits that the places in a dictionary of `count` values take; at least one, since some readers know no numbers of none.
pub(in crate::columns) fn width_of(count: usize) -> u32 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()).max(1)
}

/// Writes a REQUIRED column of runs, each a place in the dictionary of `count` values and the rows that have it.
pub(in crate::columns) fn write_runs(
    press: &mut Press,
    output: &mut Output,
    chunk: &mut Chunk,
    count: usize,
    runs: impl Iterator<Item = (usize, usize)>,
) -> Result<(), Fault> {
    /// Longer runs are unknown to some readers, and pages to ours.
    const RUN_ROWS_MAX: usize = 1 << 20;
    let width = width_of(count);
    let mut rows = 0;
    let mut page = press.page();
    page.push(u8::try_from(width).unwrap_or(u8::MAX));
    for (place, mut left) in runs {
        while left > 0 {
            let taken = left.min(RUN_ROWS_MAX - rows);
            varint(page, (taken as u64) << 1);
            let bytes = place.to_le_bytes();
            let wide = usize::try_from(width).unwrap_or(0).div_ceil(8);
            page.extend_from_slice(bytes.get(..wide).unwrap_or(&bytes));
            left -= taken;
            rows += taken;
            if rows == RUN_ROWS_MAX {
                press.write(output, chunk, PageKind::Indices, rows)?;
                rows = 0;
                page = press.page();
                page.push(u8::try_from(width).unwrap_or(u8::MAX));
            }
        }
    }
    if rows > 0 {
        press.write(output, chunk, PageKind::Indices, rows)?;
    }
    Ok(())
}

/// An OPTIONAL column that is being written as places in a dictionary that is known.
#[derive(Debug, Default)]
pub(in crate::columns) struct Indices {
    width: u32,
    /// For each row, whether it has a value.
    pub(in crate::columns) levels: Bits,
    /// The places of those that have.
    pub(in crate::columns) places: Vec<u32>,
    nulls: u64,
}

impl Indices {
    /// Begins a chunk whose dictionary has `count` values.
    pub(in crate::columns) fn begin(&mut self, count: usize) {
        self.width = width_of(count);
        self.levels.clear();
        self.places.clear();
        self.nulls = 0;
    }

    /// The dictionary has only `count` values after all.
    pub(in crate::columns) fn narrow(&mut self, count: usize) {
        self.width = width_of(count);
    }

    /// Nulls of the chunk, in pages that were written.
    pub(in crate::columns) fn nulls(&self) -> u64 {
        self.nulls
    }

    /// True when the page should be written.
    pub(in crate::columns) fn is_full(&self) -> bool {
        self.levels.len() >= PAGE_ROWS
    }

    /// Writes the page, if anything is in it.
    pub(in crate::columns) fn write(
        &mut self,
        press: &mut Press,
        output: &mut Output,
        chunk: &mut Chunk,
    ) -> Result<(), Fault> {
        let rows = self.levels.len();
        if rows == 0 {
            return Ok(());
        }
        let page = press.page();
        write_levels(&self.levels, page);
        page.push(u8::try_from(self.width).unwrap_or(u8::MAX));
        varint(page, (self.places.len().div_ceil(8) as u64) << 1 | 1);
        pack(&self.places, self.width, page);
        press.write(output, chunk, PageKind::Indices, rows)?;
        self.nulls += (rows - self.levels.ones()) as u64;
        self.levels.clear();
        self.places.clear();
        Ok(())
    }
}

/// Numbers of `width` bits (at most 32) one behind the other, the last of them filled up to a group of eight.
fn pack(places: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut buffer, mut held) = (0_u64, 0);
    let filled = places.len().next_multiple_of(8) - places.len();
    for place in places.iter().chain(std::iter::repeat_n(&0, filled)) {
        buffer |= u64::from(*place) << held;
        held += width;
        if held >= 32 {
            out.extend((buffer as u32).to_le_bytes());
            buffer >>= 32;
            held -= 32;
        }
    }
    let rest = buffer.to_le_bytes();
    out.extend(rest.into_iter().take(usize::try_from(held / 8).unwrap_or(0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_wide_as_they_must_be() {
        let widths = [0, 1, 2, 3, 4, 5, 256, 257, 65_536].map(width_of);
        assert_eq!(widths, [1, 1, 1, 2, 2, 3, 8, 9, 16]);
        let mut out = Vec::new();
        pack(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        // The example of the format's own description.
        assert_eq!(out, [0b1000_1000, 0b1100_0110, 0b1111_1010]);
        pack(&[1], 3, &mut out);
        assert_eq!(out[3..], [1, 0, 0]);
        out.clear();
        pack(&[0x7_FFFF, 0, 1, 0, 0, 0, 0, 0, 0x7_FFFF], 19, &mut out);
        assert_eq!((out.len(), &out[..6]), (38, &[0xFF, 0xFF, 7, 0, 0x40, 0][..]));
        assert_eq!(out[19..22], [0xFF, 0xFF, 7]);
    }
}
