//! Steps on single files.

use rusqlite::{OptionalExtension, Transaction, params};

use super::StepError;
use super::batches;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::transition::{DeferredFile, Mending, PoisonFile, Verdict, rules};
use crate::domain::watermark::is_change;
use crate::ledger::stored::{file_key, from_json, table_text, to_json};

/// Where a file is at home.
pub(super) const IN_BATCH: i64 = 0;
pub(super) const POISON: i64 = 1;
pub(super) const VANISHED: i64 = 2;
pub(super) const DEFERRED: i64 = 3;

/// In the count of homes: poison that was given up.
pub(super) const DISCARDED: i64 = 4;

type StoredState = (i64, Option<String>, Option<i64>, Option<String>, Option<i64>);

/// The file's state; a file in a batch has the batch's.
pub(super) fn state(step: &Transaction<'_>, file: &FileId) -> Result<Option<FileState>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT files.home, batches.id, batches.state, files.reason, files.at
         FROM files LEFT JOIN batches ON batches.number = files.batch WHERE files.key = ?1",
    )?;
    let stored: Option<StoredState> = select
        .query_row([file_key(file)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    stored.map(|stored| state_of(file, stored)).transpose()
}

pub(super) fn state_of(file: &FileId, stored: StoredState) -> Result<FileState, StepError> {
    let corrupt = |what: &str| StepError::Corrupt(format!("the file {file} {what}"));
    let (home, batch, state, reason, at) = stored;
    let at = at.map(Instant::from_micros);
    match (home, batch.map(BatchId::from_stored), state.and_then(batches::state_of)) {
        (IN_BATCH, Some(batch), Some(state)) => {
            let abandoned = format!("is in batch {batch}, which is abandoned");
            state.of_file(batch).ok_or_else(|| corrupt(&abandoned))
        }
        (IN_BATCH, _, _) => Err(corrupt("is in a batch that is not there")),
        (POISON, _, _) => Ok(FileState::Poison { reason: reason.unwrap_or_default() }),
        (VANISHED, _, _) => Ok(FileState::Vanished { at: at.ok_or_else(|| corrupt("vanished at no time"))? }),
        (DEFERRED, _, _) => {
            Ok(FileState::Deferred { since: at.ok_or_else(|| corrupt("was deferred at no time"))? })
        }
        (other, _, _) => Err(corrupt(&format!("has the unknown home {other}"))),
    }
}

/// Gives the file a home outside batches.
pub(super) fn put(
    step: &Transaction<'_>,
    file: &FileId,
    home: i64,
    reason: Option<&str>,
    at: Instant,
) -> Result<(), StepError> {
    let mut upsert = step.prepare_cached(
        "INSERT INTO files (key, home, batch, table_id, identity, reason, at, full_load)
         VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (key) DO UPDATE SET home = ?2, batch = NULL, table_id = ?3, identity = ?4, reason = ?5, at = ?6,
             event_at = iif(?2 IN (1, 3) AND home IN (1, 3), event_at, NULL), discarded_at = NULL, full_load = ?7",
    )?;
    upsert.execute(params![
        file_key(file),
        home,
        table_text(&file.table)?,
        to_json(file)?,
        reason,
        at.micros(),
        !is_change(file),
    ])?;
    Ok(())
}

/// Puts the file into a batch.
pub(super) fn put_in_batch(step: &Transaction<'_>, file: &FileId, batch: i64) -> Result<(), StepError> {
    let mut upsert = step.prepare_cached(
        "INSERT INTO files (key, home, batch) VALUES (?1, 0, ?2)
         ON CONFLICT (key) DO UPDATE SET home = 0, batch = ?2, table_id = NULL, identity = NULL, reason = NULL, at = NULL,
             event_at = NULL, discarded_at = NULL",
    )?;
    upsert.execute(params![file_key(file), batch])?;
    Ok(())
}

/// Writes a verdict down where it applies; answers the state afterwards.
pub(super) fn settle(
    step: &Transaction<'_>,
    file: &FileId,
    verdict: &Verdict,
    now: Instant,
) -> Result<FileState, StepError> {
    let known = state(step, file)?;
    let Some(settled) = rules::settle(known.as_ref(), verdict, now) else {
        // A verdict always applies to a file that the ledger does not know.
        return known.ok_or_else(|| StepError::Misused(format!("no verdict applies to the file {file}")));
    };
    match verdict {
        Verdict::Poison(reason) => put(step, file, POISON, Some(reason), now)?,
        Verdict::Vanish => put(step, file, VANISHED, None, now)?,
        Verdict::Defer => put(step, file, DEFERRED, None, now)?,
    }
    Ok(settled)
}

pub(super) fn deferred(
    step: &Transaction<'_>,
    table: &TableId,
    limit: usize,
) -> Result<Vec<DeferredFile>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT identity, at, event_at FROM files WHERE home = 3 AND table_id = ?1 ORDER BY at, key LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select
        .query_map(params![table_text(table)?, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (identity, since, event_at): (String, i64, Option<i64>) = row?;
        let (since, event_at) = (Instant::from_micros(since), event_at.map(Instant::from_micros));
        Ok(DeferredFile { file: from_json("a deferred file", &identity)?, since, event_at })
    })
    .collect()
}

