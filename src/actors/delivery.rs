//! One delivery: the task that performs what `domain::delivery` decides, for one batch.
//!
//! Nothing of it runs on the loader's stack. Its panic is told to the loader as its table's crash.

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::world::{TableSetup, World};
use crate::columns::transcode::Input;
use crate::domain::batch::{Attempt, Batch, Manifest, ManifestEntry};
use crate::domain::delivery::{Action, Delivery, End, Event};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::{BatchId, TableId};
use crate::domain::job::{FenceAnswer, JobStatus, Submission};
use crate::domain::lane::Lane;
use crate::domain::notice::Notice;
use crate::flow::credit::Credit;
use crate::flow::pulse;
use crate::flow::slots::Slots;
use crate::telemetry::events;

mod begin;
mod building;
mod ending;
mod notices;
mod places;
mod planned;
mod probe;
mod reopen;
mod stages;
mod streamed;

pub use begin::Begin;
use building::Built;
use stages::{Arrival, Stages};

/// What the task holds.
struct Performer {
    world: Arc<World>,
    table: TableId,
    setup: TableSetup,
    /// The job of a full load, until it is submitted.
    grant: Option<planned::Grant>,
    inputs: Vec<Input>,
    /// What the inputs occupy.
    credit: Vec<Credit>,
    body: Option<Built>,
    /// Why the job that was asked about last has failed, if it has.
    job_failed: Option<FaultKind>,
    stages: Stages,
    /// What receivers are told of the batch, once it is being committed.
    notices: Option<Vec<Notice>>,
    /// Of the files that were fetched for it, in the manifest's order; none where it was resumed.
    arrivals: Vec<Arrival>,
}

/// Runs one delivery to its end. `share` bounds how many of its table run at one time, `slots` how many of all; `planned` is told of
/// a batch that is planned here.
pub async fn run(
    world: Arc<World>,
    table: TableId,
    begin: Begin,
    (share, slots): (Arc<Semaphore>, Arc<Slots>),
    planned: Arc<OnceLock<BatchId>>,
) -> End {
    let Ok(_share) = pulse::waiting("a load slot", share.acquire()).await else { return End::Superseded };
    let Some(setup) = world.tables.get(&table).cloned() else {
        // Its mapping is gone; the ledger keeps the batch until it is back.
        return End::Superseded;
    };
    // Before the slot: who waits for a job keeps none from those that need none.
    let grant = if begin.lane() == Lane::FullLoads && matches!(begin, Begin::Fresh(..)) {
        planned::wait_for_a_job(&world, setup.carrier).await
    } else {
        None
    };
    let oldest = begin.oldest().unwrap_or_else(|| world.ports.clock.now());
    let _slot = pulse::waiting("a load slot", slots.take(oldest)).await;
    let now = world.ports.clock.now();
    let patience = world.bounds.refused_patience;
    let mut performer = Performer::new(Arc::clone(&world), table.clone(), setup.clone(), grant);
    let mut unclaimed = matches!(begin, Begin::Fresh(..));
    let mut delivery = match begin {
        Begin::Fresh(files, events) => {
            let entries = files
                .iter()
                .map(|(file, fetched, _)| ManifestEntry { file: file.clone(), rows: fetched.footer.rows() });
            let manifest = Manifest { entries: entries.collect() };
            for (file, fetched, event) in files {
                let (written, fetched_at) = (fetched.object.written_at(), fetched.at);
                performer.arrivals.push(Arrival { event, written, fetched: fetched_at });
                performer.inputs.push(Input { file, object: fetched.object, footer: fetched.footer });
                performer.credit.extend(fetched.credit);
            }
            let mut batch = Batch::plan(table.clone(), setup.destination.clone(), now, None, manifest);
            batch.events = events;
            // Once: a delivery has one batch.
            let _ = planned.set(batch.id.clone());
            Delivery::plan(batch, Arc::clone(&setup.plan_hash), patience)
        }
        Begin::Resumed(record, part) => {
            Delivery::resume(*record, Arc::clone(&setup.plan_hash), patience).of_part(part)
        }
    };
    let mut event = Event::Begun;
    loop {
        let (wait, action) = delivery.step(world.ports.clock.now(), event);
        if !wait.is_zero() {
            pulse::waiting("its next try", tokio::time::sleep(wait)).await;
        }
        // A table that was closed while its batch waited and was built starts no load: nothing is claimed, and the
        // files come back through their leases. From the first claim on, the batch is in flight and goes to its end.
        let begins = matches!(action, Action::Build { .. } | Action::Claim(_));
        if unclaimed && begins && world.directory.batcher(&table).is_none() {
            return End::Superseded;
        }
        unclaimed &= !matches!(action, Action::Claim(_));
        if let Action::End(end) = action {
            performer.conclude(delivery.batch(), &end);
            return end;
        }
        let (edge, what) = action.work();
        pulse::working(edge, what);
        event = world.heard(edge, performer.perform(delivery.batch(), action)).await;
    }
}

impl Performer {
    fn new(world: Arc<World>, table: TableId, setup: TableSetup, grant: Option<planned::Grant>) -> Self {
        let stages = Stages::begin(world.ports.clock.now());
        Self {
            world,
            table,
            setup,
            grant,
            inputs: Vec::new(),
            credit: Vec::new(),
            body: None,
            job_failed: None,
            stages,
            notices: None,
            arrivals: Vec::new(),
        }
    }

