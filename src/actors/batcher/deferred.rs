//! How a table takes up the files that were deferred: when it starts, soon after more were deferred, and at an interval.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::Batcher;
use crate::actors::supervision::report;
use crate::domain::instant::Instant;
use crate::domain::table::{Event, Listed, WHEN_SOME};
use crate::domain::watchdog::Edge;
use crate::messages::batcher::{DeferredListed, FilesDeferred};
use crate::telemetry::events;

impl Batcher {
    /// Files were deferred: an answer to a question that is out may not know them.
    pub(super) fn note_deferral(&mut self) {
        self.deferrals = self.deferrals.saturating_add(1);
        self.none_deferred = false;
    }

    /// Asks for deferred files after `wait`; one question at a time.
    fn take_up_after(&mut self, wait: Duration, context: &mut Context<Self>) {
        if let Some(handle) = self.take_up.take() {
            context.cancel_future(handle);
        }
        self.take_up = Some(context.run_later(wait, |batcher, context| {
            batcher.take_up = None;
            batcher.take_up_deferred(context);
        }));
    }

    pub(super) fn take_up_deferred(&mut self, context: &mut Context<Self>) {
        let deferrals = self.deferrals;
        self.take_up_asked = Some(self.world.ports.clock.now());
        let (world, address) = (Arc::clone(&self.world), context.address());
        let (table, generation) = (self.id.clone(), self.generation);
        let limit = self.lanes.in_hand().saturating_add(self.look.files());
        tokio::spawn(async move {
            let files = match world.heard(Edge::Ledger, world.ports.ledger.deferred(&table, limit)).await {
                Ok(files) => Some(files),
                Err(fault) => {
                    world.ledger_failed("deferred", &fault);
                    None
                }
            };
            let is_cut = files.as_ref().is_some_and(|files: &Vec<_>| files.len() >= limit);
            report(&address, DeferredListed { generation, deferrals, files, is_cut });
        });
    }
}

impl Handler<DeferredListed> for Batcher {
    type Result = ();

    fn handle(&mut self, message: DeferredListed, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        self.take_up_asked = None;
        let current = message.deferrals == self.deferrals;
        self.none_deferred = current && message.files.as_ref().is_some_and(Vec::is_empty);
        let most = self.world.bounds.intake.files_per_table;
        let (fresh, passed_over) = self.lanes.room_for(message.files.unwrap_or_default(), most);
        events::DeferredTakenUp { table: &self.id, count: fresh.len() }.emit();
        let (none, taken, is_cut) = (self.none_deferred, fresh.len(), message.is_cut);
        let again = self.look.listed(Listed { none, taken, passed_over, is_cut });
        // Of a file that was redriven, or whose event could not be noted, the warehouse is asked.
        let written =
            fresh.iter().map(|one| (one.file.clone(), one.event_at.unwrap_or(Instant::from_micros(0))));
        self.written.extend(written);
        let announced = fresh.into_iter().map(|one| Event::Announced { file: one.file, suspect: false });
        self.step(announced, context);
        self.take_up_after(again, context);
    }
}

impl Handler<FilesDeferred> for Batcher {
    type Result = ();

    fn handle(&mut self, _: FilesDeferred, context: &mut Self::Context) {
        self.note_deferral();
        // While a question is out, its answer brings the next one.
        if self.take_up.is_some() {
            self.take_up_after(WHEN_SOME, context);
        }
    }
}
