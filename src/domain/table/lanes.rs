//! A table's two lanes: each a machine of its own, with its own window and its own share of the loader.

use super::{Effect, Event, Table, TableBounds};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::lane::{ByLane, Lane};
use crate::domain::transition::DeferredFile;
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

    /// Which of these deferred files, oldest first, may be taken up: those that are not in hand, and for which their lane has room, which is
    /// `most` files in hand. And how many others wait for room.
    pub fn room_for(&self, deferred: Vec<DeferredFile>, most: usize) -> (Vec<DeferredFile>, usize) {
        let mut room = ByLane {
            changes: most.saturating_sub(self.0.changes.in_hand()),
            full_loads: most.saturating_sub(self.0.full_loads.in_hand()),
        };
        let (mut taken, mut passed_over) = (Vec::new(), 0);
        for one in deferred.into_iter().filter(|one| !self.holds(&one.file)) {
            let room = room.of_mut(Lane::of(&one.file));
            if let Some(left) = room.checked_sub(1) {
                *room = left;
                taken.push(one);
            } else {
                passed_over += 1;
            }
        }
        (taken, passed_over)
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

#[cfg(test)]
mod tests {
    use super::super::tests::BOUNDS;
    use super::*;
    use crate::domain::ids::TableId;

    fn deferred(name: &str) -> DeferredFile {
        let table = TableId::new("a", "s", "t");
        let key = format!("s/t/{name}.parquet").into();
        let file = FileId { table, bucket: "b".into(), key, etag: "e".into(), size_bytes: 1 };
        DeferredFile { file, since: Instant::from_micros(0), event_at: None }
    }

    fn names(files: &[DeferredFile]) -> Vec<&str> {
        files.iter().filter_map(|one| one.file.key.strip_prefix("s/t/")).collect()
    }

    #[test]
    fn full_loads_are_taken_up_as_far_as_their_lane_has_room_and_keep_no_change_waiting() {
        let mut lanes = Lanes::new(BOUNDS);
        let all = || -> Vec<_> {
            let full_loads = (0..500).map(|number| deferred(&format!("LOAD{number:08X}")));
            full_loads.chain((0..3).map(|number| deferred(&format!("20251123-00000000{number}")))).collect()
        };
        let (taken, passed_over) = lanes.room_for(all(), 2);
        assert_eq!(
            names(&taken),
            [
                "LOAD00000000.parquet",
                "LOAD00000001.parquet",
                "20251123-000000000.parquet",
                "20251123-000000001.parquet"
            ]
        );
        assert_eq!(passed_over, 499);
        for one in taken {
            lanes.step(Instant::from_micros(0), Event::Announced { file: one.file, suspect: false });
        }
        // What is in hand is not taken up again, and nothing beside it.
        let (taken, passed_over) = lanes.room_for(all(), 2);
        assert!(taken.is_empty(), "{:?}", names(&taken));
        assert_eq!(passed_over, 499);
        let (taken, _) = lanes.room_for(all(), 3);
        assert_eq!(names(&taken), ["LOAD00000002.parquet", "20251123-000000002.parquet"]);
    }
}
