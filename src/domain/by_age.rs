//! What waits for one of a few places: the oldest first, whoever came first.

use std::collections::BTreeMap;

use super::instant::Instant;

/// What waits, each with the time of the oldest change in it, as far as one is known. Of those of one time, who came first.
#[derive(Clone, Debug)]
pub struct ByAge<T> {
    next: u64,
    waiting: BTreeMap<(Instant, u64), T>,
}

impl<T> Default for ByAge<T> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> ByAge<T> {
    /// One more waits, with changes from `oldest` on.
    pub fn push(&mut self, oldest: Instant, item: T) {
        self.waiting.insert((oldest, self.next), item);
        self.next = self.next.saturating_add(1);
    }

    /// Takes the oldest out.
    pub fn pop(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_oldest_goes_first_and_of_one_age_the_first(ages in proptest::collection::vec(0_i64..5, 0..30)) {
            let mut waiting = ByAge::default();
            for (came, age) in ages.iter().enumerate() {
                waiting.push(Instant::from_micros(*age), (*age, came));
            }
            let order: Vec<_> = std::iter::from_fn(|| waiting.pop()).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(order.len(), ages.len());
            prop_assert_eq!(order, sorted);
        }
    }
}
