//! What a batcher answers: what it holds, and what it has asked.

use actix::Handler;

use super::Batcher;
use crate::domain::watchdog::{Edge, Reading};
use crate::messages::batcher::{BatcherSnapshot, Snapshot};
use crate::messages::child::{Ping, Pulse};

impl Handler<Snapshot> for Batcher {
    type Result = Option<BatcherSnapshot>;

    fn handle(&mut self, _: Snapshot, _: &mut Self::Context) -> Self::Result {
        Some(BatcherSnapshot {
            in_hand: self.lanes.in_hand(),
            arriving: self.lanes.arriving(),
            waiting: self.lanes.waiting(),
            in_window: self.lanes.window_files(),
            none_deferred: self.none_deferred,
        })
    }
}

impl Handler<Ping> for Batcher {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        let asked = self.take_up_asked.map(|at| (at, Edge::Ledger, "asking for deferred files"));
        Some(Pulse::own([("files", self.lanes.reading()), ("deferred", Reading::of_oldest(asked))]))
    }
}
