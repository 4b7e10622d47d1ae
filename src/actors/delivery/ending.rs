//! What is told of a delivery that has ended.

use super::Performer;
use crate::domain::batch::Batch;
use crate::domain::delivery::End;
use crate::domain::watermark::Reached;
use crate::telemetry::events;

impl Performer {
    /// Tells what came of it.
    pub(super) fn conclude(&self, batch: &Batch, end: &End) {
        let table = &self.table;
        match end {
            End::Loaded { .. } => self.loaded(batch),
            End::Held(reason) => events::BatchHeld { table, batch: &batch.id, reason }.emit(),
            End::Rehomed { homes, .. } => {
                events::BatchRehomed { table, batch: &batch.id, homes: homes.len() }.emit()
            }
            End::ClaimLost(files) => events::ClaimLost { table, batch: &batch.id, files: files.len() }.emit(),
            End::Superseded => events::BatchSuperseded { table, batch: &batch.id }.emit(),
            // Told where the fault was seen.
            End::Unbuilt { .. } | End::LedgerLost(_) => {}
        }
    }

    fn loaded(&self, batch: &Batch) {
        let (table, now) = (&self.table, self.world.ports.clock.now());
        if let Some(built) = &self.body {
            self.world.known_good.insert(table.clone(), built.body.plan().clone());
            let changed = built.body.changed();
            events::ValuesChanged { table, batch: &batch.id, changed }.emit();
        }
        let body_bytes = self.body.as_ref().map_or(0, |built| built.body.size_bytes());
        events::BatchLoaded { table, batch, body_bytes, took: self.stages.took(), now }.emit();
        self.stages.tell(table, batch, &self.arrivals);
        self.tell_commits(batch);
        self.world.keep_view(table);
    }

    /// How fresh each file is, and how far the table is loaded by it. After a restart only the batch as a whole is known.
    fn tell_commits(&self, batch: &Batch) {
        let (table, now) = (&self.table, self.world.ports.clock.now());
        let fresh = |committed_at| events::ChangesLoaded { table, committed_at, now }.emit();
        let Some(built) = self.body.as_ref().filter(|_| !self.arrivals.is_empty()) else {
            batch.commits.iter().for_each(|commits| fresh(commits.oldest));
            return;
        };
        let mut frontier = self.world.frontiers.entry(table.clone()).or_default();
        for (place, commits) in built.body.commits() {
            fresh(commits.oldest);
            if let Some(event) = self.arrivals.get(*place).and_then(|arrival| arrival.event) {
                frontier.loaded(Reached::of(event, commits.newest));
            }
        }
    }
}
