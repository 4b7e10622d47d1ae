//! Runs of small numbers (the format's RLE/bit-packing hybrid) and of deltas, walked and not decoded: the Parquet reader
//! makes room for as many as their heads claim, and panics over runs that are longer than their page.

/// Why runs are not what they should be.
pub(super) type Refusal = &'static str;

/// Walks the definition levels of `values` values, each 0 (null) or 1; gives how many are not null.
pub(super) fn present(levels: &[u8], values: u32) -> Result<u32, Refusal> {
    let (mut rest, mut left, mut present) = (levels, u64::from(values), 0_u64);
    while left > 0 {
        let run = Run::next(&mut rest, 1)?;
        let count = run.count.min(left);
        present += match run.packed {
            None => match rest.split_first() {
                Some((level @ 0..=1, after)) => {
                    rest = after;
                    u64::from(*level) * count
                }
                Some(_) => return Err("a level is neither 0 nor 1"),
                None => return Err("its levels end too early"),
            },
            Some(bytes) => ones(bytes, count).ok_or("its levels end too early")?,
        };
        left -= count;
    }
    u32::try_from(present).map_err(|_| "it has too many values")
}

/// Checks that runs of numbers of `width` bits hold at least `values` of them, all below `limit`.
pub(super) fn check(runs: &[u8], width: u8, values: u32, limit: u32) -> Result<(), Refusal> {
    if width > 32 {
        return Err("its numbers have more than 32 bits");
    }
    let (mut rest, mut left) = (runs, u64::from(values));
    while left > 0 {
        let run = Run::next(&mut rest, width)?;
        let count = run.count.min(left);
        let greatest = match run.packed {
            None => {
                let (number, after) =
                    rest.split_at_checked(usize::from(width).div_ceil(8)).ok_or("its runs end too early")?;
                rest = after;
                number.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
            }
            Some(bytes) => greatest(bytes, width, count).ok_or("its runs end too early")?,
        };
        if greatest >= u64::from(limit) {
            return Err("it points beyond its dictionary");
        }
        left -= count;
    }
    Ok(())
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// Numbers in it.
    pub(super) count: u64,
    /// Their bits, when each has its own; the last run of a page may be cut after the numbers that are needed.
    pub(super) packed: Option<&'a [u8]>,
}

impl<'a> Run<'a> {
    pub(super) fn next(rest: &mut &'a [u8], width: u8) -> Result<Self, Refusal> {
        let head = varint(rest).ok_or("its runs end too early")?;
        let length = head >> 1;
        // The reader's own limit is 2^31 - 1; beyond it a head is damaged.
        if length == 0 || length > u64::from(u32::MAX >> 4) {
            return Err("it has a run of no possible length");
        }
        if head & 1 == 0 {
            return Ok(Self { count: length, packed: None });
        }
        let bytes = usize::try_from(length * u64::from(width)).unwrap_or(usize::MAX);
        let (packed, after) = rest.split_at(bytes.min(rest.len()));
        *rest = after;
        Ok(Self { count: length * 8, packed: Some(packed) })
    }
}

/// The ones among the first `count` bits; `None` when there are not as many bits.
fn ones(bytes: &[u8], count: u64) -> Option<u64> {
    let (whole, bits) = (usize::try_from(count / 8).ok()?, count % 8);
    let (full, rest) = bytes.split_at_checked(whole)?;
    let ones: u64 = full.iter().map(|byte| u64::from(byte.count_ones())).sum();
    if bits == 0 {
        return Some(ones);
    }
    Some(ones + u64::from((rest.first()? & ((1_u8 << bits) - 1)).count_ones()))
}

/// The greatest of the first `count` numbers of `width` bits; `None` when there are not as many.
fn greatest(bytes: &[u8], width: u8, count: u64) -> Option<u64> {
    let mut greatest = 0;
    let each = |number: u64| {
        greatest = greatest.max(number);
        Ok::<_, std::convert::Infallible>(())
    };
    unpack(bytes, width, count, each)?.ok()?;
    Some(greatest)
}

