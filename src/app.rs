//! The composition root: the only place where actors meet adapters. Start, wait, drain.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Addr;
use dashmap::{DashMap, DashSet};
use tokio::sync::watch;

use crate::actors::directory::Directory;
use crate::actors::root::{Root, start_tree};
use crate::actors::shapes::Shapes;
use crate::actors::views::Views;
use crate::actors::world::{Bounds, Ports, TableSetup, World};
use crate::columns::layout::Layout;
use crate::columns::rules::{ColumnRules, LobLimit, types};
use crate::config::types::Config;
use crate::domain::clock::Clock;
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::intake::IntakeBounds;
use crate::domain::lane::ByLane;
use crate::domain::outbox::Shown;
use crate::domain::route::Router;
use crate::domain::shape::ShapeRules;
use crate::domain::table::{CloseReason, TableBounds};
use crate::domain::treatment::Selection;
use crate::flow::cpu::CpuPool;
use crate::flow::credit::CreditPool;
use crate::flow::pulse::Answers;
use crate::messages::root::{BeginDrain, FlushAll};
use crate::messages::{batcher, loader, outbox, poller};
use crate::telemetry::events;

use self::costs::AtStart;
use self::edges::patiently;
pub use self::holding::Holding;

pub mod console;
pub mod costs;
pub mod demo;
pub mod edges;
mod holding;
pub mod ledger;
mod membership;
mod poison;
mod poison_copies;
pub mod project_jobs;
pub mod readers;
pub mod receivers;
pub mod run;
mod table_status;
pub mod upkeep;
pub mod watermarks;

/// How long one long poll waits.
const RECEIVE_WAIT: Duration = Duration::from_secs(20);
/// How long an actor may take to answer what it holds.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);
/// One part of so many of the memory and of the disk for objects is kept for batches that are built again, another for full loads, as
/// of the disk for bodies.
const CREDIT_PARTS: u64 = 4;
/// How often the drain and `--until-idle` look.
const LOOK: Duration = Duration::from_millis(50);

/// Wall time from the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        // The one place where wall time comes from.
        #[allow(clippy::disallowed_methods)]
        Instant::from_micros(chrono::Utc::now().timestamp_micros())
    }
}

/// A running tree.
pub struct Tree {
    /// What its actors share.
    pub world: Arc<World>,
    /// Its root.
    pub root: Addr<Root>,
    /// Tells why the process must end, once it must.
    pub fatal: watch::Receiver<Option<String>>,
}

impl Tree {
    /// Starts the tree over `ports`. Must run within an actix system.
    pub async fn start(config: &Config, ports: Ports, cpu: CpuPool) -> Result<Self, Fault> {
        let modes = patiently("modes", async || ports.ledger.modes().await).await?.into_iter().collect();
        let sources = config.mappings.iter().map(|mapping| mapping.route.clone());
        let (fatal_sender, fatal) = watch::channel(None);
        let AtStart { streams_are_free, is_slowed_down } =
            costs::at_start(&config.cost, &*ports.ledger, ports.clock.now()).await?;
        let (memory_bytes, objects_bytes, spool_bytes) =
            (config.limits.memory_credit_bytes, config.spool.objects_limit_bytes, config.spool.limit_bytes);
        let world = Arc::new(World {
            bounds: bounds(config),
            router: Router::new(sources),
            tables: tables(config),
            quotas: config.quotas(),
            windows: DashMap::new(),
            frontiers: DashMap::new(),
            streams_are_free: AtomicBool::new(streams_are_free),
            is_slowed_down: AtomicBool::new(is_slowed_down),
            strangers: Mutex::default(),
            watermarks: DashMap::new(),
            behind: DashMap::new(),
            queue_of: watermarks::queue_of(config),
            process: process_name(&*ports.clock, &config.spool.path),
            heard_at: AtomicI64::new(0),
            peers: watch::Sender::new(Vec::new()),
            in_windows: DashMap::new(),
            modes,
            spool: config.spool.path.clone(),
            full_load_credit: [
                rest(memory_bytes / CREDIT_PARTS, 1),
                rest(objects_bytes / CREDIT_PARTS, 1),
                part(spool_bytes),
            ],
            memory_credit: rest(memory_bytes, 2),
            object_credit: rest(objects_bytes, 2),
            rebuild_credit: ByLane {
                changes: [memory_bytes, objects_bytes].map(part),
                full_loads: [memory_bytes / CREDIT_PARTS, objects_bytes / CREDIT_PARTS].map(part),
            },
            spool_credit: rest(spool_bytes, 1),
            cpu,
            directory: Directory::default(),
            answers: Answers::default(),
            forgotten_before: AtomicI64::new(0),
            bodies: AtomicU64::new(0),
            known_good: DashMap::new(),
            compared: DashSet::new(),
            shapes: Shapes::default(),
            views: Views::default(),
            fatal: fatal_sender,
            ports,
        });
        patiently("forgotten_before", async || world.learn_what_is_forgotten().await).await?;
        watermarks::introduce(&world).await?;
        let version = env!("CARGO_PKG_VERSION");
        events::Started { version, tables: world.tables.len(), queues: world.ports.queues.len() }.emit();
        let root = start_tree(Arc::clone(&world));
        Ok(Self { world, root, fatal })
    }

