//! The watchdog: asks every child what it does, and has those ended that are wedged, as `domain::watchdog` decides.
//!
//! It tells the root which child is to be ended and which table is to be charged, as for a crash, and the loader which
//! deliveries. It holds nothing: a fresh one begins to count anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler, MailboxError};
use tokio::task::JoinSet;

use super::supervision::{report, tell};
use super::world::World;
use crate::domain::ids::{Generation, TableId};
use crate::domain::watchdog::{
    ANSWER_TIMEOUT, Doing, LOOK_INTERVAL, Sighting, Verdict, WEDGED_AFTER_MIN, Watchdog as Machine, patience,
};
use crate::flow::cpu::GIVEN_UP_MAX;
use crate::messages::child::{ChildId, Part, Ping};
use crate::messages::loader::AbortDeliveries;
use crate::messages::root::{ChildWedged, TableCrashed};
use crate::messages::watchdog::{Looked, Watched};
use crate::telemetry::events;

/// The actor.
pub struct Watchdog {
    world: Arc<World>,
    machine: Machine<Watched>,
}

impl Watchdog {
    /// A watchdog that has not looked yet.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, machine: Machine::default() }
    }

    fn schedule(context: &mut Context<Self>) {
        context.run_later(LOOK_INTERVAL, |watchdog, context| {
            tokio::spawn(look(Arc::clone(&watchdog.world), context.address()));
            Self::schedule(context);
        });
    }

    /// Ends what is wedged; a table is charged once a look.
    fn end(&self, wedged: Vec<Wedged>) {
        let mut children = BTreeMap::new();
        let mut deliveries: BTreeMap<Generation, Vec<u64>> = BTreeMap::new();
        let mut charged: BTreeMap<TableId, String> = BTreeMap::new();
        for Wedged { key: Watched { child, generation, part }, table, reason } in wedged {
            match (part, table) {
                (Some(Part::Delivery(number)), Some(table)) => {
                    deliveries.entry(generation).or_default().push(number);
                    charged.insert(table, reason);
                }
                // The root has all fetches of a table that crashes ended.
                (Some(Part::Fetch(_)), Some(table)) => {
                    charged.insert(table, reason);
                }
                (Some(Part::Own(_) | Part::Delivery(_) | Part::Fetch(_)) | None, _) => {
                    children.insert((child, generation), reason);
                }
            }
        }
        if let Some(loader) = self.world.directory.loader() {
            for (generation, deliveries) in deliveries {
                tell(&loader, AbortDeliveries { generation, deliveries });
            }
        }
        let Some(root) = self.world.directory.root() else { return };
        for ((child, generation), reason) in children {
            if let ChildId::Batcher(table) = &child {
                charged.remove(table);
            }
            report(&root, ChildWedged { child, generation, reason });
        }
        for (table, panic) in charged {
            report(&root, TableCrashed { table, panic });
        }
    }
}

/// One that is to be ended.
struct Wedged {
    key: Watched,
    table: Option<TableId>,
    reason: String,
}

impl Actor for Watchdog {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        Self::schedule(context);
    }
}

impl Handler<Looked> for Watchdog {
    type Result = ();

    fn handle(&mut self, message: Looked, _: &mut Self::Context) {
        let world = &self.world;
        let verdicts = self.machine.look(world.ports.clock.now(), message.0, &world.answers.counts());
        let mut wedged = Vec::new();
        for verdict in verdicts {
            match verdict {
                Verdict::Wedged { key, table, doing, stalled } => {
                    let (kind, name) = named(&key);
                    let (doing, ended) = (shown(doing), consequence(&key));
                    let table_name = table.as_ref().map(TableId::to_string);
                    let reason = format!("{name} was wedged: {doing}, for {} s", stalled.as_secs());
                    events::Wedged { kind, name, table: table_name, reason: doing, stalled, ended }.emit();
                    wedged.push(Wedged { key, table, reason });
                }
                Verdict::EdgeSilent { edge, stalled, waiting } => world.fail(format!(
                    "{} has answered nobody for {} s while {waiting} tables waited; the process ends to start clean",
                    edge.name(),
                    stalled.as_secs(),
                )),
            }
        }
        self.end(wedged);
        let given_up = world.cpu.given_up();
        if given_up > GIVEN_UP_MAX {
            world.fail(format!("{given_up} CPU jobs never ended; the process ends to start clean"));
        }
    }
}

/// The kind, as a metric label, and the name.
fn named(key: &Watched) -> (&'static str, String) {
    match key.part {
        Some(Part::Delivery(number)) => ("delivery", format!("delivery {number}")),
        Some(Part::Fetch(number)) => ("fetch", format!("fetch {number} of {}", key.child)),
        Some(Part::Own(_)) | None => (key.child.label(), key.child.to_string()),
    }
}

fn shown(doing: Option<Doing>) -> String {
    match doing {
        None => "it does not answer".to_owned(),
        Some(Doing::Waiting(what)) => format!("waiting for {what}"),
        Some(Doing::Working(edge, what)) => format!("{what}, and {} did not answer", edge.name()),
    }
}

fn consequence(key: &Watched) -> &'static str {
    match (&key.part, &key.child) {
        (Some(Part::Delivery(_)), _) => {
            "it is ended and its table charged; its batch stays open in the ledger and is resumed"
        }
        (Some(Part::Fetch(_)), _) => "it is ended and its table charged; the file is fetched again",
        (Some(Part::Own(_)) | None, ChildId::Batcher(_)) => {
            "it is replaced and its table charged; what it held comes back"
        }
        (
            Some(Part::Own(_)) | None,
            ChildId::Poller(_)
            | ChildId::Fetcher(_)
            | ChildId::Loader
            | ChildId::Planner
            | ChildId::Outbox
            | ChildId::Watchdog,
        ) => "it is replaced; what it held comes back",
    }
}

/// Asks everybody at one time.
async fn look(world: Arc<World>, watchdog: Addr<Watchdog>) {
    let mut asked = JoinSet::new();
    for (child, generation, address) in world.directory.children() {
        asked.spawn(async move {
            (
                child,
                generation,
                address.send(Ping).timeout(ANSWER_TIMEOUT).await.map(Option::unwrap_or_default),
            )
        });
    }
    let mut sightings = Vec::new();
    while let Some(answer) = asked.join_next().await {
        let Ok((child, generation, answer)) = answer else { continue };
        let own_table = match &child {
            ChildId::Batcher(table) => Some(table.clone()),
            ChildId::Poller(_)
            | ChildId::Fetcher(_)
            | ChildId::Loader
            | ChildId::Planner
            | ChildId::Outbox
            | ChildId::Watchdog => None,
        };
        let mut see = |part, table: Option<TableId>, reading| {
            let table = table.or_else(|| own_table.clone());
            let setup = table.as_ref().and_then(|table| world.tables.get(table));
            let patience = setup.map_or(WEDGED_AFTER_MIN, |setup| patience(setup.bounds.window));
            let key = Watched { child: child.clone(), generation, part };
            sightings.push(Sighting { key, table, patience, reading });
        };
        match answer {
            Ok(pulse) => {
                pulse
                    .parts
                    .into_iter()
                    .for_each(|(part, table, reading)| see(Some(part), table, Some(reading)));
            }
            Err(MailboxError::Timeout) => see(None, None, None),
            // It has ended, and the root knows.
            Err(MailboxError::Closed) => {}
        }
    }
    report(&watchdog, Looked(sightings));
}