/// Gives each of the first `count` numbers of `width` bits, at most 32; `None` when there are not as many.
fn unpack<E>(
    bytes: &[u8],
    width: u8,
    count: u64,
    mut each: impl FnMut(u64) -> Result<(), E>,
) -> Option<Result<(), E>> {
    if count * u64::from(width) > bytes.len() as u64 * 8 {
        return None;
    }
    let (mut buffer, mut held) = (0_u64, 0_u8);
    let mut bytes = bytes.iter();
    let mask = (1_u64 << width) - 1;
    for _ in 0..count {
        while held < width {
            buffer |= u64::from(*bytes.next()?) << held;
            held += 8;
        }
        if let Err(error) = each(buffer & mask) {
            return Some(Err(error));
        }
        buffer >>= width;
        held -= width;
    }
    Some(Ok(()))
}

/// Numbers as deltas (DELTA_BINARY_PACKED), walked: how many their head claims, and the bytes after them.
pub(super) fn deltas(data: &[u8]) -> Result<(u64, &[u8]), Refusal> {
    let mut deltas = Deltas::new(data)?;
    while deltas.next_block()? {}
    Ok((deltas.total, deltas.rest))
}

/// `count` lengths as deltas, none of them below zero, and the bytes after them.
pub(super) fn lengths(data: &[u8], count: u32) -> Result<(Vec<u32>, &[u8]), Refusal> {
    let mut deltas = Deltas::new(data)?;
    if deltas.total != u64::from(count) {
        return Err("it has not as many lengths as values");
    }
    let mut length = deltas.first;
    let mut lengths = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut push = |length: i32| {
        lengths.push(u32::try_from(length).map_err(|_| "a length is below zero")?);
        Ok::<_, Refusal>(())
    };
    if count > 0 {
        push(length)?;
    }
    while deltas.next_block()? {
        let least = deltas.least;
        for (width, bytes, values) in &deltas.minis {
            if *width > 32 {
                return Err("its lengths have more than 32 bits");
            }
            let each = |delta: u64| {
                // Modulo 2^32, as the format has it.
                length = length.wrapping_add(least).wrapping_add((delta & 0xFFFF_FFFF) as u32 as i32);
                push(length)
            };
            unpack(bytes, *width, *values, each).ok_or(SHORT)??;
        }
    }
    Ok((lengths, deltas.rest))
}

const SHORT: Refusal = "its deltas end too early";

/// Blocks of deltas.
struct Deltas<'a> {
    rest: &'a [u8],
    total: u64,
    first: i32,
    minis_per_block: usize,
    values_per_mini: u64,
    left: u64,
    /// The least delta of the block that was passed last.
    least: i32,
    /// The parts of that block that hold needed values: the width of each, its bytes, and how many values.
    minis: Vec<(u8, &'a [u8], u64)>,
}

impl<'a> Deltas<'a> {
    fn new(data: &'a [u8]) -> Result<Self, Refusal> {
        /// Values of a block; writers use 128 or 256.
        const BLOCK_VALUES_MAX: u64 = 1 << 16;
        let mut rest = data;
        let mut head = || varint(&mut rest).ok_or(SHORT);
        let (block, minis, total, first) = (head()?, head()?, head()?, head()?);
        let sound = block > 0
            && block <= BLOCK_VALUES_MAX
            && block.is_multiple_of(128)
            && minis > 0
            && block.is_multiple_of(minis)
            && (block / minis).is_multiple_of(32);
        if !sound {
            return Err("its deltas come in blocks of no possible size");
        }
        Ok(Self {
            rest,
            total,
            first: zigzag(first),
            minis_per_block: usize::try_from(minis).map_err(|_| SHORT)?,
            values_per_mini: block / minis,
            left: total.saturating_sub(1),
            least: 0,
            minis: Vec::new(),
        })
    }

