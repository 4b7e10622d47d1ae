//! The port behind the admin API and the status page: what they ask of the tree, and what they are answered.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde::{Serialize, Serializer};

use super::cost::{CostLine, CostView};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::outbox::Shown;
use crate::domain::shape::Shape;
use crate::domain::transition::{Mending, TableMode};

/// Who can tell about the tables and act on them.
#[async_trait]
pub trait Console: Send + Sync + 'static {
    /// All tables as they are now, or were at most a second ago.
    async fn overview(&self) -> Result<Arc<Overview>, Refusal>;

    /// Acts on a table and answers its new state. A pause is answered when no load of the table can start any more.
    async fn act(&self, table: &TableId, action: Action) -> Result<Acted, Refusal>;

    /// Poison files of a table, discarded ones too, oldest first; at most `POISON_MAX`.
    async fn poison(&self, table: &TableId) -> Result<Vec<PoisonView>, Refusal>;

    /// The history of the table's columns, oldest entry first.
    async fn shape(&self, table: &TableId) -> Result<Shape, Refusal>;

    /// What landbridge costs, as it was last made out.
    async fn cost(&self) -> Result<CostView, Refusal>;

    /// Redrives or discards poison files of a table. Names nothing that is not poison: then nothing is done.
    async fn mend(&self, table: &TableId, chosen: Chosen, mending: Mending) -> Result<Mended, Refusal>;
}

/// Poison files that are shown, and mended, at one time.
pub const POISON_MAX: usize = 1_000;

/// The console, once the tree has started; until then nothing can be asked.
pub type ConsoleSlot = Arc<OnceLock<Arc<dyn Console>>>;

/// What can be done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop it until it is resumed.
    Pause,
    /// Let it go on, whatever stopped it.
    Resume,
    /// Close its window now.
    Flush,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Pause, Self::Resume, Self::Flush];

    /// Its name in addresses and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Flush => "flush",
        }
    }

    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind, and so which status code.
    pub kind: RefusalKind,
    /// What happened.
    pub error: String,
    /// What to do.
    pub remedy: String,
}

/// A poison file. Its JSON is the API's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoisonView {
    /// `bucket/key@etag`: the name under which it is redriven or discarded.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// Why it is not loaded.
    pub reason: String,
    /// Since when.
    #[serde(serialize_with = "moment_of")]
    pub poison_since: Instant,
    /// A person has given it up.
    pub discarded: bool,
}

/// Which poison files are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All that are not discarded.
    All,
    /// These, as `PoisonView::file` names them.
    Named(Vec<String>),
}

/// What became of poison files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// How many were redriven or discarded.
    pub files: usize,
    /// What is not as it should be: there are more, or some have changed meanwhile.
    pub warning: Option<String>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// No mapping names the table (404).
    UnknownTable,
    /// The table has no such poison file (404).
    UnknownFile,
    /// The request cannot be understood (400).
    Unclear,
    /// The tree or the ledger does not answer (503).
    NoAnswer,
}

/// All tables at one moment.
#[derive(Clone, Debug)]
pub struct Overview {
    /// When it was taken.
    pub at: Instant,
    /// The tables, sorted by name.
    pub tables: Vec<TableView>,
    /// Who is told of loaded batches, sorted by name.
    pub receivers: Vec<ReceiverView>,
    /// What it costs, once that was made out.
    pub cost: Option<CostLine>,
}

/// A receiver at one moment. Its JSON is the API's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiverView {
    /// Its name.
    pub name: Arc<str>,
    /// Notices in memory that it has not taken.
    pub waiting: u64,
    /// There are more in the ledger than are held.
    pub more: bool,
    /// How long the oldest of them has waited.
    pub oldest_seconds: Option<f64>,
    /// Since when it has taken none.
    #[serde(serialize_with = "moment")]
    pub failing_since: Option<Instant>,
    /// What it answered last, while it takes none.
    pub problem: Option<String>,
}

impl ReceiverView {
    /// Of this receiver.
    pub fn new(name: Arc<str>, shown: Shown, now: Instant) -> Self {
        let (failing_since, problem) = shown.failing.unzip();
        Self {
            name,
            waiting: shown.waiting as u64,
            more: shown.more,
            oldest_seconds: shown.oldest.map(|at| now.since(at).as_secs_f64()),
            failing_since,
            problem,
        }
    }
}

