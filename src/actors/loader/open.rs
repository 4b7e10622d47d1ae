//! The batches that are open in the ledger: taken up at start and when their table runs again, held when it stops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext, Context, Handler};

use super::Loader;
use crate::actors::delivery::Begin;
use crate::actors::supervision::report;
use crate::actors::world::World;
use crate::domain::delivery::Part;
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::taking_over::{Look, is_left};
use crate::domain::transition::{BatchRecord, BatchState};
use crate::domain::watchdog::Edge;
use crate::messages::loader::{BatchesMarked, HoldBatches, OpenBatchesListed, ResumeBatches};
use crate::telemetry::events;

/// Open batches read from the ledger at one time.
const OPEN_BATCHES_PAGE: usize = 500;
/// The wait before the ledger is asked again for open batches, or to mark them.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// What is to become of a table's open batches. One task at a time writes it, so that a hold and a resumption that come
/// close to each other cannot overtake each other.
pub(super) struct Wish {
    hold: bool,
    at_work: bool,
    /// It was wished after the task had begun, which may have read the batches before.
    renewed: bool,
}

impl Loader {
    fn question(&mut self) -> u64 {
        let question = self.next_question;
        self.next_question = self.next_question.saturating_add(1);
        self.asked.insert(question, self.world.ports.clock.now());
        question
    }

    /// Asks for the open batches.
    pub(super) fn list_open(&mut self, look: Look, context: &mut Context<Self>) {
        let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
        let question = self.question();
        tokio::spawn(async move {
            let open = world.ports.ledger.open_batches(None, OPEN_BATCHES_PAGE);
            let batches = match world.heard(Edge::Ledger, open).await {
                Ok(batches) => Some(batches),
                Err(fault) => {
                    world.ledger_failed("open_batches", &fault);
                    None
                }
            };
            report(&address, OpenBatchesListed { generation, question, look, batches });
        });
    }

    /// True of a batch that no other process has.
    fn is_left(&self, record: &BatchRecord, look: Look) -> bool {
        let (own, now) = (self.world.process.as_str(), self.world.ports.clock.now());
        is_left(record, own, &self.world.peers.borrow(), look, now)
    }

    /// Looks again at what others may have left.
    fn look_again(&mut self, batches: Vec<BatchRecord>, context: &mut Context<Self>) {
        let open: BTreeSet<_> = batches.iter().map(|record| record.batch.id.clone()).collect();
        for record in batches {
            if self.has(&record.batch.id) || !self.is_left(&record, Look::Again) {
                continue;
            }
            let (table, was) = (&record.batch.table, self.left_to_others.remove(&record.batch.id));
            let runs = self.world.directory.batcher(table).is_some() && !self.wishes.contains_key(table);
            match record.state {
                // What is of an earlier run goes on though its table may not run, as at the start.
                BatchState::Open if runs || was => self.resume(record, context),
                // Whoever resumed the table ended before its batches were let go.
                BatchState::Held if runs => self.wish(record.batch.table, false, context),
                BatchState::Open | BatchState::Held | BatchState::Loaded | BatchState::Abandoned => {}
            }
        }
        self.left_to_others.retain(|batch| open.contains(batch));
    }

    /// The table's batches are to be held, or to go on. What came before and is not yet done gives way.
    fn wish(&mut self, table: TableId, hold: bool, context: &mut Context<Self>) {
        let wish = self.wishes.entry(table.clone()).or_insert(Wish { hold, at_work: false, renewed: false });
        (wish.hold, wish.renewed) = (hold, true);
        if !wish.at_work {
            self.mark_batches(table, context);
        }
    }

    fn mark_batches(&mut self, table: TableId, context: &mut Context<Self>) {
        let Some(wish) = self.wishes.get_mut(&table) else { return };
        (wish.at_work, wish.renewed) = (true, false);
        let hold = wish.hold;
        let (world, address, generation) = (Arc::clone(&self.world), context.address(), self.generation);
        let question = self.question();
        tokio::spawn(async move {
            let batches = match mark(&world, &table, hold).await {
                Ok(batches) => Some(batches),
                Err(fault) => {
                    world.ledger_failed("hold", &fault);
                    None
                }
            };
            report(&address, BatchesMarked { generation, question, table, hold, batches });
        });
    }

