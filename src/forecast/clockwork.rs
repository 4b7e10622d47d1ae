//! The course of a forecast: what happens next, on a clock that goes from one happening to the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::chance::{Drawn, draws};
use super::memory::Memory;
use super::queues::Queues;
use super::warehouse::Warehouse;
use super::{Outcome, START, Scenario, Windows};
use crate::domain::batch::FILES_PER_BATCH_MAX;
use crate::domain::by_age::ByAge;
use crate::domain::delivery::{Action, Delivery};
use crate::domain::file::{FileId, FileState};
use crate::domain::instant::Instant;
use crate::domain::planner::{Planner, TableNeeds, Window};
use crate::domain::table::{CloseReason, Effect, Event, Table, TableBounds};

/// From S3's event to the poller, half of the time in which it gathers messages among it, and the object's way into memory.
const ANNOUNCING: Duration = Duration::from_millis(550);
const FETCHING: Duration = Duration::from_millis(150);
/// Files of one cluster's minute come within this time.
const JITTER: Duration = Duration::from_secs(2);
/// Deferred files in hand at one time, and how often they are taken up.
const TAKEN_UP: usize = 400;
const TAKE_UP_EVERY: Duration = Duration::from_secs(10);
/// `batching.bytes`.
const BYTES_MAX: u64 = 64 << 20;
/// How often the course is noted.
const NOTED_EVERY: Duration = Duration::from_secs(900);

pub(super) enum Happening {
    /// DMS writes a table's file.
    Written(usize),
    Fetched(usize, FileId),
    Woken(usize),
    Performed(u64, Box<Action>),
    TakeUp(usize),
    /// A schedule's interval begins.
    Scheduled,
    Noted,
}

pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) rows: u64,
    /// Which file of its table.
    pub(super) number: u64,
    /// The time in which its rows were committed.
    pub(super) span: Duration,
}

pub(super) struct Lane {
    pub(super) table: Table,
    pub(super) woken_at: Option<Instant>,
    pub(super) arrivals: BTreeMap<FileId, Arrival>,
    /// Files that wait in the ledger, oldest first.
    pub(super) deferred: VecDeque<FileId>,
    /// Files so far, those without rows among them.
    written: u64,
    /// Rows of skipped intervals, and these.
    carried: (f64, Duration),
}

pub(super) struct Running {
    pub(super) lane: usize,
    pub(super) delivery: Delivery,
    /// When the job is done, and whether it fails.
    pub(super) job: Option<(Instant, bool)>,
    /// Bytes of its body.
    pub(super) body: u64,
}

pub(super) struct Clockwork<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) now: Instant,
    pub(super) numbered: u64,
    pub(super) happenings: BTreeMap<(Instant, u64), Happening>,
    pub(super) lanes: Vec<Lane>,
    pub(super) planner: Option<Planner>,
    pub(super) warehouse: Warehouse,
    pub(super) queues: Queues,
    pub(super) running: BTreeMap<u64, Running>,
    pub(super) waiting: ByAge<(usize, Vec<FileId>)>,
    pub(super) outcome: Outcome,
    pub(super) memory: Memory,
    pub(super) lately: (f64, f64),
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Outcome {
    let mut clockwork = Clockwork::new(scenario);
    let end = START.plus(Duration::from_secs(86_400) * scenario.days);
    while let Some(((at, _), happening)) = clockwork.happenings.pop_first() {
        if at > end {
            break;
        }
        clockwork.now = at;
        clockwork.happen(happening);
    }
    clockwork.concluded()
}

