//! The way of what was counted into the ledger.
//!
//! It is written every few minutes and at the end: what a process that dies has done since is not counted, and no more.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::Ledger;
use crate::domain::clock::Clock;
use crate::domain::cost::book::Book;
use crate::domain::cost::usage::Measure;
use crate::domain::fault::Fault;
use crate::flow::meter::Meter;

/// What this process counts, and what of it the ledger has.
pub struct UsageKeeper {
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

impl UsageKeeper {
    /// Of a process that begins now.
    pub fn new(meter: Arc<Meter>, clock: Arc<dyn Clock>) -> Self {
        let writer: u64 = rand::random();
        let book = Mutex::new(Book::new(format!("{writer:016x}"), clock.now()));
        Self { meter, clock, book }
    }

    /// Somebody was told that the month is going to cost more than it may.
    pub fn note_budget_alert(&self) {
        self.meter.add(Measure::BudgetAlerts, 1);
    }

    /// Writes what was counted since the process began, a step for each day that is not done with.
    pub async fn keep(&self, ledger: &dyn Ledger) -> Result<(), Fault> {
        // One after the other: what is written later is what was counted later.
        let mut book = self.book.lock().await;
        book.read(self.meter.read(), self.clock.now());
        for page in book.pages() {
            ledger.keep_usage(&page).await?;
            book.kept(page.day);
        }
        Ok(())
    }
}
