//! BigQuery, as far as a forecast needs it: job times, failures, and quotas counted to the letter.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::Scenario;
use crate::domain::instant::Instant;
use crate::domain::planner::{DAY, Quotas};

/// The span of the quota of streams.
const HOUR: Duration = Duration::from_secs(3_600);
/// A quantile of the standard normal distribution: the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_7;

/// Jobs, as they were submitted.
pub(super) struct Warehouse {
    quotas: Quotas,
    jobs: VecDeque<Instant>,
    by_table: Vec<VecDeque<Instant>>,
    streams: VecDeque<Instant>,
    seconds: (f64, f64),
    stream_seconds: (f64, f64),
    failures: f64,
    pub(super) most_streams: u64,
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
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            quotas: scenario.quotas,
            jobs: VecDeque::new(),
            by_table: vec![VecDeque::new(); scenario.tables.len()],
            streams: VecDeque::new(),
            seconds: scenario.job_seconds,
            stream_seconds: scenario.stream_seconds,
            failures: scenario.job_failures,
            most_streams: 0,
            most_jobs: 0,
            most_modifications: 0,
            refused: 0,
        }
    }

    /// Jobs of the last day.
    pub(super) fn used(&mut self, now: Instant) -> u64 {
        forget(&mut self.jobs, DAY, now);
        self.jobs.len() as u64
    }

    /// Makes a stream; none when a quota is used up. Answers how long it takes until its rows are in the table.
    pub(super) fn stream(&mut self, now: Instant, chance: &mut SmallRng) -> Option<Duration> {
        let used = counted(&mut self.streams, HOUR, now);
        self.most_streams = self.most_streams.max(used);
        if used > self.quotas.streams_per_hour {
            self.refused += 1;
            return None;
        }
        Some(lognormal(self.stream_seconds, chance))
    }

    /// Submits a job that loads nothing, and counts.
    pub(super) fn submit_nothing(&mut self, table: usize, now: Instant) {
        self.counted(table, now);
    }

    /// Submits a job that loads into one partition. One that a quota refuses is a failed job, and counts.
    pub(super) fn submit(&mut self, table: usize, now: Instant, chance: &mut SmallRng) -> Job {
        if self.counted(table, now) {
            return Job::Refused;
        }
        let time = lognormal(self.seconds, chance);
        Job::Runs { time, fails: chance.random_bool(self.failures) }
    }
}

impl Warehouse {
    /// Counts a job. True when a quota refuses it.
    fn counted(&mut self, table: usize, now: Instant) -> bool {
        let used = counted(&mut self.jobs, DAY, now);
        let modified = self.by_table.get_mut(table).map_or(0, |jobs| counted(jobs, DAY, now));
        self.most_jobs = self.most_jobs.max(used);
        self.most_modifications = self.most_modifications.max(modified);
        let is_refused =
            used > self.quotas.jobs_per_day || modified > self.quotas.modifications_per_table_and_day;
        self.refused += u64::from(is_refused);
        is_refused
    }
}

/// A draw of the lognormal distribution of this median and 95th percentile, in seconds.
fn lognormal((median, p95): (f64, f64), chance: &mut SmallRng) -> Duration {
    Duration::from_secs_f64(median * ((p95 / median).ln() / Z95 * normal(chance)).exp())
}

/// Counts one more, and what is younger than the span.
fn counted(uses: &mut VecDeque<Instant>, span: Duration, now: Instant) -> u64 {
    uses.push_back(now);
    forget(uses, span, now);
    uses.len() as u64
}

fn forget(uses: &mut VecDeque<Instant>, span: Duration, now: Instant) {
    while uses.front().is_some_and(|used| used.plus(span) <= now) {
        uses.pop_front();
    }
}

/// A draw of the standard normal distribution (Box and Muller, 1958).
fn normal(chance: &mut SmallRng) -> f64 {
    let first: f64 = chance.random_range(f64::MIN_POSITIVE..1.0);
    let second: f64 = chance.random_range(0.0..1.0);
    (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
}
