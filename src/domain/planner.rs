//! How long each table's window stays open, so that what is loaded is as fresh as BigQuery's quotas admit, and none is crossed.
//!
//! Two answers a table: after how many files its window closes, and after what time at the latest. Closing on a file and not
//! on a clock costs nothing and loses no wait: between two files there is nothing to load. What is distributed is load jobs, of
//! which a project has 100,000 in any 24 hours (Google Cloud, BigQuery: "Quotas and limits"), failed ones among them: a
//! bucket is refilled evenly, and what it holds is what all tables may use now. How it is
//! shared is in `share`; classes weigh rows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::{AttemptNumber, BatchId, TableId};
use super::instant::Instant;

mod budget;
mod carrier;
mod counted;
mod demand;
mod elsewhere;
mod full_load;
mod quotas;
mod share;
#[cfg(test)]
mod tests;
mod window;

pub use budget::{Budget, DAY};
pub use carrier::Carrier;
pub use counted::{Counted, JobKey, ListedJob};
pub use demand::Demand;
use elsewhere::{PEERS_SPAN, STRANGERS_SPAN};
pub use full_load::Granted;
pub use quotas::Quotas;
use share::{Claimant, shares};
pub use window::{Why, Window};

/// The span of the quota of streams.
const HOUR: Duration = Duration::from_secs(3_600);

/// An attempt, as the quotas count it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Submitted {
    /// When, as far as it is known: of a first attempt when its batch was claimed.
    pub at: Instant,
    /// The batch.
    pub batch: BatchId,
    /// Which attempt of it.
    pub number: AttemptNumber,
    /// Its table.
    pub table: TableId,
    /// By what its rows went; none where that is not known, and then it is what the table's mapping says today.
    pub carrier: Option<Carrier>,
}

/// How urgent a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Fraud detection and live dashboards read it.
    Critical,
    /// All others.
    #[default]
    Normal,
    /// Nobody waits for it.
    Bulk,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Bulk];

    /// Its name in the mapping and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }

    /// How much a row of it counts beside one of a normal table.
    const fn weight(self) -> f64 {
        match self {
            Self::Critical => 4.0,
            Self::Normal => 1.0,
            Self::Bulk => 0.1,
        }
    }
}

/// What a table is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableNeeds {
    /// How urgent it is.
    pub class: Class,
    /// No window is open longer.
    pub max_staleness: Duration,
    /// By what its rows go.
    pub carrier: Carrier,
}

/// Files that come so soon after each other are one arrival: the burst of a cluster's minute, or a backlog.
const LINGER: Duration = Duration::from_secs(1);
/// Shares are distributed anew so often.
const SHARED_EVERY: Duration = Duration::from_secs(60);
/// What the bucket holds beyond its half is spent within this time, and what it lacks is saved.
const BALANCED_WITHIN: f64 = 3_600.0;
/// After BigQuery has refused a job for a quota, windows are this much longer, and longer again after each further one.
const REFUSED_FACTOR: f64 = 2.0;
/// How long that lasts: quotas refill evenly ("Quotas and limits").
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// The most that it lengthens windows.
const REFUSED_FACTOR_MAX: f64 = 16.0;
/// Below this share of the project's jobs, windows are as long as the quota wants, whatever their tables' `max_staleness`.
const EXHAUSTED: f64 = 0.01;
/// And this long at the most: the bucket is refilled all the time.
const EXHAUSTED_AGE: Duration = Duration::from_secs(3_600);

/// Load jobs that one table without partitions takes in a day ("Quotas and limits", load jobs per table).
const OPERATIONS_PER_TABLE_AND_DAY: f64 = 1_500.0;

#[derive(Clone, Debug)]
struct Table {
    needs: TableNeeds,
    demand: Demand,
    budget: Budget,
    /// Arrivals that make a window.
    arrivals: usize,
}

/// The planner of one project.
#[derive(Clone, Debug)]
pub struct Planner {
    quotas: Quotas,
    project: Budget,
    streams: Budget,
    /// Of the one table that is no table of the mapping.
    aside: Budget,
    full_loads: Budget,
    /// What other processes use, and whoever else loads into the project: lately, and of the latter in a day.
    peers: Budget,
    strangers: Budget,
    foreign: Budget,
    /// Processes that plan on this ledger.
    members: u32,
    tables: BTreeMap<TableId, Table>,
    shared_at: Option<Instant>,
    refused: Option<(Instant, f64)>,
    /// Tables that are not critical wait as long as they may.
    slowed_down: bool,
    streams_are_free: bool,
}