    fn resume(&mut self, record: BatchRecord, context: &mut Context<Self>) {
        if self.has(&record.batch.id) || !self.world.tables.contains_key(&record.batch.table) {
            return;
        }
        let table = record.batch.table.clone();
        events::BatchResumed { table: &table, batch: &record.batch.id }.emit();
        let begin = Begin::Resumed(Box::new(record), Part::default());
        self.start(table, begin, None, Vec::new(), None, context);
    }
}

/// Marks the table's open batches in the ledger as held or not, and lists them.
async fn mark(world: &World, table: &TableId, hold: bool) -> Result<Vec<BatchRecord>, Fault> {
    let ledger = &world.ports.ledger;
    let batches = ledger.open_batches(Some(table), OPEN_BATCHES_PAGE).await?;
    for record in batches.iter().filter(|record| (record.state == BatchState::Held) != hold) {
        ledger.hold(&record.batch.id, hold, world.ports.clock.now()).await?;
    }
    Ok(batches)
}

impl Handler<OpenBatchesListed> for Loader {
    type Result = ();

    fn handle(&mut self, message: OpenBatchesListed, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        self.asked.remove(&message.question);
        let Some(batches) = message.batches else {
            // Who looks for what others have left looks again anyway.
            if message.look == Look::First {
                context.run_later(LIST_AGAIN, |loader, context| loader.list_open(Look::First, context));
            }
            return;
        };
        if message.look == Look::Again {
            return self.look_again(batches, context);
        }
        let mut stranded = BTreeSet::new();
        for record in batches {
            if record.state != BatchState::Held {
                if self.is_left(&record, Look::First) {
                    self.resume(record, context);
                } else {
                    self.left_to_others.insert(record.batch.id);
                }
            } else if self.world.directory.batcher(&record.batch.table).is_some()
                && self.is_left(&record, Look::First)
            {
                // Held batches wait for their table's resumption. Where the table runs, a crash came between its
                // resumption and theirs, and no person waits for either.
                stranded.insert(record.batch.table);
            }
        }
        stranded.into_iter().for_each(|table| self.wish(table, false, context));
        self.recovered = true;
    }
}

impl Handler<BatchesMarked> for Loader {
    type Result = ();

    fn handle(&mut self, message: BatchesMarked, context: &mut Self::Context) {
        if message.generation != self.generation {
            return;
        }
        self.asked.remove(&message.question);
        let BatchesMarked { table, hold, batches, .. } = message;
        let Some(wish) = self.wishes.get(&table) else { return };
        match batches {
            None => {
                context.run_later(LIST_AGAIN, move |loader, context| loader.mark_batches(table, context));
            }
            Some(_) if wish.renewed => self.mark_batches(table, context),
            Some(batches) => {
                self.wishes.remove(&table);
                if hold {
                    return;
                }
                for record in batches {
                    // What was held is let go just now; what was not, another may have.
                    let held = record.state == BatchState::Held;
                    if held || self.is_left(&record, Look::First) || self.is_left(&record, Look::Again) {
                        self.resume(record, context);
                    }
                }
            }
        }
    }
}

impl Handler<ResumeBatches> for Loader {
    type Result = ();

    fn handle(&mut self, message: ResumeBatches, context: &mut Self::Context) {
        self.wish(message.0, false, context);
    }
}

impl Handler<HoldBatches> for Loader {
    type Result = ();

    fn handle(&mut self, message: HoldBatches, context: &mut Self::Context) {
        // Dropping them aborts their tasks; their leases go back to the poller.
        self.in_flight.retain(|_, one| one.table != message.0);
        self.wish(message.0, true, context);
    }
}