    /// What it holds now. An actor that does not answer counts as busy.
    pub async fn holding(&self) -> Holding {
        let directory = &self.world.directory;
        let mut holding = Holding::default();
        for poller in directory.pollers() {
            let answer = poller.send(poller::Snapshot).timeout(SNAPSHOT_TIMEOUT).await.ok().flatten();
            holding.held_messages += answer.map_or(1, |snapshot| snapshot.held_messages);
        }
        for (_, batcher) in directory.batchers() {
            let answer = batcher.send(batcher::Snapshot).timeout(SNAPSHOT_TIMEOUT).await.ok().flatten();
            let Some(snapshot) = answer else {
                holding.in_hand += 1;
                continue;
            };
            holding.in_hand += snapshot.in_hand;
            holding.arriving += snapshot.arriving;
            holding.waiting_files += snapshot.waiting;
            holding.in_windows += snapshot.in_window;
            holding.tables_with_deferred += usize::from(!snapshot.none_deferred);
        }
        if let Some(loader) = directory.loader() {
            let answer = loader.send(loader::Snapshot).timeout(SNAPSHOT_TIMEOUT).await.ok().flatten();
            holding.in_flight += answer.map_or(1, |snapshot| snapshot.in_flight);
            holding.recovered = answer.is_some_and(|snapshot| snapshot.recovered);
        }
        holding.notices = self.notices().await;
        // Last: a load that has ended meanwhile had begun its view before.
        holding.views = self.world.views.in_flight();
        holding
    }

    /// Of receivers that take nothing at present, and of tables of which they take nothing, the ledger has the notices: the next
    /// start tells them.
    async fn notices(&self) -> usize {
        let Some(outbox) = self.world.directory.outbox() else { return 0 };
        let answer = outbox.send(outbox::Snapshot).timeout(SNAPSHOT_TIMEOUT).await;
        let shown = answer.ok().flatten().unwrap_or_default().into_iter();
        let left = |(_, shown): (_, Shown)| shown.fresh.saturating_add(shown.unwritten);
        shown.map(left).sum()
    }

    /// Messages that wait in the queues. One that does not answer counts as not empty.
    async fn waiting_messages(&self) -> u64 {
        let mut waiting = 0;
        for queue in self.world.ports.queues.values() {
            waiting += queue.depth().await.map_or(1, |depth| depth.visible);
        }
        waiting
    }

    /// The shutdown script, within `deadline`. Answers what was left.
    pub async fn drain(&self, cause: &str, deadline: Duration) -> Holding {
        let started = tokio::time::Instant::now();
        events::DrainStarted { cause, deadline }.emit();
        let _ = self.root.send(BeginDrain).timeout(SNAPSHOT_TIMEOUT).await;
        for poller in self.world.directory.pollers() {
            let _ = poller.send(poller::StopReceiving).timeout(SNAPSHOT_TIMEOUT).await;
        }
        // Windows are flushed and loads awaited for most of the time; what then remains is released.
        let patience = deadline.mul_f64(0.9);
        let mut left = self.holding().await;
        while left.can_finish() && started.elapsed() < patience {
            let _ = self.root.send(FlushAll(CloseReason::Shutdown)).timeout(SNAPSHOT_TIMEOUT).await;
            tokio::time::sleep(LOOK).await;
            left = self.holding().await;
        }
        for poller in self.world.directory.pollers() {
            let _ = poller.send(poller::ReleaseHeld).timeout(SNAPSHOT_TIMEOUT).await;
        }
        let remark = "open batches stay in the ledger, messages become visible again";
        let took = started.elapsed();
        events::DrainEnded { in_flight: left.in_flight, held_messages: left.held_messages, took, remark }
            .emit();
        // A ledger that hangs must not keep the process from ending.
        let close = tokio::time::timeout(SNAPSHOT_TIMEOUT, self.world.ports.ledger.close());
        if let Ok(Err(fault)) = close.await {
            events::LedgerFailed { step: "close", fault: &fault }.emit();
        }
        left
    }

