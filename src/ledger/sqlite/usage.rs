//! What each process has done on each day.

use rusqlite::{Transaction, params};

use super::StepError;
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::instant::Instant;
use crate::ledger::stored::{from_json, to_json};

pub(super) fn keep(step: &Transaction<'_>, usage: &KeptUsage) -> Result<(), StepError> {
    let mut upsert = step.prepare_cached(
        "INSERT OR REPLACE INTO usage (day, writer, counted_from, tally) VALUES (?1, ?2, ?3, ?4)",
    )?;
    upsert.execute(params![usage.day.0, usage.writer, usage.from.micros(), to_json(&usage.tally)?])?;
    Ok(())
}

pub(super) fn since(step: &Transaction<'_>, since: Day) -> Result<Vec<KeptUsage>, StepError> {
    let mut select = step.prepare_cached(
        "SELECT day, writer, counted_from, tally FROM usage WHERE day >= ?1 ORDER BY day, writer",
    )?;
    let rows = select.query_map([since.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| {
        let (day, writer, from, tally): (i64, String, i64, String) = row?;
        let tally = from_json("a day's usage", &tally)?;
        Ok(KeptUsage { day: Day(day), writer, from: Instant::from_micros(from), tally })
    })
    .collect()
}

pub(super) fn forget(step: &Transaction<'_>, before: Day) -> Result<u64, StepError> {
    Ok(step.prepare_cached("DELETE FROM usage WHERE day < ?1")?.execute([before.0])? as u64)
}
