//! What the planner hears of a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Performer;
use super::begin::lane_of;
use crate::actors::supervision::report;
use crate::actors::world::World;
use crate::domain::batch::{Attempt, Batch};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::planner::{Carrier, Granted, Submitted};
use crate::flow::pulse;
use crate::messages::planner::{
    FullLoadBegins, FullLoadUnused, JobSubmitted, ProbeSubmitted, QuotaRefused, StreamMade,
};

/// How long the planner may take to answer, and the longest wait until it is asked again.
const ASKED: Duration = Duration::from_secs(5);
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// A job that was granted to a full load. Dropping it gives it back.
pub(super) struct Grant {
    world: Arc<World>,
    granted: Granted,
    is_used: AtomicBool,
}

impl Grant {
    /// The job is submitted: true of the first, which is the one that was granted.
    fn spend(&self) -> bool {
        !self.is_used.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if !self.is_used.load(Ordering::Relaxed)
            && let Some(planner) = self.world.directory.planner()
        {
            report(&planner, FullLoadUnused(self.granted));
        }
    }
}

/// Waits until the day has a job to spare for a full load, where jobs are planned. Nothing is claimed yet. While no planner
/// answers, the lane's slots are the only bound.
pub(super) async fn wait_for_a_job(world: &Arc<World>, carrier: Carrier) -> Option<Grant> {
    while !carrier.streams(world.streams_are_free.load(Ordering::Relaxed))
        && let Some(planner) = world.directory.planner()
        && let Ok(answer) = planner.send(FullLoadBegins).timeout(ASKED).await
    {
        match answer {
            Ok(granted) => {
                return Some(Grant { world: Arc::clone(world), granted, is_used: AtomicBool::new(false) });
            }
            Err(wait) => {
                let wait = wait.clamp(Duration::from_secs(1), ASKED_AGAIN);
                pulse::waiting("a load job to spare", tokio::time::sleep(wait)).await;
            }
        }
    }
    None
}

impl Performer {
    /// A job counts from here on, whatever becomes of it.
    pub(super) fn tell_planner(&self, batch: &Batch, attempt: &Attempt) {
        let grant = self.grant.as_ref().filter(|_| attempt.stream.is_none());
        let is_granted = grant.is_some_and(|grant| grant.spend());
        if let Some(planner) = self.world.directory.planner() {
            let (table, id) = (self.table.clone(), batch.id.clone());
            let (at, number) = (self.world.ports.clock.now(), attempt.number);
            let carrier = Carrier::of(attempt.stream.is_some());
            let job = Submitted { at, batch: id, number, table, carrier: Some(carrier) };
            report(&planner, JobSubmitted { job, lane: lane_of(batch), is_granted });
        }
    }

    /// A load of no rows is a job like any other, and in no ledger.
    pub(super) fn tell_probe(&self, attempt: &Attempt) {
        if let Some(planner) = self.world.directory.planner() {
            report(&planner, ProbeSubmitted { job: attempt.job_id.clone(), table: self.table.clone() });
        }
    }

    /// A stream counts from here on, whether anything is ever written to it or not. So does one of which no answer came.
    pub(super) fn tell_stream(&self, opened: &Result<Option<Arc<str>>, Fault>) {
        let is_made = match opened {
            Ok(stream) => stream.is_some(),
            Err(fault) => fault.kind == FaultKind::Unavailable,
        };
        if let Some(planner) = self.world.directory.planner().filter(|_| is_made) {
            report(&planner, StreamMade);
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
