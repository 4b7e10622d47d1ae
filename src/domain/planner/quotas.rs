//! What BigQuery admits.

/// What BigQuery admits, and how much of it is planned with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quotas {
    /// Load jobs of the project in any 24 hours.
    pub jobs_per_day: u64,
    /// Partitions of one table that may be modified in any 24 hours; a load into one partition modifies one.
    pub modifications_per_table_and_day: u64,
    /// Of both, what is never planned with: for whoever else uses the project, and for what nobody foresaw.
    pub reserve: f64,
    /// Of the jobs, what is kept for attempts after the first.
    pub retries: f64,
    /// Of the jobs, what full loads have for themselves; beyond it they have what changes do not need.
    pub full_loads: f64,
    /// Streams that a project may make in an hour (`CreateWriteStream`, "Quotas and limits", Storage Write API).
    pub streams_per_hour: u64,
}

impl Quotas {
    /// Of a project whose tables are partitioned by the time of the claim.
    pub const BIGQUERY: Self = Self {
        jobs_per_day: 100_000,
        modifications_per_table_and_day: 30_000,
        reserve: 0.05,
        retries: 0.01,
        full_loads: 0.01,
        streams_per_hour: 10_000,
    };

    /// Jobs of the project that are planned with, for changes.
    pub fn jobs(&self) -> f64 {
        self.jobs_per_day as f64 * (1.0 - self.reserve - self.retries)
    }

    /// Jobs that full loads have for themselves.
    pub(super) fn full_loads(&self) -> f64 {
        self.jobs_per_day as f64 * self.full_loads
    }

    /// Streams of an hour that are planned with.
    pub(super) fn streams(&self) -> f64 {
        self.streams_per_hour as f64 * (1.0 - self.reserve - self.retries)
    }

    /// Jobs of a table that are planned with.
    pub(super) fn jobs_of_table(&self) -> f64 {
        self.modifications_per_table_and_day as f64 * (1.0 - self.reserve - self.retries)
    }
}
