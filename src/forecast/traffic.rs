//! When files come, and how many rows they have.

use std::f64::consts::TAU;
use std::time::Duration;

use super::Scenario;

const HOUR: f64 = 3_600.0;

/// An hour, or so, of more rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// The table's place in the scenario.
    pub table: usize,
    /// Hours after the start.
    pub from_hour: f64,
    /// Hours that it lasts.
    pub hours: f64,
    /// How many times the rows.
    pub factor: f64,
}

/// The rows of each of `tables` tables of which all have `rows`, by a Zipf law.
pub fn zipf(tables: usize, exponent: f64, rows: f64) -> Vec<f64> {
    let weights: Vec<_> = (1..=tables).map(|rank| (rank as f64).powf(-exponent)).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| rows * weight / sum).collect()
}

impl Scenario {
    /// Rows of a table that are committed within an interval that ends so many seconds after the start.
    pub(super) fn rows(&self, table: usize, end: f64, interval: Duration) -> f64 {
        let Some(of_day) = self.tables.get(table).map(|table| table.rows_per_day) else { return 0.0 };
        let middle = end - interval.as_secs_f64() / 2.0;
        // The quietest hour is the fourth.
        let swing = (self.peak_to_trough - 1.0) / (self.peak_to_trough + 1.0);
        let curve = 1.0 - swing * (TAU * (middle / HOUR - 4.0) / 24.0).cos();
        let burst: f64 = self
            .bursts
            .iter()
            .filter(|burst| burst.table == table)
            .filter(|burst| (burst.from_hour..burst.from_hour + burst.hours).contains(&(middle / HOUR)))
            .map(|burst| burst.factor)
            .product();
        of_day * interval.as_secs_f64() / 86_400.0 * curve * burst
    }
}
