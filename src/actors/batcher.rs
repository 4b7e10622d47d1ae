//! The batcher of one table: owns the table's open windows, of changes and of full loads, decides by `domain::table`.
//!
//! It hears pollers (offers), fetchers, the ledger and the loader; it tells fetchers what to open and the loader what
//! to load. When it dies, what it held comes back through leases, and a fresh generation starts with nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};

use super::supervision::{report, tell};
use super::world::World;
use crate::columns::plan::ColumnPlan;
use crate::domain::batch::FILES_PER_BATCH_MAX;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{Generation, TableId};
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::table::{CloseReason, Effect, Event, Lanes, Outcome, TableBounds, TakeUp};
use crate::domain::transition::Verdict;
use crate::domain::watchdog::Edge;
use crate::flow::lease::Lease;
use crate::messages::batcher::{
    DeliveryEnded, FileEnd, FileFetched, FlushWindow, LedgerAnswered, OfferFiles,
};
use crate::messages::child::Stop;
use crate::messages::fetcher::{FetchFile, Fetched};
use crate::messages::loader::{LoadBatch, LoadFile};
use crate::telemetry::events;

mod deferred;
mod planned;
mod questions;

/// The actor.
pub struct Batcher {
    world: Arc<World>,
    id: TableId,
    generation: Generation,
    lanes: Lanes,
    waiters: BTreeMap<FileId, Vec<Lease>>,
    /// When files that were deferred were written, as far as the ledger knows: nobody waits for them.
    written: BTreeMap<FileId, Instant>,
    fetched: BTreeMap<FileId, Fetched>,
    window_plans: ByLane<ColumnPlan>,
    wake: Option<SpawnHandle>,
    /// The next take-up of deferred files.
    take_up: Option<SpawnHandle>,
    /// When the ledger was asked for deferred files, while it has not answered.
    take_up_asked: Option<Instant>,
    /// How often files were deferred, as far as this batcher heard.
    deferrals: u64,
    none_deferred: bool,
    /// How far is looked for deferred files.
    look: TakeUp,
}

impl Batcher {
    /// A batcher with nothing in hand.
    pub fn new(world: Arc<World>, id: TableId, bounds: TableBounds, generation: Generation) -> Self {
        Self {
            world,
            id,
            generation,
            lanes: Lanes::new(bounds),
            waiters: BTreeMap::new(),
            written: BTreeMap::new(),
            fetched: BTreeMap::new(),
            window_plans: ByLane { changes: ColumnPlan::empty(), full_loads: ColumnPlan::empty() },
            wake: None,
            take_up: None,
            take_up_asked: None,
            deferrals: 0,
            none_deferred: false,
            look: TakeUp::default(),
        }
    }

    fn step(&mut self, events: impl IntoIterator<Item = Event>, context: &mut Context<Self>) {
        self.step_in(None, events, context);
    }

    /// What is about no file has happened in `lane`; without one, in both.
    fn step_in(
        &mut self,
        lane: Option<Lane>,
        events: impl IntoIterator<Item = Event>,
        context: &mut Context<Self>,
    ) {
        let now = self.world.ports.clock.now();
        let (mut lookups, mut settles) = (Vec::new(), Vec::new());
        for event in events {
            let effects = match lane {
                Some(lane) if event.file().is_none() => self.lanes.step_in(lane, now, event),
                Some(_) | None => self.lanes.step(now, event),
            };
            for effect in effects {
                match effect {
                    Effect::Lookup(file) => lookups.push(file),
                    Effect::Settle(file, verdict) => settles.push((file, verdict)),
                    Effect::Fetch(file) => self.fetch(file, context),
                    Effect::Strike(file, reason) => self.strike(file, reason, context),
                    Effect::Release { file, outcome, fresh } => {
                        self.fetched.remove(&file);
                        self.written.remove(&file);
                        let leases = self.waiters.remove(&file).unwrap_or_default();
                        events::FileReleased { file: &file, outcome, fresh, waiters: leases.len() }.emit();
                        leases.into_iter().for_each(Lease::settle);
                    }
                    Effect::Deliver(files, reason) => self.deliver(files, reason, context),
                }
            }
        }
        self.lookup(lookups, context);
        self.settle(settles, context);
        for lane in Lane::ALL.into_iter().filter(|lane| self.lanes.of(*lane).window_files() == 0) {
            *self.window_plans.of_mut(lane) = ColumnPlan::empty();
        }
        self.tell_what_windows_hold();
        self.rearm(context);
    }

    /// Re-arms the one timer from the moment that the machine names.
    fn rearm(&mut self, context: &mut Context<Self>) {
        if let Some(handle) = self.wake.take() {
            context.cancel_future(handle);
        }
        if let Some(at) = self.lanes.next_wake() {
            let wait = self.world.ports.clock.now().until(at);
            self.wake = Some(context.run_later(wait, |batcher, context| {
                batcher.wake = None;
                batcher.step([Event::Tick], context);
            }));
        }
    }

