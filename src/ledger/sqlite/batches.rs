//! Steps on batches and their attempts.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::StepError;
use super::files::{self, DEFERRED, POISON, VANISHED};
use super::{notices, summary, watermark};
use crate::domain::batch::{Attempt, Batch};
use crate::domain::file::FileState;
use crate::domain::ids::{AttemptNumber, BatchId, JobId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::Notice;
use crate::domain::summary::{CommitSpan, EventSpan};
use crate::domain::transition::rules::{self, Claiming, Ruling};
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Claim, Home, Step};
use crate::domain::watermark::{blocks_from, handed_down};
use crate::ledger::stored::{from_json, manifest_of, manifest_text, table_of, table_text, to_json};

const OPEN: i64 = 0;
const HELD: i64 = 1;
const LOADED: i64 = 2;
const ABANDONED: i64 = 3;

/// A batch's number in the file, and the batch.
pub(super) fn find(step: &Transaction<'_>, batch: &BatchId) -> Result<Option<(i64, BatchRecord)>, StepError> {
    let mut select = step.prepare_cached(&format!("{RECORD} WHERE id = ?1"))?;
    let row = select.query_row([batch.as_str()], stored).optional()?;
    row.map(|stored| Ok((stored.number, whole(step, stored)?))).transpose()
}

pub(super) fn record(step: &Transaction<'_>, batch: &BatchId) -> Result<Option<BatchRecord>, StepError> {
    Ok(find(step, batch)?.map(|(_, record)| record))
}

pub(super) fn claim(
    step: &Transaction<'_>,
    batch: &Batch,
    attempt: Option<&Attempt>,
    now: Instant,
) -> Result<Claim, StepError> {
    let known = record(step, &batch.id)?;
    let entries = &batch.manifest.entries;
    let states: Vec<_> =
        entries.iter().map(|entry| files::state(step, &entry.file)).collect::<Result<_, _>>()?;
    match rules::claim(batch, attempt, known.as_ref(), &states)? {
        Claiming::Already => Ok(Claim::Won),
        Claiming::Lost(taken) => Ok(Claim::Lost(taken)),
        Claiming::Write => {
            let (mut events, mut deferred) = (batch.events, BTreeMap::new());
            for (entry, state) in entries.iter().zip(states) {
                // Its message is gone: the ledger alone knows how old its event is.
                if matches!(state, Some(FileState::Deferred { .. })) {
                    events = summary::deferred_event(step, &entry.file)?
                        .map(|at| EventSpan::widened(events, at))
                        .or(events);
                    deferred.extend(
                        watermark::deferred_event(step, &entry.file)?.map(|event| (&entry.file, event)),
                    );
                }
            }
            let from = blocks_from(batch, |file| deferred.get(file).copied());
            insert(step, batch, attempt, events, now)?;
            watermark::note_blocking(step, batch, from)?;
            Ok(Claim::Won)
        }
    }
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
        "INSERT INTO attempts (batch, number, job_id, destination, manifest_hash, plan_hash, outcome, at, stream)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8)",
    )?;
    insert.execute(params![
        batch,
        attempt.number.0,
        attempt.job_id.as_str(),
        to_json(&attempt.destination)?,
        &*attempt.manifest_hash,
        &*attempt.plan_hash,
        now.micros(),
        attempt.stream.as_deref(),
    ])?;
    Ok(())
}

pub(super) fn fail_attempt(
    step: &Transaction<'_>,
    batch: &BatchId,
    failed: AttemptNumber,
    reason: &str,
    next: Option<&Attempt>,
    now: Instant,
) -> Result<Step, StepError> {
    let found = find(step, batch)?;
    let ruling = rules::fail_attempt(found.as_ref().map(|(_, record)| record), failed, next);
    if let (Some((number, _)), Ruling::Write(failing)) = (&found, &ruling) {
        if let Some(failed) = failing.failed {
            let mut update = step.prepare_cached(
                "UPDATE attempts SET outcome = 1, reason = ?3, at = ?4 WHERE batch = ?1 AND number = ?2",
            )?;
            update.execute(params![number, failed.0, reason, now.micros()])?;
        }
        if let Some(next) = failing.next {
            insert_attempt(step, *number, next, now)?;
        }
    }
    Ok(ruling.step())
}

