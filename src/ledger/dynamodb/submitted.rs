//! Index `claims`: the batches and attempts of a table in the order of their claims, a further attempt by the time at which it was begun.
//!
//! The index has keys and nothing else, so that a batch's commit writes nothing there. So a key says all that the planner wants to know:
//! `TIME#BATCH#w` of an attempt whose rows go by a stream, `#l` of one by a load job, `#0` of a batch that has none; earlier versions wrote
//! no such end, and no further attempts.

use super::batches::{BATCH, partition};
use super::item::{Fields, Item, PK, SK, item, sortable, text};
use super::{DynamoDbLedger, StepError};
use crate::domain::batch::Attempt;
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::planner::{Carrier, Submitted};
use crate::ledger::stored::table_text;

/// The sort keys of further attempts begin with it.
pub(super) const ATTEMPT: &str = "a#";
const BY_STREAM: &str = "w";
const BY_LOAD_JOB: &str = "l";
const BY_NOTHING: &str = "0";

/// What puts a batch with its first attempt, or a further attempt, into the index.
pub(super) fn claimed(table: &str, at: Instant, batch: &BatchId, attempt: Option<&Attempt>) -> Item {
    let by = match attempt {
        Some(attempt) if attempt.stream.is_some() => BY_STREAM,
        Some(_) => BY_LOAD_JOB,
        None => BY_NOTHING,
    };
    let order = format!("{}#{batch}#{by}", sortable(at.micros()));
    item([("claim_table", text(table)), ("claim_order", text(order))])
}

/// True of a batch's own entry of the index, which is not that of a further attempt.
pub(super) fn is_batch(entry: &Item) -> Result<bool, StepError> {
    Ok(entry.text_of(SK)? == BATCH)
}

/// The batch of an entry of the index.
pub(super) fn batch_of(entry: &Item) -> Result<BatchId, StepError> {
    let named = entry.text_of(PK)?;
    Ok(BatchId::from_stored(named.strip_prefix(&partition(&BatchId::from_stored(""))).unwrap_or(named)))
}

/// The attempt of an entry of the index; none of a batch without one.
fn submitted(table: &TableId, entry: &Item) -> Result<Option<Submitted>, StepError> {
    let order = entry.text_of("claim_order")?;
    let strange =
        || StepError::Corrupt(format!("an entry of the index of claims cannot be read back: {order}"));
    let mut parts = order.split('#');
    let at = parts.next().and_then(|at| at.parse().ok()).ok_or_else(strange)?;
    let carrier = match parts.nth(1) {
        Some(BY_STREAM) => Some(Carrier::StorageWrite),
        Some(BY_LOAD_JOB) => Some(Carrier::LoadJobs),
        Some(BY_NOTHING) => return Ok(None),
        _ => None,
    };
    let number = match entry.text_of(SK)?.strip_prefix(ATTEMPT) {
        Some(number) => AttemptNumber(number.parse().map_err(|_| strange())?),
        None => AttemptNumber::FIRST,
    };
    let (at, batch, table) = (Instant::from_micros(at), batch_of(entry)?, table.clone());
    Ok(Some(Submitted { at, batch, number, table, carrier }))
}

impl DynamoDbLedger {
    /// Attempts that were begun then or later, as far as the index shows them.
    pub(super) async fn attempts_since(&self, since: Instant) -> Result<Vec<Submitted>, StepError> {
        let mut found = Vec::new();
        for table in self.known_tables().await? {
            let from = text(sortable(since.micros()));
            let values = item([(":table", text(table_text(&table)?)), (":from", from)]);
            let condition = "claim_table = :table AND claim_order >= :from";
            let mut next = None;
            loop {
                let step = "submitted_since";
                let page =
                    self.page(step, Some("claims"), condition, values.clone(), usize::MAX, next).await?;
                for entry in &page.items {
                    found.extend(submitted(&table, entry)?);
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }
}
