//! The planner: owns the budget of the warehouse's quotas, and says how long each table's window is, as `domain::planner`
//! decides.
//!
//! It hears batchers (files), deliveries (jobs), the ledger (what other processes have begun) and the warehouse's list of jobs (what is
//! in no ledger), and counts each job once. It publishes a window for each table, which the batchers read. When it dies, they go on with
//! the last ones; a fresh planner reads from the ledger what the last day has used.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};

use super::supervision::report;
use super::world::World;
use crate::domain::fault::Fault;
use crate::domain::instant::Instant;
use crate::domain::lane::Lane;
use crate::domain::planner::{
    Carrier, Counted, DAY, Granted, JobKey, ListedJob, Planner as Machine, Quotas, Submitted,
};
use crate::domain::watchdog::Edge;
use crate::domain::watermark::living;
use crate::messages::child::{Ping, Pulse};
use crate::messages::planner::{
    FileCame, FullLoadBegins, FullLoadUnused, GrantStatus, JobSubmitted, JobsListed, ProbeSubmitted,
    QuotaRefused, SlowDown, Strangers, StreamMade, StreamsAreFree, SubmissionsRead,
};
use crate::telemetry::events;

/// How often all windows are published, for tables that are quiet too, and the budget is shown.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(10);
/// How often the ledger is read where others submit jobs, too, and how much of it is read again: an index of DynamoDB lags behind, and
/// so do clocks.
const READ_INTERVAL: Duration = Duration::from_secs(30);
const READ_AGAIN: Duration = Duration::from_secs(300);

/// The actor.
pub struct Planner {
    world: Arc<World>,
    machine: Machine,
    counted: Counted,
    /// Until when all that others have begun was read.
    read_until: Instant,
}

impl Planner {
    /// A planner that knows what the last day has used of `quotas`, and how the month is.
    pub async fn load(world: Arc<World>, quotas: Quotas) -> Result<Self, Fault> {
        let now = world.ports.clock.now();
        let since = now.minus(DAY);
        let read = world.heard(Edge::Ledger, world.ports.ledger.submitted_since(since)).await;
        let mut submitted = read.inspect_err(|fault| world.ledger_failed("submitted_since", fault))?;
        submitted.sort_unstable();
        let needs = world.tables.iter().filter_map(|(table, setup)| Some((table.clone(), setup.needs?)));
        let mut planner = Self {
            machine: Machine::new(quotas, needs, since),
            counted: Counted::default(),
            read_until: now,
            world: Arc::clone(&world),
        };
        planner.machine.streams_are_free(world.streams_are_free.load(Ordering::Relaxed));
        planner.machine.slow_down(world.is_slowed_down.load(Ordering::Relaxed));
        planner.count_members(now);
        planner.count_of_others(submitted);
        let strangers = world.strangers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        planner.count_listed(&strangers, now);
        Ok(planner)
    }

    /// Counts an attempt of this process once, however often it is told. Of which lane it was, only who submitted it knows. Its stream was
    /// counted when it was made.
    fn count(&mut self, message: &JobSubmitted) {
        let JobSubmitted { job, lane, is_granted } = message;
        let Submitted { at, batch, number, table, carrier } = job;
        let is_new = self.counted.is_new(JobKey::of_attempt(batch, *number), self.world.ports.clock.now());
        if !is_new || *carrier == Some(Carrier::StorageWrite) {
            return;
        }
        match lane {
            Lane::Changes => self.machine.attempted(table, *carrier, *at),
            Lane::FullLoads => self.machine.attempted_full_load(table, *carrier, *is_granted, *at),
        }
    }

    /// Counts attempts that the ledger has and this process has not told.
    fn count_of_others(&mut self, mut submitted: Vec<Submitted>) {
        let now = self.world.ports.clock.now();
        submitted.retain(|one| self.counted.is_new(JobKey::of_attempt(&one.batch, one.number), now));
        self.machine.attempted_by_peers(&submitted, now);
    }

    /// Counts listed jobs that are no attempts that are known. Answers which.
    fn count_listed(&mut self, listed: &[ListedJob], now: Instant) -> Vec<ListedJob> {
        let new = listed.iter().filter(|job| self.counted.is_new(job.key, now)).cloned();
        let new: Vec<_> = new.collect();
        self.machine.listed(&new, now);
        new
    }

