//! At what rate something may be done: a bucket of turns, refilled evenly.

use std::time::Duration;

/// A rate, and how much may be done at one time instead of evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Turns in a second; at least one.
    pub per_second: u32,
    /// Turns that were saved, at most; at least one.
    pub burst: u32,
}

impl Rate {
    /// The most that can be done in any span.
    pub fn most_within(self, span: Duration) -> u64 {
        let evenly = u128::from(self.per_second) * span.as_micros() / 1_000_000;
        u64::try_from(evenly).unwrap_or(u64::MAX).saturating_add(u64::from(self.burst))
    }
}

/// Turns that were given out. Times are those since it began.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    rate: Rate,
    /// When the turn would be whose turns before it were evenly taken (the theoretical arrival time of the generic cell rate algorithm).
    next: Duration,
}

impl Turns {
    /// Nothing was given out yet: a burst is saved.
    pub fn new(rate: Rate) -> Self {
        Self { rate, next: Duration::ZERO }
    }

    /// Takes a turn, and answers how long it is until it comes; none, and nothing is taken, where that is longer than `patience`.
    pub fn take(&mut self, now: Duration, patience: Duration) -> Option<Duration> {
        let each = Duration::from_secs(1) / self.rate.per_second.max(1);
        let saved = each * self.rate.burst.max(1).saturating_sub(1);
        let next = self.next.max(now);
        let wait = next.saturating_sub(now.saturating_add(saved));
        if wait > patience {
            return None;
        }
        self.next = next.saturating_add(each);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_saved_goes_at_once_and_the_rest_evenly() {
        let mut turns = Turns::new(Rate { per_second: 10, burst: 3 });
        let mut take = |now| turns.take(Duration::from_millis(now), Duration::from_secs(1));
        let waits: Vec<_> = (0..5).map(|_| take(0).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
        // Whoever would wait too long takes nothing.
        assert!((0..20).filter(|_| take(0).is_none()).count() == 12);
        assert_eq!(take(10_000), Some(Duration::ZERO));
    }

    proptest! {
        /// Whoever asks whenever he likes: in no span are there more turns than the rate has.
        #[test]
        fn no_span_has_more_turns_than_its_rate(
            gaps in prop::collection::vec(0_u64..200, 1..300),
            per_second in 1_u32..60,
            burst in 1_u32..60,
            span in 1_u64..5_000,
        ) {
            let rate = Rate { per_second, burst };
            let (mut turns, mut now, mut taken) = (Turns::new(rate), 0, Vec::new());
            for gap in gaps {
                now += gap;
                let at = Duration::from_millis(now);
                taken.extend(turns.take(at, Duration::from_secs(3_600)).map(|wait| at + wait));
            }
            taken.sort_unstable();
            let span = Duration::from_millis(span);
            for (index, first) in taken.iter().enumerate() {
                let within = taken[index..].iter().take_while(|at| **at - *first < span).count() as u64;
                prop_assert!(within <= rate.most_within(span) + 1, "{within} in {span:?}");
            }
        }
    }
}
