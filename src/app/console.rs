//! What the admin API and the status page ask of the tree: the root's modes, what pollers, batchers and loader hold, and
//! the ledger's figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::costs::LatestReport;
use crate::actors::root::Root;
use crate::actors::world::{TableSetup, World};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::planner::Window;
use crate::domain::shape::Shape;
use crate::domain::summary::TableSummary;
use crate::domain::transition::{Mending, TableMode};
use crate::messages::root::{FlushTable, ModeSet, NoSuchTable, PauseTable, ResumeTable};
use crate::messages::{batcher, loader, outbox, poller, root};
use crate::telemetry::last_errors::LastErrors;
use crate::web::console::{
    Acted, Action, BehindView, Chosen, CommitsView, Console, ErrorView, Mended, Overview, Pending,
    PoisonView, ReceiverView, Refusal, RefusalKind, TableView, WindowView,
};
use crate::web::cost::{CostLine, CostView};

/// How long one actor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an action may take: the ledger's write, and some.
const ACTION_TIMEOUT: Duration = Duration::from_secs(8);
/// An overview is shown for this long, however many ask.
const FRESH: Duration = Duration::from_millis(900);
/// What a file may take beyond two windows when nothing is wrong.
const GRACE: Duration = Duration::from_secs(60);

/// The console of a running tree.
pub struct TreeConsole {
    pub(super) world: Arc<World>,
    root: Addr<Root>,
    latest: Mutex<Option<(tokio::time::Instant, Arc<Overview>)>>,
    costs: LatestReport,
}

/// What actors hold of one table.
#[derive(Clone, Copy, Debug, Default)]
struct Holds {
    pending: Pending,
    oldest_event: Option<Instant>,
}

impl TreeConsole {
    /// The console of this tree.
    pub fn new(world: Arc<World>, root: Addr<Root>) -> Self {
        Self { world, root, latest: Mutex::new(None), costs: LatestReport::default() }
    }

    /// Tells of these costs too.
    pub fn with_costs(self, costs: LatestReport) -> Self {
        Self { costs, ..self }
    }

    async fn look(&self) -> Result<Overview, Refusal> {
        let snapshot = self.root.send(root::Snapshot).timeout(ANSWER_TIMEOUT).await;
        let snapshot = snapshot.map_err(|_| no_answer("landbridge's actors do not answer"))?;
        let now = self.world.ports.clock.now();
        let summaries = self.world.ports.ledger.summary(now).await;
        let summaries = summaries.map_err(|fault| no_answer(&format!("the ledger: {}", fault.chain())))?;
        let mut summaries: BTreeMap<_, _> =
            summaries.into_iter().map(|summary| (summary.table.clone(), summary)).collect();
        let mut holds = self.holds().await;
        let tables = snapshot.tables.into_iter().filter_map(|(id, mode, _)| {
            let setup = self.world.tables.get(&id)?;
            let summary = summaries.remove(&id).unwrap_or_else(|| TableSummary::empty(id.clone()));
            let planned = self.world.windows.get(&id).map(|window| window.0);
            let held = holds.remove(&id).unwrap_or_default();
            let behind = self.world.behind.get(&id).map(|behind| *behind);
            let mut view = view(&id, setup, mode, &summary, held, planned, now);
            if summary.loaded.is_some() {
                view.commits.behind = behind.and_then(|(from, what)| {
                    Some(BehindView { what: what.label(), text: what.told(from, now)? })
                });
            }
            Some(view)
        });
        let cost = self.costs.get().map(|report| CostLine::of(&report));
        let tables = tables.collect();
        Ok(Overview { at: now, tables, receivers: self.receivers(now).await, cost })
    }

    /// How receivers do; an outbox that does not answer is starting, and shows nothing.
    async fn receivers(&self, now: Instant) -> Vec<ReceiverView> {
        let Some(outbox) = self.world.directory.outbox() else { return Vec::new() };
        let answer = outbox.send(outbox::Snapshot).timeout(ANSWER_TIMEOUT).await;
        let shown = answer.ok().flatten().unwrap_or_default().into_iter();
        shown.map(|(name, shown)| ReceiverView::new(name, shown, now)).collect()
    }

