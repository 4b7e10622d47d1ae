//! A fetcher: opens objects and reads their footers, a few at a time. It holds no state: its crash costs the files in
//! its hands one more try. A fetch that is wedged is ended alone, and charged to its table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinSet};

use super::supervision::{report, tell};
use super::world::World;
use crate::columns::footer::read_footer;
use crate::domain::fault::{Fault, FaultKind, LOADED_BEFORE};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::watchdog::{Doing, Edge};
use crate::flow::cpu::panic_text;
use crate::flow::credit::{Credit, CreditKind, CreditPool};
use crate::flow::pulse::{self, Pulse as TaskPulse};
use crate::messages::batcher::FileFetched;
use crate::messages::child::{Part, Ping, Pulse, Stop};
use crate::messages::fetcher::{AbortFetches, FetchFile, Fetched};
use crate::messages::root::CreditShort;
use crate::telemetry::events;

/// How long a fetch waits for credit before it asks again for windows to be closed.
const PRESSURE_INTERVAL: Duration = Duration::from_secs(1);

/// A batch is claimed after its files are written, by clocks that differ by less; what ended later than the horizon is
/// remembered, unless another process forgot it within the hour in which this one looks at that.
const CLAIM_MARGIN: Duration = Duration::from_secs(2 * 86_400);

/// For so many files of changes that are opened at one time there may be one of full loads.
const FULL_LOADS_SHARE: usize = 4;

struct InHand {
    number: u64,
    table: TableId,
    pulse: TaskPulse,
    abort: AbortHandle,
}

/// The actor.
pub struct Fetcher {
    world: Arc<World>,
    slots: ByLane<Arc<Semaphore>>,
    /// One table's share of the slots: all but one, so that objects that do not come keep no other table waiting.
    shares: HashMap<(TableId, Lane), Arc<Semaphore>>,
    next: u64,
    /// Aborted with the actor.
    fetches: JoinSet<()>,
    in_hand: HashMap<Id, InHand>,
}

impl Fetcher {
    /// A fetcher with nothing to do.
    pub fn new(world: Arc<World>) -> Self {
        let slots = |number: usize| Arc::new(Semaphore::new(number.max(1)));
        let all = world.bounds.fetches_per_fetcher;
        let slots = ByLane { changes: slots(all), full_loads: slots(all / FULL_LOADS_SHARE) };
        let (shares, fetches, in_hand) = (HashMap::new(), JoinSet::new(), HashMap::new());
        Self { world, slots, shares, next: 0, fetches, in_hand }
    }

    fn share(&mut self, table: &TableId, lane: Lane) -> Arc<Semaphore> {
        let size = self.world.bounds.fetches_per_fetcher.saturating_sub(1).max(1);
        Arc::clone(self.shares.entry((table.clone(), lane)).or_insert_with(|| Arc::new(Semaphore::new(size))))
    }

    /// The fetches in the order in which they were asked for: one run of the same events is as the other.
    fn in_order(&self) -> impl Iterator<Item = &InHand> {
        let mut fetches: Vec<_> = self.in_hand.values().collect();
        fetches.sort_by_key(|one| one.number);
        fetches.into_iter()
    }

    /// Forgets the fetches that have ended.
    fn sweep(&mut self) {
        while let Some(ended) = self.fetches.try_join_next_with_id() {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.in_hand.remove(&id);
        }
    }
}

impl Actor for Fetcher {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Requests are bounded by the files that the batchers have in hand.
        context.set_mailbox_capacity(self.world.tables.len().max(1).saturating_mul(512));
    }
}

impl Handler<FetchFile> for Fetcher {
    type Result = ();

    fn handle(&mut self, message: FetchFile, _: &mut Self::Context) {
        self.sweep();
        let FetchFile(file, written) = message;
        let lane = Lane::of(&file);
        let (world, slots) = (Arc::clone(&self.world), Arc::clone(self.slots.of(lane)));
        let (number, table) = (self.next, file.table.clone());
        let share = self.share(&table, lane);
        self.next = self.next.saturating_add(1);
        let pulse = TaskPulse::new(Doing::Waiting("a fetch slot"));
        let shown = pulse.clone();
        let abort = self.fetches.spawn(async move {
            let Ok(_share) = share.acquire().await else { return };
            let Ok(_slot) = slots.acquire().await else { return };
            // A task of its own, so that a panic is this one file's fault.
            let task = tokio::spawn(pulse.of(fetch(Arc::clone(&world), file.clone(), written)));
            let result = match AbortGuard(task).join().await {
                Ok(result) => result,
                Err(text) => {
                    events::TaskPanicked { child: "fetcher", table: &file.table, panic: &text }.emit();
                    Err(Fault::new(FaultKind::Internal, format!("reading {file} panicked: {text}")))
                }
            };
            if let Some((batcher, _)) = world.directory.batcher(&file.table) {
                report(&batcher, FileFetched { file, result });
            }
        });
        self.in_hand.insert(abort.id(), InHand { number, table, pulse: shown, abort });
    }
}

