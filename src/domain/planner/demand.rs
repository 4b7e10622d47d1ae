//! What comes for a table: how often, and how much.

use std::time::Duration;

use crate::domain::instant::Instant;

/// Files that come within this time of each other are one arrival.
const TOGETHER: Duration = Duration::from_secs(2);
/// But an arrival takes no longer than this.
const TOGETHER_MAX: Duration = Duration::from_secs(10);
/// The newest arrival counts for this share of the mean.
const NEWEST: f64 = 0.2;
/// A table that was silent for so many gaps speaks anew: nothing is known of its next gap.
const SILENT_GAPS: f64 = 10.0;

/// Means over the last arrivals.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// When the arrival in hand began, and when its last file came.
    last: Option<Instant>,
    last_file: Option<Instant>,
    /// Seconds from arrival to arrival.
    gap: Option<f64>,
    /// The last gap was a long silence.
    was_silent: bool,
    rows: f64,
    files: f64,
    /// Of the arrival in hand.
    rows_now: f64,
    files_now: f64,
}

impl Demand {
    /// A file of so many rows has come.
    pub(super) fn arrived(&mut self, rows: u64, at: Instant) {
        let since = self.last.map(|last| at.since(last));
        let is_one = self.last_file.is_some_and(|last| at.since(last) < TOGETHER);
        self.last_file = Some(at);
        if is_one && since.is_some_and(|since| since < TOGETHER_MAX) {
            self.rows_now += rows as f64;
            self.files_now += 1.0;
            return;
        }
        if let Some(since) = since {
            let mean = |old: f64, new: f64| old + NEWEST * (new - old);
            let since = since.as_secs_f64();
            let was_silent = self.gap.is_some_and(|gap| since > gap * SILENT_GAPS);
            self.gap = match self.gap {
                None => Some(since),
                // One long silence says nothing of the gaps after it; the second does.
                Some(gap) if was_silent && !self.was_silent => Some(gap),
                Some(gap) => Some(mean(gap, since.min(gap * SILENT_GAPS))),
            };
            self.was_silent = was_silent;
            let first = self.files == 0.0;
            self.rows = if first { self.rows_now } else { mean(self.rows, self.rows_now) };
            self.files = if first { self.files_now } else { mean(self.files, self.files_now) };
        }
        self.last = Some(at);
        (self.rows_now, self.files_now) = (rows as f64, 1.0);
    }

    /// The time from one arrival to the next; none when it is not known, or the table has been silent for long.
    pub(super) fn gap(&self, now: Instant) -> Option<Duration> {
        let gap = self.gap?;
        let silent = self.last.is_none_or(|last| now.since(last).as_secs_f64() > gap * SILENT_GAPS);
        (!silent).then(|| Duration::try_from_secs_f64(gap).unwrap_or(Duration::MAX))
    }

    /// Rows in a second, of a table that speaks.
    pub(super) fn rows_per_second(&self, now: Instant) -> f64 {
        let gap = self.gap(now).map_or(0.0, |gap| gap.as_secs_f64());
        if gap > 0.0 { self.rows.max(self.rows_now) / gap } else { 0.0 }
    }

    /// Files of so many arrivals.
    pub(super) fn files_of(&self, arrivals: usize) -> usize {
        ((arrivals as f64 * self.files.max(1.0)).ceil() as usize).max(1)
    }
}
