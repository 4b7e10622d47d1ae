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
struct Run<'a> {
    /// Numbers in it.
    count: u64,
    /// Their bits, when each has its own; the last run of a page may be cut after the numbers that are needed.
    packed: Option<&'a [u8]>,
}

impl<'a> Run<'a> {
    fn next(rest: &mut &'a [u8], width: u8) -> Result<Self, Refusal> {
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
    if count * u64::from(width) > bytes.len() as u64 * 8 {
        return None;
    }
    let (mut greatest, mut buffer, mut held) = (0, 0_u64, 0_u8);
    let mut bytes = bytes.iter();
    let mask = (1_u64 << width) - 1;
    for _ in 0..count {
        while held < width {
            buffer |= u64::from(*bytes.next()?) << held;
            held += 8;
        }
        greatest = greatest.max(buffer & mask);
        buffer >>= width;
        held -= width;
    }
    Some(greatest)
}

/// Numbers as deltas (DELTA_BINARY_PACKED), walked: how many their head claims, and the bytes after them.
pub(super) fn deltas(data: &[u8]) -> Result<(u64, &[u8]), Refusal> {
    /// Values of a block; writers use 128 or 256.
    const BLOCK_VALUES_MAX: u64 = 1 << 16;
    const SHORT: Refusal = "its deltas end too early";
    let mut rest = data;
    let mut head = || varint(&mut rest).ok_or(SHORT);
    let (block, minis, total) = (head()?, head()?, head()?);
    head()?;
    let sound = block > 0
        && block <= BLOCK_VALUES_MAX
        && block.is_multiple_of(128)
        && minis > 0
        && block.is_multiple_of(minis)
        && (block / minis).is_multiple_of(32);
    if !sound {
        return Err("its deltas come in blocks of no possible size");
    }
    let mini = block / minis;
    let mut left = total.saturating_sub(1);
    while left > 0 {
        varint(&mut rest).ok_or(SHORT)?;
        let (widths, after) =
            rest.split_at_checked(usize::try_from(minis).map_err(|_| SHORT)?).ok_or(SHORT)?;
        rest = after;
        for width in widths {
            if left == 0 {
                // Blocks that are not needed have no bytes, whatever their width.
                break;
            }
            if *width > 64 {
                return Err("its deltas have more than 64 bits");
            }
            let bytes = usize::try_from(u64::from(*width) * mini / 8).map_err(|_| SHORT)?;
            // The last block may be cut after the values that are needed.
            let (_, after) = rest.split_at(bytes.min(rest.len()));
            rest = after;
            left = left.saturating_sub(mini);
        }
    }
    Ok((total, rest))
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
        // A block of 2^63 values.
        let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1, 1, 0];
        assert!(deltas(&huge).is_err());
    }
}
