//! Whether a month is going to cost more than it may, and when somebody is told.

use std::time::Duration;

use crate::domain::instant::Instant;

/// Below this share of the budget a projection that was above it is back within: one that goes up and down around it does not tell each
/// time.
const BACK: f64 = 0.95;
/// Nobody is told more often.
const QUIET: Duration = Duration::from_secs(86_400);

/// What landbridge does beside telling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBudget {
    /// Nothing.
    #[default]
    Warn,
    /// Windows of tables that are not critical are as long as they may be.
    SlowDown,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// The projection has passed the budget.
    Passed,
    /// It is within it again.
    Back,
}

/// Who watches a budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    passed: bool,
    told_at: Option<Instant>,
}

impl Watch {
    /// The month is projected to so many dollars, and may cost `budget`.
    pub fn step(&mut self, projected: f64, budget: f64, now: Instant) -> Said {
        let was = self.passed;
        self.passed = if was { projected >= budget * BACK } else { projected > budget };
        match (was, self.passed) {
            (false, true) if self.told_at.is_none_or(|at| now.since(at) >= QUIET) => {
                self.told_at = Some(now);
                Said::Passed
            }
            (true, false) => Said::Back,
            (false, _) | (true, true) => Said::Nothing,
        }
    }

    /// True while the projection is above the budget.
    pub fn has_passed(&self) -> bool {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_around_its_budget_is_told_once_a_day() {
        let mut watch = Watch::default();
        let at = |hours: u64| Instant::from_micros(0).plus(Duration::from_secs(hours * 3_600));
        let said: Vec<_> =
            [(14.9, 0), (15.1, 1), (14.9, 2), (16.0, 3), (14.0, 4), (15.5, 5), (14.0, 26), (15.5, 27)]
                .into_iter()
                .map(|(projected, hours)| watch.step(projected, 15.0, at(hours)))
                .collect();
        use Said::{Back, Nothing, Passed};
        assert_eq!(said, [Nothing, Passed, Nothing, Nothing, Back, Nothing, Back, Passed]);
        assert!(watch.has_passed());
    }
}