fn set_state(step: &Transaction<'_>, number: i64, state: BatchState, now: Instant) -> Result<(), StepError> {
    let mut update =
        step.prepare_cached("UPDATE batches SET state = ?2, updated_at = ?3 WHERE number = ?1")?;
    update.execute(params![number, stored_state(state), now.micros()])?;
    Ok(())
}

pub(super) fn commit(
    step: &Transaction<'_>,
    batch: &BatchId,
    told: &[Notice],
    now: Instant,
) -> Result<Step, StepError> {
    let found = find(step, batch)?;
    let ruling = rules::commit(found.as_ref().map(|(_, record)| record));
    if let (Some((number, _)), Ruling::Write(committing)) = (&found, &ruling) {
        if let Some(succeeded) = committing.succeeded {
            let mut update = step.prepare_cached(
                "UPDATE attempts SET outcome = 2, at = ?3 WHERE batch = ?1 AND number = ?2",
            )?;
            update.execute(params![number, succeeded.0, now.micros()])?;
        }
        set_state(step, *number, BatchState::Loaded, now)?;
        summary::count_load(step, *number, now)?;
        notices::write(step, told)?;
    }
    Ok(ruling.step())
}

pub(super) fn hold(
    step: &Transaction<'_>,
    batch: &BatchId,
    held: bool,
    now: Instant,
) -> Result<Step, StepError> {
    let found = find(step, batch)?;
    let ruling = rules::hold(found.as_ref().map(|(_, record)| record), held);
    if let (Some((number, _)), Ruling::Write(state)) = (&found, &ruling) {
        set_state(step, *number, *state, now)?;
    }
    Ok(ruling.step())
}

pub(super) fn rehome(
    step: &Transaction<'_>,
    batch: &BatchId,
    homes: &[Home],
    now: Instant,
) -> Result<Step, StepError> {
    let found = find(step, batch)?;
    let mark = found.as_ref().map(|(number, _)| mark(step, *number)).transpose()?.flatten();
    let ruling = rules::rehome(found.as_ref().map(|(_, record)| record), mark.as_deref(), homes)?;
    if let (Some((number, record)), Ruling::Write(rehoming)) = (&found, &ruling) {
        for home in homes {
            move_in(step, &record.batch, home, now)?;
        }
        set_state(step, *number, BatchState::Abandoned, now)?;
        step.prepare_cached("UPDATE batches SET homes = ?2 WHERE number = ?1")?
            .execute(params![number, rehoming.mark])?;
    }
    Ok(ruling.step())
}

/// Writes one new home of files of `parent`.
fn move_in(step: &Transaction<'_>, parent: &Batch, home: &Home, now: Instant) -> Result<(), StepError> {
    match home {
        Home::Batch { batch, attempt } => {
            insert(step, batch, attempt.as_ref(), parent.events, now)?;
            let part = batch.clone().part_of(parent);
            watermark::note_blocking(step, &part, blocks_from(&part, |_| None))
        }
        Home::Poison(file, reason) => {
            files::put(step, file, POISON, Some(reason), now)?;
            handed_down(parent, file).map_or(Ok(()), |event| summary::note_event(step, file, event))
        }
        Home::Vanished(file) => files::put(step, file, VANISHED, None, now),
        Home::Deferred(file) => {
            files::put(step, file, DEFERRED, None, now)?;
            handed_down(parent, file).map_or(Ok(()), |event| summary::note_event(step, file, event))
        }
    }
}

/// What is kept of a re-homing beside an abandoned batch.
fn mark(step: &Transaction<'_>, number: i64) -> Result<Option<String>, StepError> {
    let mut select = step.prepare_cached("SELECT homes FROM batches WHERE number = ?1")?;
    Ok(select.query_row([number], |row| row.get(0))?)
}

/// A batch's state as it is stored.
pub(super) fn state_of(stored: i64) -> Option<BatchState> {
    match stored {
        OPEN => Some(BatchState::Open),
        HELD => Some(BatchState::Held),
        LOADED => Some(BatchState::Loaded),
        ABANDONED => Some(BatchState::Abandoned),
        _ => None,
    }
}

