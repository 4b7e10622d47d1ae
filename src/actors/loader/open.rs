//! The batches that are open in the ledger: taken up at start and when their table runs again, held when it stops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::Loader;
use crate::actors::delivery::Begin;
use crate::actors::supervision::report;
use crate::actors::world::World;
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::transition::{BatchRecord, BatchState};
use crate::domain::watchdog::Edge;
use crate::messages::loader::{HoldBatches, OpenBatchesListed, ResumeBatches};
use crate::telemetry::events;

/// Open batches read from the ledger at one time.
const OPEN_BATCHES_PAGE: usize = 500;
/// The wait before the ledger is asked again for open batches.
const LIST_AGAIN: Duration = Duration::from_secs(5);

impl Loader {
    fn question(&mut self) -> u64 {
        let question = self.next_question;
        self.next_question = self.next_question.saturating_add(1);
        self.asked.insert(question, self.world.ports.clock.now());
        question
    }

    pub(super) fn list_open(&mut self, table: Option<TableId>, context: &mut Context<Self>) {
        let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
        let question = self.question();
        tokio::spawn(async move {
            let open = world.ports.ledger.open_batches(table.as_ref(), OPEN_BATCHES_PAGE);
            let batches = match world.heard(Edge::Ledger, open).await {
                Ok(batches) => Some(batches),
                Err(fault) => {
                    world.ledger_failed("open_batches", &fault);
                    None
                }
            };
            report(&address, OpenBatchesListed { generation, question, batches, table });
        });
    }

    /// Lets the table's held batches go on, and takes up all that are open.
    fn resume_batches(&mut self, table: TableId, context: &mut Context<Self>) {
        let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
        let question = self.question();
        tokio::spawn(async move {
            let batches = match release_held(&world, &table).await {
                Ok(batches) => Some(batches),
                Err(fault) => {
                    world.ledger_failed("hold", &fault);
                    None
                }
            };
            report(&address, OpenBatchesListed { generation, question, batches, table: Some(table) });
        });
    }
}

impl Handler<OpenBatchesListed> for Loader {
    type Result = ();

    fn handle(&mut self, message: OpenBatchesListed, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        self.asked.remove(&message.question);
        let Some(batches) = message.batches else {
            context.run_later(LIST_AGAIN, move |loader, context| loader.list_open(message.table, context));
            return;
        };
        let running: BTreeSet<_> = self.in_flight.values().filter_map(|one| one.resumed.clone()).collect();
        let wanted = message.table.is_some();
        let mut stranded = BTreeSet::new();
        for record in batches {
            let known = self.world.tables.contains_key(&record.batch.table);
            if !known || running.contains(&record.batch.id) {
                continue;
            }
            if !wanted && record.state == BatchState::Held {
                // Held batches wait for their table's resumption. Where the table runs, a crash came between its
                // resumption and theirs, and no person waits for either.
                if self.world.directory.batcher(&record.batch.table).is_some() {
                    stranded.insert(record.batch.table.clone());
                }
                continue;
            }
            events::BatchResumed { table: &record.batch.table, batch: &record.batch.id }.emit();
            self.start(
                record.batch.table.clone(),
                Begin::Resumed(Box::new(record)),
                None,
                Vec::new(),
                context,
            );
        }
        stranded.into_iter().for_each(|table| self.resume_batches(table, context));
        self.recovered = true;
    }
}

impl Handler<ResumeBatches> for Loader {
    type Result = ();

    fn handle(&mut self, message: ResumeBatches, context: &mut Self::Context) {
        self.resume_batches(message.0, context);
    }
}

/// Lets the table's held batches go on, and lists all that are open.
async fn release_held(world: &World, table: &TableId) -> Result<Vec<BatchRecord>, Fault> {
    let batches = world.ports.ledger.open_batches(Some(table), OPEN_BATCHES_PAGE).await?;
    for record in batches.iter().filter(|record| record.state == BatchState::Held) {
        world.ports.ledger.hold(&record.batch.id, false, world.ports.clock.now()).await?;
    }
    Ok(batches)
}

impl Handler<HoldBatches> for Loader {
    type Result = ();

    fn handle(&mut self, message: HoldBatches, _: &mut Self::Context) {
        let table = message.0;
        // Dropping them aborts their tasks; their leases go back to the poller.
        self.in_flight.retain(|_, one| one.table != table);
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            let held = async {
                for record in world.ports.ledger.open_batches(Some(&table), OPEN_BATCHES_PAGE).await? {
                    world.ports.ledger.hold(&record.batch.id, true, world.ports.clock.now()).await?;
                }
                Ok::<_, Fault>(())
            };
            if let Err(fault) = held.await {
                world.ledger_failed("hold", &fault);
            }
        });
    }
}