    fn lookup(&self, files: Vec<FileId>, context: &mut Context<Self>) {
        for chunk in files.chunks(FILES_PER_BATCH_MAX) {
            let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
            let files = chunk.to_vec();
            tokio::spawn(async move {
                let events = match world.heard(Edge::Ledger, world.ports.ledger.lookup(&files)).await {
                    Ok(states) => files
                        .into_iter()
                        .zip(states)
                        .map(|(file, state)| Event::LookedUp { file, state })
                        .collect(),
                    Err(fault) => {
                        world.ledger_failed("lookup", &fault);
                        files.into_iter().map(|file| Event::LedgerFailed { file }).collect()
                    }
                };
                report(&address, LedgerAnswered { generation, events });
            });
        }
    }

    fn settle(&self, files: Vec<(FileId, Verdict)>, context: &mut Context<Self>) {
        for chunk in files.chunks(FILES_PER_BATCH_MAX) {
            let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
            let files = chunk.to_vec();
            let event_times: Vec<_> = files
                .iter()
                .filter_map(|(file, _)| {
                    let leases = self.waiters.get(file)?.iter();
                    Some((file.clone(), leases.map(Lease::event_at).min()?))
                })
                .collect();
            tokio::spawn(async move {
                let settle = world.ports.ledger.settle(&files, world.ports.clock.now());
                let events = match world.heard(Edge::Ledger, settle).await {
                    Ok(states) => {
                        world.note_deferred_events(event_times, &states).await;
                        let settled = files.into_iter().zip(states).map(|((file, verdict), state)| {
                            events::FileSettled {
                                table: &file.table,
                                file: &file,
                                verdict: &verdict,
                                state: &state,
                            }
                            .emit();
                            Event::Settled { file, state }
                        });
                        settled.collect()
                    }
                    Err(fault) => {
                        world.ledger_failed("settle", &fault);
                        files.into_iter().map(|(file, _)| Event::LedgerFailed { file }).collect()
                    }
                };
                report(&address, LedgerAnswered { generation, events });
            });
        }
    }

    fn strike(&self, file: FileId, reason: String, context: &mut Context<Self>) {
        let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
        tokio::spawn(async move {
            let strike = world.ports.ledger.strike(&file, &reason, world.ports.clock.now());
            let event = match world.heard(Edge::Ledger, strike).await {
                Ok(strikes) => {
                    events::FileStruck { file: &file, strikes, reason: &reason }.emit();
                    Event::Struck { file, strikes, reason }
                }
                Err(fault) => {
                    world.ledger_failed("strike", &fault);
                    Event::LedgerFailed { file }
                }
            };
            report(&address, LedgerAnswered { generation, events: vec![event] });
        });
    }

    fn fetch(&mut self, file: FileId, context: &mut Context<Self>) {
        self.fetched.remove(&file);
        let announced = self.waiters.get(&file).into_iter().flatten().map(Lease::event_at);
        let written = announced.chain(self.written.get(&file).copied()).min();
        let fetch = FetchFile(file.clone(), written);
        let taken = self.world.directory.fetcher().is_some_and(|fetcher| tell(&fetcher, fetch));
        if !taken {
            // No fetcher just now: the file waits like one whose ledger call failed.
            let answer =
                LedgerAnswered { generation: self.generation, events: vec![Event::LedgerFailed { file }] };
            report(&context.address(), answer);
        }
    }

    /// What the end of a delivery says of a file. An `own` delivery has had the file from this batcher.
    fn ended(file: FileId, end: FileEnd, own: bool) -> Event {
        match end {
            FileEnd::Finished(outcome) if own => Event::Finished { file, outcome },
            FileEnd::Failed(kind, reason) if own => Event::Failed { file, kind, reason },
            FileEnd::Returned if own => Event::Returned { file, suspect: false },
            FileEnd::Suspect if own => Event::Returned { file, suspect: true },
            FileEnd::Finished(_) | FileEnd::Failed(..) | FileEnd::Returned => {
                Event::EndedElsewhere { file, suspect: false }
            }
            FileEnd::Suspect => Event::EndedElsewhere { file, suspect: true },
        }
    }

