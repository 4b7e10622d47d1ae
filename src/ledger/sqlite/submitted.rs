//! Attempts by the time at which they were begun.

use rusqlite::{Transaction, params};

use super::StepError;
use crate::domain::ids::{AttemptNumber, BatchId};
use crate::domain::instant::Instant;
use crate::domain::planner::{Carrier, Submitted};
use crate::ledger::stored::table_of;

/// Batches that are looked at, newest first: more than any quota admits in a day.
const SUBMITTED_MAX: i64 = 250_000;

/// Attempts that were begun or ended then or later.
pub(super) fn submitted_since(step: &Transaction<'_>, since: Instant) -> Result<Vec<Submitted>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT b.table_id, b.id, a.number, a.at, a.stream IS NOT NULL FROM batches b JOIN attempts a ON a.batch = b.number
         WHERE b.number > (SELECT ifnull(max(number), 0) FROM batches) - ?1 AND a.at >= ?2",
    )?;
    let rows = select.query_map(params![SUBMITTED_MAX, since.micros()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    rows.map(|row| {
        let (table, batch, number, at, streamed) = row?;
        let (batch, number) = (BatchId::from_stored(batch), AttemptNumber(number));
        let (at, table) = (Instant::from_micros(at), table_of(&table)?);
        Ok(Submitted { at, batch, number, table, carrier: Some(Carrier::of(streamed)) })
    })
    .collect()
}