impl Planner {
    /// A planner that knows of no attempt yet.
    pub fn new(
        quotas: Quotas,
        tables: impl IntoIterator<Item = (TableId, TableNeeds)>,
        now: Instant,
    ) -> Self {
        let table = |needs| Table {
            needs,
            demand: Demand::default(),
            budget: Budget::new(quotas.jobs_of_table(), DAY, now),
            arrivals: 1,
        };
        Self {
            quotas,
            project: Budget::new(quotas.jobs(), DAY, now),
            streams: Budget::new(quotas.streams(), HOUR, now),
            aside: Budget::new(OPERATIONS_PER_TABLE_AND_DAY * (1.0 - quotas.reserve), DAY, now),
            full_loads: Budget::new(quotas.full_loads(), DAY, now),
            peers: Budget::new(quotas.jobs(), PEERS_SPAN, now),
            strangers: Budget::new(quotas.jobs(), STRANGERS_SPAN, now),
            foreign: Budget::new(quotas.jobs(), DAY, now),
            members: 1,
            tables: tables.into_iter().map(|(id, needs)| (id, table(needs))).collect(),
            shared_at: None,
            refused: None,
            slowed_down: false,
            streams_are_free: true,
        }
    }

    /// Streams cost nothing yet in this month, or no longer: tables that are to go by them only then go by load jobs.
    pub fn streams_are_free(&mut self, free: bool) {
        if std::mem::replace(&mut self.streams_are_free, free) != free {
            self.shared_at = None;
        }
    }

    /// Lets tables that are not critical wait as long as they may, or lets them go again.
    pub fn slow_down(&mut self, slowed_down: bool) {
        self.slowed_down = slowed_down;
    }

    /// True where an attempt goes by a stream: by what is known of it, else by what its table's mapping says.
    fn streams(&self, table: &TableId, carrier: Option<Carrier>) -> bool {
        let own = || self.tables.get(table).map(|table| table.needs.carrier);
        carrier.or_else(own).unwrap_or_default().streams(carrier.is_some() || self.streams_are_free)
    }

    /// An attempt was begun, now or before this process began: every one, whatever became of it. Where it is not known by what its
    /// rows went, it is what the table's mapping says.
    pub fn attempted(&mut self, table: &TableId, carrier: Option<Carrier>, at: Instant) {
        if self.streams(table, carrier) {
            return self.streams.take(at);
        }
        self.submitted(table, at);
    }

    /// A stream was made, whether anything is ever written to it or not. The attempt that goes by it is not told besides.
    pub fn stream_made(&mut self, at: Instant) {
        self.streams.take(at);
    }

    /// A load job into a table was submitted by this process, of a batch or of none.
    pub fn submitted(&mut self, table: &TableId, at: Instant) {
        self.project.take(at);
        if let Some(table) = self.tables.get_mut(table) {
            table.budget.take(at);
        }
    }

    /// May a job be submitted that loads nothing, into a table of its own? Only out of what loads do not want: where the bucket is fuller
    /// than it is planned to be, and BigQuery has refused nothing lately. A job that is granted counts.
    pub fn grant_aside(&mut self, now: Instant) -> bool {
        let spare = self.project.held(now) >= self.project.capacity() / 2.0;
        if !spare || self.refused_until(now).is_some() || self.aside.held(now) < 1.0 {
            return false;
        }
        self.project.take(now);
        self.aside.take(now);
        true
    }

    /// A file of so many rows has come.
    pub fn arrived(&mut self, table: &TableId, rows: u64, at: Instant) {
        if let Some(table) = self.tables.get_mut(table) {
            table.demand.arrived(rows, at);
        }
    }

    /// BigQuery has refused a job because a quota is used up, or a rate is too high.
    pub fn refused(&mut self, at: Instant) {
        let factor = self.refused_factor(at) * REFUSED_FACTOR;
        self.refused = Some((at, factor.min(REFUSED_FACTOR_MAX)));
        self.shared_at = None;
    }

    /// Until when windows are longer because a quota was used up; none when they are not.
    pub fn refused_until(&self, now: Instant) -> Option<Instant> {
        let until = self.refused.map(|(at, _)| at.plus(REFUSED_FOR));
        until.filter(|until| *until > now)
    }

    fn refused_factor(&self, now: Instant) -> f64 {
        self.refused_until(now).and(self.refused).map_or(1.0, |(_, factor)| factor)
    }

