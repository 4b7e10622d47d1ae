//! A row of bits, the first in the lowest place of the first byte: definition levels, and the values of a BOOLEAN column.

/// Bits that are appended, read in order and written as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    /// What is beyond `length` in the last byte is 0.
    bytes: Vec<u8>,
    length: usize,
    ones: usize,
}

impl Bits {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many of them are 1.
    pub(super) fn ones(&self) -> usize {
        self.ones
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.length, self.ones) = (0, 0);
    }

    /// The same bit, `count` times.
    pub(super) fn push_run(&mut self, bit: bool, count: usize) {
        let end = self.length.saturating_add(count);
        if bit {
            self.ones = self.ones.saturating_add(count);
            let used = self.length % 8;
            if used > 0
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 0xFF << used;
            }
            self.bytes.resize(end.div_ceil(8), 0xFF);
            self.clear_beyond(end);
        } else {
            self.bytes.resize(end.div_ceil(8), 0);
        }
        self.length = end;
    }

    /// The first `count` bits of `packed`; those that are not there are 0.
    pub(super) fn push_packed(&mut self, packed: &[u8], count: usize) {
        let end = self.length.saturating_add(count);
        let used = self.length % 8;
        let needed = packed.get(..count.div_ceil(8)).unwrap_or(packed);
        if used == 0 {
            self.bytes.extend_from_slice(needed);
        } else {
            let mut carried = self.bytes.pop().unwrap_or(0);
            for byte in needed {
                self.bytes.push(carried | (byte << used));
                carried = byte >> (8 - used);
            }
            self.bytes.push(carried);
        }
        self.bytes.resize(end.div_ceil(8), 0);
        self.clear_beyond(end);
        self.ones += ones(packed, count);
        self.length = end;
    }

    /// All bits of `other`.
    pub(super) fn push_all(&mut self, other: &Self) {
        if other.ones == other.length {
            self.push_run(true, other.length);
        } else {
            self.push_packed(&other.bytes, other.length);
        }
    }

    fn clear_beyond(&mut self, end: usize) {
        let used = end % 8;
        if used > 0
            && let Some(last) = self.bytes.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    /// One bit.
    pub(super) fn push(&mut self, bit: bool) {
        let place = self.length % 8;
        if place == 0 {
            self.bytes.push(u8::from(bit));
        } else if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << place;
        }
        self.length += 1;
        self.ones += usize::from(bit);
    }

    /// The bit at `place`; 0 beyond the last.
    pub(super) fn get(&self, place: usize) -> bool {
        self.bytes.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    }

    /// The bits, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        let each = |byte: &u8| {
            let byte = *byte;
            (0..8).map(move |place| byte >> place & 1 == 1)
        };
        self.bytes.iter().flat_map(each).take(self.length)
    }
}

/// The ones among the first `count` bits.
fn ones(packed: &[u8], count: usize) -> usize {
    let (full, rest) = packed.split_at_checked(count / 8).unwrap_or((packed, &[]));
    let ones: usize = full.iter().map(|byte| byte.count_ones() as usize).sum();
    let last = rest.first().map_or(0, |byte| byte & ((1 << (count % 8)) - 1));
    ones + last.count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Push {
        One(bool),
        Run(bool, usize),
        Packed(Vec<u8>, usize),
    }

    fn pushes() -> impl Strategy<Value = Vec<Push>> {
        let packed = proptest::collection::vec(any::<u8>(), 0..5).prop_flat_map(|bytes| {
            let most = bytes.len() * 8;
            (Just(bytes), 0..=most).prop_map(|(bytes, count)| Push::Packed(bytes, count))
        });
        let one = any::<bool>().prop_map(Push::One);
        let run = (any::<bool>(), 0..30_usize).prop_map(|(bit, count)| Push::Run(bit, count));
        proptest::collection::vec(prop_oneof![one, run, packed], 0..20)
    }

    proptest! {
        #[test]
        fn what_was_pushed_is_there(pushes in pushes()) {
            let (mut bits, mut expected) = (Bits::default(), Vec::new());
            for push in &pushes {
                match push {
                    Push::One(bit) => {
                        bits.push(*bit);
                        expected.push(*bit);
                    }
                    Push::Run(bit, count) => {
                        bits.push_run(*bit, *count);
                        expected.extend(vec![*bit; *count]);
                    }
                    Push::Packed(bytes, count) => {
                        bits.push_packed(bytes, *count);
                        expected.extend((0..*count).map(|place| bytes[place / 8] >> (place % 8) & 1 == 1));
                    }
                }
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(bits.ones(), expected.iter().filter(|bit| **bit).count());
            prop_assert_eq!(bits.bytes().len(), expected.len().div_ceil(8));
            let mut twice = bits.clone();
            twice.push_all(&bits);
            prop_assert_eq!(twice.iter().collect::<Vec<_>>(), [expected.clone(), expected].concat());
        }
    }
}
