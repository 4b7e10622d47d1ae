//! Does a table take anything at all? Asked before a file that the warehouse refuses becomes poison.
//!
//! A load of no rows, with columns that the table took before, or with the file's own when nothing was loaded since the
//! process began. Its job is in no ledger and its id is of one question: no rows cannot be lost and cannot be doubled, so
//! that a process that ends in between leaves nothing behind.

use std::sync::Arc;

use super::Performer;
use crate::columns::body::Body;
use crate::columns::plan::ColumnPlan;
use crate::columns::transcode::build;
use crate::domain::batch::{Attempt, Batch, Manifest};
use crate::domain::delivery::{Event, LONGEST_POLL};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::{AttemptNumber, JobId};
use crate::domain::job::JobStatus;
use crate::domain::watchdog::Edge;
use crate::flow::pulse;
use crate::telemetry::events;

/// Questions about the job, each at most five seconds after the one before.
const QUESTIONS_MAX: usize = 120;

impl Performer {
    pub(super) async fn probe(&mut self, batch: &Batch) -> Event {
        let known_good = self.world.known_good.get(&self.table).map(|plan| plan.clone());
        let own = self.body.as_ref().map(|built| built.body.plan().clone());
        // The machine has a body built before it asks.
        let Some(columns) = known_good.or(own) else { return Event::ProbeFailed { refused: None } };
        // The question is a load job.
        let columns = self.world.as_it_is_now(&self.table, &columns).loadable();
        let now = self.world.ports.clock.now();
        let (parent, nothing) = (Some(batch.id.clone()), Manifest { entries: Vec::new() });
        let empty = Batch::plan(self.table.clone(), batch.destination.clone(), now, parent, nothing);
        let mut attempt = empty.attempt(AttemptNumber::FIRST, Arc::clone(&self.setup.plan_hash));
        attempt.job_id = JobId::from_stored(format!("{}_probe", attempt.job_id));
        events::TableProbed { table: &self.table, batch: &batch.id, job: &attempt.job_id }.emit();
        let body = match self.build_nothing(empty, columns).await {
            Ok(body) => body,
            Err(fault) => return self.not_probed(&attempt, &fault),
        };
        self.load_nothing(&attempt, &body).await
    }

    async fn build_nothing(&self, empty: Batch, columns: ColumnPlan) -> Result<Body, Fault> {
        let (rules, path) = (Arc::clone(&self.setup.rules), self.world.next_body_path());
        let layout = self.world.bounds.layout;
        let job = move || {
            build(&layout, &empty, &columns, &rules, &[], path, &|| true).map_err(|failure| failure.fault)
        };
        self.world.cpu.run("building a load of no rows", job).await?
    }

    async fn load_nothing(&self, attempt: &Attempt, body: &Body) -> Event {
        let (world, warehouse) = (&self.world, &self.world.ports.warehouse);
        pulse::working(Edge::Warehouse, "submitting a load of no rows");
        self.tell_probe(attempt);
        if let Err(fault) = world.heard(Edge::Warehouse, warehouse.submit(attempt, body)).await {
            return match fault.kind {
                FaultKind::ContentRefused
                | FaultKind::UnsupportedType
                | FaultKind::SchemaConflict
                | FaultKind::AlreadyLoaded => Event::Probed(Err(refusal(&fault.chain()))),
                FaultKind::AccessDenied
                | FaultKind::DestinationRefused
                | FaultKind::Unavailable
                | FaultKind::Throttled
                | FaultKind::QuotaExceeded
                | FaultKind::Unreadable
                | FaultKind::Vanished
                | FaultKind::DiskFull
                | FaultKind::LedgerCorrupt
                | FaultKind::Internal => self.not_probed(attempt, &fault),
            };
        }
        for _ in 0..QUESTIONS_MAX {
            pulse::working(Edge::Warehouse, "asking about a load of no rows");
            match world.heard(Edge::Warehouse, warehouse.ask(attempt)).await {
                Ok(JobStatus::Running) => {}
                Ok(JobStatus::Succeeded { .. }) => return Event::Probed(Ok(())),
                Ok(JobStatus::Failed { kind, reason }) if says_of_the_table(kind) => {
                    return Event::Probed(Err(refusal(&reason)));
                }
                Ok(
                    JobStatus::Failed { .. }
                    | JobStatus::NotFound
                    | JobStatus::Fenced
                    | JobStatus::Sealed { .. }
                    | JobStatus::Committed
                    | JobStatus::Unsettled { .. },
                ) => break,
                Err(fault) => return self.not_probed(attempt, &fault),
            }
            pulse::waiting("its next question", tokio::time::sleep(LONGEST_POLL)).await;
        }
        Event::ProbeFailed { refused: None }
    }

    fn not_probed(&self, attempt: &Attempt, fault: &Fault) -> Event {
        events::AttemptUnknown { table: &self.table, job: &attempt.job_id, call: "probe", fault }.emit();
        let is_refused = matches!(fault.kind, FaultKind::AccessDenied | FaultKind::DestinationRefused);
        Event::ProbeFailed { refused: is_refused.then(|| refusal(&fault.chain())) }
    }
}

fn refusal(words: &str) -> String {
    format!("the table takes not even a load of no rows: {words}")
}

/// True of a job's failure that another job meets again.
const fn says_of_the_table(kind: FaultKind) -> bool {
    match kind {
        FaultKind::ContentRefused
        | FaultKind::AlreadyLoaded
        | FaultKind::Unreadable
        | FaultKind::UnsupportedType
        | FaultKind::SchemaConflict
        | FaultKind::AccessDenied
        | FaultKind::DestinationRefused => true,
        FaultKind::Unavailable
        | FaultKind::Throttled
        | FaultKind::QuotaExceeded
        | FaultKind::Vanished
        | FaultKind::DiskFull
        | FaultKind::LedgerCorrupt
        | FaultKind::Internal => false,
    }
}
