//! BigQuery, as far as a forecast needs it: job times, failures, and quotas counted to the letter.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::domain::instant::Instant;
use crate::domain::planner::{DAY, Quotas};

/// A quantile of the standard normal distribution: the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_7;

/// Jobs, as they were submitted.
pub(super) struct Warehouse {
    quotas: Quotas,
    jobs: VecDeque<Instant>,
    by_table: Vec<VecDeque<Instant>>,
    seconds: (f64, f64),
    failures: f64,
    pub(super) most_jobs: u64,
    pub(super) most_modifications: u64,
    pub(super) refused: u64,
}

/// What becomes of a job.
pub(super) enum Job {
    /// It is done after this time; a failed one, too.
    Runs { time: Duration, fails: bool },
    /// A quota is used up.
    Refused,
}

impl Warehouse {
    pub(super) fn new(quotas: Quotas, tables: usize, seconds: (f64, f64), failures: f64) -> Self {
        Self {
            quotas,
            jobs: VecDeque::new(),
            by_table: vec![VecDeque::new(); tables],
            seconds,
            failures,
            most_jobs: 0,
            most_modifications: 0,
            refused: 0,
        }
    }

    /// Jobs of the last day.
    pub(super) fn used(&mut self, now: Instant) -> u64 {
        forget(&mut self.jobs, now);
        self.jobs.len() as u64
    }

    /// Submits a job that loads into one partition. One that a quota refuses is a failed job, and counts.
    pub(super) fn submit(&mut self, table: usize, now: Instant, chance: &mut SmallRng) -> Job {
        let used = counted(&mut self.jobs, now);
        let modified = self.by_table.get_mut(table).map_or(0, |jobs| counted(jobs, now));
        self.most_jobs = self.most_jobs.max(used);
        self.most_modifications = self.most_modifications.max(modified);
        if used > self.quotas.jobs_per_day || modified > self.quotas.modifications_per_table_and_day {
            self.refused += 1;
            return Job::Refused;
        }
        let (median, p95) = self.seconds;
        let seconds = median * ((p95 / median).ln() / Z95 * normal(chance)).exp();
        Job::Runs { time: Duration::from_secs_f64(seconds), fails: chance.random_bool(self.failures) }
    }
}

/// Counts one more, and what is younger than a day.
fn counted(jobs: &mut VecDeque<Instant>, now: Instant) -> u64 {
    jobs.push_back(now);
    forget(jobs, now);
    jobs.len() as u64
}

fn forget(jobs: &mut VecDeque<Instant>, now: Instant) {
    while jobs.front().is_some_and(|job| job.plus(DAY) <= now) {
        jobs.pop_front();
    }
}

/// A draw of the standard normal distribution (Box and Muller, 1958).
fn normal(chance: &mut SmallRng) -> f64 {
    let first: f64 = chance.random_range(f64::MIN_POSITIVE..1.0);
    let second: f64 = chance.random_range(0.0..1.0);
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}
