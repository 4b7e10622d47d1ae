//! How fast a receiver is told, or one table's notices to it: all that may go while they are taken, one after the other with growing
//! waits while they are not.

use std::time::Duration;

use super::IN_FLIGHT_MAX;
use crate::domain::instant::Instant;

/// The wait after the first failure of a receiver; each next one is twice as long, up to `LONGEST`.
const FIRST: Duration = Duration::from_millis(500);
/// See `FIRST`. Also how late it is known at most that a receiver is back.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(600);
/// The wait after the first failure of a notice that others need not wait for, and the longest.
const NOTICE_FIRST: Duration = Duration::from_secs(1);
/// See `NOTICE_FIRST`.
const NOTICE_LONGEST: Duration = Duration::from_secs(300);

/// The pace of one receiver, or of one table's notices to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// Failures since it took one.
    failures: u32,
    failing_since: Option<Instant>,
    problem: String,
    paused_until: Option<Instant>,
}

impl Pace {
    /// It took a notice.
    pub(super) fn took(&mut self) {
        *self = Self::default();
    }

    /// It did not; it may have asked for a wait.
    pub(super) fn failed(&mut self, now: Instant, jitter: f64, asked: Option<Duration>, problem: &str) {
        self.failures = self.failures.saturating_add(1);
        self.noted(now, problem);
        let own = spread(doubled(FIRST, self.failures, LONGEST), jitter);
        let wait = asked.map_or(own, |asked| asked.min(ASKED_MAX).max(own));
        // What was on its way at the same time may have been answered otherwise: the longest wait holds.
        let until = now.plus(wait);
        self.paused_until = Some(self.paused_until.map_or(until, |earlier| earlier.max(until)));
    }

    /// It did not take this one; others may go.
    pub(super) fn noted(&mut self, now: Instant, problem: &str) {
        self.failing_since = self.failing_since.or(Some(now));
        problem.clone_into(&mut self.problem);
    }

    /// How many may be on their way.
    pub(super) fn at_once(&self, now: Instant) -> usize {
        match self.paused_until {
            None => IN_FLIGHT_MAX,
            Some(until) if until > now => 0,
            Some(_) => 1,
        }
    }

    /// When the next may go, where one has to wait.
    pub(super) fn resumes_at(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Since when it has taken none, and what it answered last.
    pub(super) fn failing(&self) -> Option<(Instant, String)> {
        self.failing_since.map(|since| (since, self.problem.clone()))
    }
}

/// The wait of a notice that has failed so often.
pub(super) fn of_a_notice(tries: u32, jitter: f64) -> Duration {
    spread(doubled(NOTICE_FIRST, tries, NOTICE_LONGEST), jitter)
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let doublings = times.saturating_sub(1).min(16);
    first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest)
}

/// Over its upper half.
fn spread(full: Duration, jitter: f64) -> Duration {
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_what_is_asked_for_is_kept_within_one() {
        let at = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
        let mut pace = Pace::default();
        assert_eq!(pace.at_once(at(0)), IN_FLIGHT_MAX);
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let mut next = pace.clone();
            next.paused_until = None;
            next.failed(at(0), 1.0, None, "gone");
            let wait = next.resumes_at().unwrap().since(at(0));
            assert!(wait >= last && wait <= LONGEST);
            (pace, last) = (next, wait);
        }
        assert_eq!(last, LONGEST);
        assert_eq!((pace.at_once(at(59)), pace.at_once(at(60))), (0, 1));
        pace.failed(at(60), 0.0, Some(Duration::from_secs(120)), "busy");
        assert_eq!(pace.resumes_at(), Some(at(180)));
        pace.failed(at(60), 0.0, Some(Duration::from_secs(86_400)), "busy");
        assert_eq!(pace.resumes_at(), Some(at(660)));
        assert_eq!(pace.failing(), Some((at(0), "busy".to_owned())));
        pace.took();
        assert_eq!((pace.at_once(at(60)), pace.failing()), (IN_FLIGHT_MAX, None));
    }

    #[test]
    fn a_notice_waits_from_a_second_to_five_minutes() {
        assert_eq!(of_a_notice(1, 1.0), NOTICE_FIRST);
        assert_eq!(of_a_notice(1, 0.0), NOTICE_FIRST / 2);
        assert_eq!(of_a_notice(u32::MAX, 7.0), NOTICE_LONGEST);
    }
}
