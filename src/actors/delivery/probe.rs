//! Does a table take anything at all? Asked before a file that the warehouse refuses becomes poison.
//!
//! What was loaded into the table since the file's batch was claimed says yes. Else a batch of no files, with the columns of
//! the refused one, is claimed and delivered as any other: its job is in the ledger (Invariant I-2), and loads nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Performer;
use crate::domain::batch::{Batch, Manifest};
use crate::domain::delivery::{Action, Delivery, End, Event};
use crate::domain::fault::FaultKind;
use crate::domain::ids::AttemptNumber;
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Claim};
use crate::flow::pulse;
use crate::telemetry::events;

/// Questions about the job of an empty load, each at most five seconds after the one before.
const STEPS_MAX: usize = 200;

impl Performer {
    pub(super) fn note_refusal(&mut self, kind: FaultKind, reason: &str) {
        match kind {
            FaultKind::ContentRefused
            | FaultKind::Unreadable
            | FaultKind::UnsupportedType
            | FaultKind::SchemaConflict
            | FaultKind::AccessDenied
            | FaultKind::DestinationRefused => self.refusal = Some(reason.to_owned()),
            FaultKind::Unavailable
            | FaultKind::Throttled
            | FaultKind::QuotaExceeded
            | FaultKind::Vanished
            | FaultKind::DiskFull
            | FaultKind::LedgerCorrupt
            | FaultKind::Internal => {}
        }
    }

    pub(super) async fn probe(&mut self, batch: &Batch) -> Event {
        let (ledger, now) = (Arc::clone(&self.world.ports.ledger), self.world.ports.clock.now());
        match ledger.summary(now).await {
            Ok(summaries) => {
                let of_table = summaries.into_iter().find(|summary| summary.table == self.table);
                let last = of_table.and_then(|summary| summary.last_load_at);
                if last.is_some_and(|last| last >= batch.claimed_at) {
                    return Event::Probed(Ok(()));
                }
            }
            Err(fault) => {
                self.world.ledger_failed("summary", &fault);
                return Event::ProbeFailed;
            }
        }
        if self.body.is_none() {
            // After a restart: the columns are not known any more. What cannot be built again is refused either way.
            if let Event::Unbuilt { .. } = self.build(batch).await {
                return Event::Probed(Ok(()));
            }
        }
        let Some(columns) = self.body.as_ref().map(|built| built.body.plan().clone()) else {
            return Event::ProbeFailed;
        };
        let mut prober = Self::new(Arc::clone(&self.world), self.table.clone(), self.setup.clone());
        prober.columns = Some(columns);
        let (parent, nothing) = (Some(batch.id.clone()), Manifest { entries: Vec::new() });
        let empty = Batch::plan(self.table.clone(), batch.destination.clone(), now, parent, nothing);
        prober.deliver_nothing(empty).await
    }

    /// Claims and delivers a batch of no files.
    async fn deliver_nothing(mut self, empty: Batch) -> Event {
        let attempt = empty.attempt(AttemptNumber::FIRST, Arc::clone(&self.setup.plan_hash));
        let now = self.world.ports.clock.now();
        match self.world.ports.ledger.claim(&empty, Some(&attempt), now).await {
            Ok(Claim::Won) => {}
            Ok(Claim::Lost(_)) => return Event::ProbeFailed,
            Err(fault) => {
                self.world.ledger_failed("claim", &fault);
                return Event::ProbeFailed;
            }
        }
        events::TableProbed { table: &self.table, batch: &empty.id }.emit();
        let last_attempt = Some((attempt, AttemptOutcome::Open));
        let record = BatchRecord { batch: empty, state: BatchState::Open, last_attempt };
        let patience = self.world.bounds.refused_patience;
        let mut delivery = Delivery::resume(record, Arc::clone(&self.setup.plan_hash), patience);
        let mut event = Event::Begun;
        for _ in 0..STEPS_MAX {
            let (wait, action) = delivery.step(self.world.ports.clock.now(), event);
            if wait > Duration::ZERO {
                pulse::waiting("its next try", tokio::time::sleep(wait)).await;
            }
            let (edge, what) = action.work();
            pulse::working(edge, what);
            if let Action::End(end) = action {
                return self.told(end);
            }
            let world = Arc::clone(&self.world);
            event = world.heard(edge, self.perform(delivery.batch(), action)).await;
        }
        // Its batch stays open in the ledger, and ends as any other that a process has left.
        Event::ProbeFailed
    }

    /// What the end of the empty load says of its table.
    fn told(&mut self, end: End) -> Event {
        match end {
            End::Loaded => Event::Probed(Ok(())),
            End::Rehomed { hold, .. } => hold.or(self.refusal.take()).map_or(Event::ProbeFailed, |refusal| {
                Event::Probed(Err(format!("the table takes not even a load of no rows: {refusal}")))
            }),
            End::ClaimLost(_) | End::Unbuilt { .. } | End::Held(_) | End::Superseded | End::LedgerLost(_) => {
                Event::ProbeFailed
            }
        }
    }
}
