//! What stands between a table and its newest commit time, and the mark itself.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::StepError;
use crate::domain::batch::Batch;
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::watermark::Reached;
use crate::ledger::stored::{file_key, table_of, table_text};

const OPEN_BATCHES: &str = "SELECT table_id, min(blocks_from) FROM batches
    WHERE state IN (0, 1) AND blocks_from IS NOT NULL GROUP BY table_id";
const TABLES: &str = "SELECT DISTINCT table_id FROM homes WHERE home IN (1, 3) AND files > 0";
const FILES: &str = "SELECT min(coalesce(event_at, 0)) FROM files
    WHERE table_id = ?1 AND home IN (1, 3) AND discarded_at IS NULL AND full_load = 0";
/// Everything that is asked, for the test of its cost.
#[cfg(test)]
pub(super) const QUERIES: [&str; 3] = [OPEN_BATCHES, TABLES, FILES];

/// The oldest event of what each table has in the ledger and not in the warehouse.
pub(super) fn blocking(step: &Transaction<'_>) -> Result<BTreeMap<TableId, Instant>, StepError> {
    let mut oldest: BTreeMap<String, i64> = BTreeMap::new();
    let mut select = step.prepare_cached(OPEN_BATCHES)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        oldest.insert(row.get(0)?, row.get(1)?);
    }
    let mut tables = step.prepare_cached(TABLES)?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut select = step.prepare_cached(FILES)?;
    for table in tables {
        let Some(at) = select.query_row([&table], |row| row.get::<_, Option<i64>>(0))? else { continue };
        oldest.entry(table).and_modify(|known| *known = at.min(*known)).or_insert(at);
    }
    oldest.into_iter().map(|(table, at)| Ok((table_of(&table)?, Instant::from_micros(at)))).collect()
}

/// The mark of a table; it never goes back.
pub(super) fn raise(step: &Transaction<'_>, marks: &[(TableId, Instant)]) -> Result<(), StepError> {
    let mut update = step.prepare_cached(
        "UPDATE last_loads SET watermark = max(coalesce(watermark, ?2), ?2) WHERE table_id = ?1",
    )?;
    for (table, at) in marks {
        update.execute(params![table_text(table)?, at.micros()])?;
    }
    Ok(())
}

/// The marks of all tables that have one, sorted by table.
pub(super) fn all(step: &Transaction<'_>) -> Result<Vec<(TableId, Instant)>, StepError> {
    let mut select =
        step.prepare_cached("SELECT table_id, watermark FROM last_loads WHERE watermark IS NOT NULL")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut marks = rows
        .map(|row| {
            row.map_err(StepError::from)
                .and_then(|(table, at)| Ok((table_of(&table)?, Instant::from_micros(at))))
        })
        .collect::<Result<Vec<_>, _>>()?;
    marks.sort();
    Ok(marks)
}

/// A batch with commit times was committed: both figures are those of whichever file has the latest.
pub(super) fn reached(step: &Transaction<'_>, table: &str, reached: Reached) -> Result<(), StepError> {
    let mut update = step.prepare_cached(
        "UPDATE last_loads SET reached_event = max(coalesce(reached_event, ?2), ?2),
             reached_commit = max(coalesce(reached_commit, ?3), ?3) WHERE table_id = ?1",
    )?;
    update.execute(params![table, reached.event.micros(), reached.commit.micros()])?;
    Ok(())
}

/// The event time of a file that is deferred, where it was told; the outer `None` is of a file that is not.
pub(super) fn deferred_event(
    step: &Transaction<'_>,
    file: &FileId,
) -> Result<Option<Option<Instant>>, StepError> {
    let mut select = step.prepare_cached("SELECT event_at FROM files WHERE key = ?1 AND home = 3")?;
    let mut rows = select.query([file_key(file)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(row.get::<_, Option<i64>>(0)?.map(Instant::from_micros)))
}

/// From when the batch, which was just written under this number, stands in the way.
pub(super) fn note_blocking(
    step: &Transaction<'_>,
    batch: &Batch,
    from: Option<Instant>,
) -> Result<(), StepError> {
    let mut update = step.prepare_cached(
        "UPDATE batches SET blocks_from = ?2, oldest_commit = ?3, newest_commit = ?4 WHERE id = ?1",
    )?;
    let commits = batch.commits;
    update.execute(params![
        batch.id.as_str(),
        from.map(Instant::micros),
        commits.map(|commits| commits.oldest.micros()),
        commits.map(|commits| commits.newest.micros()),
    ])?;
    Ok(())
}
