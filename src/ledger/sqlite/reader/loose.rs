//! Entries of files: those in no batch, and those that point wrongly.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::super::{StepError, batches, files};
use crate::domain::batch::hex;
use crate::domain::file::FileId;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::transition::BatchRecord;
use crate::ledger::reader::{FilePage, LooseFile, Scope, StrayFile};
use crate::ledger::stored::{file_key, from_json};

/// Some entries of files.
pub(super) fn page(
    step: &Transaction<'_>,
    scope: &Scope,
    after: &[u8],
    limit: usize,
) -> Result<FilePage, StepError> {
    let table = scope.table.as_ref();
    let mut select = step.prepare_cached(
        "SELECT key, home, batch, identity, reason, at, event_at, discarded_at IS NOT NULL
         FROM files WHERE key > ?1 AND (home <> 0 OR NOT ?3) ORDER BY key LIMIT ?2",
    )?;
    let limit_of_rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![after, limit_of_rows, scope.loose_only])?;
    let mut page = FilePage::default();
    let (mut seen, mut pointed) = (0, HashMap::new());
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(0)?;
        seen += 1;
        match (row.get(1)?, row.get::<_, Option<i64>>(2)?) {
            (files::IN_BATCH, Some(number)) => {
                let batch = match pointed.entry(number) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(pointed_batch(step, number)?),
                };
                page.stray.extend(stray(&key, number, batch.as_ref(), table));
            }
            (home, _) => {
                let file: FileId = from_json("a file", &row.get::<_, String>(3)?)?;
                if table.is_none_or(|table| *table == file.table) {
                    page.loose.push(loose(file, home, row)?);
                }
            }
        }
        page.next = Some(key);
    }
    if seen < limit {
        page.next = None;
    }
    Ok(page)
}

fn loose(file: FileId, home: i64, row: &Row<'_>) -> Result<LooseFile, StepError> {
    let (reason, at) = (row.get(4)?, row.get(5)?);
    let event_at: Option<i64> = row.get(6)?;
    let state = files::state_of(&file, (home, None, None, reason, at))?;
    let at = Instant::from_micros(at.unwrap_or_default());
    Ok(LooseFile { file, state, at, event_at: event_at.map(Instant::from_micros), discarded: row.get(7)? })
}

/// A batch to which entries of files point. A page may point to as many batches as it has files: their manifests are not
/// kept.
struct Pointed {
    id: BatchId,
    table: TableId,
    keys: Vec<[u8; 16]>,
}

fn pointed_batch(step: &Transaction<'_>, number: i64) -> Result<Option<Pointed>, StepError> {
    let mut select = step.prepare_cached(&format!("{} WHERE number = ?1", batches::RECORD))?;
    let stored = select.query_row([number], batches::stored).optional()?;
    let Some(stored) = stored else { return Ok(None) };
    let BatchRecord { batch, .. } = batches::whole(step, stored)?;
    let keys = batch.manifest.entries.iter().map(|entry| file_key(&entry.file)).collect();
    Ok(Some(Pointed { id: batch.id, table: batch.table, keys }))
}

fn stray(key: &[u8], number: i64, pointed: Option<&Pointed>, table: Option<&TableId>) -> Option<StrayFile> {
    let (batch, of, text) = match pointed {
        None => (format!("number {number}"), None, "the ledger has a file in a batch that is not there"),
        Some(Pointed { id, table, keys }) => {
            // Of a batch that names the file its own account tells, with the file's name.
            if keys.iter().any(|named| named == key) {
                return None;
            }
            let text = "the ledger has a file in a batch whose manifest does not name it";
            (id.to_string(), Some(table.clone()), text)
        }
    };
    let wanted = table.is_none_or(|table| of.as_ref().is_none_or(|of| of == table));
    wanted.then(|| StrayFile { key: hex(key), batch, table: of, text })
}
