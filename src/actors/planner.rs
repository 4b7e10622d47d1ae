//! The planner: owns the budget of the warehouse's quotas, and says how long each table's window is, as `domain::planner`
//! decides.
//!
//! It hears batchers (files) and deliveries (jobs), and publishes a window for each table, which the batchers read. When it
//! dies, they go on with the last ones; a fresh planner reads from the ledger what the last day has used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};

use super::supervision::report;
use super::world::World;
use crate::domain::fault::Fault;
use crate::domain::ids::{AttemptNumber, BatchId};
use crate::domain::instant::Instant;
use crate::domain::lane::Lane;
use crate::domain::planner::{DAY, Granted, Planner as Machine, Quotas, Submitted};
use crate::domain::watchdog::Edge;
use crate::messages::child::{Ping, Pulse};
use crate::messages::planner::{
    FileCame, FullLoadBegins, FullLoadUnused, GrantStatus, JobSubmitted, QuotaRefused, SlowDown,
    StreamsAreFree, SubmissionsRead,
};
use crate::telemetry::events;

/// How often all windows are published, for tables that are quiet too, and the budget is shown.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(10);
/// How often the ledger is read where others submit jobs, too, and how much of it is read again: an index of DynamoDB lags behind, and a batch that is
/// tried again has the time of its claim.
const READ_INTERVAL: Duration = Duration::from_secs(30);
const READ_AGAIN: Duration = Duration::from_secs(900);

/// The actor.
pub struct Planner {
    world: Arc<World>,
    machine: Machine,
    /// Jobs that were counted, and when: of the time that is read again.
    counted: BTreeMap<(BatchId, AttemptNumber), Instant>,
}

impl Planner {
    /// A planner that knows what the last day has used of `quotas`.
    pub async fn load(world: Arc<World>, quotas: Quotas) -> Result<Self, Fault> {
        let now = world.ports.clock.now();
        let since = now.minus(DAY);
        let read = world.heard(Edge::Ledger, world.ports.ledger.submitted_since(since)).await;
        let mut submitted = read.inspect_err(|fault| world.ledger_failed("submitted_since", fault))?;
        submitted.sort_unstable();
        let needs = world.tables.iter().filter_map(|(table, setup)| Some((table.clone(), setup.needs?)));
        let mut planner = Self {
            machine: Machine::new(quotas, needs, since),
            counted: BTreeMap::new(),
            world: Arc::clone(&world),
        };
        submitted.into_iter().for_each(|one| planner.count(one, Lane::Changes));
        Ok(planner)
    }

    /// Counts a job once, however often it is told. Of which lane it was, only who submitted it knows.
    fn count(&mut self, submitted: Submitted, lane: Lane) {
        let Submitted { at, batch, number, table, carrier } = submitted;
        let now = self.world.ports.clock.now();
        if self.counted.insert((batch, number), now).is_none() {
            match lane {
                Lane::Changes => self.machine.attempted(&table, carrier, at),
                Lane::FullLoads => self.machine.attempted_full_load(&table, carrier, number, at),
            }
        }
    }

    fn publish(&mut self) {
        let now = self.world.ports.clock.now();
        let planned = self.world.tables.iter().filter(|(_, setup)| setup.needs.is_some());
        for table in planned.map(|(table, _)| table) {
            let window = self.machine.window(table, now);
            self.world.windows.insert(table.clone(), (window, now));
            events::WindowPlanned { table, window, jobs: self.machine.used_of(table, now) }.emit();
        }
        let (jobs, streams) = (self.machine.used(now), self.machine.streams_used(now));
        events::BudgetShown { jobs, streams, reserve: self.machine.reserve(now) }.emit();
        let kept = now.minus(READ_AGAIN.saturating_mul(2));
        self.counted.retain(|_, counted_at| *counted_at >= kept);
    }

    fn read(&self, context: &mut Context<Self>) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        tokio::spawn(async move {
            let since = world.ports.clock.now().minus(READ_AGAIN);
            match world.heard(Edge::Ledger, world.ports.ledger.submitted_since(since)).await {
                Ok(submitted) => report(&address, SubmissionsRead(submitted)),
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
        self.count(message.job, message.lane);
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

    fn handle(&mut self, _: GrantStatus, _: &mut Self::Context) -> Self::Result {
        let now = self.world.ports.clock.now();
        self.machine.grant_aside(now)
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
        message.0.into_iter().for_each(|one| self.count(one, Lane::Changes));
    }
}

impl Handler<Ping> for Planner {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        Some(Pulse::default())
    }
}
