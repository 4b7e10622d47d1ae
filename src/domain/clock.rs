//! The port to wall time. Durations come from tokio's clock; this is for the times that are written down.

use super::instant::Instant;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> Instant;
}