fn stored_state(state: BatchState) -> i64 {
    match state {
        BatchState::Open => OPEN,
        BatchState::Held => HELD,
        BatchState::Loaded => LOADED,
        BatchState::Abandoned => ABANDONED,
    }
}

/// A batch as `stored` reads it.
pub(super) const RECORD: &str =
    "SELECT number, id, table_id, state, destination, claimed_at, parent, manifest, oldest_event, newest_event, updated_at,
         oldest_commit, newest_commit, blocks_from FROM batches";

pub(super) struct Stored {
    pub(super) number: i64,
    id: String,
    table: String,
    state: i64,
    destination: String,
    claimed_at: i64,
    parent: Option<String>,
    manifest: String,
    oldest_event: Option<i64>,
    newest_event: Option<i64>,
    pub(super) updated_at: i64,
    oldest_commit: Option<i64>,
    newest_commit: Option<i64>,
    blocks_from: Option<i64>,
}

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
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
        updated_at: row.get(10)?,
        oldest_commit: row.get(11)?,
        newest_commit: row.get(12)?,
        blocks_from: row.get(13)?,
    })
}

pub(super) fn whole(step: &Transaction<'_>, stored: Stored) -> Result<BatchRecord, StepError> {
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
        commits: stored.oldest_commit.zip(stored.newest_commit).map(|(oldest, newest)| CommitSpan {
            oldest: Instant::from_micros(oldest),
            newest: Instant::from_micros(newest),
        }),
        blocks_from: None,
    };
    let batch = batch.blocking_from(stored.blocks_from.map(Instant::from_micros));
    let Some(state) = state_of(stored.state) else {
        let text = format!("batch {} has the unknown state {}", batch.id, stored.state);
        return Err(StepError::Corrupt(text));
    };
    let last_attempt = attempt_of(step, stored.number, &batch)?;
    let mut select = step.prepare_cached("SELECT max(at) FROM attempts WHERE batch = ?1")?;
    let attempted: Option<i64> = select.query_row([stored.number], |row| row.get(0))?;
    let since = Instant::from_micros(stored.updated_at.max(attempted.unwrap_or(stored.updated_at)));
    Ok(BatchRecord { batch, state, last_attempt, since })
}

/// The last attempt.
fn attempt_of(
    step: &Transaction<'_>,
    number: i64,
    batch: &Batch,
) -> Result<Option<(Attempt, AttemptOutcome)>, StepError> {
    Ok(attempts(step, number, batch, 1)?.pop())
}

/// The newest attempts, at most `limit`, newest first.
pub(super) fn attempts(
    step: &Transaction<'_>,
    number: i64,
    batch: &Batch,
    limit: i64,
) -> Result<Vec<(Attempt, AttemptOutcome)>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT number, job_id, destination, manifest_hash, plan_hash, outcome, reason, stream FROM attempts
         WHERE batch = ?1 ORDER BY number DESC LIMIT ?2",
    )?;
    type StoredAttempt = (u32, String, String, String, String, i64, Option<String>, Option<String>);
    let rows = select.query_map([number, limit], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
        ))
    })?;
    rows.map(|row| {
        let (number, job_id, destination, manifest_hash, plan_hash, outcome, reason, stream): StoredAttempt =
            row?;
        let outcome = match outcome {
            0 => AttemptOutcome::Open,
            1 => AttemptOutcome::Failed(reason.unwrap_or_default()),
            2 => AttemptOutcome::Succeeded,
            other => {
                return Err(StepError::Corrupt(format!("attempt {job_id} has the unknown outcome {other}")));
            }
        };
        let attempt = Attempt {
            batch: batch.id.clone(),
            number: AttemptNumber(number),
            job_id: JobId::from_stored(job_id),
            destination: from_json("a destination", &destination)?,
            claimed_at: batch.claimed_at,
            manifest_hash: manifest_hash.into(),
            plan_hash: plan_hash.into(),
            stream: stream.map(Into::into),
        };
        Ok((attempt, outcome))
    })
    .collect()
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
