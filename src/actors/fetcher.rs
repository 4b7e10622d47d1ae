//! A fetcher: opens objects and reads their footers, a few at a time. It holds no state: its crash costs the files in
//! its hands one more try.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::supervision::{report, tell};
use super::world::World;
use crate::columns::footer::read_footer;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::flow::cpu::panic_text;
use crate::flow::credit::{Credit, CreditPool};
use crate::messages::batcher::FileFetched;
use crate::messages::child::{Ping, Stop};
use crate::messages::fetcher::{FetchFile, Fetched};
use crate::messages::root::CreditShort;
use crate::telemetry::events;

/// How long a fetch waits for credit before it asks again for windows to be closed.
const PRESSURE_INTERVAL: Duration = Duration::from_secs(1);

/// The actor.
pub struct Fetcher {
    world: Arc<World>,
    slots: Arc<Semaphore>,
    /// Aborted with the actor.
    fetches: JoinSet<()>,
}

impl Fetcher {
    /// A fetcher with nothing to do.
    pub fn new(world: Arc<World>) -> Self {
        let slots = Arc::new(Semaphore::new(world.bounds.fetches_per_fetcher.max(1)));
        Self { world, slots, fetches: JoinSet::new() }
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
        while self.fetches.try_join_next().is_some() {}
        let (world, slots) = (Arc::clone(&self.world), Arc::clone(&self.slots));
        self.fetches.spawn(async move {
            let Ok(_slot) = slots.acquire().await else { return };
            let file = message.0;
            // A task of its own, so that a panic is this one file's fault.
            let task = tokio::spawn(fetch(Arc::clone(&world), file.clone()));
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

/// Credit first, then the object, then its footer on the CPU pool.
async fn fetch(world: Arc<World>, file: FileId) -> Result<Fetched, Fault> {
    let mut credit = Vec::new();
    for (kind, pool, bytes) in world.pools_of(world.ports.bucket.held(&file)) {
        credit.push(match pool.try_take(bytes) {
            Some(credit) => credit,
            None => wait_for_credit(&world, kind, pool, bytes).await,
        });
    }
    let object = world.ports.bucket.open(&file).await?;
    let setup = world.tables.get(&file.table).ok_or_else(|| {
        Fault::new(FaultKind::Internal, format!("{file} belongs to a table that no mapping names"))
    })?;
    let (rules, opened) = (Arc::clone(&setup.rules), Arc::clone(&object));
    let footer = world.cpu.run("reading a footer", move || read_footer(&file, opened, &rules)).await??;
    Ok(Fetched { object, footer, credit })
}

/// Windows hold the credit that is short: they are asked to close until some comes back.
async fn wait_for_credit(world: &World, kind: &'static str, pool: &CreditPool, bytes: u64) -> Credit {
    let started = tokio::time::Instant::now();
    let take = pool.take(bytes);
    tokio::pin!(take);
    loop {
        if let Some(root) = world.directory.root() {
            tell(&root, CreditShort);
        }
        tokio::select! {
            biased;
            credit = &mut take => {
                events::CreditWaited { kind, waited: started.elapsed() }.emit();
                return credit;
            }
            () = tokio::time::sleep(PRESSURE_INTERVAL) => {}
        }
    }
}

impl Handler<Ping> for Fetcher {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for Fetcher {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
