//! What every actor may use: the ports, the pools, the settings, the directory. Shared, and never changed while the
//! tree runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dashmap::{DashMap, DashSet};

use super::directory::Directory;
use super::shapes::Shapes;
use super::supervision::report;
use super::views::Views;
use crate::bucket::{Bucket, Held};
use crate::columns::layout::Layout;
use crate::columns::plan::ColumnPlan;
use crate::columns::rules::ColumnRules;
use crate::domain::batch::Destination;
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, Policy};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{QueueId, TableId};
use crate::domain::instant::Instant;
use crate::domain::intake::IntakeBounds;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::planner::{Carrier, ListedJob, Quotas, TableNeeds, Window};
use crate::domain::route::Router;
use crate::domain::shape::{Shape, ShapeRules};
use crate::domain::table::TableBounds;
use crate::domain::transition::TableMode;
use crate::domain::typed_view::{Known, TypedView};
use crate::domain::watchdog::Edge;
use crate::domain::watermark::{Behind, Frontier, Hands, UNHEARD_AFTER};
use crate::flow::cpu::CpuPool;
use crate::flow::credit::{CreditKind, CreditPool};
use crate::flow::pulse::Answers;
use crate::ledger::Ledger;
use crate::messages::batcher::FilesDeferred;
use crate::queue::Queue;
use crate::receivers::Receiver;
use crate::telemetry::events;
use crate::warehouse::Warehouse;
use crate::warehouse::lineage::Lineage;

/// What one table needs.
#[derive(Clone, Debug)]
pub struct TableSetup {
    /// Where its rows go.
    pub destination: Destination,
    /// How its files' columns are read.
    pub rules: Arc<ColumnRules>,
    /// The hash of those rules (Invariant I-2).
    pub plan_hash: Arc<str>,
    /// How its shape grows. No part of the hash: what it decides is in the ledger before a file of it is claimed.
    pub shape_rules: Arc<ShapeRules>,
    /// The key's columns, by their names at the source.
    pub key: Arc<[String]>,
    /// It has a typed view.
    pub has_typed_view: bool,
    /// Its bounds.
    pub bounds: TableBounds,
    /// By what its rows go.
    pub carrier: Carrier,
    /// What is JSON at the source is JSON in its table, where its rows go by a stream. No part of the hash: a job's rows never are.
    pub native_json: bool,
    /// The receivers that are told of its batches.
    pub notify: Arc<[Arc<str>]>,
    /// What the planner gives it; none where its window is what the mapping says.
    pub needs: Option<TableNeeds>,
}

impl TableSetup {
    /// The typed view of the table, with this shape.
    pub fn view(&self, shape: &Shape) -> TypedView {
        let (types, instants) = (&self.rules.unmasked_types(), &self.rules.unmasked_instants());
        TypedView::of(
            shape,
            &Known { types, instants, key: &self.key, has_sequence: self.rules.sequence.is_some() },
        )
    }
}

/// The edges.
#[derive(Clone)]
pub struct Ports {
    /// The authority on files and batches.
    pub ledger: Arc<dyn Ledger>,
    /// Where the files are.
    pub bucket: Arc<dyn Bucket>,
    /// Where the rows go.
    pub warehouse: Arc<dyn Warehouse>,
    /// Which rows are there.
    pub lineage: Arc<dyn Lineage>,
    /// The queues.
    pub queues: BTreeMap<QueueId, Arc<dyn Queue>>,
    /// Who is told of loaded batches, by name.
    pub receivers: BTreeMap<Arc<str>, Arc<dyn Receiver>>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

/// Numbers that the actors need beside their tables' own.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The bounds of each queue.
    pub intake: IntakeBounds,
    /// Fetchers.
    pub fetchers: usize,
    /// Objects that one fetcher opens at one time.
    pub fetches_per_fetcher: usize,
    /// Batches in flight.
    pub loads_in_flight: usize,
    /// How long refusals of a destination are endured before its batch is fenced and its table held.
    pub refused_patience: Duration,
    /// How long the ledger remembers a loaded file, from now on.
    pub horizon: Duration,
    /// How old a notice becomes before its receiver is told no more of it.
    pub give_up_after: Duration,
    /// How long one long poll waits (SQS: 20 s).
    pub receive_wait: Duration,
    /// How bodies are laid out.
    pub layout: Layout,
}

