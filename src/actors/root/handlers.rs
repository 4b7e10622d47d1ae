//! What the root hears: its children's ends, the loader's reports, and admin messages.

use std::future::ready;

use actix::ResponseFuture;

use super::*;
use crate::messages::root::MODE_WRITE_WAIT;

impl Root {
    /// True when this start of the child is the one that runs, or has ended just now.
    fn is_current(&self, child: &ChildId, generation: Generation) -> bool {
        match child {
            ChildId::Batcher(table) => self
                .tables
                .get(table)
                .is_some_and(|seat| seat.generation == generation && seat.batcher.is_some()),
            ChildId::Poller(_)
            | ChildId::Fetcher(_)
            | ChildId::Loader
            | ChildId::Planner
            | ChildId::Outbox
            | ChildId::Watchdog => self.seats.get(child).is_some_and(|seat| seat.generation == generation),
        }
    }

    fn abort(&self, child: &ChildId) {
        let abort = match child {
            ChildId::Batcher(table) => {
                let batcher = self.tables.get(table).and_then(|seat| seat.batcher.as_ref());
                batcher.map(|batcher| &batcher.abort)
            }
            ChildId::Poller(queue) => self.pollers.get(queue).map(|poller| &poller.abort),
            ChildId::Fetcher(number) => self.fetchers.get(number).map(|fetcher| &fetcher.abort),
            ChildId::Loader => self.loader.as_ref().map(|loader| &loader.abort),
            ChildId::Planner => self.planner.as_ref().map(|planner| &planner.abort),
            ChildId::Outbox => self.outbox.as_ref().map(|outbox| &outbox.abort),
            ChildId::Watchdog => self.watchdog.as_ref().map(|watchdog| &watchdog.abort),
        };
        if let Some(abort) = abort {
            abort.0.abort();
        }
    }
}

impl Handler<ChildWedged> for Root {
    type Result = ();

    fn handle(&mut self, message: ChildWedged, _: &mut Self::Context) {
        let ChildWedged { child, generation, reason } = message;
        if !self.draining && self.is_current(&child, generation) {
            self.abort(&child);
            self.wedged.insert(child, reason);
        }
    }
}

impl Handler<ChildExited> for Root {
    type Result = ();

    fn handle(&mut self, message: ChildExited, context: &mut Self::Context) {
        let ChildExited { child, generation, exit } = message;
        if self.draining || !self.is_current(&child, generation) {
            return;
        }
        let wedged = self.wedged.remove(&child);
        let panicked = matches!(exit, ChildExit::Panicked(_));
        events::ChildExited { child: child.label(), name: child.to_string(), exit: &exit, panicked }.emit();
        let text = match &exit {
            ChildExit::Stopped => "it stopped by itself".to_owned(),
            ChildExit::InitFailed(text) | ChildExit::Panicked(text) => text.clone(),
            ChildExit::Aborted => wedged.unwrap_or_else(|| "it was aborted".to_owned()),
        };
        match child {
            ChildId::Batcher(table) => self.table_crashed(&table, &text, context),
            child @ (ChildId::Poller(_)
            | ChildId::Fetcher(_)
            | ChildId::Loader
            | ChildId::Planner
            | ChildId::Outbox
            | ChildId::Watchdog) => {
                self.service_exited(child, &text, context);
            }
        }
    }
}

impl Handler<TableCrashed> for Root {
    type Result = ();

    fn handle(&mut self, message: TableCrashed, context: &mut Self::Context) {
        if !self.draining {
            self.table_crashed(&message.table, &message.panic, context);
        }
    }
}

impl Handler<HoldTable> for Root {
    type Result = ();

    fn handle(&mut self, message: HoldTable, context: &mut Self::Context) {
        events::TableHeld { table: &message.table, reason: &message.reason }.emit();
        self.close_table(&message.table);
        self.set_mode(&message.table, TableMode::Held(message.reason), context);
        self.hold_batches(&message.table);
    }
}

impl Handler<LedgerLost> for Root {
    type Result = ();

    fn handle(&mut self, message: LedgerLost, _: &mut Self::Context) {
        self.world.fail(format!("the ledger does not answer: {}", message.0));
    }
}

impl Handler<ModeWritten> for Root {
    type Result = ();

