//! The root of the tree: owns the tables' modes and restart budgets. It hears every child's end and decides by
//! `domain::restart`; it tells the directory who takes mail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use super::batcher::Batcher;
use super::fetcher::Fetcher;
use super::loader::Loader;
use super::outbox::Outbox;
use super::planner::Planner;
use super::poller::Poller;
use super::supervision::{ChildHandle, start_child, tell};
use super::watchdog::Watchdog;
use super::world::World;
use crate::domain::fault::Fault;
use crate::domain::ids::{Generation, QueueId, TableId};
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::restart::{Budget, Decision, Spent};
use crate::domain::table::CloseReason;
use crate::domain::transition::TableMode;
use crate::messages::batcher::FlushWindow;
use crate::messages::child::{ChildExit, ChildExited, ChildId, Stop};
use crate::messages::fetcher::AbortFetches;
use crate::messages::loader::{HoldBatches, ResumeBatches};
use crate::messages::poller::OfferParked;
use crate::messages::root::{
    BeginDrain, ChildWedged, FlushAll, FlushTable, HoldTable, LedgerLost, ModeSet, ModeWritten, NoSuchTable,
    PauseTable, ResumeTable, RootSnapshot, Snapshot, TableCrashed,
};
use crate::telemetry::events;

mod handlers;
mod modes;
mod pressure;
mod services;

/// The wait before a mode that the ledger did not take is written again.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// How often the modes are read again where other processes may have changed them.
const MODES_INTERVAL: Duration = Duration::from_secs(5);
/// Windows are closed for want of credit at most this often.
const PRESSURE_INTERVAL: Duration = Duration::from_millis(200);

struct Seat {
    generation: Generation,
    budget: Budget,
}

struct TableSeat {
    mode: TableMode,
    /// The number of the change that gave it, and whether the ledger is still to take it.
    change: u64,
    unwritten: bool,
    /// When it was decided; a write that is repeated keeps it.
    decided_at: Instant,
    generation: Generation,
    budget: Budget,
    batcher: Option<ChildHandle<Batcher>>,
    /// Counts restarts that were put off, so that only the latest timer acts.
    restart: u64,
}

/// The actor.
pub struct Root {
    world: Arc<World>,
    tables: BTreeMap<TableId, TableSeat>,
    seats: BTreeMap<ChildId, Seat>,
    pollers: BTreeMap<QueueId, ChildHandle<Poller>>,
    fetchers: BTreeMap<usize, ChildHandle<Fetcher>>,
    loader: Option<ChildHandle<Loader>>,
    planner: Option<ChildHandle<Planner>>,
    outbox: Option<ChildHandle<Outbox>>,
    watchdog: Option<ChildHandle<Watchdog>>,
    /// Children that are being ended because they are wedged, with what they did.
    wedged: BTreeMap<ChildId, String>,
    draining: bool,
    /// Changes of modes so far.
    changes: u64,
    crashes: u64,
    pressed_at: ByLane<Option<tokio::time::Instant>>,
}

impl Root {
    /// A root whose children start with it.
    pub fn new(world: Arc<World>) -> Self {
        let tables = world.tables.keys().map(|table| {
            let mode = world.modes.get(table).cloned().unwrap_or(TableMode::Running);
            let budget = Budget::new(Spent::Quarantine);
            (
                table.clone(),
                TableSeat {
                    mode,
                    change: 0,
                    unwritten: false,
                    decided_at: Instant::default(),
                    generation: Generation(0),
                    budget,
                    batcher: None,
                    restart: 0,
                },
            )
        });
        Self {
            tables: tables.collect(),
            world,
            seats: BTreeMap::new(),
            pollers: BTreeMap::new(),
            fetchers: BTreeMap::new(),
            loader: None,
            planner: None,
            outbox: None,
            watchdog: None,
            wedged: BTreeMap::new(),
            draining: false,
            changes: 0,
            crashes: 0,
            pressed_at: ByLane::default(),
        }
    }

    fn next_generation(&mut self, child: &ChildId, spent: Spent) -> Generation {
        let fresh = || Seat { generation: Generation(0), budget: Budget::new(spent) };
        let seat = self.seats.entry(child.clone()).or_insert_with(fresh);
        seat.generation = seat.generation.next();
        events::ChildStarted { child: child.label(), name: child.to_string(), generation: seat.generation }
            .emit();
        seat.generation
    }

    fn start_loader(&mut self, context: &mut Context<Self>) {
        let generation = self.next_generation(&ChildId::Loader, Spent::Escalate);
        let world = Arc::clone(&self.world);
        let init = move || async move { Ok::<_, Fault>(Loader::new(world, generation)) };
        let handle = start_child(ChildId::Loader, generation, context.address().recipient(), init);
        self.world.directory.set_loader(handle.address.clone(), generation);
        self.loader = Some(handle);
    }

