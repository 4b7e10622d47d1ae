//! A process: the machines of poller, batcher and deliveries, put together as the actors put them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use landbridge::domain::batch::{Batch, Manifest, ManifestEntry};
use landbridge::domain::bisection::Bisection;
use landbridge::domain::delivery::{Action, Delivery};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::BatchId;
use landbridge::domain::instant::Instant;
use landbridge::domain::intake::{self, Announced, Arrived, Content, Intake, ItemId, Plan};
use landbridge::domain::table::{self, CloseReason, Table};
use landbridge::domain::taking_over::{Look, is_left};
use landbridge::domain::transition::{BatchRecord, BatchState};
use landbridge::domain::watermark::Hands;

use super::mistakes::Mistake;
use super::world::World;
use super::{LATER, NOW, bounds, destination, intake_bounds, table_id};

/// Items by the file for which they wait.
pub type Leases = BTreeMap<FileId, BTreeSet<ItemId>>;

/// A delivery, the one thing that it does next, and who waits for its files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InFlight {
    pub delivery: Delivery,
    pub action: Action,
    pub leases: Leases,
    /// It has its files from this process's table.
    pub own: bool,
    /// Its batch is a part of a refused one; the others wait for their turn.
    pub search: Option<Bisection<Part>>,
}

/// A part of a refused batch, and who waits for its files.
pub type Part = (BatchRecord, Leases);

/// A process. All of it is gone when it crashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub intake: Intake,
    pub table: Table,
    pub deliveries: Vec<InFlight>,
    /// Who waits for a file that is not in a delivery.
    pub waiters: Leases,
    /// Messages that the queue is to be asked to delete.
    pub to_delete: Vec<u64>,
    /// Which message has which number in the intake.
    messages: BTreeMap<u64, usize>,
    pub runs: bool,
    /// The table was held or resumed, and its batches are still to be held (`true`) or let go.
    pub wish: Option<bool>,
    pub plan_hash: Arc<str>,
}

impl Process {
    fn new(runs: bool, plan_hash: Arc<str>) -> Self {
        Self {
            intake: Intake::new(intake_bounds()),
            table: Table::new(bounds()),
            deliveries: Vec::new(),
            waiters: BTreeMap::new(),
            to_delete: Vec::new(),
            messages: BTreeMap::new(),
            runs,
            wish: None,
            plan_hash,
        }
    }

    pub fn forget_intake(&mut self) {
        self.intake = Intake::new(intake_bounds());
        self.messages.clear();
    }

    pub fn message(&self, number: u64) -> usize {
        self.messages[&number]
    }

    /// The batches that it delivers, or will.
    pub fn batches(&self) -> Vec<BatchId> {
        let of = |one: &InFlight| {
            let waiting = one.search.iter().flat_map(|search| search.untried());
            let waiting = waiting.map(|(record, _)| record.batch.id.clone());
            waiting.chain([one.delivery.batch().id.clone()]).collect::<Vec<_>>()
        };
        self.deliveries.iter().flat_map(of).collect()
    }
}

impl World {
    /// Starts process `p`: open batches go on, and the held ones of a table that runs.
    pub fn start(&mut self, p: usize) {
        let runs = !self.ledger.table_held;
        self.processes[p] = Some(Process::new(runs, self.scenario.plan_hash(p, self.lives)));
        for record in self.ledger.open() {
            if !self.is_left(p, &record, Look::First) {
                continue;
            }
            if record.state == BatchState::Held {
                if !runs {
                    continue;
                }
                self.ledger.hold(&record.batch.id, false);
            }
            self.resume_delivery(p, record, Leases::new());
        }
    }

    /// True of a batch that no other living process has, as far as it is heard of.
    pub fn is_left(&self, p: usize, record: &BatchRecord, look: Look) -> bool {
        let heard = !self.scenario.unheard;
        let others = self.processes.iter().enumerate().filter(|(other, _)| heard && *other != p);
        let said = others.filter_map(|(other, process)| {
            let batches = process.as_ref()?.batches();
            Some(Hands { process: other.to_string(), at: NOW, batches, ..Hands::default() })
        });
        let takes_all = self.mistake == Some(Mistake::TakesUpTheLiving) && look == Look::First;
        takes_all || is_left(record, &p.to_string(), &said.collect::<Vec<_>>(), look, NOW)
    }

    /// Open batches that the process may take up.
    pub fn left_to(&self, p: usize) -> Vec<BatchRecord> {
        let Some(process) = &self.processes[p] else { return Vec::new() };
        let own = process.batches();
        let takes = |record: &BatchRecord| {
            let runs = process.runs && process.wish.is_none() && record.state == BatchState::Open;
            runs && !own.contains(&record.batch.id) && self.is_left(p, record, Look::Again)
        };
        self.ledger.open().into_iter().filter(takes).collect()
    }

    /// The process takes up what another has left.
    pub fn take_over(&mut self, p: usize) {
        for record in self.left_to(p) {
            self.resume_delivery(p, record, Leases::new());
        }
    }

    pub fn process(&mut self, p: usize) -> &mut Process {
        self.processes[p].as_mut().unwrap()
    }

    /// A message is received.
    pub fn receive(&mut self, p: usize, message: usize) {
        let files = self.queue[message].files.iter().map(|file| Announced {
            file: file.clone(),
            plan: Plan::Offer,
            event_at: NOW,
        });
        let name: Arc<str> = format!("m{message}").into();
        let content = Content::Files(files.collect());
        let arrived = Arrived { id: Arc::clone(&name), receipt: name, content };
        self.queue[message].visible = false;
        self.step_intake(p, NOW, intake::Event::Received(vec![arrived]), Some(message));
    }

