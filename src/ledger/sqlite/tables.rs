//! Steps on tables' modes, and dead letters.

use rusqlite::{Transaction, params};

use super::StepError;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::TableMode;
use crate::ledger::reader::{DeadLetter, LetterPage};
use crate::ledger::stored::{table_of, table_text};

pub(super) fn modes(step: &Transaction<'_>) -> Result<Vec<(TableId, TableMode)>, StepError> {
    let mut select = step.prepare_cached("SELECT table_id, mode, reason FROM modes ORDER BY table_id")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (table, mode, reason): (String, i64, String) = row?;
        let mode = match mode {
            1 => TableMode::Paused,
            2 => TableMode::Quarantined(reason),
            3 => TableMode::Held(reason),
            other => {
                return Err(StepError::Corrupt(format!("the table {table} has the unknown mode {other}")));
            }
        };
        Ok((table_of(&table)?, mode))
    })
    .collect()
}

pub(super) fn set_mode(
    step: &Transaction<'_>,
    table: &TableId,
    mode: &TableMode,
    now: Instant,
) -> Result<(), StepError> {
    let (number, reason) = match mode {
        TableMode::Running => {
            step.execute("DELETE FROM modes WHERE table_id = ?1", [table_text(table)?])?;
            return Ok(());
        }
        TableMode::Paused => (1, ""),
        TableMode::Quarantined(reason) => (2, reason.as_str()),
        TableMode::Held(reason) => (3, reason.as_str()),
    };
    step.execute(
        "INSERT INTO modes (table_id, mode, reason, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (table_id) DO UPDATE SET mode = ?2, reason = ?3, at = ?4",
        params![table_text(table)?, number, reason, now.micros()],
    )?;
    Ok(())
}

/// Dead letters after the one of number `after`.
pub(super) fn dead_letters(
    step: &Transaction<'_>,
    after: i64,
    limit: usize,
) -> Result<LetterPage, StepError> {
    let mut select = step.prepare_cached(
        "SELECT number, queue, body, reason, at FROM dead_letters WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let (mut letters, mut last) = (Vec::new(), after);
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let at = Instant::from_micros(row.get(4)?);
        letters.push(DeadLetter { queue: row.get(1)?, body: row.get(2)?, reason: row.get(3)?, at });
    }
    let next = (letters.len() >= limit).then(|| last.to_be_bytes().to_vec());
    Ok(LetterPage { letters, next })
}

pub(super) fn dead_letter(
    step: &Transaction<'_>,
    queue: &str,
    body: &str,
    reason: &str,
    now: Instant,
) -> Result<(), StepError> {
    step.execute(
        "INSERT INTO dead_letters (queue, body, reason, at) VALUES (?1, ?2, ?3, ?4)",
        params![queue, body, reason, now.micros()],
    )?;
    Ok(())
}
