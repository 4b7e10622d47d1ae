//! What is forgotten after the horizon.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{StepError, batches, notices};
use crate::domain::instant::Instant;
use crate::domain::transition::BatchState;
use crate::ledger::stored::file_key;

/// The batches that ended first, by the index `ended_batches`.
const OLDEST: &str =
    "SELECT number FROM batches WHERE state IN (2, 3) AND updated_at < ?1 ORDER BY updated_at LIMIT ?2";
const VANISHED: &str =
    "DELETE FROM files WHERE key IN (SELECT key FROM files WHERE home = 2 AND at < ?1 ORDER BY at LIMIT ?2)";

const OLDEST_VANISHED: &str =
    "SELECT max(at) FROM (SELECT at FROM files WHERE home = 2 AND at < ?1 ORDER BY at LIMIT ?2)";
const REMEMBER: &str = "UPDATE identity SET forgotten_before = max(coalesce(forgotten_before, ?1), ?1)";

/// One step. What it takes away refers to itself alone: to look for others that refer to it would read the whole file.
pub(super) fn expire(connection: &mut Connection, before: Instant, limit: usize) -> Result<u64, StepError> {
    let unchecked = Unchecked::new(connection)?;
    run(unchecked.0, before, limit)
}

pub(super) fn forgotten_before(step: &Transaction<'_>) -> Result<Option<Instant>, StepError> {
    let micros: Option<i64> =
        step.query_row("SELECT forgotten_before FROM identity", [], |row| row.get(0))?;
    Ok(micros.map(Instant::from_micros))
}

/// A connection that does not look at references, until this is dropped, by a panic too.
struct Unchecked<'a>(&'a mut Connection);

impl<'a> Unchecked<'a> {
    fn new(connection: &'a mut Connection) -> Result<Self, StepError> {
        connection.pragma_update(None, "foreign_keys", false)?;
        Ok(Self(connection))
    }
}

impl Drop for Unchecked<'_> {
    fn drop(&mut self) {
        // It fails within a transaction only, and there is none left.
        let _ = self.0.pragma_update(None, "foreign_keys", true);
    }
}

fn run(connection: &mut Connection, before: Instant, limit: usize) -> Result<u64, StepError> {
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let oldest: Vec<i64> = {
        let mut select = step.prepare_cached(OLDEST)?;
        let rows = select.query_map(params![before.micros(), limit], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let vanished: Option<i64> =
        step.prepare_cached(OLDEST_VANISHED)?.query_row(params![before.micros(), limit], |row| row.get(0))?;
    let (mut expired, mut youngest) = (0, vanished);
    for number in oldest {
        if let Some(ended) = forget(&step, number, before)? {
            expired += 1;
            youngest = youngest.max(Some(ended));
        }
    }
    if let Some(youngest) = youngest {
        remember(&step, Instant::from_micros(youngest.saturating_add(1)))?;
    }
    notices::expire(&step, before)?;
    let vanished = step.prepare_cached(VANISHED)?.execute(params![before.micros(), limit])?;
    step.commit()?;
    Ok(expired + vanished as u64)
}

/// What ended before may be forgotten from now on.
pub(super) fn remember(step: &Transaction<'_>, before: Instant) -> Result<(), StepError> {
    step.prepare_cached(REMEMBER)?.execute([before.micros()])?;
    Ok(())
}

/// Forgets a batch that ended before, and the files in it; answers when it ended.
fn forget(step: &Transaction<'_>, number: i64, before: Instant) -> Result<Option<i64>, StepError> {
    let mut select = step.prepare_cached(&format!("{} WHERE number = ?1", batches::RECORD))?;
    let Some(stored) = select.query_row([number], batches::stored).optional()? else { return Ok(None) };
    let ended = stored.updated_at;
    let record = batches::whole(step, stored)?;
    let is_over = match record.state {
        BatchState::Open | BatchState::Held => false,
        BatchState::Loaded | BatchState::Abandoned => ended < before.micros(),
    };
    if !is_over {
        return Ok(None);
    }
    let mut delete = step.prepare_cached("DELETE FROM files WHERE key = ?1 AND batch = ?2")?;
    for entry in &record.batch.manifest.entries {
        delete.execute(params![file_key(&entry.file), number])?;
    }
    step.prepare_cached("DELETE FROM attempts WHERE batch = ?1")?.execute([number])?;
    step.prepare_cached("DELETE FROM batches WHERE number = ?1")?.execute([number])?;
    Ok(Some(ended))
}