    async fn perform(&mut self, batch: &Batch, action: Action) -> Event {
        match action {
            Action::Build { by_stream } => self.build(batch, by_stream).await,
            Action::Claim(attempt) => self.claim(batch, attempt).await,
            Action::Submit(attempt) => self.submit(batch, attempt).await,
            Action::Ask(attempt) => self.ask(attempt).await,
            Action::CommitStream(attempt) => self.commit_stream(attempt).await,
            Action::Fence(attempt) => self.fence(attempt).await,
            Action::FailAttempt { failed, reason, next } => {
                events::AttemptFailed {
                    table: &self.table,
                    batch: &batch.id,
                    attempt: failed,
                    kind: self.job_failed,
                    reason: &reason,
                }
                .emit();
                let now = self.world.ports.clock.now();
                let ledger = &self.world.ports.ledger;
                answer(
                    &self.world,
                    "fail_attempt",
                    ledger.fail_attempt(&batch.id, failed, &reason, next.as_ref(), now).await,
                )
            }
            Action::Probe => self.probe(batch).await,
            Action::Rehome(homes) => {
                let now = self.world.ports.clock.now();
                answer(&self.world, "rehome", self.world.ports.ledger.rehome(&batch.id, &homes, now).await)
            }
            Action::Commit => self.commit(batch).await,
            Action::Hold => {
                let now = self.world.ports.clock.now();
                answer(&self.world, "hold", self.world.ports.ledger.hold(&batch.id, true, now).await)
            }
            // `run` ends there.
            Action::End(_) => Event::Begun,
        }
    }

    async fn claim(&mut self, batch: &Batch, attempt: Option<Attempt>) -> Event {
        let now = self.world.ports.clock.now();
        match self.world.ports.ledger.claim(batch, attempt.as_ref(), now).await {
            Ok(claim) => {
                if claim == crate::domain::transition::Claim::Won {
                    let (table, files) = (&self.table, batch.manifest.entries.len());
                    events::BatchClaimed { table, batch: &batch.id, files, rows: batch.manifest.rows() }
                        .emit();
                    // The body has all rows now: memory goes back before the job runs.
                    self.inputs.clear();
                    self.credit.clear();
                }
                Event::Claim(claim)
            }
            Err(fault) => {
                self.world.ledger_failed("claim", &fault);
                Event::LedgerFailed(fault.chain())
            }
        }
    }

    async fn submit(&mut self, batch: &Batch, attempt: Attempt) -> Event {
        let Some(built) = &self.body else {
            // The machine submits only what it was told is built.
            return Event::Status(JobStatus::NotFound);
        };
        let (table, number) = (&self.table, attempt.number);
        events::AttemptSubmitted { table, batch: &batch.id, attempt: number, bytes: built.body.size_bytes() }
            .emit();
        if self.world.has_outgrown(table, built.body.plan()).await {
            let reason = format!("a column of {table} has taken a wider type since the body was built");
            return Event::SubmitFailed { kind: FaultKind::DestinationRefused, reason };
        }
        self.tell_planner(batch, &attempt);
        match self.world.ports.warehouse.submit(&attempt, &built.body).await {
            Ok(submission) => {
                if submission == Submission::Duplicate {
                    events::AttemptDuplicate { table: &self.table, job: &attempt.job_id }.emit();
                }
                self.stages.submitted();
                Event::Submitted(submission)
            }
            Err(fault) => {
                events::AttemptUnknown {
                    table: &self.table,
                    job: &attempt.job_id,
                    call: "submit",
                    fault: &fault,
                }
                .emit();
                let kind = self.unless_outgrown(fault.kind, FaultKind::DestinationRefused).await;
                if kind == FaultKind::DestinationRefused {
                    // By a shape that was read before it grew elsewhere, perhaps.
                    self.world.shapes.forget(&self.table);
                }
                self.tell_refusal(kind);
                Event::SubmitFailed { kind, reason: fault.chain() }
            }
        }
    }

    async fn ask(&mut self, attempt: Attempt) -> Event {
        match self.world.ports.warehouse.ask(&attempt).await {
            Ok(status) => {
                self.job_failed = None;
                let JobStatus::Failed { kind, reason } = status else { return Event::Status(status) };
                let kind = self.unless_outgrown(kind, FaultKind::Unavailable).await;
                let (table, job) = (&self.table, &attempt.job_id);
                events::JobFailed { table, job, kind, reason: &reason }.emit();
                self.job_failed = Some(kind);
                self.tell_refusal(kind);
                Event::Status(JobStatus::Failed { kind, reason })
            }
            Err(fault) => {
                events::AttemptUnknown {
                    table: &self.table,
                    job: &attempt.job_id,
                    call: "ask",
                    fault: &fault,
                }
                .emit();
                Event::AskFailed
            }
        }
    }

    async fn fence(&mut self, attempt: Attempt) -> Event {
        match self.world.ports.warehouse.fence(&attempt).await {
            Ok(answer) => {
                if answer == FenceAnswer::Accepted {
                    events::AttemptFenced { table: &self.table, job: &attempt.job_id }.emit();
                }
                Event::Fence(answer)
            }
            Err(fault) => {
                events::AttemptUnknown {
                    table: &self.table,
                    job: &attempt.job_id,
                    call: "fence",
                    fault: &fault,
                }
                .emit();
                Event::FenceFailed
            }
        }
    }
}

fn answer(
    world: &World,
    step: &'static str,
    result: Result<crate::domain::transition::Step, Fault>,
) -> Event {
    match result {
        Ok(step) => Event::Step(step),
        Err(fault) => {
            world.ledger_failed(step, &fault);
            Event::LedgerFailed(fault.chain())
        }
    }
}
