//! The tables' figures: counted where they change, read by table and not by file.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::files::{DEFERRED, DISCARDED, POISON, VANISHED};
use super::{StepError, watermark};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::summary::{TableSummary, utc_day};
use crate::domain::watermark::Reached;
use crate::ledger::stored::{file_key, manifest_of, table_of};

/// Tables in one answer: the folders of a bucket that no mapping names are among them, and anyone may make folders.
const TABLES_MAX: i64 = 20_000;

const LOADS_OF_DAY: &str = "SELECT table_id, files, row_count FROM loads WHERE day = ?1 LIMIT ?2";
const LAST_LOADS: &str =
    "SELECT table_id, at, newest_event, reached_event, reached_commit, watermark FROM last_loads LIMIT ?1";
const HOMES: &str = "SELECT table_id, home, files FROM homes WHERE files > 0 LIMIT ?1";
const OPEN_BATCHES: &str = "SELECT table_id, min(coalesce(oldest_event, claimed_at)) FROM batches
    WHERE state IN (0, 1) GROUP BY table_id LIMIT ?1";
const DEFERRED_EVENTS: &str =
    "SELECT min(coalesce(event_at, at)) FROM files WHERE home = 3 AND table_id = ?1";
/// Everything that a summary asks, for the test of its cost.
#[cfg(test)]
pub(super) const QUERIES: [&str; 5] = [LOADS_OF_DAY, LAST_LOADS, HOMES, OPEN_BATCHES, DEFERRED_EVENTS];

/// Counts a batch that was committed just now, once: a commit that is repeated does not come here.
pub(super) fn count_load(step: &Transaction<'_>, batch: i64, now: Instant) -> Result<(), StepError> {
    let mut select = step.prepare_cached(
        "SELECT table_id, manifest, newest_event, newest_commit, claimed_at FROM batches WHERE number = ?1",
    )?;
    type Counted = (String, String, Option<i64>, Option<i64>, i64);
    let (table, manifest, newest, commit, claimed): Counted = select
        .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let manifest = manifest_of(&table_of(&table)?, &manifest)?;
    let rows = i64::try_from(manifest.rows()).unwrap_or(i64::MAX);
    let files = i64::try_from(manifest.entries.len()).unwrap_or(i64::MAX);
    step.prepare_cached(
        "INSERT INTO loads (day, table_id, files, row_count) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (day, table_id) DO UPDATE SET files = files + ?3, row_count = row_count + ?4",
    )?
    .execute(params![utc_day(now), table, files, rows])?;
    step.prepare_cached(
        "INSERT INTO last_loads (table_id, at, newest_event) VALUES (?1, ?2, ?3)
         ON CONFLICT (table_id) DO UPDATE SET at = max(at, ?2),
             newest_event = max(coalesce(newest_event, ?3), coalesce(?3, newest_event))",
    )?
    .execute(params![table, now.micros(), newest])?;
    // A file is written before it is claimed.
    let event = Instant::from_micros(newest.unwrap_or(claimed));
    let commit = commit.map(|commit| Reached::of(event, Instant::from_micros(commit)));
    commit.map_or(Ok(()), |reached| watermark::reached(step, &table, reached))
}

/// The event time of a deferred file; where it was not told, when the file was deferred.
pub(super) fn deferred_event(step: &Transaction<'_>, file: &FileId) -> Result<Option<Instant>, StepError> {
    let mut select =
        step.prepare_cached("SELECT coalesce(event_at, at) FROM files WHERE key = ?1 AND home = 3")?;
    let at: Option<i64> = select.query_row([file_key(file)], |row| row.get(0)).optional()?;
    Ok(at.map(Instant::from_micros))
}

/// Writes down the event time of a file that is deferred or poison; the oldest stays.
pub(super) fn note_event(step: &Transaction<'_>, file: &FileId, at: Instant) -> Result<(), StepError> {
    let mut update = step.prepare_cached(
        "UPDATE files SET event_at = min(coalesce(event_at, ?2), ?2)
         WHERE key = ?1 AND home IN (1, 3) AND discarded_at IS NULL",
    )?;
    update.execute(params![file_key(file), at.micros()])?;
    Ok(())
}

