//! The search for the culprit of a refused batch: its parts are tried one at a time (`domain::bisection`).

use actix::Context;

use super::{InFlight, Leases, Loader};
use crate::actors::delivery::Begin;
use crate::domain::bisection::{Bisection, Next, REFUSALS_IN_A_ROW_MAX, Tried};
use crate::domain::delivery;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::transition::BatchRecord;

/// A part, and what waits for its files.
pub(super) struct Part {
    pub(super) record: Box<BatchRecord>,
    pub(super) leases: Leases,
}

/// A search that is under way; it lives with the part that is being tried.
#[derive(Default)]
pub(super) struct Search {
    parts: Bisection<Part>,
    /// What the warehouse said last.
    refusal: String,
}

impl Search {
    /// The parts that wait for their turn.
    pub(super) fn untried(&self) -> impl Iterator<Item = &BatchId> {
        self.parts.untried().iter().map(|part| &part.record.batch.id)
    }

    /// True of a part that waits for its turn.
    pub(super) fn holds(&self, batch: &BatchId) -> bool {
        self.untried().any(|part| part == batch)
    }
}

impl Loader {
    /// True when a delivery has the batch, or a search.
    pub(super) fn has(&self, batch: &BatchId) -> bool {
        let waits = |one: &InFlight| one.search.as_ref().is_some_and(|search| search.holds(batch));
        self.in_flight.values().any(|one| one.batch.get() == Some(batch) || waits(one))
    }

    /// Goes on with a search, or begins one with the first two halves. Says why the table is to be held, if it is; then
    /// what is untried is held with it.
    pub(super) fn search(
        &mut self,
        table: &TableId,
        search: Option<Search>,
        mut tried: Tried<Part>,
        refusal: Option<String>,
        context: &mut Context<Self>,
    ) -> Option<String> {
        if self.refusals.entry(table.clone()).or_default().count(&tried) {
            let refusal = refusal.unwrap_or_default();
            return Some(format!(
                "{REFUSALS_IN_A_ROW_MAX} batches or parts of batches were refused in a row, the last with: {refusal}"
            ));
        }
        let mut search = match (search, &tried) {
            (Some(search), _) => search,
            (None, Tried::Halved(..)) => Search::default(),
            (None, Tried::Alone | Tried::Loaded { .. } | Tried::Unknown) => return None,
        };
        search.refusal = refusal.unwrap_or(search.refusal);
        loop {
            let Next::Try { part, is_suspect, table_takes } = search.parts.step(tried) else { return None };
            tried = Tried::Unknown;
            // What was listed as open at the right moment is delivered already.
            if self.has(&part.record.batch.id) {
                continue;
            }
            let suspect = is_suspect.then(|| search.refusal.clone());
            let begin = Begin::Resumed(part.record, delivery::Part { suspect, table_takes });
            self.start(table.clone(), begin, None, part.leases, Some(search), context);
            return None;
        }
    }
}