    async fn holds(&self) -> BTreeMap<TableId, Holds> {
        let directory = &self.world.directory;
        let mut holds: BTreeMap<TableId, Holds> = BTreeMap::new();
        for poller in directory.pollers() {
            let answer = poller.send(poller::HeldByTable).timeout(ANSWER_TIMEOUT).await;
            for held in answer.ok().flatten().into_iter().flat_map(|held| held.tables) {
                let one = holds.entry(held.table).or_default();
                one.pending.parked = one.pending.parked.saturating_add(held.parked as u64);
                one.oldest_event =
                    Some(one.oldest_event.map_or(held.oldest_event, |at| at.min(held.oldest_event)));
            }
        }
        for (table, batcher) in directory.batchers() {
            let answer = batcher.send(batcher::Snapshot).timeout(ANSWER_TIMEOUT).await;
            if let Some(snapshot) = answer.ok().flatten() {
                let pending = &mut holds.entry(table).or_default().pending;
                (pending.in_hand, pending.in_window) = (snapshot.in_hand as u64, snapshot.in_window as u64);
            }
        }
        if let Some(loader) = directory.loader() {
            let answer = loader.send(loader::LoadsByTable).timeout(ANSWER_TIMEOUT).await;
            for (table, loads) in answer.ok().flatten().unwrap_or_default() {
                holds.entry(table).or_default().pending.loads = loads as u64;
            }
        }
        holds
    }

    /// Puts a mode in force.
    async fn set_mode(&self, table: &TableId, action: Action) -> Result<Option<String>, Refusal> {
        let table = table.clone();
        let answer = match action {
            Action::Pause => self.root.send(PauseTable(table)).timeout(ACTION_TIMEOUT).await,
            Action::Resume | Action::Flush => {
                self.root.send(ResumeTable(table)).timeout(ACTION_TIMEOUT).await
            }
        };
        let ModeSet { mode, unwritten } =
            answer.map_err(|_| no_answer("landbridge's actors do not answer"))?.map_err(unknown)?;
        let stays = (action == Action::Pause && mode != TableMode::Paused)
            .then(|| "it does not run already, for another reason: it stays as it is".to_owned());
        Ok(unwritten.map(|text| format!("in force, but a restart may forget it: {text}")).or(stays))
    }

    async fn flush(&self, table: &TableId) -> Result<Option<String>, Refusal> {
        let answer = self.root.send(FlushTable(table.clone())).timeout(ACTION_TIMEOUT).await;
        answer.map_err(|_| no_answer("landbridge's actors do not answer"))?.map_err(unknown)?;
        let runs = self.world.directory.batcher(table).is_some();
        Ok((!runs).then(|| "the table does not run: there was nothing to flush".to_owned()))
    }
}

#[async_trait]
impl Console for TreeConsole {
    async fn overview(&self) -> Result<Arc<Overview>, Refusal> {
        // One looks, the others wait for what it sees.
        let mut latest = self.latest.lock().await;
        if let Some((at, overview)) = &*latest
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(overview));
        }
        let overview = Arc::new(self.look().await?);
        *latest = Some((tokio::time::Instant::now(), Arc::clone(&overview)));
        Ok(overview)
    }

    async fn act(&self, table: &TableId, action: Action) -> Result<Acted, Refusal> {
        let warning = match action {
            Action::Pause | Action::Resume => self.set_mode(table, action).await?,
            Action::Flush => self.flush(table).await?,
        };
        *self.latest.lock().await = None;
        let name = table.to_string();
        let overview = self.overview().await?;
        let view = overview.tables.iter().find(|view| view.name == name).cloned();
        let table = view.ok_or_else(|| unknown(NoSuchTable(table.clone())))?;
        Ok(Acted { table, warning })
    }

    async fn poison(&self, table: &TableId) -> Result<Vec<PoisonView>, Refusal> {
        self.poison_of(table).await
    }

    async fn shape(&self, table: &TableId) -> Result<Shape, Refusal> {
        let entries = self.world.ports.ledger.shape(table).await;
        entries.map(Shape::new).map_err(|fault| no_answer(&format!("the ledger: {}", fault.chain())))
    }

    async fn cost(&self) -> Result<CostView, Refusal> {
        let report = self.costs.get().ok_or_else(|| Refusal {
            kind: RefusalKind::NoAnswer,
            error: "landbridge has not made out yet what it costs".to_owned(),
            remedy: "ask again in a minute; if it stays so, the ledger does not answer: look at the log"
                .to_owned(),
        })?;
        Ok(CostView::of(&report))
    }

    async fn mend(&self, table: &TableId, chosen: Chosen, mending: Mending) -> Result<Mended, Refusal> {
        let mended = self.mend_poison(table, chosen, mending).await;
        *self.latest.lock().await = None;
        mended
    }
}

