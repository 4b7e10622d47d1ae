//! A table's two lanes: each a machine of its own, with its own window and its own share of the loader.

use super::{Effect, Event, Table, TableBounds};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::watchdog::Reading;

/// A batch of full loads has up to so many times the bytes of one of changes.
const FULL_LOAD_BYTES: u64 = 4;
/// Batches of a table's full loads in flight at one time.
const FULL_LOADS_MAX: usize = 1;

/// Both machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lanes(ByLane<Table>);

impl Lanes {
    /// Lanes with nothing in hand. A full load's window is never planned: it is open as long as `bounds` say, which is longer than
    /// what is planned for changes.
    pub fn new(bounds: TableBounds) -> Self {
        let bytes_max = bounds.bytes_max.saturating_mul(FULL_LOAD_BYTES);
        let full_loads = TableBounds { bytes_max, loads_max: FULL_LOADS_MAX.min(bounds.loads_max), ..bounds };
        Self(ByLane { changes: Table::new(bounds), full_loads: Table::new(full_loads) })
    }

    /// Takes what happened and says what to do. What is about a file is its lane's matter, what is about none is both lanes', and
    /// what the planner says is for changes.
    pub fn step(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        match event.file().map(Lane::of) {
            Some(lane) => self.0.of_mut(lane).step(now, event),
            None if matches!(event, Event::Planned { .. }) => self.0.changes.step(now, event),
            None => Lane::ALL.iter().flat_map(|lane| self.step_in(*lane, now, event.clone())).collect(),
        }
    }

    /// The same for what has happened in one lane alone.
    pub fn step_in(&mut self, lane: Lane, now: Instant, event: Event) -> Vec<Effect> {
        self.0.of_mut(lane).step(now, event)
    }

    /// One lane.
    pub fn of(&self, lane: Lane) -> &Table {
        self.0.of(lane)
    }

    /// Files in hand.
    pub fn in_hand(&self) -> usize {
        self.sum(Table::in_hand)
    }

    /// True when the file is in hand.
    pub fn holds(&self, file: &FileId) -> bool {
        self.0.of(Lane::of(file)).holds(file)
    }

    /// Files in the open windows.
    pub fn window_files(&self) -> usize {
        self.sum(Table::window_files)
    }

    /// Files on their way into a window.
    pub fn arriving(&self) -> usize {
        self.sum(Table::arriving)
    }

    /// Files that wait to be tried or asked about again.
    pub fn waiting(&self) -> usize {
        self.sum(Table::waiting)
    }

    /// What the watchdog is shown: the question that has waited for longest.
    pub fn reading(&self) -> Reading {
        Reading::of_oldest(
            self.0.both().into_iter().filter_map(Table::asked).min_by_key(|(since, ..)| *since),
        )
    }

    /// When `Tick` is next due.
    pub fn next_wake(&self) -> Option<Instant> {
        self.0.both().into_iter().filter_map(Table::next_wake).min()
    }

    fn sum(&self, count: impl Fn(&Table) -> usize) -> usize {
        self.0.both().into_iter().map(count).sum()
    }
}