pub(super) fn deferred_count(step: &Transaction<'_>, table: &TableId) -> Result<u64, StepError> {
    let mut select = step.prepare_cached("SELECT count(*) FROM files WHERE home = 3 AND table_id = ?1")?;
    let count: i64 = select.query_row([table_text(table)?], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

pub(super) fn poison(
    step: &Transaction<'_>,
    table: &TableId,
    limit: usize,
) -> Result<Vec<PoisonFile>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT identity, reason, at, discarded_at IS NOT NULL FROM files WHERE home = 1 AND table_id = ?1
         ORDER BY discarded_at IS NOT NULL, at, key LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![table_text(table)?, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (identity, reason, at, discarded): (String, Option<String>, i64, bool) = row?;
        let (file, reason) = (from_json("a poison file", &identity)?, reason.unwrap_or_default());
        Ok(PoisonFile { file, reason, at: Instant::from_micros(at), discarded })
    })
    .collect()
}

/// Redrives or discards a file that became poison at that time; answers whether it was so.
pub(super) fn mend(
    step: &Transaction<'_>,
    file: &FileId,
    at: Instant,
    mending: Mending,
    now: Instant,
) -> Result<bool, StepError> {
    if rules::mend(state(step, file)?.as_ref(), mending, now).is_none() {
        return Ok(false);
    }
    let key = file_key(file);
    let meant = match mending {
        Mending::Redrive => "key = ?1 AND home = 1 AND at = ?2",
        Mending::SendBack => "key = ?1 AND home = 1 AND at <= ?2 AND discarded_at IS NULL",
        Mending::Discard => "key = ?1 AND home = 1 AND at = ?2 AND discarded_at IS NULL",
    };
    let changed = match mending {
        Mending::Discard => step
            .prepare_cached(&format!("UPDATE files SET discarded_at = ?3 WHERE {meant}"))?
            .execute(params![key, at.micros(), now.micros()])?,
        Mending::Redrive | Mending::SendBack => {
            step.prepare_cached(&format!(
                "DELETE FROM strikes WHERE key = ?1 AND EXISTS (SELECT 1 FROM files WHERE {meant})"
            ))?
            .execute(params![key, at.micros()])?;
            step.prepare_cached(&format!(
                "UPDATE files SET home = 3, reason = NULL, at = ?3, discarded_at = NULL WHERE {meant}"
            ))?
            .execute(params![key, at.micros(), now.micros()])?
        }
    };
    Ok(changed > 0)
}

pub(super) fn strike(
    step: &Transaction<'_>,
    file: &FileId,
    reason: &str,
    now: Instant,
) -> Result<u32, StepError> {
    let mut upsert = step.prepare_cached(
        "INSERT INTO strikes (key, count, reason, at) VALUES (?1, 1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET count = count + (at < ?3), reason = ?2, at = max(at, ?3) RETURNING count",
    )?;
    let count: i64 = upsert.query_row(params![file_key(file), reason, now.micros()], |row| row.get(0))?;
    u32::try_from(count).map_err(|_| StepError::Corrupt(format!("the file {file} has {count} strikes")))
}