    /// Waits until nothing is left to do, flushing windows once all input has arrived. `input_ended` tells whether
    /// everything that will be announced has been.
    pub async fn until_idle(&self, input_ended: impl Fn() -> bool) {
        let mut idle_looks = 0;
        while idle_looks < 2 {
            tokio::time::sleep(LOOK).await;
            let ended = input_ended();
            let mut holding = self.holding().await;
            if holding.is_idle() || holding.only_windows_wait() {
                // Queues are asked only when their answer decides: a look at SQS is a call that is paid for.
                holding.waiting_messages = self.waiting_messages().await;
            }
            if ended && holding.only_windows_wait() {
                let _ = self.root.send(FlushAll(CloseReason::Flush)).timeout(SNAPSHOT_TIMEOUT).await;
            }
            idle_looks = if ended && holding.is_idle() { idle_looks + 1 } else { 0 };
        }
    }

    /// Tells how much credit is free.
    pub fn observe_credit(&self) {
        let world = &self.world;
        let ByLane { changes: [memory_again, objects_again], full_loads } = &world.rebuild_credit;
        let [memory_of_loads_again, objects_of_loads_again] = full_loads;
        let [memory_of_loads, objects_of_loads, spool_of_loads] = &world.full_load_credit;
        let pools = [
            ("memory", &world.memory_credit),
            ("objects", &world.object_credit),
            ("memory_rebuilds", memory_again),
            ("objects_rebuilds", objects_again),
            ("spool", &world.spool_credit),
            ("memory_full_loads", memory_of_loads),
            ("objects_full_loads", objects_of_loads),
            ("memory_full_load_rebuilds", memory_of_loads_again),
            ("objects_full_load_rebuilds", objects_of_loads_again),
            ("spool_full_loads", spool_of_loads),
        ];
        for (kind, pool) in pools {
            events::CreditLevel { kind, available: pool.available_bytes(), limit: pool.limit_bytes() }.emit();
        }
    }
}

fn process_name(clock: &dyn Clock, spool: &Path) -> String {
    format!("{}-{}-{}", std::process::id(), clock.now().micros(), spool.display())
}

fn part(limit_bytes: u64) -> CreditPool {
    CreditPool::new(limit_bytes / CREDIT_PARTS)
}

/// What is left of a limit without so many parts.
fn rest(limit_bytes: u64, parts: u64) -> CreditPool {
    CreditPool::new(limit_bytes - limit_bytes / CREDIT_PARTS * parts)
}

fn bounds(config: &Config) -> Bounds {
    let (limits, timing) = (&config.limits, &config.timing);
    Bounds {
        intake: IntakeBounds {
            held_messages_max: limits.held_messages_per_queue,
            parked_files_max: limits.parked_files_per_queue,
            files_per_table: limits.files_per_table,
            visibility: timing.visibility_timeout,
            defer_after: timing.defer_after,
        },
        fetchers: limits.fetchers,
        fetches_per_fetcher: limits.fetches_per_fetcher,
        loads_in_flight: limits.loads_in_flight,
        horizon: config.horizon,
        give_up_after: config.give_up_after,
        refused_patience: timing.job_timeout,
        receive_wait: RECEIVE_WAIT,
        layout: Layout::copying_from(config.batching.copied_bytes_min),
    }
}

/// The tables of the configuration.
pub(crate) fn tables(config: &Config) -> BTreeMap<TableId, TableSetup> {
    let mut tables = BTreeMap::new();
    for mapping in &config.mappings {
        for (route, settings) in mapping.route.tables.iter().zip(&mapping.tables) {
            let rules = ColumnRules {
                op: Arc::clone(&mapping.dms.op),
                timestamp: mapping.dms.timestamp.clone(),
                sequence: mapping.dms.sequence.clone(),
                instants: settings.all_instants(),
                types: types(settings.types()),
                selection: Selection::new(&settings.only, &settings.without),
                treatments: settings.treatments(),
                mask_key: config.mask_key.clone(),
                datetimes: config.datetimes,
                times: config.times,
                lob_limit: mapping
                    .dms
                    .lob_max_bytes
                    .map_or(LobLimit::DEFAULT, |bytes| LobLimit { bytes, is_stated: true }),
            };
            let bounds = TableBounds {
                window: settings.window.unwrap_or(config.batching.window),
                bytes_max: config.batching.bytes_max,
                files_max: config.batching.files_max,
                loads_max: config.limits.loads_per_table,
                defer_after: config.timing.defer_after,
            };
            let plan_hash = rules.hash().into();
            let destination = route.destination.clone();
            let shape_rules = ShapeRules { policy: settings.schema_changes, renames: settings.renames() };
            let (rules, shape_rules) = (Arc::new(rules), Arc::new(shape_rules));
            let needs = config.needs(settings);
            let notify = settings.notify.clone().into();
            let (key, has_typed_view) = (settings.key.clone().into(), settings.typed_view);
            let setup = TableSetup {
                destination,
                rules,
                plan_hash,
                shape_rules,
                key,
                has_typed_view,
                bounds,
                carrier: settings.delivery,
                native_json: config.has_native_json(settings),
                notify,
                needs,
            };
            tables.insert(route.table.clone(), setup);
        }
    }
    tables
}