/// The world.
pub struct World {
    /// The edges.
    pub ports: Ports,
    /// Numbers.
    pub bounds: Bounds,
    /// Whose file is it.
    pub router: Router,
    /// The quotas of the warehouse; none where it has none.
    pub quotas: Option<Quotas>,
    /// The windows that the planner gives to tables, and when it gave them.
    pub windows: DashMap<TableId, (Window, Instant)>,
    /// What each table has loaded and cannot vouch for yet.
    pub frontiers: DashMap<TableId, Frontier>,
    /// Streams cost nothing yet in this month, as far as is known.
    pub streams_are_free: AtomicBool,
    /// The month is going to cost more than it may, and tables that are not critical are to wait for it, as far as is known.
    pub is_slowed_down: AtomicBool,
    /// Jobs of the last day that are no attempts of this ledger, found in the warehouse's list or this process's own: for a planner that starts.
    pub strangers: Mutex<Vec<ListedJob>>,
    /// The watermark of each table, as it was looked at last.
    pub watermarks: DashMap<TableId, Instant>,
    /// What the watermark of each table cannot pass, and from which event time on.
    pub behind: DashMap<TableId, (Instant, Behind)>,
    /// The queue that announces the files of each cluster.
    pub queue_of: BTreeMap<Arc<str>, QueueId>,
    /// This process's name among those on its ledger: no other has it, nor had.
    pub process: String,
    /// When this process last told the others on the ledger what it has, in microseconds.
    pub heard_at: AtomicI64,
    /// What others on the ledger have said last.
    pub peers: tokio::sync::watch::Sender<Vec<Hands>>,
    /// What the objects of open windows hold, which their batchers say: a window that is not here holds nothing.
    pub in_windows: DashMap<(TableId, Lane), Held>,
    /// The tables.
    pub tables: BTreeMap<TableId, TableSetup>,
    /// Modes at start; the root owns them from then on.
    pub modes: BTreeMap<TableId, TableMode>,
    /// Where bodies are built.
    pub spool: PathBuf,
    /// What full loads have of the three below, instead of those: memory, disk for open objects, disk for bodies.
    pub full_load_credit: [CreditPool; 3],
    /// Memory for open objects.
    pub memory_credit: CreditPool,
    /// Disk for open objects.
    pub object_credit: CreditPool,
    /// Memory and disk for the objects of batches that are built again. Apart from the others: such a batch has a load
    /// slot, and what holds the others' credit may wait for one.
    pub rebuild_credit: ByLane<[CreditPool; 2]>,
    /// Disk for bodies. Apart from the objects', so that a body never waits for what its own objects occupy.
    pub spool_credit: CreditPool,
    /// Decode and encode.
    pub cpu: CpuPool,
    /// Addresses.
    pub directory: Directory,
    /// How often each edge has answered.
    pub answers: Answers,
    /// Before this time the ledger has forgotten what it had loaded, in Unix microseconds, whatever the horizon is now.
    pub forgotten_before: AtomicI64,
    /// Numbers the spool files of this process.
    pub bodies: AtomicU64,
    /// The columns of what was loaded last into each table, since this process began.
    pub known_good: DashMap<TableId, ColumnPlan>,
    /// Tables of which it was looked whether they have the columns that the mapping names.
    pub compared: DashSet<TableId>,
    /// The shapes of the tables, as they were last read.
    pub shapes: Shapes,
    /// The typed views of the tables, as they were last published.
    pub views: Views,
    /// Told when the process must end, and why.
    pub fatal: tokio::sync::watch::Sender<Option<String>>,
}

impl World {
    /// A path in the spool that no other body of this process has.
    pub fn next_body_path(&self) -> PathBuf {
        let number = self.bodies.fetch_add(1, Ordering::Relaxed);
        self.spool.join(format!("body-{}-{number}.parquet", std::process::id()))
    }

    /// Files that were written before may have been loaded and forgotten.
    pub fn remembered_since(&self) -> Instant {
        let forgotten = Instant::from_micros(self.forgotten_before.load(Ordering::Relaxed));
        self.ports.clock.now().minus(self.bounds.horizon).max(forgotten)
    }