    fn deliver(&mut self, files: Vec<FileId>, reason: CloseReason, context: &mut Context<Self>) {
        let (mut batch, mut missing) = (Vec::with_capacity(files.len()), Vec::new());
        for file in files {
            match self.fetched.remove(&file) {
                Some(fetched) => {
                    let leases = self.waiters.remove(&file).unwrap_or_default();
                    batch.push(LoadFile { file, fetched, leases });
                }
                None => missing.push(file),
            }
        }
        let bytes = batch.iter().map(|file| file.file.size_bytes).sum();
        let lane = Lane::of_all(batch.iter().map(|one| &one.file).chain(&missing));
        events::WindowClosed { table: &self.id, reason: reason.label(), files: batch.len(), bytes }.emit();
        let mut returned: Vec<_> = missing.into_iter().map(|file| (file, Vec::new())).collect();
        let message = LoadBatch { table: self.id.clone(), generation: self.generation, files: batch };
        let loader = self.world.directory.loader().filter(|_| !message.files.is_empty());
        let refused = match loader {
            Some(loader) => loader.try_send(message).err().map(|error| error.into_inner()),
            None => Some(message),
        };
        // Where nothing was handed over (the loader is restarting), the table's share is free again.
        let generation = refused.is_some().then_some(self.generation);
        let refused = refused.into_iter().flat_map(|message| message.files);
        returned.extend(refused.map(|file| (file.file, file.leases)));
        if generation.is_some() || !returned.is_empty() {
            let files = returned.into_iter().map(|(file, leases)| (file, FileEnd::Returned, leases));
            report(&context.address(), DeliveryEnded { generation, lane, files: files.collect() });
        }
    }
}

impl Actor for Batcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Offers are bounded by the pollers' share for one table, answers by what was asked.
        context.set_mailbox_capacity(512);
        self.tell_what_windows_hold();
        self.take_up_deferred(context);
    }
}

impl Handler<OfferFiles> for Batcher {
    type Result = ();

    fn handle(&mut self, message: OfferFiles, context: &mut Self::Context) {
        let mut announced = Vec::with_capacity(message.0.len());
        for offered in message.0 {
            announced.push(Event::Announced { file: offered.file.clone(), suspect: offered.suspect });
            self.waiters.entry(offered.file).or_default().push(offered.lease);
        }
        self.step(announced, context);
    }
}

impl Handler<FileFetched> for Batcher {
    type Result = ();

    fn handle(&mut self, message: FileFetched, context: &mut Self::Context) {
        let FileFetched { file, result } = message;
        if !self.lanes.holds(&file) {
            return;
        }
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(fault) => {
                events::FetchFailed { file: &file, fault: &fault }.emit();
                let (kind, reason) = (fault.kind, fault.chain());
                return self.step([Event::Failed { file, kind, reason }], context);
            }
        };
        // Until it is put down, a panic is this file's fault: one strike, however many announcements wait for it.
        self.waiters.entry(file.clone()).or_default().iter_mut().take(1).for_each(Lease::take_in_hand);
        let bytes = fetched.object.size_bytes();
        let planned = self.plan(&file, fetched.footer.rows());
        let lane = Lane::of(&file);
        match self.window_plans.of(lane).unify(fetched.footer.plan()) {
            Ok(plan) => *self.window_plans.of_mut(lane) = plan,
            Err(conflict) => {
                events::SchemaSplit { table: &self.id, file: &file, conflict: &conflict }.emit();
                self.step_in(Some(lane), [Event::Flush(CloseReason::Schema)], context);
                *self.window_plans.of_mut(lane) = fetched.footer.plan().clone();
            }
        }
        self.waiters.entry(file.clone()).or_default().iter_mut().for_each(Lease::put_down);
        self.fetched.insert(file.clone(), fetched);
        self.step(planned.into_iter().chain([Event::Fetched { file, bytes }]), context);
    }
}

impl Handler<LedgerAnswered> for Batcher {
    type Result = ();

    fn handle(&mut self, message: LedgerAnswered, context: &mut Self::Context) {
        if message.generation == self.generation {
            let deferred =
                |event: &Event| matches!(event, Event::Settled { state: FileState::Deferred { .. }, .. });
            if message.events.iter().any(deferred) {
                self.note_deferral();
            }
            self.step(message.events, context);
        }
    }
}

impl Handler<DeliveryEnded> for Batcher {
    type Result = ();

    fn handle(&mut self, message: DeliveryEnded, context: &mut Self::Context) {
        let mut happened = Vec::with_capacity(message.files.len() + 1);
        let own = message.generation == Some(self.generation);
        if own {
            happened.push(Event::DeliveryEnded);
        }
        for (file, end, leases) in message.files {
            if matches!(end, FileEnd::Finished(Outcome::Deferred)) {
                // It is taken up at the usual interval: what deferred it may defer it again.
                self.note_deferral();
            }
            if leases.is_empty() && !self.lanes.holds(&file) {
                // Nobody here waits for it.
                continue;
            }
            self.waiters.entry(file.clone()).or_default().extend(leases);
            happened.push(Self::ended(file, end, own));
        }
        self.step_in(Some(message.lane), happened, context);
    }
}

impl Handler<FlushWindow> for Batcher {
    type Result = ();

    fn handle(&mut self, message: FlushWindow, context: &mut Self::Context) {
        self.step_in(message.lane, [Event::Flush(message.reason)], context);
    }
}

impl Handler<Stop> for Batcher {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