    /// Passes the next block; false when there is none.
    fn next_block(&mut self) -> Result<bool, Refusal> {
        if self.left == 0 {
            return Ok(false);
        }
        self.least = zigzag(varint(&mut self.rest).ok_or(SHORT)?);
        let (widths, after) = self.rest.split_at_checked(self.minis_per_block).ok_or(SHORT)?;
        self.rest = after;
        self.minis.clear();
        for width in widths {
            if self.left == 0 {
                // Parts that are not needed have no bytes, whatever their width.
                break;
            }
            if *width > 64 {
                return Err("its deltas have more than 64 bits");
            }
            let bytes = usize::try_from(u64::from(*width) * self.values_per_mini / 8).map_err(|_| SHORT)?;
            // The last part may be cut after the values that are needed.
            let (packed, after) = self.rest.split_at(bytes.min(self.rest.len()));
            self.rest = after;
            let values = self.left.min(self.values_per_mini);
            self.minis.push((*width, packed, values));
            self.left -= values;
        }
        Ok(true)
    }
}

/// The low 32 bits of a number with sign.
fn zigzag(value: u64) -> i32 {
    let value = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
    value as i32
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    // A first value of 64 bits takes a tenth byte.
    let (byte, after) = rest.split_first()?;
    *rest = after;
    (*byte < 2).then(|| value | (u64::from(*byte) << 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_and_never_beyond_their_page() {
        // Ten times 1; three 0, then eight bits of which five are needed.
        assert_eq!(present(&[20, 1], 10), Ok(10));
        assert_eq!(present(&[6, 0, 3, 0b1010_1010], 8), Ok(2));
        assert_eq!(present(&[6, 0, 3, 0b1010_1010], 11), Ok(4));
        assert_eq!(present(&[], 0), Ok(0));
        assert!(present(&[20, 1], 11).is_err());
        assert!(present(&[20, 2], 10).is_err());
        assert!(present(&[0, 1, 20, 1], 10).is_err());
        // What one bit makes of the run `14 01`: ten times eight packed levels, and one byte of them is there.
        assert_eq!(present(&[0x15, 1], 8), Ok(1));
        assert_eq!(present(&[0x15, 1], 10), Err("its levels end too early"));
    }

    #[test]
    fn indices_stay_within_their_dictionary() {
        assert_eq!(check(&[6, 2], 2, 3, 3), Ok(()));
        assert!(check(&[6, 3], 2, 3, 3).is_err());
        // 0, 1, 2, 3, … of two bits.
        assert_eq!(check(&[3, 0b1110_0100, 0b0001_1011], 2, 8, 4), Ok(()));
        assert!(check(&[3, 0b1110_0100, 0b0001_1011], 2, 8, 3).is_err());
        assert!(check(&[3, 0b1110_0100], 2, 8, 4).is_err());
        assert!(check(&[6, 2], 33, 3, 3).is_err());
        assert_eq!(check(&[6], 0, 3, 1), Ok(()));
        assert!(check(&[6], 0, 3, 0).is_err());
    }

    #[test]
    fn deltas_are_walked_to_their_end() {
        // 128 values a block in four; three values, the first 7; one block of one bit each.
        let mut data = vec![0x80, 1, 4, 3, 14, 2, 1, 0, 0, 0, 0xFF, 0, 0, 0, 9, 9];
        assert_eq!(deltas(&data), Ok((3, &[9, 9][..])));
        data[3] = 1;
        assert_eq!(deltas(&data).unwrap().0, 1);
        data[2] = 0;
        assert!(deltas(&data).is_err());
        // Lengths: 7, then a delta of 1 + 1 and one of 1 + 1.
        data[3] = 3;
        data[2] = 4;
        (data[3], data[10]) = (3, 0b11);
        assert_eq!(lengths(&data, 3), Ok((vec![7, 9, 11], &[9, 9][..])));
        assert!(lengths(&data, 2).is_err());
        // The first below zero.
        data[4] = 13;
        assert_eq!(lengths(&data, 3), Err("a length is below zero"));
        // A block of 2^63 values.
        let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1, 1, 0];
        assert!(deltas(&huge).is_err());
    }
}
