//! Steps on batches and their attempts.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::StepError;
use super::files::{self, DEFERRED, POISON, VANISHED};
use super::rows::{from_json, manifest_of, manifest_text, table_of, table_text, to_json};
use super::summary;
use crate::domain::batch::{Attempt, Batch, FILES_PER_BATCH_MAX, hex};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, JobId, TableId};
use crate::domain::instant::Instant;
use crate::domain::summary::EventSpan;
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Claim, Home, Step};

const OPEN: i64 = 0;
const HELD: i64 = 1;
const LOADED: i64 = 2;
const ABANDONED: i64 = 3;

/// A batch's number and state in the file.
fn find(step: &Transaction<'_>, batch: &BatchId) -> Result<Option<(i64, i64)>, StepError> {
    let mut select = step.prepare_cached("SELECT number, state FROM batches WHERE id = ?1")?;
    Ok(select.query_row([batch.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub(super) fn claim(
    step: &Transaction<'_>,
    batch: &Batch,
    attempt: Option<&Attempt>,
    now: Instant,
) -> Result<Claim, StepError> {
    if find(step, &batch.id)?.is_some() {
        return Ok(Claim::Won);
    }
    let entries = &batch.manifest.entries;
    let distinct: BTreeSet<_> = entries.iter().map(|entry| &entry.file).collect();
    if entries.len() > FILES_PER_BATCH_MAX || distinct.len() != entries.len() {
        return Err(StepError::Corrupt(format!(
            "batch {} has {} files, or one twice",
            batch.id,
            entries.len()
        )));
    }
    let (mut taken, mut events) = (Vec::new(), batch.events);
    for entry in entries {
        match files::state(step, &entry.file)? {
            None | Some(FileState::Vanished { .. }) => {}
            // Its message is gone: the ledger alone knows how old its event is.
            Some(FileState::Deferred { .. }) => {
                events = summary::deferred_event(step, &entry.file)?
                    .map(|at| EventSpan::widened(events, at))
                    .or(events);
            }
            Some(
                state @ (FileState::Claimed { .. } | FileState::Loaded { .. } | FileState::Poison { .. }),
            ) => {
                taken.push((entry.file.clone(), state));
            }
        }
    }
    if !taken.is_empty() {
        return Ok(Claim::Lost(taken));
    }
    check_attempt(batch, attempt)?;
    insert(step, batch, attempt, events, now)?;
    Ok(Claim::Won)
}

/// Rows come into the warehouse by an attempt alone: a batch that has some needs one from the start (Invariant I-2).
fn check_attempt(batch: &Batch, attempt: Option<&Attempt>) -> Result<(), StepError> {
    let ours = attempt.is_none_or(|attempt| attempt.batch == batch.id);
    if ours && (attempt.is_some() || batch.manifest.rows() == 0) {
        return Ok(());
    }
    let rows = batch.manifest.rows();
    Err(StepError::Misused(format!("batch {} of {rows} rows has no attempt of its own", batch.id)))
}

/// Writes the batch, points its files to it, and writes its first attempt.
fn insert(
    step: &Transaction<'_>,
    batch: &Batch,
    attempt: Option<&Attempt>,
    events: Option<EventSpan>,
    now: Instant,
) -> Result<(), StepError> {
    let mut insert = step.prepare_cached(
        "INSERT INTO batches (id, table_id, state, destination, claimed_at, parent, manifest, updated_at,
             oldest_event, newest_event)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    insert.execute(params![
        batch.id.as_str(),
        table_text(&batch.table)?,
        to_json(&batch.destination)?,
        batch.claimed_at.micros(),
        batch.parent.as_ref().map(BatchId::as_str),
        manifest_text(&batch.manifest)?,
        now.micros(),
        events.map(|events| events.oldest.micros()),
        events.map(|events| events.newest.micros()),
    ])?;
    let number = step.last_insert_rowid();
    for entry in &batch.manifest.entries {
        files::put_in_batch(step, &entry.file, number)?;
    }
    attempt.map_or(Ok(()), |attempt| insert_attempt(step, number, attempt, now))
}

fn insert_attempt(
    step: &Transaction<'_>,
    batch: i64,
    attempt: &Attempt,
    now: Instant,
) -> Result<(), StepError> {
    let mut insert = step.prepare_cached(
        "INSERT INTO attempts (batch, number, job_id, destination, manifest_hash, plan_hash, outcome, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)",
    )?;
    insert.execute(params![
        batch,
        attempt.number.0,
        attempt.job_id.as_str(),
        to_json(&attempt.destination)?,
        &*attempt.manifest_hash,
        &*attempt.plan_hash,
        now.micros(),
    ])?;
    Ok(())
}

/// The last attempt's number and outcome.
fn last_attempt(step: &Transaction<'_>, batch: i64) -> Result<Option<(u32, i64)>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT number, outcome FROM attempts WHERE batch = ?1 ORDER BY number DESC LIMIT 1",
    )?;
    Ok(select.query_row([batch], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// True when the batch's attempt of that number is this one in all that a body depends on.
fn is_attempt(step: &Transaction<'_>, batch: i64, attempt: &Attempt) -> Result<bool, StepError> {
    let mut select = step.prepare_cached(
        "SELECT job_id, manifest_hash, plan_hash, destination FROM attempts WHERE batch = ?1 AND number = ?2",
    )?;
    let stored: Option<[String; 4]> = select
        .query_row(params![batch, attempt.number.0], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })
        .optional()?;
    let destination = to_json(&attempt.destination)?;
    let wanted = [attempt.job_id.as_str(), &attempt.manifest_hash, &attempt.plan_hash, &destination];
    Ok(stored.is_some_and(|stored| stored == wanted))
}

pub(super) fn fail_attempt(
    step: &Transaction<'_>,
    batch: &BatchId,
    failed: AttemptNumber,
    reason: &str,
    next: Option<&Attempt>,
    now: Instant,
) -> Result<Step, StepError> {
    let Some((number, OPEN | HELD)) = find(step, batch)? else { return Ok(Step::Refused) };
    let last = last_attempt(step, number)?;
    // The same step again, after a lost answer: attempt n+1 is there already.
    if let (Some(next), Some((last, 0))) = (next, last)
        && last == next.number.0
        && next.number == failed.next()
    {
        // Another plan under the same number would be another body under the same job id (Invariant I-2).
        let same = is_attempt(step, number, next)?;
        return Ok(if same { Step::Done } else { Step::Refused });
    }
    // Invariant I-3: only the last attempt can fail, and n+1 follows n.
    let follows = next.is_none_or(|next| next.number == failed.next());
    if !follows || !matches!(last, Some((last, 0 | 1)) if last == failed.0) {
        return Ok(Step::Refused);
    }
    let mut update =
        step.prepare_cached("UPDATE attempts SET outcome = 1, reason = ?3, at = ?4 WHERE batch = ?1 AND number = ?2 AND outcome = 0")?;
    update.execute(params![number, failed.0, reason, now.micros()])?;
    if let Some(next) = next {
        insert_attempt(step, number, next, now)?;
    }
    Ok(Step::Done)
}

fn set_state(step: &Transaction<'_>, number: i64, state: i64, now: Instant) -> Result<(), StepError> {
    let mut update =
        step.prepare_cached("UPDATE batches SET state = ?2, updated_at = ?3 WHERE number = ?1")?;
    update.execute(params![number, state, now.micros()])?;
    Ok(())
}

pub(super) fn commit(step: &Transaction<'_>, batch: &BatchId, now: Instant) -> Result<Step, StepError> {
    let number = match find(step, batch)? {
        Some((_, LOADED)) => return Ok(Step::Done),
        Some((number, OPEN | HELD)) => number,
        Some(_) | None => return Ok(Step::Refused),
    };
    if let Some((last, outcome)) = last_attempt(step, number)? {
        // A failed attempt has loaded nothing (Invariant I-3).
        if outcome != 0 {
            return Ok(Step::Refused);
        }
        let mut update =
            step.prepare_cached("UPDATE attempts SET outcome = 2, at = ?3 WHERE batch = ?1 AND number = ?2")?;
        update.execute(params![number, last, now.micros()])?;
    } else if record(step, batch)?.is_some_and(|record| record.batch.manifest.rows() > 0) {
        // No job can have loaded them.
        return Ok(Step::Refused);
    }
    set_state(step, number, LOADED, now)?;
    summary::count_load(step, number, now)?;
    Ok(Step::Done)
}

pub(super) fn hold(
    step: &Transaction<'_>,
    batch: &BatchId,
    held: bool,
    now: Instant,
) -> Result<Step, StepError> {
    match find(step, batch)? {
        Some((number, OPEN | HELD)) => {
            set_state(step, number, if held { HELD } else { OPEN }, now)?;
            Ok(Step::Done)
        }
        Some(_) | None => Ok(Step::Refused),
    }
}

pub(super) fn rehome(
    step: &Transaction<'_>,
    batch: &BatchId,
    homes: &[Home],
    now: Instant,
) -> Result<Step, StepError> {
    let Some(record) = record(step, batch)? else { return Ok(Step::Refused) };
    let mark = mark_of(homes);
    if record.state == BatchState::Abandoned {
        return if is_rehomed(step, batch, &mark)? { Ok(Step::Done) } else { Ok(Step::Refused) };
    }
    let failed = matches!(record.last_attempt, Some((_, AttemptOutcome::Failed(_))));
    if record.state == BatchState::Loaded || !failed || !covers(&record.batch, homes) {
        return Ok(Step::Refused);
    }
    let Some((number, _)) = find(step, batch)? else { return Ok(Step::Refused) };
    for home in homes {
        match home {
            Home::Batch { batch, attempt } => {
                check_attempt(batch, attempt.as_ref())?;
                insert(step, batch, attempt.as_ref(), record.batch.events, now)?;
            }
            Home::Poison(file, reason) => files::put(step, file, POISON, Some(reason), now)?,
            Home::Vanished(file) => files::put(step, file, VANISHED, None, now)?,
            Home::Deferred(file) => {
                files::put(step, file, DEFERRED, None, now)?;
                // Its own event is not older than the oldest of its batch.
                let oldest = record.batch.events.map(|events| events.oldest);
                summary::note_event(step, file, oldest.unwrap_or(record.batch.claimed_at))?;
            }
        }
    }
    set_state(step, number, ABANDONED, now)?;
    step.prepare_cached("UPDATE batches SET homes = ?2 WHERE number = ?1")?.execute(params![number, mark])?;
    Ok(Step::Done)
}

/// True when the homes hold exactly the batch's files, each once (Invariant I-1).
fn covers(batch: &Batch, homes: &[Home]) -> bool {
    let mut housed: Vec<&FileId> = Vec::new();
    for home in homes {
        match home {
            Home::Batch { batch, .. } => {
                housed.extend(batch.manifest.entries.iter().map(|entry| &entry.file))
            }
            Home::Poison(file, _) | Home::Vanished(file) | Home::Deferred(file) => housed.push(file),
        }
    }
    housed.sort();
    let mut files: Vec<_> = batch.manifest.entries.iter().map(|entry| &entry.file).collect();
    files.sort();
    housed == files
}

/// A hash over homes, by which the same re-homing is known again whatever became of its files since.
fn mark_of(homes: &[Home]) -> String {
    let mut hasher = Sha256::new();
    let mut add = |parts: &[&str]| {
        for part in parts {
            // Length-prefixed, so that no two lists can share a byte string.
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
    };
    for home in homes {
        match home {
            // A batch's id is a hash of its manifest, destination and parent.
            Home::Batch { batch, attempt } => {
                let attempt = attempt.as_ref();
                let job_id = attempt.map_or("", |attempt| attempt.job_id.as_str());
                add(&["batch", batch.id.as_str(), job_id, attempt.map_or("", |attempt| &attempt.plan_hash)]);
            }
            Home::Poison(file, reason) => add(&["poison", &identity(file), reason]),
            Home::Vanished(file) => add(&["vanished", &identity(file)]),
            Home::Deferred(file) => add(&["deferred", &identity(file)]),
        }
    }
    hex(&hasher.finalize())
}

fn identity(file: &FileId) -> String {
    format!("{}|{}|{}", file.table, file.source_file(), file.size_bytes)
}

/// True when this very re-homing has happened.
fn is_rehomed(step: &Transaction<'_>, batch: &BatchId, mark: &str) -> Result<bool, StepError> {
    let mut select = step.prepare_cached("SELECT homes FROM batches WHERE id = ?1")?;
    let stored: Option<String> = select.query_row([batch.as_str()], |row| row.get(0))?;
    // Without a mark it was abandoned by a version that kept none, and long ago.
    Ok(stored.is_none_or(|stored| stored == mark))
}

const RECORD: &str =
    "SELECT number, id, table_id, state, destination, claimed_at, parent, manifest, oldest_event, newest_event
     FROM batches";

struct Stored {
    number: i64,
    id: String,
    table: String,
    state: i64,
    destination: String,
    claimed_at: i64,
    parent: Option<String>,
    manifest: String,
    oldest_event: Option<i64>,
    newest_event: Option<i64>,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        number: row.get(0)?,
        id: row.get(1)?,
        table: row.get(2)?,
        state: row.get(3)?,
        destination: row.get(4)?,
        claimed_at: row.get(5)?,
        parent: row.get(6)?,
        manifest: row.get(7)?,
        oldest_event: row.get(8)?,
        newest_event: row.get(9)?,
    })
}

fn whole(step: &Transaction<'_>, stored: Stored) -> Result<BatchRecord, StepError> {
    let table = table_of(&stored.table)?;
    let batch = Batch {
        id: BatchId::from_stored(stored.id),
        manifest: manifest_of(&table, &stored.manifest)?,
        table,
        destination: from_json("a destination", &stored.destination)?,
        claimed_at: Instant::from_micros(stored.claimed_at),
        parent: stored.parent.map(BatchId::from_stored),
        events: EventSpan::of(
            [stored.oldest_event, stored.newest_event].into_iter().flatten().map(Instant::from_micros),
        ),
    };
    let state = match stored.state {
        OPEN => BatchState::Open,
        HELD => BatchState::Held,
        LOADED => BatchState::Loaded,
        ABANDONED => BatchState::Abandoned,
        other => return Err(StepError::Corrupt(format!("batch {} has the unknown state {other}", batch.id))),
    };
    let last_attempt = attempt_of(step, stored.number, &batch)?;
    Ok(BatchRecord { batch, state, last_attempt })
}

fn attempt_of(
    step: &Transaction<'_>,
    number: i64,
    batch: &Batch,
) -> Result<Option<(Attempt, AttemptOutcome)>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT number, job_id, destination, manifest_hash, plan_hash, outcome, reason FROM attempts
         WHERE batch = ?1 ORDER BY number DESC LIMIT 1",
    )?;
    type StoredAttempt = (u32, String, String, String, String, i64, Option<String>);
    let row: Option<StoredAttempt> = select
        .query_row([number], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })
        .optional()?;
    let Some((number, job_id, destination, manifest_hash, plan_hash, outcome, reason)) = row else {
        return Ok(None);
    };
    let outcome = match outcome {
        0 => AttemptOutcome::Open,
        1 => AttemptOutcome::Failed(reason.unwrap_or_default()),
        2 => AttemptOutcome::Succeeded,
        other => return Err(StepError::Corrupt(format!("attempt {job_id} has the unknown outcome {other}"))),
    };
    let attempt = Attempt {
        batch: batch.id.clone(),
        number: AttemptNumber(number),
        job_id: JobId::from_stored(job_id),
        destination: from_json("a destination", &destination)?,
        claimed_at: batch.claimed_at,
        manifest_hash: manifest_hash.into(),
        plan_hash: plan_hash.into(),
    };
    Ok(Some((attempt, outcome)))
}

pub(super) fn record(step: &Transaction<'_>, batch: &BatchId) -> Result<Option<BatchRecord>, StepError> {
    let row = step
        .prepare_cached(&format!("{RECORD} WHERE id = ?1"))?
        .query_row([batch.as_str()], stored)
        .optional()?;
    row.map(|stored| whole(step, stored)).transpose()
}

pub(super) fn open(
    step: &Transaction<'_>,
    table: Option<&TableId>,
    limit: usize,
) -> Result<Vec<BatchRecord>, StepError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let table = table.map(table_text).transpose()?;
    let mut select = step.prepare_cached(&format!(
        "{RECORD} WHERE state IN (0, 1) AND (?1 IS NULL OR table_id = ?1) ORDER BY number LIMIT ?2"
    ))?;
    let rows: Result<Vec<_>, _> = select.query_map(params![table, limit], stored)?.collect();
    rows?.into_iter().map(|stored| whole(step, stored)).collect()
}
