//! How old rows are when they can be queried.

use std::time::Duration;

/// The grain of the histogram.
const GRAIN: Duration = Duration::from_millis(100);
/// Two hours; what is older is counted as that.
const GRAINS: usize = 72_000;

/// A distribution of ages, weighed by rows.
#[derive(Clone, Debug, Default)]
pub struct Freshness {
    weights: Vec<f64>,
    total: f64,
}

impl Freshness {
    /// So many rows were this old.
    pub(super) fn add(&mut self, age: Duration, rows: f64) {
        let place = usize::try_from(age.as_micros() / GRAIN.as_micros()).unwrap_or(GRAINS).min(GRAINS - 1);
        if self.weights.len() <= place {
            self.weights.resize(place + 1, 0.0);
        }
        if let Some(weight) = self.weights.get_mut(place) {
            *weight += rows;
            self.total += rows;
        }
    }

    /// The age in seconds that this share of the rows does not exceed; none of nothing.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let wanted = self.total * share;
        let mut sum = 0.0;
        let place = self.weights.iter().position(|weight| {
            sum += weight;
            *weight > 0.0 && sum >= wanted * (1.0 - 1e-12)
        })?;
        Some((place + 1) as f64 * GRAIN.as_secs_f64())
    }

    /// The rows.
    pub fn rows(&self) -> f64 {
        self.total
    }
}
