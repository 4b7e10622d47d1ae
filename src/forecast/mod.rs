//! What a mapping will need and how fresh it will be: days of traffic on a clock of their own, through the planner, the batchers'
//! and the deliveries' own machines, against a warehouse that counts its quotas to the letter.
//!
//! Nothing of it waits, reads or writes: a day of 70 tables takes seconds.

mod chance;
mod clockwork;
mod deliveries;
mod freshness;
mod memory;
mod queues;
#[cfg(test)]
mod tests;
mod traffic;
mod warehouse;

use std::time::Duration;

use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::planner::{Carrier, Class, Quotas};

pub use clockwork::run;
pub use freshness::Freshness;
pub use traffic::{Burst, zipf};

/// A Monday.
const START: Instant = Instant::from_micros(1_763_942_400_000_000);

/// One table of a forecast.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub id: TableId,
    /// How urgent it is.
    pub class: Class,
    /// Rows that change at the source on a day.
    pub rows_per_day: f64,
    /// No window is open longer.
    pub max_staleness: Duration,
    /// By what its rows go.
    pub carrier: Carrier,
}

/// Who says when a window closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// The planner.
    Planned,
    /// A window of this length for every table, from its first file on.
    Fixed(Duration),
    /// A job of every table at each interval of the clock, whatever has come: a schedule.
    Scheduled(Duration),
    /// Every file is a job.
    PerFile,
}

/// What a forecast is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The tables.
    pub tables: Vec<Table>,
    /// How long.
    pub days: u32,
    /// A DMS task writes a file of each table that has changed, so often.
    pub dms_interval: Duration,
    /// The busiest hour has so many times the rows of the quietest.
    pub peak_to_trough: f64,
    /// Hours of more.
    pub bursts: Vec<Burst>,
    /// A load job takes a lognormal time of this median and 95th percentile, in seconds.
    pub job_seconds: (f64, f64),
    /// From the first append to a stream until it is committed: lognormal, too.
    pub stream_seconds: (f64, f64),
    /// The share of jobs that fail once.
    pub job_failures: f64,
    /// The warehouse's quotas.
    pub quotas: Quotas,
    /// Batches in flight at one time.
    pub loads_in_flight: usize,
    /// Who says when a window closes.
    pub windows: Windows,
    /// The share of intervals in which DMS writes no file of a table: their rows are in the next one.
    pub skipped: f64,
    /// The warehouse answers nobody, from so many hours after the start, for so many hours.
    pub outage: Option<(f64, f64)>,
    /// The memory of fetched files of changes.
    pub memory_bytes: u64,
    /// The disk of fetched files of changes that are too large for memory.
    pub objects_disk_bytes: u64,
    /// The disk of bodies of changes.
    pub bodies_disk_bytes: u64,
    /// A table that is paused, from and until so many hours after the start.
    pub paused: Option<(TableId, u32, u32)>,
    /// Draws of chance.
    pub seed: u64,
}

impl Scenario {
    /// When the warehouse answers nobody.
    fn outage(&self) -> Option<std::ops::Range<Instant>> {
        let (from, hours) = self.outage?;
        let hour = |hours: f64| START.plus(Duration::from_secs(3_600).mul_f64(hours.max(0.0)));
        Some(hour(from)..hour(from + hours))
    }

    /// When this table is paused.
    fn pause_of(&self, table: &TableId) -> Option<std::ops::Range<Instant>> {
        let (paused, from, until) = self.paused.as_ref()?;
        let hour = |hours: &u32| START.plus(Duration::from_secs(3_600) * *hours);
        (paused == table).then(|| hour(from)..hour(until))
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Files that were announced, and rows in them.
    pub files: u64,
    /// Rows.
    pub rows: f64,
    /// Load jobs, failed ones among them.
    pub jobs: u64,
    /// Calls to the warehouse: submissions, and questions how jobs went.
    pub calls: u64,
    /// Long polls of all queues, those that brought nothing among them.
    pub receives: u64,
    /// Calls that delete messages, or hide them for longer.
    pub deletes: u64,
    /// Streams of the Storage Write API, and the most in any hour.
    pub streams: u64,
    /// The most of them in any hour.
    pub most_streams_an_hour: u64,
    /// Rows that went by streams.
    pub rows_streamed: f64,
    /// Jobs and streams that BigQuery would not have taken: a quota was used up.
    pub refused: u64,
    /// The most jobs in any 24 hours.
    pub most_jobs_a_day: u64,
    /// The most partition modifications of one table in any 24 hours.
    pub most_modifications: u64,
    /// The smallest share of the project's jobs that was left.
    pub reserve_min: f64,
    /// From the announcement of a file to its rows being there, weighed by rows: of critical tables, and of all.
    pub critical: Freshness,
    /// Of all tables.
    pub all: Freshness,
    /// Of those whose rows go by streams.
    pub streamed: Freshness,
    /// From the commit at the source, of all tables.
    pub from_commit: Freshness,
    /// Of each table, in the scenario's order.
    pub by_table: Vec<Freshness>,
    /// Jobs in the last 24 hours, and the mean freshness, at each quarter of an hour.
    pub course: Vec<(u64, f64)>,
    /// How long after a paused table's resumption, or the end of an outage, all rows were there that had come until then.
    pub caught_up: Option<Duration>,
    /// The most memory that fetched files held.
    pub most_memory: u64,
    /// The most disk that fetched files held.
    pub most_objects_disk: u64,
    /// The most disk that bodies held.
    pub most_bodies_disk: u64,
    /// Files that waited for memory or disk.
    pub waited_for_memory: u64,
    /// Files that were never loaded.
    pub left: u64,
}
