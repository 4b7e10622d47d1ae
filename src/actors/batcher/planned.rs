//! The windows that the planner gives to the table.

use std::time::Duration;

use actix::Context;

use super::Batcher;
use crate::actors::supervision::tell;
use crate::domain::planner::Window;
use crate::domain::table::Event;
use crate::messages::planner::FileCame;

/// A window that was planned holds for so long; the planner says it anew every ten seconds.
const WINDOW_HOLDS: Duration = Duration::from_secs(120);

impl Batcher {
    /// Tells the planner of a file, and takes its word on the windows that open from now on.
    pub(super) fn plan(&mut self, rows: u64, context: &mut Context<Self>) {
        let Some(needs) = self.world.tables.get(&self.id).and_then(|setup| setup.needs) else { return };
        if let Some(planner) = self.world.directory.planner() {
            tell(&planner, FileCame { table: self.id.clone(), rows });
        }
        let now = self.world.ports.clock.now();
        match self.world.windows.get(&self.id).map(|window| *window) {
            Some((Window { files, age, .. }, at)) if now.since(at) <= WINDOW_HOLDS => {
                self.step([Event::Planned { age, files }], context);
            }
            // Whoever plans is gone: what is certainly not too often.
            Some(_) => {
                self.step([Event::Planned { age: needs.max_staleness, files: usize::MAX }], context);
            }
            None => {}
        }
    }
}