    pub fn step_intake(&mut self, p: usize, now: Instant, event: intake::Event, message: Option<usize>) {
        let effects = self.process(p).intake.step(now, event);
        for effect in effects {
            match effect {
                intake::Effect::Offer { files, .. } => {
                    for offer in files {
                        if let Some(message) = message {
                            self.process(p).messages.insert(offer.item.message, message);
                        }
                        if !self.process(p).runs {
                            self.step_intake(p, NOW, intake::Event::OfferRefused(offer.item), None);
                            continue;
                        }
                        let waiters = self.process(p).waiters.entry(offer.file.clone()).or_default();
                        waiters.insert(offer.item);
                        let announced = table::Event::Announced { file: offer.file, suspect: offer.suspect };
                        self.step_table(p, NOW, announced);
                    }
                }
                intake::Effect::Settle(item, file, verdict) => {
                    let state = self.ledger.settle(&file, &verdict);
                    self.step_intake(p, NOW, intake::Event::VerdictWritten(item, state), None);
                }
                intake::Effect::Delete(messages) => {
                    self.process(p).to_delete.extend(messages.into_iter().map(|(number, _)| number));
                }
                intake::Effect::Extend(_) => {}
                intake::Effect::Strike(..)
                | intake::Effect::DeadLetter { .. }
                | intake::Effect::Redrive { .. } => {
                    unreachable!("nothing panics here, and every message can be parsed")
                }
            }
        }
    }

    /// What the ledger says of a file that is announced.
    fn look_up(&self, file: &FileId) -> Option<FileState> {
        let state = self.ledger.state(file);
        if let (Some(Mistake::KnownIsLoaded), Some(FileState::Claimed { batch, .. })) = (self.mistake, &state)
        {
            return Some(FileState::Loaded { batch: batch.clone() });
        }
        if self.mistake == Some(Mistake::KeyAlone) && state.is_none() {
            let mut known = self.ledger.states().filter(|(other, _)| other.key == file.key);
            return known.find_map(|(_, state)| state);
        }
        state
    }

    pub fn step_table(&mut self, p: usize, now: Instant, event: table::Event) {
        let effects = self.process(p).table.step(now, event);
        for effect in effects {
            match effect {
                table::Effect::Lookup(file) => {
                    let state = self.look_up(&file);
                    self.step_table(p, NOW, table::Event::LookedUp { file, state });
                }
                table::Effect::Fetch(file) => {
                    let event = match self.fetch(&file) {
                        Ok(()) => table::Event::Fetched { file, bytes: 1 },
                        Err(kind) => table::Event::Failed { file, kind, reason: "fetch".to_owned() },
                    };
                    self.step_table(p, NOW, event);
                }
                table::Effect::Strike(file, reason) => {
                    // The third of three, so that there are fewer states.
                    self.step_table(
                        p,
                        NOW,
                        table::Event::Struck { file, strikes: table::STRIKES_MAX, reason },
                    );
                }
                table::Effect::Settle(file, verdict) => {
                    let state = self.ledger.settle(&file, &verdict);
                    self.step_table(p, NOW, table::Event::Settled { file, state });
                }
                table::Effect::Release { file, .. } => {
                    let items = self.process(p).waiters.remove(&file).unwrap_or_default();
                    self.settle(p, &file, items);
                }
                table::Effect::Deliver(files, _) => self.plan(p, files),
            }
        }
        let process = self.process(p);
        process.table = process.table.clone().rested();
    }

    /// Who waits for the file need not wait any more.
    pub fn settle(&mut self, p: usize, file: &FileId, items: BTreeSet<ItemId>) {
        // Later a person may resume a held batch, and deferred files are taken up.
        let is_final = self.ledger.state(file).is_some_and(|state| state.is_final());
        self.given_up_early |= !is_final && !items.is_empty();
        for item in items {
            self.step_intake(p, NOW, intake::Event::LeaseSettled(item), None);
        }
    }

    /// A footer is read.
    fn fetch(&self, file: &FileId) -> Result<(), FaultKind> {
        if self.bucket.get(&file.key) != Some(file) {
            return Err(FaultKind::Vanished);
        }
        if self.scenario.is_unreadable(file) { Err(FaultKind::Unreadable) } else { Ok(()) }
    }

    fn plan(&mut self, p: usize, files: Vec<FileId>) {
        let taken = files.iter().map(|file| {
            let items = self.process(p).waiters.remove(file).unwrap_or_default();
            (file.clone(), items)
        });
        let leases = taken.collect();
        let entries = files.into_iter().map(|file| {
            let rows = self.scenario.rows(&file);
            ManifestEntry { file, rows }
        });
        let manifest = Manifest { entries: entries.collect() };
        // No two batches are claimed at one time, and none at the time of another life.
        let claimed_at = NOW.plus(Duration::from_micros(2 * self.ledger.batches.len() as u64 + p as u64));
        let batch = Batch::plan(table_id(), destination(), claimed_at, None, manifest);
        let plan_hash = Arc::clone(&self.process(p).plan_hash);
        self.begin(p, Delivery::plan(batch, plan_hash, Duration::ZERO), leases, true);
    }

    pub fn plan_hash(&mut self, p: usize) -> Arc<str> {
        Arc::clone(&self.process(p).plan_hash)
    }

    pub fn close_window(&mut self, p: usize) {
        self.step_table(p, NOW, table::Event::Flush(CloseReason::Flush));
    }

    /// Time passes: whatever waits is tried again.
    pub fn try_again(&mut self, p: usize) {
        self.step_table(p, LATER, table::Event::Tick);
    }

    pub fn take_up_deferred(&mut self, p: usize) {
        for file in self.ledger.deferred() {
            if !self.process(p).table.holds(&file) {
                self.step_table(p, NOW, table::Event::Announced { file, suspect: false });
            }
        }
    }
}