impl<'a> Clockwork<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let needs = |table: &super::Table| {
            let super::Table { class, max_staleness, carrier, .. } = *table;
            (table.id.clone(), TableNeeds { class, max_staleness, carrier })
        };
        let planner = match scenario.windows {
            Windows::Planned => Some(Planner::new(scenario.quotas, scenario.tables.iter().map(needs), START)),
            Windows::Fixed(_) | Windows::Scheduled(_) | Windows::PerFile => None,
        };
        let (window, files_max) = match scenario.windows {
            Windows::Planned => (Duration::from_secs(60), FILES_PER_BATCH_MAX),
            Windows::Fixed(window) => (window, FILES_PER_BATCH_MAX),
            // Closed by the clock.
            Windows::Scheduled(interval) => (interval * 2, FILES_PER_BATCH_MAX),
            Windows::PerFile => (Duration::from_secs(60), 1),
        };
        let bounds = TableBounds {
            window,
            bytes_max: BYTES_MAX,
            files_max,
            loads_max: 2,
            defer_after: Duration::from_secs(600),
        };
        let lane = |_: &super::Table| Lane {
            table: Table::new(bounds),
            woken_at: None,
            arrivals: BTreeMap::new(),
            deferred: VecDeque::new(),
            written: 0,
            carried: (0.0, Duration::ZERO),
        };
        let tables = scenario.tables.len();
        let mut clockwork = Self {
            scenario,
            now: START,
            numbered: 0,
            happenings: BTreeMap::new(),
            lanes: scenario.tables.iter().map(lane).collect(),
            planner,
            warehouse: Warehouse::new(scenario),
            queues: Queues::new(scenario.tables.iter().map(|table| Arc::clone(&table.id.cluster)), START),
            running: BTreeMap::new(),
            waiting: ByAge::default(),
            outcome: Outcome {
                by_table: vec![Default::default(); tables],
                reserve_min: 1.0,
                ..Outcome::default()
            },
            lately: (0.0, 0.0),
            memory: Memory::default(),
        };
        // The tasks of clusters are not in step.
        let mut phases: BTreeMap<Arc<str>, Duration> = BTreeMap::new();
        for (number, table) in scenario.tables.iter().enumerate() {
            let mut chance = draws(scenario.seed, Drawn::Phase { first: number });
            let phase = phases
                .entry(Arc::clone(&table.id.cluster))
                .or_insert_with(|| scenario.dms_interval.mul_f64(chance.random_range(0.0..1.0)));
            let at = START.plus(*phase);
            clockwork.later(at, Happening::Written(number));
        }
        clockwork.later(START.plus(NOTED_EVERY), Happening::Noted);
        if let Windows::Scheduled(_) = scenario.windows {
            clockwork.later(START, Happening::Scheduled);
        }
        clockwork
    }

    pub(super) fn later(&mut self, at: Instant, happening: Happening) {
        self.numbered += 1;
        self.happenings.insert((at, self.numbered), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Written(lane) => self.written(lane),
            Happening::Fetched(lane, file) => {
                self.queues.announced(&file.table.cluster, self.now);
                self.fetch(lane, file, true);
            }
            Happening::Scheduled => self.scheduled(),
            Happening::Woken(lane) => {
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.woken_at = None;
                }
                self.step(lane, Event::Tick);
            }
            Happening::Performed(id, action) => self.performed(id, *action),
            Happening::TakeUp(lane) => self.take_up(lane),
            Happening::Noted => {
                let (sum, rows) = std::mem::take(&mut self.lately);
                let mean = if rows > 0.0 { sum / rows } else { 0.0 };
                self.outcome.course.push((self.warehouse.used(self.now), mean));
                self.later(self.now.plus(NOTED_EVERY), Happening::Noted);
            }
        }
    }

    fn written(&mut self, lane: usize) {
        let interval = self.scenario.dms_interval;
        self.later(self.now.plus(interval), Happening::Written(lane));
        let Some(held) = self.lanes.get_mut(lane) else { return };
        held.written += 1;
        let number = held.written;
        let mut chance = draws(self.scenario.seed, Drawn::File { table: lane, number });
        let jitter = JITTER.min(interval / 4).mul_f64(chance.random_range(0.0..1.0));
        let at = self.now.plus(jitter);
        let seconds = at.since(START).as_secs_f64();
        let rows = self.scenario.rows(lane, seconds, interval);
        let (carried, before) = std::mem::take(&mut held.carried);
        let (rows, span) = (carried + rows, before + interval);
        if self.scenario.skipped > 0.0 && chance.random_bool(self.scenario.skipped) {
            held.carried = (rows, span);
            return;
        }
        let rows = rows + chance.random_range(0.0..1.0);
        let Some(table) = self.scenario.tables.get(lane) else { return };
        if rows < 1.0 {
            return;
        }
        let rows = rows as u64;
        let file = FileId {
            table: table.id.clone(),
            bucket: "b".into(),
            key: number.to_string().into(),
            etag: "e".into(),
            size_bytes: rows * 80,
        };
        self.outcome.files += 1;
        self.outcome.rows += rows as f64;
        let pause = self.scenario.pause_of(&table.id).filter(|pause| pause.contains(&at));
        let Some(held) = self.lanes.get_mut(lane) else { return };
        held.arrivals.insert(file.clone(), Arrival { at, rows, number, span });
        if let Some(pause) = pause {
            let is_first = held.deferred.is_empty();
            held.deferred.push_back(file);
            if is_first {
                self.later(pause.end, Happening::TakeUp(lane));
            }
            return;
        }
        self.later(at.plus(ANNOUNCING + FETCHING), Happening::Fetched(lane, file));
    }

    /// Files that waited in the ledger, as many as a table has in hand.
    fn take_up(&mut self, lane: usize) {
        let Some(held) = self.lanes.get_mut(lane) else { return };
        let room = TAKEN_UP.saturating_sub(held.table.in_hand());
        let files: Vec<_> = held.deferred.drain(..room.min(held.deferred.len())).collect();
        if !held.deferred.is_empty() {
            self.later(self.now.plus(TAKE_UP_EVERY), Happening::TakeUp(lane));
        }
        for file in files {
            self.fetch(lane, file, false);
        }
    }

    /// The object is open: the ledger was asked and knew nothing of it. What waited in the ledger says nothing of what comes.
    pub(super) fn opened(&mut self, lane: usize, file: FileId, is_new: bool) {
        let (Some(held), Some(table)) = (self.lanes.get(lane), self.scenario.tables.get(lane)) else {
            return;
        };
        let rows = held.arrivals.get(&file).map_or(0, |arrival| arrival.rows);
        let bytes = file.size_bytes;
        if let Some(planner) = &mut self.planner {
            // What was published before this file came.
            let Window { age, files, .. } = planner.window(&table.id, self.now);
            if is_new {
                planner.arrived(&table.id, rows, self.now);
            }
            self.step(lane, Event::Planned { age, files });
        }
        self.step(lane, Event::Announced { file: file.clone(), suspect: false });
        self.step(lane, Event::LookedUp { file: file.clone(), state: None });
        self.step(lane, Event::Fetched { file, bytes });
    }

    /// A job of every table, of what there is, or of nothing.
    fn scheduled(&mut self) {
        let Windows::Scheduled(interval) = self.scenario.windows else { return };
        self.later(self.now.plus(interval), Happening::Scheduled);
        for lane in 0..self.lanes.len() {
            if self.lanes.get(lane).is_some_and(|held| held.table.window_files() == 0) {
                self.warehouse.submit_nothing(lane, self.now);
                self.outcome.jobs += 1;
            } else {
                self.step(lane, Event::Flush(CloseReason::Age));
            }
        }
    }

    pub(super) fn step(&mut self, lane: usize, event: Event) {
        let Some(held) = self.lanes.get_mut(lane) else { return };
        let effects = held.table.step(self.now, event);
        let wake = held.table.next_wake();
        if wake != held.woken_at {
            held.woken_at = wake;
            if let Some(at) = wake {
                self.later(at.max(self.now), Happening::Woken(lane));
            }
        }
        for effect in effects {
            match effect {
                Effect::Deliver(files, _) => {
                    let arrivals = self.lanes.get(lane).map(|held| &held.arrivals);
                    let came = files.iter().filter_map(|file| arrivals?.get(file).map(|arrival| arrival.at));
                    let oldest = came.min().unwrap_or(self.now);
                    self.waiting.push(oldest, (lane, files));
                    self.begin();
                }
                Effect::Settle(file, _) => {
                    let state = FileState::Deferred { since: self.now };
                    if let Some(held) = self.lanes.get_mut(lane) {
                        if held.deferred.is_empty() {
                            self.numbered += 1;
                            let at = (self.now.plus(TAKE_UP_EVERY), self.numbered);
                            self.happenings.insert(at, Happening::TakeUp(lane));
                        }
                        held.deferred.push_back(file.clone());
                    }
                    self.free([&file]);
                    self.step(lane, Event::Settled { file, state });
                }
                // Asked and answered where the file is announced; nothing is ever unreadable here.
                Effect::Lookup(_) | Effect::Fetch(_) | Effect::Strike(..) | Effect::Release { .. } => {}
            }
        }
    }

    fn concluded(mut self) -> Outcome {
        let quota = self.scenario.quotas.jobs_per_day as f64;
        self.outcome.most_jobs_a_day = self.warehouse.most_jobs;
        self.outcome.most_modifications = self.warehouse.most_modifications;
        self.outcome.refused = self.warehouse.refused;
        self.outcome.most_streams_an_hour = self.warehouse.most_streams;
        self.outcome.receives = self.queues.concluded(self.now);
        self.outcome.deletes = self.queues.deletes;
        self.outcome.reserve_min = 1.0 - self.warehouse.most_jobs as f64 / quota;
        let longest = Duration::from_secs(3_600);
        let old = |arrival: &&Arrival| self.now.since(arrival.at) > longest;
        self.outcome.left =
            self.lanes.iter().map(|held| held.arrivals.values().filter(old).count() as u64).sum();
        self.outcome
    }
}