    fn start_fetcher(&mut self, number: usize, context: &mut Context<Self>) {
        let child = ChildId::Fetcher(number);
        let generation = self.next_generation(&child, Spent::KeepTrying);
        let world = Arc::clone(&self.world);
        let init = move || async move { Ok::<_, Fault>(Fetcher::new(world)) };
        let handle = start_child(child, generation, context.address().recipient(), init);
        self.world.directory.set_fetcher(number, handle.address.clone(), generation);
        self.fetchers.insert(number, handle);
    }

    fn start_poller(&mut self, id: QueueId, context: &mut Context<Self>) {
        let Some(queue) = self.world.ports.queues.get(&id).map(Arc::clone) else { return };
        let child = ChildId::Poller(id.clone());
        let generation = self.next_generation(&child, Spent::KeepTrying);
        let (world, name) = (Arc::clone(&self.world), id.clone());
        let init = move || async move { Ok::<_, Fault>(Poller::new(world, name, queue)) };
        let handle = start_child(child, generation, context.address().recipient(), init);
        self.world.directory.set_poller(id.clone(), handle.address.clone(), generation);
        self.pollers.insert(id, handle);
    }

    /// Starts the table's batcher, opens the table, and asks for what waits for it.
    fn start_batcher(&mut self, table: &TableId, context: &mut Context<Self>) {
        let (Some(seat), Some(setup)) = (self.tables.get_mut(table), self.world.tables.get(table)) else {
            return;
        };
        if seat.mode != TableMode::Running || seat.batcher.is_some() {
            return;
        }
        seat.generation = seat.generation.next();
        let (generation, bounds) = (seat.generation, setup.bounds);
        let child = ChildId::Batcher(table.clone());
        events::ChildStarted { child: child.label(), name: child.to_string(), generation }.emit();
        let (world, id) = (Arc::clone(&self.world), table.clone());
        let init = move || async move { Ok::<_, Fault>(Batcher::new(world, id, bounds, generation)) };
        let handle = start_child(child, generation, context.address().recipient(), init);
        self.world.directory.set_batcher(table, Some((handle.address.clone(), generation)));
        seat.batcher = Some(handle);
        self.offer_parked(table);
    }

    /// Replaces every running batcher; nobody is charged.
    fn renew_batchers(&mut self, context: &mut Context<Self>) {
        let running = self.tables.iter().filter(|(_, seat)| seat.batcher.is_some());
        for table in running.map(|(table, _)| table.clone()).collect::<Vec<_>>() {
            self.close_table(&table);
            self.start_batcher(&table, context);
        }
    }

    fn offer_parked(&self, table: &TableId) {
        for poller in self.world.directory.pollers() {
            tell(&poller, OfferParked(table.clone()));
        }
    }

    /// Closes the table: its batcher goes, and what it held comes back to the pollers.
    fn close_table(&mut self, table: &TableId) {
        self.world.directory.set_batcher(table, None);
        for fetcher in self.world.directory.fetchers() {
            tell(&fetcher, AbortFetches(table.clone()));
        }
        if let Some(seat) = self.tables.get_mut(table) {
            seat.restart = seat.restart.saturating_add(1);
            seat.batcher = None;
        }
    }

    fn set_mode(&mut self, table: &TableId, mode: TableMode, context: &mut Context<Self>) {
        if self.tables.contains_key(table) {
            self.change_mode(table, &mode);
            events::TableModeChanged { table, mode: &mode }.emit();
            self.write_mode(table, mode, None, context);
        }
    }

    fn change_mode(&mut self, table: &TableId, mode: &TableMode) {
        self.changes = self.changes.saturating_add(1);
        let now = self.world.ports.clock.now();
        if let Some(seat) = self.tables.get_mut(table) {
            seat.mode = mode.clone();
            seat.decided_at = now;
            (seat.change, seat.unwritten) = (self.changes, true);
        }
    }

    /// Writes the mode to the ledger; `heard` hears what came of this one try.
    fn write_mode(
        &self,
        table: &TableId,
        mode: TableMode,
        heard: Option<oneshot::Sender<Option<String>>>,
        context: &mut Context<Self>,
    ) {
        let (world, address, table) = (Arc::clone(&self.world), context.address(), table.clone());
        let decided_at = self.tables.get(&table).map_or(world.ports.clock.now(), |seat| seat.decided_at);
        tokio::spawn(async move {
            let written = world.ports.ledger.set_mode(&table, &mode, decided_at).await;
            let fault = written.err().map(|fault| {
                world.ledger_failed("set_mode", &fault);
                fault.chain()
            });
            if let Some(heard) = heard {
                // Whoever asked may have gone.
                let _ = heard.send(fault.clone());
            }
            super::supervision::report(&address, ModeWritten { table, mode, fault });
        });
    }

