//! The loader: owns job submission and the batches' transitions. It only routes: each batch is a supervised task of
//! its own, charged to its table.
//!
//! It hears batchers (batches to load), the root (resume, hold) and its own tasks. When it dies its tasks are aborted,
//! and the next generation starts from the open batches in the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use tokio::sync::Semaphore;

use super::delivery::{Begin, run};
use super::supervision::{AbortOnDrop, report};
use super::world::World;
use crate::domain::bisection::{RefusalsInARow, Tried};
use crate::domain::delivery::{End, Part};
use crate::domain::fault::FaultKind;
use crate::domain::file::FileId;
use crate::domain::ids::{BatchId, Generation, TableId};
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::summary::EventSpan;
use crate::domain::table::Outcome;
use crate::domain::taking_over::Look;
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Home};
use crate::domain::watchdog::Doing;
use crate::flow::cpu::panic_text;
use crate::flow::lease::Lease;
use crate::flow::pulse::Pulse as TaskPulse;
use crate::flow::slots::Slots;
use crate::messages::batcher::{DeliveryEnded, FileEnd};
use crate::messages::child::Stop;
use crate::messages::loader::{AbortDeliveries, DeliveryCrashed, DeliveryDone, LoadBatch};
use crate::messages::root::{HoldTable, LedgerLost, TableCrashed};
use crate::telemetry::events;

mod open;
mod questions;
mod search;

use search::{Part as BatchPart, Search};

/// Where several processes share the ledger: how often each looks for batches that another one has left behind.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(30);

/// For one so many batches of changes in flight there may be one of full loads.
const FULL_LOADS_SHARE: usize = 8;

type Leases = Vec<(FileId, Vec<Lease>)>;

struct InFlight {
    table: TableId,
    lane: Lane,
    /// The batcher that handed it over.
    batcher: Option<Generation>,
    /// The batch, once it is known.
    batch: Arc<OnceLock<BatchId>>,
    pulse: TaskPulse,
    /// The batch is a part of a refused one.
    search: Option<Search>,
    _task: AbortOnDrop,
    _watcher: AbortOnDrop,
}

/// The actor.
pub struct Loader {
    world: Arc<World>,
    generation: Generation,
    slots: ByLane<Arc<Slots>>,
    /// One table's share of the slots. What is resumed or re-homed counts too: a table whose loads do not end keeps no
    /// other waiting.
    shares: HashMap<(TableId, Lane), Arc<Semaphore>>,
    next: u64,
    in_flight: BTreeMap<u64, InFlight>,
    /// Open batches of earlier runs that still have to be read.
    recovered: bool,
    /// Those among them that others have, or may have. As long as there are any it is not over with earlier runs.
    left_to_others: BTreeSet<BatchId>,
    next_question: u64,
    /// When the ledger was asked for open batches, for each question that is out.
    asked: BTreeMap<u64, Instant>,
    refusals: HashMap<TableId, RefusalsInARow>,
    /// Tables whose open batches are still to be marked as held or not.
    wishes: BTreeMap<TableId, open::Wish>,
}

