//! Runs of small numbers, decoded: definition levels, and places in a dictionary. What comes here was checked by `runs`.

use super::runs::Run;
use crate::columns::bits::Bits;

/// Appends the levels of `rows` values to `into`.
pub(in crate::columns) fn read_levels(levels: &[u8], rows: usize, into: &mut Bits) {
    let (mut rest, mut left) = (levels, rows);
    while left > 0 {
        let Ok(run) = Run::next(&mut rest, 1) else { return };
        let count = usize::try_from(run.count).unwrap_or(usize::MAX).min(left);
        match run.packed {
            Some(bits) => into.push_packed(bits, count),
            None => {
                let Some((level, after)) = rest.split_first() else { return };
                rest = after;
                into.push_run(*level == 1, count);
            }
        }
        left -= count;
    }
}

/// Reads places in a dictionary, some at a time.
#[derive(Clone, Debug)]
pub(in crate::columns) struct Places<'a> {
    rest: &'a [u8],
    width: u8,
    /// What is left of the run in hand: its numbers, and the one number or the bits of each.
    run: u64,
    repeated: u32,
    packed: Option<&'a [u8]>,
    buffer: u64,
    held: u8,
}

impl<'a> Places<'a> {
    /// Reads `values`, which begin with the width of the numbers.
    pub(in crate::columns) fn new(values: &'a [u8]) -> Self {
        let (width, rest) = values.split_first().map_or((0, values), |(width, rest)| (*width, rest));
        Self { rest, width: width.min(32), run: 0, repeated: 0, packed: None, buffer: 0, held: 0 }
    }

    /// Appends the next `count` to `into`.
    pub(in crate::columns) fn take(&mut self, count: usize, into: &mut Vec<u32>) {
        let mut left = count;
        while left > 0 {
            if self.run == 0 && !self.next_run() {
                return;
            }
            let taken = usize::try_from(self.run).unwrap_or(usize::MAX).min(left);
            match self.packed {
                None => into.resize(into.len() + taken, self.repeated),
                Some(_) => self.unpack(taken, into),
            }
            left -= taken;
            self.run -= taken as u64;
        }
    }

    fn next_run(&mut self) -> bool {
        let Ok(run) = Run::next(&mut self.rest, self.width) else { return false };
        (self.run, self.packed, self.buffer, self.held) = (run.count, run.packed, 0, 0);
        if run.packed.is_none() {
            let bytes = usize::from(self.width).div_ceil(8);
            let Some((number, after)) = self.rest.split_at_checked(bytes) else { return false };
            self.rest = after;
            self.repeated = number.iter().rev().fold(0, |value, byte| (value << 8) | u32::from(*byte));
        }
        true
    }

    fn unpack(&mut self, count: usize, into: &mut Vec<u32>) {
        let mut bytes = self.packed.unwrap_or_default();
        let mask = (1_u64 << self.width) - 1;
        for _ in 0..count {
            while self.held < self.width {
                // As many bytes as fit, while there are as many.
                if let (Some((four, after)), true) = (bytes.split_first_chunk::<4>(), self.held <= 32) {
                    self.buffer |= u64::from(u32::from_le_bytes(*four)) << self.held;
                    (bytes, self.held) = (after, self.held + 32);
                } else if let Some((byte, after)) = bytes.split_first() {
                    self.buffer |= u64::from(*byte) << self.held;
                    (bytes, self.held) = (after, self.held + 8);
                } else {
                    break;
                }
            }
            into.push((self.buffer & mask) as u32);
            self.buffer >>= self.width;
            self.held = self.held.saturating_sub(self.width);
        }
        self.packed = Some(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::bits::Bits;
    use proptest::prelude::*;

    #[test]
    fn levels_are_read_as_they_are_counted() {
        let mut bits = Bits::default();
        read_levels(&[6, 0, 3, 0b1010_1010], 8, &mut bits);
        let expected = [false, false, false, false, true, false, true, false];
        assert_eq!(bits.iter().collect::<Vec<_>>(), expected);
        assert_eq!(bits.ones(), 2);
    }

    proptest! {
        #[test]
        fn places_are_read_in_pieces(
            width in 0..=17_u8,
            numbers in proptest::collection::vec(any::<u32>(), 1..60),
            repeated in any::<u32>(),
            step in 1..20_usize,
        ) {
            let mask = ((1_u64 << width) - 1) as u32;
            let numbers: Vec<_> = numbers.iter().map(|number| number & mask).collect();
            let mut page = vec![width];
            // Ten times one number, then each its own, filled up to groups of eight.
            page.push(20);
            page.extend(&(repeated & mask).to_le_bytes()[..usize::from(width).div_ceil(8)]);
            let groups = numbers.len().div_ceil(8);
            page.push(u8::try_from(groups << 1 | 1).unwrap());
            let mut bits = vec![0; groups * usize::from(width)];
            for (place, number) in numbers.iter().enumerate() {
                for bit in 0..usize::from(width) {
                    let at = place * usize::from(width) + bit;
                    bits[at / 8] |= u8::try_from(number >> bit & 1).unwrap() << (at % 8);
                }
            }
            page.extend(bits);
            let mut expected = vec![repeated & mask; 10];
            expected.extend(&numbers);
            let (mut places, mut read) = (Places::new(&page), Vec::new());
            while read.len() < expected.len() {
                let left = expected.len() - read.len();
                places.take(step.min(left), &mut read);
            }
            prop_assert_eq!(read, expected);
        }
    }
}
