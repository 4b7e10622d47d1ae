//! The meter: counts what somebody is paid for, where it is done. Adding is one atomic addition, and nobody waits for it.
//!
//! Each client has one place that counts: what AWS is asked in `cloud::metering`, calls to Google where their tokens come from, uploads where
//! they are sent. What is streamed into BigQuery is told with `streamed`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::batch::Destination;
use crate::domain::cost::usage::{Measure, Tally, Usage};
use crate::domain::ids::TableId;
use crate::telemetry::logging;

/// Counters of one process. What is of a table that it does not know is counted as of none.
#[derive(Debug, Default)]
pub struct Meter {
    shared: Counters,
    tables: BTreeMap<TableId, Counters>,
    /// Which table goes into which dataset and table.
    destinations: HashMap<(Arc<str>, Arc<str>), TableId>,
}

#[derive(Debug)]
struct Counters(BTreeMap<Measure, AtomicU64>);

impl Default for Counters {
    fn default() -> Self {
        Self(Measure::ALL.into_iter().map(|measure| (measure, AtomicU64::new(0))).collect())
    }
}

impl Counters {
    fn add(&self, measure: Measure, amount: u64) {
        if let Some(counter) = self.0.get(&measure) {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Usage {
        self.0.iter().map(|(measure, counter)| (*measure, counter.load(Ordering::Relaxed))).collect()
    }
}

impl Meter {
    /// A meter of these tables, with where they go.
    pub fn new<'a>(tables: impl IntoIterator<Item = (&'a TableId, &'a Destination)>) -> Arc<Self> {
        let mut meter = Self::default();
        for (table, destination) in tables {
            meter.tables.insert(table.clone(), Counters::default());
            let place = (Arc::clone(&destination.dataset), Arc::clone(&destination.table));
            meter.destinations.insert(place, table.clone());
        }
        Arc::new(meter)
    }

    /// Counts what is of no table.
    pub fn add(&self, measure: Measure, amount: u64) {
        self.shared.add(measure, amount);
    }

    /// Counts what is of a table.
    pub fn add_of(&self, table: &TableId, measure: Measure, amount: u64) {
        self.tables.get(table).unwrap_or(&self.shared).add(measure, amount);
    }

    /// Counts what is of the table that goes there.
    pub fn add_into(&self, destination: &Destination, measure: Measure, amount: u64) {
        let place = (Arc::clone(&destination.dataset), Arc::clone(&destination.table));
        match self.destinations.get(&place) {
            Some(table) => self.add_of(table, measure, amount),
            None => self.shared.add(measure, amount),
        }
    }

    /// So many bytes were appended to a stream of the Storage Write API: of rows as they are serialised, in requests that were answered or may
    /// have been. They leave AWS too, and are counted once, here.
    pub fn streamed(&self, destination: &Destination, bytes: u64) {
        self.add_into(destination, Measure::StreamedBytes, bytes);
    }

    /// What was counted since the process began, of this meter and of the log.
    pub fn read(&self) -> Tally {
        let mut shared = self.shared.read();
        shared.add(Measure::LogBytes, logging::written_bytes());
        let tables = self.tables.iter().map(|(table, counters)| (table.clone(), counters.read()));
        Tally { shared, tables: tables.filter(|(_, usage)| !usage.is_empty()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_its_tables() {
        let table = TableId::new("a", "s", "t");
        let into =
            |table: &str| Destination { dataset: "d".into(), table: table.into(), ..Destination::default() };
        let meter = Meter::new([(&table, &into("t"))]);
        meter.add_of(&table, Measure::Files, 2);
        meter.streamed(&into("t"), 5);
        meter.add_into(&into("other"), Measure::SentBytes, 7);
        meter.add_of(&TableId::new("a", "s", "unknown"), Measure::Files, 1);
        let tally = meter.read();
        let of = tally.tables.get(&table).unwrap();
        assert_eq!(
            (of.of(Measure::Files), of.of(Measure::StreamedBytes), of.of(Measure::SentBytes)),
            (2, 5, 0)
        );
        assert_eq!((tally.shared.of(Measure::Files), tally.shared.of(Measure::SentBytes)), (1, 7));
    }
}
