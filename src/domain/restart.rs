//! When a child that ended starts again, and when it does not.

use std::collections::VecDeque;
use std::time::Duration;

use super::instant::Instant;

/// The delay after the first crash.
pub const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// Crashes older than this are forgotten.
pub const MEMORY: Duration = Duration::from_secs(600);
/// The crash within `MEMORY` that spends the budget.
pub const CRASHES_MAX: usize = 5;

/// What happens when a child's budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The table is quarantined.
    Quarantine,
    /// It goes on trying, at the longest delay.
    KeepTrying,
    /// The process ends.
    Escalate,
}

/// What to do about a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this delay.
    RestartAfter(Duration),
    /// Stop its table until someone resumes it.
    Quarantine,
    /// End the process.
    Escalate,
}

/// The crashes of one child, or of one table (its batcher and its deliveries together).
#[derive(Clone, Debug)]
pub struct Budget {
    spent: Spent,
    crashes: VecDeque<Instant>,
}

impl Budget {
    /// A fresh budget.
    pub fn new(spent: Spent) -> Self {
        Self { spent, crashes: VecDeque::new() }
    }

    /// Counts a crash and decides. `jitter` from 0 to 1 spreads the delay over its upper half, so that tables which
    /// fell together do not rise together.
    pub fn on_crash(&mut self, now: Instant, jitter: f64) -> Decision {
        self.crashes.retain(|crash| now.since(*crash) < MEMORY);
        self.crashes.push_back(now);
        let crashes = self.crashes.len();
        if crashes < CRASHES_MAX {
            let doublings = u32::try_from(crashes.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
            let full = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_DELAY);
            return Decision::RestartAfter(full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)));
        }
        match self.spent {
            Spent::Quarantine => Decision::Quarantine,
            Spent::KeepTrying => {
                self.crashes.truncate(CRASHES_MAX);
                Decision::RestartAfter(LONGEST_DELAY)
            }
            Spent::Escalate => Decision::Escalate,
        }
    }

    /// Forgets all crashes: an admin resumed the table.
    pub fn reset(&mut self) {
        self.crashes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn delays_double_and_the_fifth_crash_quarantines() {
        let mut budget = Budget::new(Spent::Quarantine);
        let decisions: Vec<_> = (0..5).map(|n| budget.on_crash(at(n * 10), 1.0)).collect();
        let restart = |seconds| Decision::RestartAfter(Duration::from_secs(seconds));
        assert_eq!(decisions, [restart(1), restart(2), restart(4), restart(8), Decision::Quarantine]);
    }

    #[test]
    fn ten_quiet_minutes_forgive() {
        let mut budget = Budget::new(Spent::Escalate);
        for n in 0..4 {
            budget.on_crash(at(n), 1.0);
        }
        assert_eq!(budget.on_crash(at(700), 1.0), Decision::RestartAfter(FIRST_DELAY));
    }

    #[test]
    fn a_poller_never_gives_up() {
        let mut budget = Budget::new(Spent::KeepTrying);
        let last = (0..50).map(|n| budget.on_crash(at(n), 0.3)).last();
        assert_eq!(last, Some(Decision::RestartAfter(LONGEST_DELAY)));
    }

    #[test]
    fn a_reset_budget_starts_over() {
        let mut budget = Budget::new(Spent::Quarantine);
        for n in 0..5 {
            budget.on_crash(at(n), 1.0);
        }
        budget.reset();
        assert_eq!(budget.on_crash(at(6), 0.0), Decision::RestartAfter(FIRST_DELAY / 2));
    }
}
