//! The windows that the planner gives to the table, and what they hold.

use std::time::Duration;

use super::Batcher;
use crate::actors::supervision::tell;
use crate::domain::file::FileId;
use crate::domain::lane::Lane;
use crate::domain::planner::Window;
use crate::domain::table::Event;
use crate::messages::planner::FileCame;

/// A window that was planned holds for so long; the planner says it anew every ten seconds.
const WINDOW_HOLDS: Duration = Duration::from_secs(120);

impl Batcher {
    /// Says what its open windows hold of the credit, so that the fattest can be closed where it is short.
    pub(super) fn tell_what_windows_hold(&self) {
        for lane in Lane::ALL {
            let key = (self.id.clone(), lane);
            let files = self.lanes.of(lane).window();
            if files.is_empty() {
                self.world.in_windows.remove(&key);
            } else {
                let bucket = &self.world.ports.bucket;
                self.world.in_windows.insert(key, files.iter().map(|file| bucket.held(file)).sum());
            }
        }
    }

    /// Tells the planner of a file, and takes its word on the windows that open from now on. One that was deferred says nothing
    /// of what comes: a backlog is no rate; nor does a full load, whose windows are not planned.
    pub(super) fn plan(&self, file: &FileId, rows: u64) -> Option<Event> {
        if Lane::of(file) == Lane::FullLoads {
            return None;
        }
        let needs = self.world.tables.get(&self.id)?.needs?;
        if !self.written.contains_key(file)
            && let Some(planner) = self.world.directory.planner()
        {
            tell(&planner, FileCame { table: self.id.clone(), rows });
        }
        let (Window { files, age, .. }, at) = self.world.windows.get(&self.id).map(|window| *window)?;
        if self.world.ports.clock.now().since(at) <= WINDOW_HOLDS {
            return Some(Event::Planned { age, files });
        }
        // Whoever plans is gone: what is certainly not too often.
        Some(Event::Planned { age: needs.max_staleness, files: usize::MAX })
    }
}
