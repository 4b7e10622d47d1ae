//! What the loader answers: what it has in flight, and what it has asked.

use std::collections::BTreeMap;

use actix::Handler;

use super::Loader;
use super::search::Search;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::watchdog::{Edge, Reading};
use crate::messages::child::{self, Ping, Pulse};
use crate::messages::loader::{BatchesInHand, LoaderSnapshot, LoadsByTable, Snapshot};

impl Handler<Snapshot> for Loader {
    type Result = Option<LoaderSnapshot>;

    fn handle(&mut self, _: Snapshot, _: &mut Self::Context) -> Self::Result {
        Some(LoaderSnapshot {
            in_flight: self.in_flight.len(),
            recovered: self.recovered && self.left_to_others.is_empty(),
        })
    }
}

impl Handler<LoadsByTable> for Loader {
    type Result = Option<Vec<(TableId, usize)>>;

    fn handle(&mut self, _: LoadsByTable, _: &mut Self::Context) -> Self::Result {
        let mut loads: BTreeMap<TableId, usize> = BTreeMap::new();
        for one in self.in_flight.values() {
            *loads.entry(one.table.clone()).or_default() += 1;
        }
        Some(loads.into_iter().collect())
    }
}

impl Handler<BatchesInHand> for Loader {
    type Result = Option<Vec<BatchId>>;

    fn handle(&mut self, _: BatchesInHand, _: &mut Self::Context) -> Self::Result {
        let waiting = self.in_flight.values().flat_map(|one| one.search.iter().flat_map(Search::untried));
        let delivered = self.in_flight.values().filter_map(|one| one.batch.get());
        Some(delivered.chain(waiting).cloned().collect())
    }
}

impl Handler<Ping> for Loader {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        let asked = self.asked.values().min().map(|at| (*at, Edge::Ledger, "asking for open batches"));
        let mut pulse = Pulse::own([("open batches", Reading::of_oldest(asked))]);
        let deliveries = self.in_flight.iter();
        pulse.parts.extend(deliveries.map(|(number, one)| {
            (child::Part::Delivery(*number), Some(one.table.clone()), one.pulse.read())
        }));
        Some(pulse)
    }
}
