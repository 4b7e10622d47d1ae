//! The values of a page, checked before a decoder sees them: as many as the page states, no fewer and no more, and
//! nothing that a decoder would panic over, or make gigabytes of.

use parquet::basic::{Encoding, Type as Physical};

use super::runs;
use crate::columns::values::byte_arrays;

/// Why values are not what they should be: lower case, about the page.
pub(super) type Refusal = String;

/// A column's type, as far as its values' bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::columns) struct Shape {
    pub(in crate::columns) physical: Physical,
    /// Bytes of a FIXED_LEN_BYTE_ARRAY; 0 for all others.
    pub(in crate::columns) fixed_bytes: usize,
}

impl Shape {
    /// Bytes of each value; `None` when each has its own length.
    pub(in crate::columns) fn width(self) -> Option<usize> {
        match self.physical {
            Physical::BOOLEAN | Physical::BYTE_ARRAY => None,
            Physical::INT32 | Physical::FLOAT => Some(4),
            Physical::INT64 | Physical::DOUBLE => Some(8),
            Physical::INT96 => Some(12),
            Physical::FIXED_LEN_BYTE_ARRAY => Some(self.fixed_bytes),
        }
    }

    /// Bytes that the first `count` values of `values`, which were checked, have in a PLAIN page.
    pub(in crate::columns) fn bytes_of(self, values: &[u8], count: usize) -> usize {
        match (self.physical, self.width()) {
            (Physical::BOOLEAN, _) => count.div_ceil(8),
            (_, Some(width)) => count.saturating_mul(width),
            (_, None) => byte_arrays(values).take(count).map(|value| value.len() + size_of::<u32>()).sum(),
        }
    }

    /// Checks a dictionary of `count` values.
    pub(super) fn check_dictionary(
        self,
        encoding: Encoding,
        data: &[u8],
        count: u32,
    ) -> Result<Dictionary, Refusal> {
        if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY)
            || self.physical == Physical::BOOLEAN
        {
            return Err(format!(
                "a dictionary of {} values encoded by {encoding} is not read",
                self.physical
            ));
        }
        let longest_bytes = self.check_plain(data, count)?;
        Ok(Dictionary { count, longest_bytes })
    }

    /// Checks `present` values (those that are not null) that are stored in `data`.
    pub(super) fn check(
        self,
        encoding: Encoding,
        data: &[u8],
        present: u32,
        dictionary: Option<Dictionary>,
    ) -> Result<(), Refusal> {
        let is_int = matches!(self.physical, Physical::INT32 | Physical::INT64);
        match (encoding, self.physical) {
            (Encoding::PLAIN, _) => self.check_plain(data, present).map(|_| ()),
            (Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY, _) => {
                let dictionary = dictionary.ok_or("it points into a dictionary, and none is there")?;
                let Some((width, indices)) = data.split_first() else {
                    return if present == 0 { Ok(()) } else { Err("it has no values".to_owned()) };
                };
                Ok(runs::check(indices, *width, present, dictionary.count)?)
            }
            (Encoding::DELTA_BINARY_PACKED, _) if is_int => same(runs::deltas(data)?.0, present),
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, Physical::BYTE_ARRAY) => {
                let (lengths, bytes) = runs::lengths(data, present)?;
                check_sum(&lengths, bytes)
            }
            (Encoding::DELTA_BYTE_ARRAY, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
                let (prefixes, suffixes) = runs::lengths(data, present)?;
                let (suffixes, bytes) = runs::lengths(suffixes, present)?;
                check_prefixes(&prefixes, &suffixes)?;
                check_sum(&suffixes, bytes)
            }
            (Encoding::BYTE_STREAM_SPLIT, physical)
                if physical != Physical::INT96 && self.width().is_some() =>
            {
                self.check_plain(data, present).map(|_| ())
            }
            (Encoding::RLE, Physical::BOOLEAN) => {
                let (length, rest) = data.split_first_chunk::<4>().ok_or("it has no values")?;
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let (runs, _) = rest.split_at_checked(length).ok_or("its runs are longer than the page")?;
                Ok(runs::check(runs, 1, present, 2)?)
            }
            (encoding, physical) => Err(format!("{physical} values encoded by {encoding} are not read")),
        }
    }

    /// Checks that `data` is `count` values and nothing else; gives the bytes of the longest.
    fn check_plain(self, data: &[u8], count: u32) -> Result<usize, Refusal> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let wanted = match (self.physical, self.width()) {
            (Physical::BYTE_ARRAY, _) => return check_byte_arrays(data, count),
            (_, Some(width)) => count.checked_mul(width),
            (_, None) => Some(count.div_ceil(8)),
        };
        if wanted == Some(data.len()) {
            return Ok(self.width().unwrap_or(1));
        }
        Err(format!("its {} bytes are not the {count} values that it states", data.len()))
    }
}

/// What is known of a column's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dictionary {
    pub(super) count: u32,
    pub(super) longest_bytes: usize,
}

fn same(stored: u64, stated: u32) -> Result<(), Refusal> {
    if stored == u64::from(stated) {
        return Ok(());
    }
    Err(format!("it holds {stored} values and not the {stated} that it states"))
}

/// The lengths must be those of all bytes.
fn check_sum(lengths: &[u32], bytes: &[u8]) -> Result<(), Refusal> {
    let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    if sum == bytes.len() as u64 {
        return Ok(());
    }
    Err(format!("its values are {sum} bytes long, and {} are there", bytes.len()))
}

/// What a value shares with the one before cannot be more than that has.
fn check_prefixes(prefixes: &[u32], suffixes: &[u32]) -> Result<(), Refusal> {
    let mut length = 0;
    for (prefix, suffix) in prefixes.iter().zip(suffixes) {
        if u64::from(*prefix) > length {
            return Err("a value shares more with the one before than that has".to_owned());
        }
        length = u64::from(*prefix) + u64::from(*suffix);
    }
    Ok(())
}

/// Lengths of four bytes, each before its value.
fn check_byte_arrays(data: &[u8], count: usize) -> Result<usize, Refusal> {
    let (mut rest, mut longest) = (data, 0);
    for _ in 0..count {
        let after = rest.split_first_chunk::<4>().and_then(|(length, after)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            longest = longest.max(length);
            after.get(length..)
        });
        rest = after.ok_or("a value reaches beyond the page")?;
    }
    if rest.is_empty() {
        return Ok(longest);
    }
    Err(format!("{} bytes of it belong to none of its {count} values", rest.len()))
}