impl Handler<AbortFetches> for Fetcher {
    type Result = ();

    fn handle(&mut self, message: AbortFetches, _: &mut Self::Context) {
        self.in_order().filter(|one| one.table == message.0).for_each(|one| one.abort.abort());
    }
}

struct AbortGuard<T>(tokio::task::JoinHandle<T>);

impl<T> AbortGuard<T> {
    async fn join(mut self) -> Result<T, String> {
        match (&mut self.0).await {
            Ok(value) => Ok(value),
            Err(error) => Err(error.try_into_panic().map_or_else(|_| "aborted".to_owned(), panic_text)),
        }
    }
}

impl<T> Drop for AbortGuard<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A file that is older than what the ledger remembers may have been loaded and forgotten: then its rows are there.
async fn must_be_new(world: &World, file: &FileId, written: Option<Instant>) -> Result<(), Fault> {
    let remembered = world.remembered_since().plus(CLAIM_MARGIN);
    let Some(written) = written.filter(|written| *written < remembered) else { return Ok(()) };
    let Some(setup) = world.tables.get(&file.table) else { return Ok(()) };
    let claimed = written.minus(CLAIM_MARGIN)..remembered;
    pulse::working(Edge::Warehouse, "asking whether a forgotten file is loaded");
    let source_file = file.source_file();
    let asked = world.ports.lineage.batch_of(&setup.destination, &source_file, claimed);
    match world.heard(Edge::Warehouse, asked).await? {
        None => Ok(()),
        Some(batch) => {
            let text = format!(
                "{file} was written {} and is announced again; the ledger has forgotten it, and batch {batch} {LOADED_BEFORE}",
                written.rfc3339()
            );
            Err(Fault::new(FaultKind::AlreadyLoaded, text))
        }
    }
}

/// Credit first, then the object, then its footer on the CPU pool.
async fn fetch(world: Arc<World>, file: FileId, written: Option<Instant>) -> Result<Fetched, Fault> {
    must_be_new(&world, &file, written).await?;
    let (mut credit, lane) = (Vec::new(), Lane::of(&file));
    for (kind, pool, bytes) in world.pools_of(lane, world.ports.bucket.held(&file)) {
        credit.push(match pool.try_take(bytes) {
            Some(credit) => credit,
            None => wait_for_credit(&world, lane, kind, pool, bytes).await,
        });
    }
    pulse::working(Edge::Bucket, "opening a file");
    let object = world.heard(Edge::Bucket, world.ports.bucket.open(&file)).await?;
    let setup = world.tables.get(&file.table).ok_or_else(|| {
        Fault::new(FaultKind::Internal, format!("{file} belongs to a table that no mapping names"))
    })?;
    let (rules, opened) = (Arc::clone(&setup.rules), Arc::clone(&object));
    let footer = world.cpu.run("reading a footer", move || read_footer(&file, opened, &rules)).await??;
    Ok(Fetched { object, footer, credit, at: world.ports.clock.now() })
}

/// Windows hold the credit that is short: they are asked to close until some comes back.
async fn wait_for_credit(
    world: &World,
    lane: Lane,
    kind: CreditKind,
    pool: &CreditPool,
    bytes: u64,
) -> Credit {
    let started = tokio::time::Instant::now();
    let take = pool.take(bytes);
    tokio::pin!(take);
    loop {
        if let Some(root) = world.directory.root() {
            tell(&root, CreditShort { lane, kind });
        }
        tokio::select! {
            biased;
            credit = &mut take => {
                events::CreditWaited { kind: kind.name(), waited: started.elapsed() }.emit();
                return credit;
            }
            () = tokio::time::sleep(PRESSURE_INTERVAL) => {}
        }
    }
}

impl Handler<Ping> for Fetcher {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        self.sweep();
        let parts = self.in_order();
        let parts = parts.map(|one| (Part::Fetch(one.number), Some(one.table.clone()), one.pulse.read()));
        Some(Pulse { parts: parts.collect() })
    }
}

impl Handler<Stop> for Fetcher {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