impl Loader {
    /// A loader with nothing in flight.
    pub fn new(world: Arc<World>, generation: Generation) -> Self {
        let all = world.bounds.loads_in_flight.max(1);
        // Beside the others: no change waits for a full load.
        let slots = ByLane { changes: Slots::new(all), full_loads: Slots::new(all / FULL_LOADS_SHARE) };
        let (shares, in_flight, asked) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            world,
            generation,
            slots,
            shares,
            next: 0,
            in_flight,
            recovered: false,
            left_to_others: BTreeSet::new(),
            next_question: 0,
            asked,
            refusals: HashMap::new(),
            wishes: BTreeMap::new(),
        }
    }

    fn share(&mut self, table: &TableId, lane: Lane) -> Arc<Semaphore> {
        let size = self.world.tables.get(table).map_or(1, |setup| setup.bounds.loads_max).max(1);
        Arc::clone(self.shares.entry((table.clone(), lane)).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    fn start(
        &mut self,
        table: TableId,
        begin: Begin,
        batcher: Option<Generation>,
        leases: Leases,
        search: Option<Search>,
        context: &mut Context<Self>,
    ) {
        let delivery = self.next;
        self.next = self.next.saturating_add(1);
        let batch = Arc::new(match &begin {
            Begin::Fresh(..) => OnceLock::new(),
            Begin::Resumed(record, _) => OnceLock::from(record.batch.id.clone()),
        });
        let pulse = TaskPulse::new(Doing::Waiting("a load slot"));
        let lane = begin.lane();
        let slots = (self.share(&table, lane), Arc::clone(self.slots.of(lane)));
        let delivery_run = run(Arc::clone(&self.world), table.clone(), begin, slots, Arc::clone(&batch));
        let task = tokio::spawn(pulse.clone().of(delivery_run));
        let abort = AbortOnDrop(task.abort_handle());
        let watcher = tokio::spawn(watch(task, leases, delivery, self.generation, context.address()));
        let watcher = AbortOnDrop(watcher.abort_handle());
        let one = InFlight { table, lane, batcher, batch, pulse, search, _task: abort, _watcher: watcher };
        self.in_flight.insert(delivery, one);
    }

    /// Settles what is final, gives the rest back, and tells the batcher.
    fn conclude(&mut self, done: InFlight, end: End, leases: Leases, context: &mut Context<Self>) {
        let mut waiting: BTreeMap<FileId, Vec<Lease>> = leases.into_iter().collect();
        let (mut ends, mut hold) = (Vec::new(), None);
        let (mut tried, mut refused) = (Tried::Unknown, None);
        match end {
            End::Loaded { by_a_job } => {
                let now = self.world.ports.clock.now();
                for lease in waiting.values().flatten() {
                    events::FileLoaded { table: &done.table, event_at: lease.event_at(), now }.emit();
                }
                finish_all(&mut waiting, &mut ends, Outcome::Loaded);
                tried = Tried::Loaded { by_a_job };
            }
            End::Held(reason) => {
                finish_all(&mut waiting, &mut ends, Outcome::Held);
                hold = Some(reason);
            }
            End::Rehomed { homes, hold: reason, refusal } => {
                (hold, refused) = (reason, refusal);
                let now = self.world.ports.clock.now();
                let mut parts = rehomed(&done.table, homes, now, &mut waiting, &mut ends);
                tried = match (parts.pop(), parts.pop()) {
                    (Some(second), Some(first)) if refused.is_some() => Tried::Halved(first, second),
                    (None, None) if refused.is_some() => Tried::Alone,
                    (second, first) => {
                        for BatchPart { record, leases } in first.into_iter().chain(second) {
                            let begin = Begin::Resumed(record, Part::default());
                            self.start(done.table.clone(), begin, None, leases, None, context);
                        }
                        Tried::Unknown
                    }
                };
            }
            End::Unbuilt { file: Some(file), kind, reason } => {
                let leases = waiting.remove(&file).unwrap_or_default();
                ends.push((file, FileEnd::Failed(kind, reason), leases));
            }
            End::Unbuilt { file: None, kind: FaultKind::Internal, .. } => {
                // No single file can be blamed: each travels alone from now on.
                let suspects = std::mem::take(&mut waiting).into_iter();
                let suspects = suspects.map(|(file, leases)| (file, FileEnd::Suspect, leases));
                ends.extend(suspects);
            }
            End::Unbuilt { file: None, .. } | End::ClaimLost(_) | End::Superseded => {}
            End::LedgerLost(reason) => {
                if let Some(root) = self.world.directory.root() {
                    report(&root, LedgerLost(reason));
                }
            }
        }
        ends.extend(waiting.into_iter().map(|(file, leases)| (file, FileEnd::Returned, leases)));
        if let Some((batcher, _)) = self.world.directory.batcher(&done.table) {
            report(&batcher, DeliveryEnded { generation: done.batcher, lane: done.lane, files: ends });
        }
        // What waits for its turn is held with its table.
        let hold = hold.or_else(|| self.search(&done.table, done.search, tried, refused, context));
        if let (Some(reason), Some(root)) = (hold, self.world.directory.root()) {
            report(&root, HoldTable { table: done.table, reason });
        }
    }
}

/// Settles the files that have come to their end. Answers the batches that have the others.
fn rehomed(
    table: &TableId,
    homes: Vec<Home>,
    now: Instant,
    waiting: &mut BTreeMap<FileId, Vec<Lease>>,
    ends: &mut Vec<(FileId, FileEnd, Vec<Lease>)>,
) -> Vec<BatchPart> {
    let mut parts = Vec::new();
    for home in homes {
        let (file, outcome) = match home {
            Home::Batch { batch, attempt } => {
                let files = batch.manifest.entries.iter().map(|entry| entry.file.clone());
                let leases: Leases =
                    files.map(|file| (file.clone(), waiting.remove(&file).unwrap_or_default())).collect();
                // Another batch has them now, of which their table is told in its turn.
                ends.extend(leases.iter().map(|(file, _)| (file.clone(), FileEnd::Returned, Vec::new())));
                let last_attempt = attempt.map(|attempt| (attempt, AttemptOutcome::Open));
                let (state, since) = (BatchState::Open, now);
                let record = Box::new(BatchRecord { batch, state, last_attempt, since });
                parts.push(BatchPart { record, leases });
                continue;
            }
            Home::Poison(file, reason) => {
                events::FilePoisoned { table, file: &file, reason: &reason }.emit();
                (file, Outcome::Poisoned)
            }
            Home::Vanished(file) => {
                events::FileVanished { table, file: &file }.emit();
                (file, Outcome::Vanished)
            }
            Home::Deferred(file) => {
                events::FilesDeferred { table, count: 1 }.emit();
                (file, Outcome::Deferred)
            }
        };
        waiting.remove(&file).unwrap_or_default().into_iter().for_each(Lease::settle);
        ends.push((file, FileEnd::Finished(outcome), Vec::new()));
    }
    parts
}

fn finish_all(
    waiting: &mut BTreeMap<FileId, Vec<Lease>>,
    ends: &mut Vec<(FileId, FileEnd, Vec<Lease>)>,
    outcome: Outcome,
) {
    for (file, leases) in std::mem::take(waiting) {
        leases.into_iter().for_each(Lease::settle);
        ends.push((file, FileEnd::Finished(outcome), Vec::new()));
    }
}

/// Waits for a delivery and tells its end. The leases are here, outside the task that may panic.
async fn watch(
    task: tokio::task::JoinHandle<End>,
    leases: Leases,
    delivery: u64,
    generation: Generation,
    loader: Addr<Loader>,
) {
    match task.await {
        Ok(end) => report(&loader, DeliveryDone { delivery, generation, end, leases }),
        Err(error) => {
            if let Ok(payload) = error.try_into_panic() {
                // A whole batch was in hand: all its files are suspect.
                leases.into_iter().flat_map(|(_, leases)| leases).for_each(Lease::suspect);
                report(&loader, DeliveryCrashed { delivery, generation, panic: panic_text(payload) });
            }
        }
    }
}

impl Actor for Loader {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Batches are bounded by the tables' shares.
        context.set_mailbox_capacity(self.world.tables.len().saturating_mul(8).max(64));
        self.list_open(Look::First, context);
        if self.world.ports.ledger.has_other_writers() {
            context
                .run_interval(TAKE_OVER_INTERVAL, |loader, context| loader.list_open(Look::Again, context));
        }
    }
}

