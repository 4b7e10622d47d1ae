//! The modes of tables that another process on the same ledger has changed.

use super::*;
use crate::messages::root::ModesRead;

impl Root {
    pub(super) fn read_modes(&self, context: &mut Context<Self>) {
        if self.draining {
            return;
        }
        let (world, address, changes) = (Arc::clone(&self.world), context.address(), self.changes);
        tokio::spawn(async move {
            match world.ports.ledger.modes().await {
                Ok(modes) => super::super::supervision::report(&address, ModesRead { changes, modes }),
                Err(fault) => world.ledger_failed("modes", &fault),
            }
        });
    }

    /// Another process has given the table this mode.
    fn follow(&mut self, table: &TableId, mode: TableMode, context: &mut Context<Self>) {
        let Some(seat) = self.tables.get_mut(table) else { return };
        seat.mode = mode.clone();
        events::TableModeChanged { table, mode: &mode }.emit();
        match mode {
            TableMode::Running => {
                seat.budget.reset();
                self.open_table(table, context);
            }
            TableMode::Paused => self.close_table(table),
            TableMode::Quarantined(_) | TableMode::Held(_) => {
                self.close_table(table);
                self.hold_batches(table);
            }
        }
    }
}

impl Handler<ModesRead> for Root {
    type Result = ();

    fn handle(&mut self, message: ModesRead, context: &mut Self::Context) {
        if self.draining {
            return;
        }
        let stopped: BTreeMap<_, _> = message.modes.into_iter().collect();
        let known = self.tables.iter().filter(|(_, seat)| !seat.unwritten && seat.change <= message.changes);
        let changed = known.filter_map(|(table, seat)| {
            let mode = stopped.get(table).unwrap_or(&TableMode::Running);
            (*mode != seat.mode).then(|| (table.clone(), mode.clone()))
        });
        for (table, mode) in changed.collect::<Vec<_>>() {
            self.follow(&table, mode, context);
        }
    }
}
