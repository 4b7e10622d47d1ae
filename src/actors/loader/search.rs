//! The search for the culprit of a refused batch: its parts are tried one at a time (`domain::bisection`).

use actix::Context;

use super::{Leases, Loader};
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
    /// What is being tried has rows, and so a job.
    has_job: bool,
}

impl Search {
    /// The part that was being tried is loaded.
    pub(super) const fn loaded(search: Option<&Self>) -> Tried<Part> {
        Tried::Loaded { by_a_job: matches!(search, Some(search) if search.has_job) }
    }

    /// True of a part that waits for its turn.
    pub(super) fn holds(&self, batch: &BatchId) -> bool {
        self.parts.untried().iter().any(|part| part.record.batch.id == *batch)
    }
}

impl Loader {
    /// Goes on with a search, or begins one with the first two halves. Says why the table is to be held, if it is.
    pub(super) fn search(
        &mut self,
        table: &TableId,
        search: Option<Search>,
        tried: Tried<Part>,
        refusal: Option<String>,
        context: &mut Context<Self>,
    ) -> Option<String> {
        let mut search = match (search, &tried) {
            (Some(search), _) => search,
            (None, Tried::Halved(..)) => Search::default(),
            (None, Tried::Alone | Tried::Loaded { .. } | Tried::Unknown) => return None,
        };
        search.refusal = refusal.unwrap_or(search.refusal);
        match search.parts.step(tried) {
            Next::Try { part, is_suspect, table_takes } => {
                search.has_job = part.record.last_attempt.is_some();
                let suspect = is_suspect.then(|| search.refusal.clone());
                let known = delivery::Part { suspect, table_takes };
                let begin = Begin::Resumed(part.record, known);
                self.start(table.clone(), begin, None, part.leases, Some(search), context);
                None
            }
            Next::Over => None,
            Next::Hold => Some(format!(
                "{REFUSALS_IN_A_ROW_MAX} loads in a row were refused, the last with: {}",
                search.refusal
            )),
        }
    }
}