    fn handle(&mut self, message: ModeWritten, context: &mut Self::Context) {
        if message.fault.is_none() {
            // What was read before the ledger had it may not know it.
            self.changes = self.changes.saturating_add(1);
            if let Some(seat) = self.tables.get_mut(&message.table) {
                seat.change = self.changes;
                // Two writes may have overtaken each other: then the one that holds is written again.
                seat.unwritten = seat.mode != message.mode;
            }
            // Two writes of one table may have overtaken each other: the one that holds is written again.
            let mode = self.tables.get(&message.table).map(|seat| seat.mode.clone());
            if let Some(mode) = mode.filter(|mode| *mode != message.mode) {
                self.write_mode(&message.table, mode, None, context);
            }
            return;
        }
        context.run_later(WRITE_AGAIN, move |root, context| {
            // Only if nobody changed it meanwhile.
            if root.tables.get(&message.table).is_some_and(|seat| seat.mode == message.mode) {
                root.write_mode(&message.table, message.mode, None, context);
            }
        });
    }
}

impl Root {
    /// Puts a mode in force at once; the answer comes when the ledger has it, or says that it has not.
    fn answer_when_written(
        &mut self,
        table: &TableId,
        mode: TableMode,
        context: &mut Context<Self>,
    ) -> ResponseFuture<Result<ModeSet, NoSuchTable>> {
        let changes = self.tables.get(table).is_some_and(|seat| seat.mode != mode);
        self.change_mode(table, &mode);
        if changes {
            events::TableModeChanged { table, mode: &mode }.emit();
        }
        let (sender, written) = oneshot::channel();
        self.write_mode(table, mode.clone(), Some(sender), context);
        Box::pin(async move {
            let unwritten = match tokio::time::timeout(MODE_WRITE_WAIT, written).await {
                Ok(Ok(fault)) => fault,
                Ok(Err(_)) | Err(_) => Some(format!(
                    "the ledger has not answered within {} s; the write is repeated",
                    MODE_WRITE_WAIT.as_secs()
                )),
            };
            Ok(ModeSet { mode, unwritten })
        })
    }
}

fn flush(world: &World, reason: CloseReason, lane: Option<Lane>) {
    for (_, batcher) in world.directory.batchers() {
        tell(&batcher, FlushWindow { reason, lane });
    }
}

impl Handler<FlushAll> for Root {
    type Result = ();

    fn handle(&mut self, message: FlushAll, _: &mut Self::Context) {
        flush(&self.world, message.0, None);
    }
}

impl Handler<PauseTable> for Root {
    type Result = ResponseFuture<Result<ModeSet, NoSuchTable>>;

    fn handle(&mut self, message: PauseTable, context: &mut Self::Context) -> Self::Result {
        let table = message.0;
        let Some(mode) = self.tables.get(&table).map(|seat| seat.mode.clone()) else {
            return Box::pin(ready(Err(NoSuchTable(table))));
        };
        if mode == TableMode::Running {
            self.close_table(&table);
        }
        let mode = if mode == TableMode::Running { TableMode::Paused } else { mode };
        self.answer_when_written(&table, mode, context)
    }
}

impl Handler<ResumeTable> for Root {
    type Result = ResponseFuture<Result<ModeSet, NoSuchTable>>;

    fn handle(&mut self, message: ResumeTable, context: &mut Self::Context) -> Self::Result {
        let table = message.0;
        let Some(seat) = self.tables.get_mut(&table) else {
            return Box::pin(ready(Err(NoSuchTable(table))));
        };
        seat.budget.reset();
        let stopped = seat.mode != TableMode::Running;
        let answer = self.answer_when_written(&table, TableMode::Running, context);
        if stopped && !self.draining {
            self.open_table(&table, context);
        }
        answer
    }
}

impl Handler<FlushTable> for Root {
    type Result = Result<(), NoSuchTable>;

    fn handle(&mut self, message: FlushTable, _: &mut Self::Context) -> Self::Result {
        let table = message.0;
        if !self.tables.contains_key(&table) {
            return Err(NoSuchTable(table));
        }
        if let Some((batcher, _)) = self.world.directory.batcher(&table) {
            tell(&batcher, FlushWindow { reason: CloseReason::Flush, lane: None });
        }
        Ok(())
    }
}

impl Handler<BeginDrain> for Root {
    type Result = ();

    fn handle(&mut self, _: BeginDrain, _: &mut Self::Context) {
        self.draining = true;
        // What does not end by itself is left behind at the deadline.
        self.watchdog = None;
        self.planner = None;
    }
}

impl Handler<Snapshot> for Root {
    type Result = RootSnapshot;

    fn handle(&mut self, _: Snapshot, _: &mut Self::Context) -> RootSnapshot {
        let tables = self.tables.iter();
        let tables =
            tables.map(|(table, seat)| (table.clone(), seat.mode.clone(), seat.generation.0)).collect();
        RootSnapshot { tables, crashes: self.crashes }
    }
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