/// One table at one moment. Its JSON is the API's, described in `docs/admin.md`.
#[derive(Clone, Debug, Serialize)]
pub struct TableView {
    /// `cluster/schema.table`.
    pub name: String,
    /// The cluster.
    pub cluster: Arc<str>,
    /// The schema.
    pub schema: Arc<str>,
    /// The table.
    pub table: Arc<str>,
    /// Where its rows go: `dataset.table`, with the project before it where there is one.
    pub destination: String,
    /// What it may do.
    #[serde(serialize_with = "mode_name")]
    pub mode: TableMode,
    /// Why it does not run, when it was not an admin who stopped it.
    pub reason: Option<String>,
    /// True when it runs, and its oldest waiting event is older than `late_after_seconds`.
    pub late: bool,
    /// Two windows and a minute: what a file may take when nothing is wrong.
    pub late_after_seconds: u64,
    /// Every file that was announced and whose event is older than this is loaded, poison or vanished. The oldest
    /// event time of a file that waits, else of the newest one that was loaded; none when neither is known.
    #[serde(serialize_with = "moment")]
    pub watermark: Option<Instant>,
    /// Seconds from the watermark until now.
    pub freshness_seconds: Option<f64>,
    /// How far it is loaded, by commit times at the source.
    pub commits: CommitsView,
    /// How long its window stays open.
    pub window: WindowView,
    /// Files that are announced and not loaded.
    pub pending: Pending,
    /// Rows loaded since midnight UTC.
    pub rows_today: u64,
    /// Files loaded since midnight UTC.
    pub files_today: u64,
    /// When a batch was last committed.
    #[serde(serialize_with = "moment")]
    pub last_load_at: Option<Instant>,
    /// Files that are never loaded.
    pub poison: u64,
    /// Files whose object was gone.
    pub vanished: u64,
    /// Poison files that a person has given up: like those that are gone, they are lost to the table.
    pub discarded: u64,
    /// The last warning or error since the start.
    pub last_error: Option<ErrorView>,
}

/// How far a table is loaded, by commit times at the source; none of a table whose files have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CommitsView {
    /// Everything that was committed before is in the warehouse, as far as it was announced.
    #[serde(serialize_with = "moment")]
    pub watermark: Option<Instant>,
    /// Seconds from there until now.
    pub lag_seconds: Option<f64>,
    /// The latest commit time in what is loaded.
    #[serde(serialize_with = "moment")]
    pub last_at: Option<Instant>,
    /// Why the watermark stands still, where it does for more than a minute.
    pub behind: Option<BehindView>,
}

/// What a watermark waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BehindView {
    /// `ledger`, `hand`, `other_hand` or `queue`.
    pub what: &'static str,
    /// In words.
    pub text: String,
}

/// The window of a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WindowView {
    /// At the longest, in seconds.
    pub seconds: f64,
    /// Why it is no shorter: `fixed` by the configuration, or what the planner says (docs/freshness.md).
    pub why: &'static str,
}

/// Files of a table that are not loaded, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// In hand of the table's batcher, those in the window and in loads included.
    pub in_hand: u64,
    /// In the open window.
    pub in_window: u64,
    /// Received, and waiting for the table to run or to have room.
    pub parked: u64,
    /// Written down in the ledger, to be taken up later.
    pub deferred: u64,
    /// Batches (not files) being built or loaded.
    pub loads: u64,
}

impl Pending {
    /// Files in all.
    pub fn files(&self) -> u64 {
        self.in_hand.saturating_add(self.parked).saturating_add(self.deferred)
    }
}

/// A warning or an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorView {
    /// When.
    #[serde(serialize_with = "moment_of")]
    pub at: Instant,
    /// `error`: someone must act. `warning`: landbridge recovers by itself.
    pub level: &'static str,
    /// What happened.
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// A table after an action.
#[derive(Clone, Debug, Serialize)]
pub struct Acted {
    /// The table.
    #[serde(flatten)]
    pub table: TableView,
    /// What is not as it should be: the ledger does not have the mode yet, or there was nothing to do.
    pub warning: Option<String>,
}

/// How much a table needs a person; the greatest need first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Stopped after crashes.
    Quarantined,
    /// Stopped because an outcome needs a person.
    Held,
    /// Runs, and is behind.
    Late,
    /// Stopped by an admin.
    Paused,
    /// Runs.
    Running,
}

impl State {
    /// Every state, the greatest need first.
    pub const ALL: [Self; 5] = [Self::Quarantined, Self::Held, Self::Late, Self::Paused, Self::Running];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::Late => "late",
            Self::Paused => "paused",
            Self::Running => "running",
        }
    }
}

impl TableView {
    /// Its state.
    pub fn state(&self) -> State {
        match &self.mode {
            TableMode::Quarantined(_) => State::Quarantined,
            TableMode::Held(_) => State::Held,
            TableMode::Paused => State::Paused,
            TableMode::Running if self.late => State::Late,
            TableMode::Running => State::Running,
        }
    }
}

/// A mode's name.
pub const fn name_of(mode: &TableMode) -> &'static str {
    match mode {
        TableMode::Running => "running",
        TableMode::Paused => "paused",
        TableMode::Quarantined(_) => "quarantined",
        TableMode::Held(_) => "held",
    }
}

fn mode_name<S: Serializer>(mode: &TableMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name_of(mode))
}

fn moment<S: Serializer>(at: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Instant::rfc3339).serialize(serializer)
}

fn moment_of<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}
