//! What a poller tells of itself.

use actix::Handler;

use super::Poller;
use crate::domain::intake::Event;
use crate::messages::child::{Ping, Pulse};
use crate::messages::poller::{Held, HeldByTable, PollerSnapshot, Snapshot, TableIntake};

impl Handler<Snapshot> for Poller {
    type Result = Option<PollerSnapshot>;

    fn handle(&mut self, _: Snapshot, context: &mut Self::Context) -> Self::Result {
        // Whoever asks wants to know about idleness: deletes that wait for the tick go out now.
        self.step(Event::Tick, context);
        Some(PollerSnapshot {
            held_messages: self.intake.held_messages(),
            parked_files: self.intake.parked_files(),
        })
    }
}

impl Handler<HeldByTable> for Poller {
    type Result = Option<Held>;

    fn handle(&mut self, _: HeldByTable, _: &mut Self::Context) -> Self::Result {
        let tables = self.intake.by_table().into_iter();
        let tables = tables.map(|(table, parked, oldest_event, oldest_change)| TableIntake {
            table,
            parked,
            oldest_event,
            oldest_change,
        });
        let (queue, drained) = (self.id.clone(), self.drain.drained());
        Some(Held { queue, since: self.since, drained, tables: tables.collect() })
    }
}

impl Handler<Ping> for Poller {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        let mut parts = vec![("messages", self.intake.reading())];
        // A loop that was told to stop shows the call in which it stopped.
        parts.extend(self.receiving.is_some().then(|| ("receive", self.receive_pulse.read())));
        Some(Pulse::own(parts))
    }
}
