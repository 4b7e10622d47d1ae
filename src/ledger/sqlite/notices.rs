//! Notices of loaded batches that their receivers have not been told yet.

use rusqlite::{Row, Transaction, params};

use super::StepError;
use crate::domain::ids::BatchId;
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::ledger::stored::{table_of, table_text};

/// Writes them; those that are there stay.
pub(super) fn write(step: &Transaction<'_>, notices: &[Notice]) -> Result<(), StepError> {
    let mut insert = step.prepare_cached(
        "INSERT OR IGNORE INTO notices (receiver, loaded_at, batch, table_id, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Notice { receiver, id, table, body } in notices {
        let (at, batch) = (id.loaded_at.micros(), id.batch.as_str());
        insert.execute(params![&**receiver, at, batch, table_text(table)?, &**body])?;
    }
    Ok(())
}

/// The oldest of a receiver, behind `after`.
pub(super) fn of_receiver(
    step: &Transaction<'_>,
    receiver: &str,
    after: Option<&NoticeId>,
    limit: usize,
) -> Result<Vec<Notice>, StepError> {
    let mut select = step.prepare_cached(&format!(
        "{NOTICE} WHERE receiver = ?1 AND (loaded_at, batch) > (?2, ?3) ORDER BY loaded_at, batch LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (at, batch) = after.map_or((i64::MIN, ""), |id| (id.loaded_at.micros(), id.batch.as_str()));
    select.query_map(params![receiver, at, batch, limit], stored)?.map(|row| whole(row?)).collect()
}

/// Those of all receivers.
pub(super) fn all(step: &Transaction<'_>) -> Result<Vec<Notice>, StepError> {
    step.prepare(NOTICE)?.query_map([], stored)?.map(|row| whole(row?)).collect()
}

const NOTICE: &str = "SELECT receiver, loaded_at, batch, table_id, body FROM notices";

type Stored = (String, i64, String, String, String);

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn whole((receiver, loaded_at, batch, table, body): Stored) -> Result<Notice, StepError> {
    let id = NoticeId { loaded_at: Instant::from_micros(loaded_at), batch: BatchId::from_stored(batch) };
    Ok(Notice { receiver: receiver.into(), id, table: table_of(&table)?, body: body.into() })
}

/// Takes them out.
pub(super) fn told(step: &Transaction<'_>, receiver: &str, told: &[NoticeId]) -> Result<(), StepError> {
    let mut delete =
        step.prepare_cached("DELETE FROM notices WHERE receiver = ?1 AND loaded_at = ?2 AND batch = ?3")?;
    for id in told {
        delete.execute(params![receiver, id.loaded_at.micros(), id.batch.as_str()])?;
    }
    Ok(())
}

/// Takes out what nobody asks for any more: of receivers that are in no configuration.
pub(super) fn expire(step: &Transaction<'_>, before: Instant) -> Result<(), StepError> {
    step.prepare_cached("DELETE FROM notices WHERE loaded_at < ?1")?.execute([before.micros()])?;
    Ok(())
}
