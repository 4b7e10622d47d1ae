//! Wall-clock instants as the domain sees them: microseconds since the Unix epoch, always UTC.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A moment in UTC, in microseconds since the Unix epoch (the resolution of a BigQuery TIMESTAMP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant {
    micros: i64,
}

impl Instant {
    /// The instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// Seconds since the Unix epoch, with fractions, as Prometheus timestamps are.
    pub fn seconds(self) -> f64 {
        self.micros as f64 / 1e6
    }

    /// This instant moved later by `duration`; saturates at the end of time.
    pub fn plus(self, duration: Duration) -> Self {
        Self { micros: self.micros.saturating_add(micros_of(duration)) }
    }

    /// This instant moved earlier by `duration`; saturates at the beginning of time.
    pub fn minus(self, duration: Duration) -> Self {
        Self { micros: self.micros.saturating_sub(micros_of(duration)) }
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.micros.saturating_sub(earlier.micros);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// How long it is until `later`; zero when it has passed.
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }

    /// `yyyymmddThhmmss`, the part of a job id that people read.
    pub fn compact(self) -> String {
        self.format("%Y%m%dT%H%M%S")
    }

    /// `yyyy-mm-dd`, the partition of a claim.
    pub fn date(self) -> String {
        self.format("%Y-%m-%d")
    }

    /// The time of day in UTC, `hh:mm:ss`.
    pub fn time_of_day(self) -> String {
        self.format("%H:%M:%S")
    }

    /// Reads what `rfc3339` writes, and any other offset; `None` for anything else.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self::from_micros(parsed.timestamp_micros()))
    }

    /// RFC 3339 with milliseconds and `Z`.
    pub fn rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    }

    /// The same with microseconds, as BigQuery keeps them.
    pub fn rfc3339_micros(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.6fZ")
    }

    fn format(self, pattern: &str) -> String {
        DateTime::<Utc>::from_timestamp_micros(self.micros).unwrap_or_default().format(pattern).to_string()
    }
}

fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_utc() {
        let instant = Instant::from_micros(1_763_856_000_123_456);
        assert_eq!(instant.compact(), "20251123T000000");
        assert_eq!(instant.date(), "2025-11-23");
        assert_eq!(instant.rfc3339(), "2025-11-23T00:00:00.123Z");
    }

    #[test]
    fn differences_never_go_below_zero() {
        let (early, late) = (Instant::from_micros(1), Instant::from_micros(3_000_001));
        assert_eq!(late.since(early), Duration::from_secs(3));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.until(late), Duration::from_secs(3));
        assert_eq!(early.plus(Duration::MAX).micros(), i64::MAX);
    }
}