    /// A crash charged to a table: its batcher's, or one of its deliveries'.
    fn table_crashed(&mut self, table: &TableId, panic: &str, context: &mut Context<Self>) {
        self.crashes = self.crashes.saturating_add(1);
        let now = self.world.ports.clock.now();
        let Some(seat) = self.tables.get_mut(table) else { return };
        let decision = seat.budget.on_crash(now, jitter(now.micros()));
        self.close_table(table);
        match decision {
            Decision::RestartAfter(delay) => {
                events::TableResting { table, delay, panic }.emit();
                self.restart_table_after(table.clone(), delay, context);
            }
            Decision::Quarantine | Decision::Escalate => {
                events::TableQuarantined { table, panic }.emit();
                self.set_mode(table, TableMode::Quarantined(panic.to_owned()), context);
                self.hold_batches(table);
            }
        }
    }

    fn restart_table_after(&mut self, table: TableId, delay: Duration, context: &mut Context<Self>) {
        let Some(restart) = self.tables.get(&table).map(|seat| seat.restart) else { return };
        context.run_later(delay, move |root, context| {
            let current = root.tables.get(&table).is_some_and(|seat| seat.restart == restart);
            if current && !root.draining {
                root.open_table(&table, context);
            }
        });
    }

    fn open_table(&mut self, table: &TableId, context: &mut Context<Self>) {
        self.start_batcher(table, context);
        if let Some(loader) = self.world.directory.loader() {
            tell(&loader, ResumeBatches(table.clone()));
        }
    }

    fn hold_batches(&self, table: &TableId) {
        if let Some(loader) = self.world.directory.loader() {
            tell(&loader, HoldBatches(table.clone()));
        }
    }

    /// The end of a child that is not a batcher.
    fn service_exited(&mut self, child: ChildId, end: &str, context: &mut Context<Self>) {
        self.crashes = self.crashes.saturating_add(1);
        let now = self.world.ports.clock.now();
        match &child {
            // What batchers had asked of it is gone with it: fresh ones ask anew, from what the leases bring back.
            ChildId::Loader | ChildId::Fetcher(_) => self.renew_batchers(context),
            ChildId::Poller(_)
            | ChildId::Planner
            | ChildId::Outbox
            | ChildId::Watchdog
            | ChildId::Batcher(_) => {}
        }
        let Some(seat) = self.seats.get_mut(&child) else { return };
        match seat.budget.on_crash(now, jitter(now.micros())) {
            Decision::RestartAfter(delay) => {
                context.run_later(delay, move |root, context| {
                    if root.draining {
                        return;
                    }
                    match child {
                        ChildId::Loader => root.start_loader(context),
                        ChildId::Fetcher(number) => root.start_fetcher(number, context),
                        ChildId::Poller(queue) => root.start_poller(queue, context),
                        ChildId::Planner => root.start_planner(context),
                        ChildId::Outbox => root.start_outbox(context),
                        ChildId::Watchdog => root.start_watchdog(context),
                        // A batcher is its table's matter.
                        ChildId::Batcher(table) => root.start_batcher(&table, context),
                    }
                });
            }
            Decision::Quarantine | Decision::Escalate => {
                self.world
                    .fail(format!("{child} crashed too often, last: {end}; the process ends to start clean"));
            }
        }
    }
}

/// From 0 to 1, from the microseconds of a clock: enough to keep tables from rising together.
fn jitter(micros: i64) -> f64 {
    micros.rem_euclid(1_000) as f64 / 1_000.0
}

impl Actor for Root {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.tables.len().saturating_mul(4).max(256));
        self.world.directory.set_root(context.address());
        self.start_planner(context);
        self.start_outbox(context);
        self.start_loader(context);
        (0..self.world.bounds.fetchers.max(1)).for_each(|number| self.start_fetcher(number, context));
        let tables: Vec<_> = self.tables.keys().cloned().collect();
        for table in tables {
            if let Some(seat) = self.tables.get(&table) {
                events::TableModeKnown { table: &table, mode: &seat.mode }.emit();
            }
            self.start_batcher(&table, context);
        }
        let queues: Vec<_> = self.world.ports.queues.keys().cloned().collect();
        queues.into_iter().for_each(|queue| self.start_poller(queue, context));
        self.start_watchdog(context);
        if self.world.ports.ledger.has_other_writers() {
            context.run_interval(MODES_INTERVAL, |root, context| root.read_modes(context));
        }
    }
}

/// Starts the tree and answers the root's address.
pub fn start_tree(world: Arc<World>) -> Addr<Root> {
    // The root is the one actor without a supervisor: when it ends, the process does.
    let context = Context::<Root>::new();
    let address = context.address();
    let watched = Arc::clone(&world);
    actix::spawn(async move {
        let root = actix::spawn(context.into_future(Root::new(world)));
        if let Err(error) = root.await {
            watched.fail(format!("the root of the tree crashed: {error}"));
        }
    });
    address
}
