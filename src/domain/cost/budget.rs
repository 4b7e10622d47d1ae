//! Whether a month is going to cost more than it may, and when somebody is told.

use std::time::Duration;

use super::usage::{Day, KeptUsage, Measure};
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
    /// Of a process that begins at `now`, where it was told on `told` last: when on that day is not known, so it was at its end.
    pub fn resumed(told: Option<Day>, now: Instant) -> Self {
        Self { passed: false, told_at: told.map(|day| day.minus(-1).begins().min(now)) }
    }

    /// The last day on which it was told, as the ledger has it.
    pub fn told_on(kept: &[KeptUsage]) -> Option<Day> {
        let told = kept.iter().filter(|page| page.tally.shared.of(Measure::BudgetAlerts) > 0);
        told.map(|page| page.day).max()
    }

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

    #[test]
    fn a_restart_does_not_tell_again_what_was_told_on_that_day() {
        let at = |hours: u64| Instant::from_micros(0).plus(Duration::from_secs(hours * 3_600));
        // Told on the first day, at some hour; begun again at its twentieth.
        let mut watch = Watch::resumed(Some(Day(0)), at(20));
        assert_eq!(watch.step(16.0, 15.0, at(20)), Said::Nothing);
        assert!(watch.has_passed());
        assert_eq!(
            [watch.step(14.0, 15.0, at(21)), watch.step(16.0, 15.0, at(22))],
            [Said::Back, Said::Nothing]
        );
        // And two days later, when it is news.
        let mut watch = Watch::resumed(Some(Day(0)), at(49));
        assert_eq!(watch.step(16.0, 15.0, at(49)), Said::Passed);
        assert_eq!(Watch::resumed(None, at(49)).step(16.0, 15.0, at(49)), Said::Passed);
    }

    #[test]
    fn the_ledger_knows_when_it_was_told() {
        let page = |day, alerts| {
            let mut page = KeptUsage {
                day: Day(day),
                writer: "w".to_owned(),
                from: Instant::from_micros(0),
                tally: Default::default(),
            };
            page.tally.shared.add(Measure::BudgetAlerts, alerts);
            page
        };
        assert_eq!(Watch::told_on(&[page(1, 1), page(3, 1), page(4, 0)]), Some(Day(3)));
        assert_eq!(Watch::told_on(&[page(1, 0)]), None);
    }
}