    /// Asks the ledger what it has forgotten.
    pub async fn learn_what_is_forgotten(&self) -> Result<(), Fault> {
        if let Some(before) = self.ports.ledger.forgotten_before().await? {
            self.forgotten_before.fetch_max(before.micros(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The pools of what an open object holds, in the order in which everyone takes from them: the kind, the pool, and
    /// the bytes wanted of it.
    pub fn pools_of(&self, lane: Lane, held: Held) -> impl Iterator<Item = (CreditKind, &CreditPool, u64)> {
        let [memory, objects, _] = &self.full_load_credit;
        match lane {
            Lane::Changes => pools([&self.memory_credit, &self.object_credit], held),
            Lane::FullLoads => pools([memory, objects], held),
        }
    }

    /// The pool of what bodies occupy.
    pub fn body_pool_of(&self, lane: Lane) -> &CreditPool {
        let [_, _, bodies] = &self.full_load_credit;
        match lane {
            Lane::Changes => &self.spool_credit,
            Lane::FullLoads => bodies,
        }
    }

    /// The same for the objects of a batch that is built again.
    pub fn rebuild_pools_of(
        &self,
        lane: Lane,
        held: Held,
    ) -> impl Iterator<Item = (CreditKind, &CreditPool, u64)> {
        let [memory, objects] = self.rebuild_credit.of(lane);
        pools([memory, objects], held)
    }

    /// A call to an edge; its answer, whatever it is, is counted.
    pub async fn heard<T>(&self, edge: Edge, call: impl Future<Output = T>) -> T {
        let answer = call.await;
        self.answers.heard(edge);
        answer
    }

    /// The others on the ledger have been told what this process has.
    pub fn was_heard(&self) {
        self.heard_at.store(self.ports.clock.now().micros(), Ordering::Relaxed);
    }

    /// True where others share the ledger and could not be told for so long that they soon count on what this process has to come to them.
    pub fn is_unheard(&self) -> bool {
        let heard_at = Instant::from_micros(self.heard_at.load(Ordering::Relaxed));
        self.ports.ledger.has_other_writers() && self.ports.clock.now().since(heard_at) > UNHEARD_AFTER
    }

    /// A ledger step has failed: it is told, and repeated by whoever took it; where the ledger itself is damaged, the
    /// process ends.
    pub fn ledger_failed(&self, step: &'static str, fault: &Fault) {
        events::LedgerFailed { step, fault }.emit();
        if fault.kind.policy() == Policy::StopProcess {
            self.fail(fault.chain());
        }
    }

    /// Writes down how old the events of files that are deferred or poison are: their messages will be gone. A failure is told and not
    /// repeated: of a file without one the watermark takes that it may be of any time, and the warehouse is asked whether it
    /// has the file.
    pub async fn note_deferred_events(&self, event_times: Vec<(FileId, Instant)>, states: &[FileState]) {
        let waits =
            |state: &FileState| matches!(state, FileState::Deferred { .. } | FileState::Poison { .. });
        if states.iter().any(waits)
            && let Err(fault) = self.ports.ledger.note_events(&event_times).await
        {
            self.ledger_failed("note_events", &fault);
        }
    }

    /// Tells the table, if it runs, that files of it were deferred.
    pub fn tell_deferred(&self, table: &TableId) {
        if let Some((batcher, _)) = self.directory.batcher(table) {
            report(&batcher, FilesDeferred);
        }
    }

    /// The table as metrics show it: their labels are a closed set, the folders of a bucket are not.
    pub fn shown_table(&self, table: &TableId) -> TableId {
        if self.tables.contains_key(table) {
            return table.clone();
        }
        TableId::new(Arc::clone(&table.cluster), "unmapped", "unmapped")
    }

    /// Ends the process with this reason, by way of the shutdown script. The first reason stays.
    pub fn fail(&self, reason: String) {
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                *fatal = Some(reason);
            }
            first
        });
    }
}

fn pools(
    [memory, objects]: [&CreditPool; 2],
    held: Held,
) -> impl Iterator<Item = (CreditKind, &CreditPool, u64)> {
    let all =
        [(CreditKind::Memory, memory, held.memory_bytes), (CreditKind::Objects, objects, held.disk_bytes)];
    all.into_iter().filter(|(_, _, bytes)| *bytes > 0)
}
