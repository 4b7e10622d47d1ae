//! What is forgotten after the horizon.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{StepError, batches};
use crate::domain::instant::Instant;
use crate::domain::transition::BatchState;
use crate::ledger::stored::file_key;

/// The oldest batches that ended before. Numbers rise with claims, and what is forgotten is gone: the first young claim is
/// near, and nothing beyond it is looked at.
const OLDEST: &str = "SELECT number FROM batches WHERE state IN (2, 3) AND updated_at < ?1
    AND number < coalesce((SELECT number FROM batches WHERE claimed_at >= ?1 ORDER BY number LIMIT 1), number + 1)
    ORDER BY number LIMIT ?2";
const VANISHED: &str =
    "DELETE FROM files WHERE key IN (SELECT key FROM files WHERE home = 2 AND at < ?1 ORDER BY at LIMIT ?2)";

/// One step. What it takes away refers to itself alone: to look for others that refer to it would read the whole file.
pub(super) fn expire(connection: &mut Connection, before: Instant, limit: usize) -> Result<u64, StepError> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let expired = run(connection, before, limit);
    connection.pragma_update(None, "foreign_keys", true)?;
    expired
}

fn run(connection: &mut Connection, before: Instant, limit: usize) -> Result<u64, StepError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let oldest: Vec<i64> = {
        let mut select = step.prepare_cached(OLDEST)?;
        let rows = select.query_map(params![before.micros(), limit], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut expired = 0;
    for number in oldest {
        expired += u64::from(forget(&step, number, before)?);
    }
    let vanished = step.prepare_cached(VANISHED)?.execute(params![before.micros(), limit])?;
    step.commit()?;
    Ok(expired + vanished as u64)
}

/// Forgets a batch that ended before, and the files in it.
fn forget(step: &Transaction<'_>, number: i64, before: Instant) -> Result<bool, StepError> {
    let mut select = step.prepare_cached(&format!("{} WHERE number = ?1", batches::RECORD))?;
    let Some(stored) = select.query_row([number], batches::stored).optional()? else { return Ok(false) };
    let ended = stored.updated_at;
    let record = batches::whole(step, stored)?;
    let is_over = match record.state {
        BatchState::Open | BatchState::Held => false,
        BatchState::Loaded | BatchState::Abandoned => ended < before.micros(),
    };
    if !is_over {
        return Ok(false);
    }
    let mut delete = step.prepare_cached("DELETE FROM files WHERE key = ?1 AND batch = ?2")?;
    for entry in &record.batch.manifest.entries {
        delete.execute(params![file_key(&entry.file), number])?;
    }
    step.prepare_cached("DELETE FROM attempts WHERE batch = ?1")?.execute([number])?;
    step.prepare_cached("DELETE FROM batches WHERE number = ?1")?.execute([number])?;
    Ok(true)
}