    /// The window that a table's next batch has.
    pub fn window(&mut self, table: &TableId, now: Instant) -> Window {
        if self.shared_at.is_none_or(|at| now.since(at) >= SHARED_EVERY) {
            self.share(now);
        }
        let refused = self.refused_until(now).is_some();
        let starved = self.project.held(now) < 1.0;
        let wait_for_project = self.project.until_held(1.0, now);
        let exhausted = self.reserve(now) < EXHAUSTED;
        let wait_for_stream = self.streams.until_held(1.0, now);
        let streams_are_free = self.streams_are_free;
        let Some(table) = self.tables.get_mut(table) else {
            return Window { files: usize::MAX, age: LINGER, why: Why::AtOnce };
        };
        let longest = table.needs.max_staleness;
        if self.slowed_down && !exhausted && table.needs.class != Class::Critical {
            return Window { files: usize::MAX, age: longest, why: Why::CostBudget };
        }
        if table.needs.carrier.streams(streams_are_free) {
            let age = wait_for_stream.clamp(LINGER, longest.max(LINGER));
            let why = if age > LINGER { Why::StreamBudget } else { Why::AtOnce };
            return Window { files: usize::MAX, age, why };
        }
        let gap = table.demand.gap(now).unwrap_or(LINGER);
        // The last file may be late: so is nothing, by half a gap.
        let cycle = gap.mul_f64(table.arrivals as f64 - 0.5).max(LINGER).min(longest);
        let own = table.budget.until_held(1.0, now);
        // Who is critical goes on as shared, until there is next to nothing.
        let spared = table.needs.class == Class::Critical && !exhausted;
        if starved && !spared && wait_for_project > cycle {
            // What is left of the reserve pays for the bound of staleness, as long as there is some; the quota is not crossed for
            // it.
            let (most, why) =
                if exhausted { (EXHAUSTED_AGE, Why::Exhausted) } else { (longest, Why::ProjectBudget) };
            return Window { files: usize::MAX, age: wait_for_project.min(most), why };
        }
        if own > cycle {
            return Window { files: usize::MAX, age: own.min(longest), why: Why::TableBudget };
        }
        let files = table.demand.files_of(table.arrivals);
        match (table.arrivals, refused) {
            (_, true) => Window { files, age: cycle, why: Why::QuotaExceeded },
            // What comes together is loaded together.
            (1, false) => Window { files: usize::MAX, age: LINGER, why: Why::AtOnce },
            (_, false) => Window { files, age: cycle, why: Why::Shared },
        }
    }

    /// Distributes what there is.
    fn share(&mut self, now: Instant) {
        self.shared_at = Some(now);
        let surplus = self.project.held(now) - self.project.capacity() / 2.0;
        let per_second = (self.per_second(now) + surplus / BALANCED_WITHIN).max(0.0);
        let per_second = per_second / self.refused_factor(now);
        let members = f64::from(self.members);
        let claimants: Vec<_> = self
            .tables
            .values()
            .filter(|table| !table.needs.carrier.streams(self.streams_are_free))
            .map(|table| Claimant {
                gap: table.demand.gap(now),
                weight: table.demand.rows_per_second(now) * table.needs.class.weight(),
                longest: table.needs.max_staleness,
                per_second_max: table.budget.per_second() / members
                    + (table.budget.held(now) - table.budget.capacity() / 2.0).max(0.0) / BALANCED_WITHIN,
            })
            .collect();
        let free = self.streams_are_free;
        let tables = self.tables.values_mut().filter(|table| !table.needs.carrier.streams(free));
        for (table, arrivals) in tables.zip(shares(&claimants, per_second)) {
            table.arrivals = arrivals;
        }
    }

    /// Jobs in 24 hours of tables that all speak all the time and wait as long as they may; where these are too many, no plan holds.
    pub fn least_jobs(needs: impl IntoIterator<Item = TableNeeds>) -> f64 {
        let jobs = needs.into_iter().filter(|needs| !needs.carrier.streams(false));
        jobs.map(|needs| DAY.as_secs_f64() / needs.max_staleness.as_secs_f64().max(1.0)).sum()
    }

    /// Jobs of the last 24 hours, and how many of the project's quota are left, the reserve among them.
    pub fn used(&self, now: Instant) -> u64 {
        self.project.used(now)
    }

    /// Streams of the last hour.
    pub fn streams_used(&self, now: Instant) -> u64 {
        self.streams.used(now)
    }

    /// The share of the project's quota that is not used.
    pub fn reserve(&self, now: Instant) -> f64 {
        1.0 - self.used(now) as f64 / self.quotas.jobs_per_day as f64
    }

    /// Jobs of a table in the last 24 hours.
    pub fn used_of(&self, table: &TableId, now: Instant) -> u64 {
        self.tables.get(table).map_or(0, |table| table.budget.used(now))
    }
}