pub(super) fn note_events(step: &Transaction<'_>, files: &[(FileId, Instant)]) -> Result<(), StepError> {
    files.iter().try_for_each(|(file, at)| note_event(step, file, *at))
}

type Figures = BTreeMap<String, TableSummary>;

fn of<'a>(figures: &'a mut Figures, table: &str) -> Result<&'a mut TableSummary, StepError> {
    if !figures.contains_key(table) {
        figures.insert(table.to_owned(), TableSummary::empty(table_of(table)?));
    }
    figures.get_mut(table).ok_or_else(|| StepError::Corrupt(format!("the figures of {table} are gone")))
}

pub(super) fn summary(step: &Transaction<'_>, now: Instant) -> Result<Vec<TableSummary>, StepError> {
    let mut figures = Figures::new();
    loads_of_day(step, now, &mut figures)?;
    last_loads(step, &mut figures)?;
    homes(step, &mut figures)?;
    open_batches(step, &mut figures)?;
    deferred_events(step, &mut figures)?;
    let mut summaries: Vec<_> = figures.into_values().collect();
    summaries.sort_by(|one, other| one.table.cmp(&other.table));
    Ok(summaries)
}

fn loads_of_day(step: &Transaction<'_>, now: Instant, figures: &mut Figures) -> Result<(), StepError> {
    let mut select = step.prepare_cached(LOADS_OF_DAY)?;
    let mut rows = select.query(params![utc_day(now), TABLES_MAX])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        let figure = of(figures, &table)?;
        figure.files_of_day = unsigned(row.get(1)?);
        figure.rows_of_day = unsigned(row.get(2)?);
    }
    Ok(())
}

fn last_loads(step: &Transaction<'_>, figures: &mut Figures) -> Result<(), StepError> {
    let mut select = step.prepare_cached(LAST_LOADS)?;
    let mut rows = select.query([TABLES_MAX])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        let figure = of(figures, &table)?;
        figure.last_load_at = Some(Instant::from_micros(row.get(1)?));
        let instant =
            |place| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(place)?.map(Instant::from_micros));
        figure.newest_loaded_event = instant(2)?;
        figure.loaded = instant(3)?.zip(instant(4)?).map(|(event, commit)| Reached { event, commit });
        figure.watermark = instant(5)?;
    }
    Ok(())
}

fn homes(step: &Transaction<'_>, figures: &mut Figures) -> Result<(), StepError> {
    let mut select = step.prepare_cached(HOMES)?;
    let mut rows = select.query([TABLES_MAX])?;
    while let Some(row) = rows.next()? {
        let (table, home): (String, i64) = (row.get(0)?, row.get(1)?);
        let (figure, files) = (of(figures, &table)?, unsigned(row.get(2)?));
        match home {
            POISON => figure.poison = files,
            VANISHED => figure.vanished = files,
            DEFERRED => figure.deferred = files,
            DISCARDED => figure.discarded = files,
            other => {
                return Err(StepError::Corrupt(format!("files of {table} have the unknown home {other}")));
            }
        }
    }
    Ok(())
}

/// Batches that are open or held: as many as loads in flight, and those that wait for a person.
fn open_batches(step: &Transaction<'_>, figures: &mut Figures) -> Result<(), StepError> {
    let mut select = step.prepare_cached(OPEN_BATCHES)?;
    let mut rows = select.query([TABLES_MAX])?;
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        of(figures, &table)?.oldest_pending_event = Some(Instant::from_micros(row.get(1)?));
    }
    Ok(())
}

/// One look into an index for each table that has deferred files.
fn deferred_events(step: &Transaction<'_>, figures: &mut Figures) -> Result<(), StepError> {
    let mut select = step.prepare_cached(DEFERRED_EVENTS)?;
    for (table, figure) in figures.iter_mut().filter(|(_, figure)| figure.deferred > 0) {
        let oldest: Option<i64> = select.query_row([table], |row| row.get(0))?;
        let oldest = oldest.map(Instant::from_micros);
        figure.oldest_pending_event = figure.oldest_pending_event.into_iter().chain(oldest).min();
    }
    Ok(())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
