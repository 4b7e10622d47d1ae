//! Steps on the shapes of tables.

use rusqlite::{Transaction, params};

use super::StepError;
use crate::domain::ids::TableId;
use crate::domain::shape::{Appending, ShapeEntry, appending};
use crate::ledger::stored::{from_json, table_of, table_text, to_json};

pub(super) fn shape(step: &Transaction<'_>, table: &TableId) -> Result<Vec<ShapeEntry>, StepError> {
    of(step, &table_text(table)?)
}

fn of(step: &Transaction<'_>, table: &str) -> Result<Vec<ShapeEntry>, StepError> {
    let mut select = step.prepare_cached("SELECT entry FROM shapes WHERE table_id = ?1 ORDER BY number")?;
    let texts = select.query_map([table], |row| row.get(0))?;
    texts.map(|text| Ok(from_json("an entry of a shape", &text.map(|text: String| text)?)?)).collect()
}

pub(super) fn grow_shape(
    step: &Transaction<'_>,
    table: &TableId,
    known: usize,
    entries: &[ShapeEntry],
) -> Result<bool, StepError> {
    let table = table_text(table)?;
    match appending(&of(step, &table)?, known, entries) {
        Appending::Now => {}
        Appending::Done => return Ok(true),
        Appending::Refused => return Ok(false),
    }
    let mut insert =
        step.prepare_cached("INSERT INTO shapes (table_id, number, entry) VALUES (?1, ?2, ?3)")?;
    for (number, entry) in (known..).zip(entries) {
        insert.execute(params![table, i64::try_from(number).unwrap_or(i64::MAX), to_json(entry)?])?;
    }
    Ok(true)
}

/// The shapes of all tables that have one, sorted by table.
pub(super) fn shapes(step: &Transaction<'_>) -> Result<Vec<(TableId, Vec<ShapeEntry>)>, StepError> {
    let mut select = step.prepare_cached("SELECT DISTINCT table_id FROM shapes ORDER BY table_id")?;
    let tables = select.query_map([], |row| row.get(0))?;
    tables
        .map(|table| {
            let table: String = table?;
            Ok((table_of(&table)?, of(step, &table)?))
        })
        .collect()
}