    /// Keeps what no ledger has, for a planner that starts after this one.
    fn remember(&self, jobs: &[ListedJob], now: Instant) {
        let mut strangers = self.world.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|job| job.at >= now.minus(DAY));
        strangers.extend_from_slice(jobs);
    }

    /// How many processes plan on this ledger.
    fn count_members(&mut self, now: Instant) {
        let others = living(&self.world.peers.borrow(), now).count();
        self.machine.members(u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1), now);
    }

    fn publish(&mut self) {
        let now = self.world.ports.clock.now();
        self.count_members(now);
        let planned = self.world.tables.iter().filter(|(_, setup)| setup.needs.is_some());
        for table in planned.map(|(table, _)| table) {
            let window = self.machine.window(table, now);
            self.world.windows.insert(table.clone(), (window, now));
            events::WindowPlanned { table, window, jobs: self.machine.used_of(table, now) }.emit();
        }
        let (jobs, streams) = (self.machine.used(now), self.machine.streams_used(now));
        let (strangers, reserve) = (self.machine.used_by_strangers(now), self.machine.reserve(now));
        events::BudgetShown { jobs, streams, strangers, reserve, members: self.machine.member_count() }
            .emit();
        self.counted.forget(now);
    }

    fn read(&self, context: &mut Context<Self>) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        let since = self.read_until.minus(READ_AGAIN);
        tokio::spawn(async move {
            let until = world.ports.clock.now();
            match world.heard(Edge::Ledger, world.ports.ledger.submitted_since(since)).await {
                Ok(submitted) => report(&address, SubmissionsRead { submitted, until }),
                Err(fault) => world.ledger_failed("submitted_since", &fault),
            }
        });
    }
}

impl Actor for Planner {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.world.tables.len().saturating_mul(8).max(512));
        self.publish();
        context.run_interval(PUBLISH_INTERVAL, |planner, _| planner.publish());
        // This process tells its own jobs, and waits in the mailbox while there is no planner.
        if self.world.ports.ledger.has_other_writers() {
            context.run_interval(READ_INTERVAL, |planner, context| planner.read(context));
        }
    }
}

impl Handler<FileCame> for Planner {
    type Result = ();

    fn handle(&mut self, message: FileCame, _: &mut Self::Context) {
        let FileCame { table, rows } = message;
        let now = self.world.ports.clock.now();
        self.machine.arrived(&table, rows, now);
        let window = self.machine.window(&table, now);
        self.world.windows.insert(table, (window, now));
    }
}

impl Handler<JobSubmitted> for Planner {
    type Result = ();

    fn handle(&mut self, message: JobSubmitted, _: &mut Self::Context) {
        self.count(&message);
    }
}

impl Handler<StreamMade> for Planner {
    type Result = ();

    fn handle(&mut self, _: StreamMade, _: &mut Self::Context) {
        self.machine.stream_made(self.world.ports.clock.now());
    }
}

impl Handler<ProbeSubmitted> for Planner {
    type Result = ();

    fn handle(&mut self, message: ProbeSubmitted, _: &mut Self::Context) {
        let now = self.world.ports.clock.now();
        let key = JobKey::of_job(message.job.as_str());
        if self.counted.is_new(key, now) {
            self.machine.submitted(&message.table, now);
            self.remember(&[ListedJob { key, at: now, table: Some(message.table) }], now);
        }
    }
}

impl Handler<JobsListed> for Planner {
    type Result = Option<Strangers>;

    fn handle(&mut self, message: JobsListed, _: &mut Self::Context) -> Self::Result {
        let now = self.world.ports.clock.now();
        let new = self.count_listed(&message.0, now);
        let counted = Strangers { new: new.len(), of_day: self.machine.used_by_strangers(now) };
        self.remember(&new, now);
        Some(counted)
    }
}

impl Handler<FullLoadBegins> for Planner {
    type Result = Result<Granted, Duration>;

    fn handle(&mut self, _: FullLoadBegins, _: &mut Self::Context) -> Self::Result {
        self.machine.full_load(self.world.ports.clock.now())
    }
}

impl Handler<FullLoadUnused> for Planner {
    type Result = ();

    fn handle(&mut self, message: FullLoadUnused, _: &mut Self::Context) {
        self.machine.full_load_unused(message.0, self.world.ports.clock.now());
    }
}

impl Handler<QuotaRefused> for Planner {
    type Result = ();

    fn handle(&mut self, message: QuotaRefused, _: &mut Self::Context) {
        let now = self.world.ports.clock.now();
        self.machine.refused(now);
        let until = self.machine.refused_until(now).unwrap_or(now);
        events::WindowsLengthened { table: &message.table, until }.emit();
        self.publish();
    }
}

impl Handler<GrantStatus> for Planner {
    type Result = bool;

    fn handle(&mut self, message: GrantStatus, _: &mut Self::Context) -> Self::Result {
        let now = self.world.ports.clock.now();
        let granted = self.machine.grant_aside(now);
        if granted {
            // It counts here, and not again when it is listed.
            let key = JobKey::of_job(&message.job);
            self.counted.is_new(key, now);
            self.remember(&[ListedJob { key, at: now, table: None }], now);
        }
        granted
    }
}

impl Handler<StreamsAreFree> for Planner {
    type Result = ();

    fn handle(&mut self, message: StreamsAreFree, _: &mut Self::Context) {
        self.machine.streams_are_free(message.0);
    }
}

impl Handler<SlowDown> for Planner {
    type Result = ();

    fn handle(&mut self, message: SlowDown, _: &mut Self::Context) {
        self.machine.slow_down(message.0);
    }
}

impl Handler<SubmissionsRead> for Planner {
    type Result = ();

    fn handle(&mut self, message: SubmissionsRead, _: &mut Self::Context) {
        self.read_until = self.read_until.max(message.until);
        self.count_of_others(message.submitted);
    }
}

impl Handler<Ping> for Planner {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        Some(Pulse::default())
    }
}