impl Handler<LoadBatch> for Loader {
    type Result = ();

    fn handle(&mut self, message: LoadBatch, context: &mut Self::Context) {
        let (mut files, mut leases) = (Vec::new(), Vec::new());
        for file in message.files {
            let event = file.leases.iter().map(Lease::event_at).min();
            leases.push((file.file.clone(), file.leases));
            files.push((file.file, file.fetched, event));
        }
        let announced = leases.iter().flat_map(|(_, leases)| leases.iter().map(Lease::event_at));
        let events = EventSpan::of(announced);
        self.start(
            message.table,
            Begin::Fresh(files, events),
            Some(message.generation),
            leases,
            None,
            context,
        );
    }
}

impl Handler<DeliveryDone> for Loader {
    type Result = ();

    fn handle(&mut self, message: DeliveryDone, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        if let Some(done) = self.in_flight.remove(&message.delivery) {
            self.conclude(done, message.end, message.leases, context);
        }
    }
}

impl Handler<DeliveryCrashed> for Loader {
    type Result = ();

    fn handle(&mut self, message: DeliveryCrashed, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        let Some(done) = self.in_flight.remove(&message.delivery) else { return };
        events::TaskPanicked { child: "delivery", table: &done.table, panic: &message.panic }.emit();
        if let Some((batcher, _)) = self.world.directory.batcher(&done.table) {
            // Its files come back through the poller, one by one, as suspects.
            report(&batcher, DeliveryEnded { generation: done.batcher, lane: done.lane, files: Vec::new() });
        }
        self.search(&done.table, done.search, Tried::Unknown, None, context);
        if let Some(root) = self.world.directory.root() {
            report(&root, TableCrashed { table: done.table, panic: message.panic });
        }
    }
}

impl Handler<AbortDeliveries> for Loader {
    type Result = ();

    fn handle(&mut self, message: AbortDeliveries, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        for delivery in message.deliveries {
            // Dropping it aborts its task; its leases go back to the poller.
            let Some(done) = self.in_flight.remove(&delivery) else { continue };
            if let Some((batcher, _)) = self.world.directory.batcher(&done.table) {
                report(
                    &batcher,
                    DeliveryEnded { generation: done.batcher, lane: done.lane, files: Vec::new() },
                );
            }
            self.search(&done.table, done.search, Tried::Unknown, None, context);
        }
    }
}

impl Handler<Stop> for Loader {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
