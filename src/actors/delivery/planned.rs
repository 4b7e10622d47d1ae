//! What the planner hears of a delivery.

use super::Performer;
use crate::actors::supervision::report;
use crate::domain::batch::{Attempt, Batch};
use crate::domain::fault::FaultKind;
use crate::domain::planner::{Carrier, Submitted};
use crate::messages::planner::{JobSubmitted, QuotaRefused};

impl Performer {
    /// A job counts from here on, whatever becomes of it.
    pub(super) fn tell_planner(&self, batch: &Batch, attempt: &Attempt) {
        if let Some(planner) = self.world.directory.planner() {
            let (table, id) = (self.table.clone(), batch.id.clone());
            let (at, number) = (self.world.ports.clock.now(), attempt.number);
            let carrier = if attempt.stream.is_some() { Carrier::StorageWrite } else { Carrier::LoadJobs };
            let job = Submitted { at, batch: id, number, table, carrier: Some(carrier) };
            report(&planner, JobSubmitted(job));
        }
    }

    /// Says that a quota is used up, where that is what a refusal says.
    pub(super) fn tell_refusal(&self, kind: FaultKind) {
        if kind == FaultKind::QuotaExceeded
            && let Some(planner) = self.world.directory.planner()
        {
            report(&planner, QuotaRefused { table: self.table.clone() });
        }
    }
}