fn view(
    id: &TableId,
    setup: &TableSetup,
    mode: TableMode,
    summary: &TableSummary,
    holds: Holds,
    planned: Option<Window>,
    now: Instant,
) -> TableView {
    let destination = &setup.destination;
    let project = Some(&*destination.project).filter(|project| !project.is_empty());
    let dotted = [project, Some(&*destination.dataset), Some(&*destination.table)];
    let pending = Pending { deferred: summary.deferred, ..holds.pending };
    let waiting = [holds.oldest_event, summary.oldest_pending_event].into_iter().flatten().min();
    let watermark = waiting.or(summary.newest_loaded_event);
    let longest = planned.map_or(setup.bounds.window, |planned| planned.age);
    let window = WindowView {
        seconds: longest.as_secs_f64(),
        why: planned.map_or("fixed", |planned| planned.why.label()),
    };
    // A window that was longer before it became short may still be open.
    let bound = setup.needs.map_or(setup.bounds.window, |needs| needs.max_staleness);
    let late_after = longest.max(bound) * 2 + GRACE;
    let late = mode == TableMode::Running && waiting.is_some_and(|at| now.since(at) > late_after);
    let name = id.to_string();
    TableView {
        cluster: Arc::clone(&id.cluster),
        schema: Arc::clone(&id.schema),
        table: Arc::clone(&id.table),
        destination: dotted.into_iter().flatten().collect::<Vec<_>>().join("."),
        reason: match &mode {
            TableMode::Quarantined(reason) | TableMode::Held(reason) => Some(reason.clone()),
            TableMode::Running | TableMode::Paused => None,
        },
        mode,
        late,
        late_after_seconds: late_after.as_secs(),
        watermark,
        freshness_seconds: watermark.map(|at| now.since(at).as_secs_f64()),
        commits: CommitsView {
            watermark: summary.watermark,
            lag_seconds: summary.watermark.map(|at| now.since(at).as_secs_f64()),
            last_at: summary.loaded.map(|loaded| loaded.commit),
            behind: None,
        },
        window,
        pending,
        rows_today: summary.rows_of_day,
        files_today: summary.files_of_day,
        last_load_at: summary.last_load_at,
        poison: summary.poison,
        vanished: summary.vanished,
        discarded: summary.discarded,
        last_error: last_error(&name, now),
        name,
    }
}

fn last_error(table: &str, now: Instant) -> Option<ErrorView> {
    let error = LastErrors::of_process().of(table)?;
    let age = i64::try_from(error.at.elapsed().as_micros()).unwrap_or(i64::MAX);
    Some(ErrorView {
        at: Instant::from_micros(now.micros().saturating_sub(age)),
        level: if error.must_act { "error" } else { "warning" },
        text: error.text,
        remedy: error.remedy,
    })
}

pub(super) fn no_answer(error: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::NoAnswer,
        error: error.to_owned(),
        remedy: "look at the log; /health/live says whether the process must be restarted".to_owned(),
    }
}

fn unknown(no_such: NoSuchTable) -> Refusal {
    Refusal {
        kind: RefusalKind::UnknownTable,
        error: no_such.to_string(),
        remedy: "name a mapped table as cluster/schema.table".to_owned(),
    }
}
