//! The ledger read beside the process that writes it. Nothing is written, not even the files beside it, and no lock is
//! taken that would keep the writer waiting.
//!
//! While a process runs, or after one was killed, the write-ahead log and its index are there: SQLite reads them both,
//! and makes the index in memory where nobody keeps it. After an orderly end there is the ledger alone; SQLite would
//! create the two to read it, as whoever reads, and so is told that the file does not change. That is looked at
//! before and after each read: a process that started meanwhile has made a log, and the read is repeated with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    StepError, batches, expiry, fault_of, files, identity, notices, schema, shapes, tables, usage, watermark,
};
use crate::domain::audit::{BatchAccount, FileHome};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::identity::Identity;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::Notice;
use crate::domain::shape::ShapeEntry;
use crate::domain::transition::{BatchRecord, TableMode};
use crate::flow::cpu::blocking;
use crate::ledger::reader::{BatchCursor, BatchPage, FileCursor, FilePage, LedgerReader, LetterPage, Scope};
use crate::ledger::stored::{file_key, table_of, table_text};

mod loose;

/// Reads that a starting or ending process may disturb before it is a fault.
const READS_MAX: usize = 5;

/// Who reads the ledger.
pub struct SqliteReader {
    path: PathBuf,
    opened: Arc<Mutex<Opened>>,
}

struct Opened {
    connection: Connection,
    /// What the file looked like when SQLite was told that it does not change.
    alone: Option<Look>,
}

/// What shows that a process has the ledger open, or had since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    has_log: bool,
    size: u64,
    changed: Option<SystemTime>,
}

impl Look {
    fn at(path: &Path) -> Result<Self, Fault> {
        let metadata = std::fs::metadata(path);
        let metadata = metadata.map_err(|error| {
            Fault::from_io(format!("there is no ledger to be read at {}", path.display()), error)
        })?;
        Ok(Self {
            has_log: beside(path, "-wal").exists(),
            size: metadata.len(),
            changed: metadata.modified().ok(),
        })
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn open(path: &Path) -> Result<Opened, Fault> {
    let look = Look::at(path)?;
    let how = if look.has_log { "readonly_shm=1" } else { "immutable=1" };
    let address = format!(
        "file:{}?mode=ro&{how}",
        percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC)
    );
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let cannot = |error| fault_of(&format!("cannot read the ledger {}", path.display()), error);
    let connection = Connection::open_with_flags(address, flags).map_err(cannot)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(cannot)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;").map_err(cannot)?;
    schema::check_readable(&connection, path)?;
    Ok(Opened { connection, alone: (!look.has_log).then_some(look) })
}

impl SqliteReader {
    /// Opens the ledger at `path`. Refuses what is not there, no ledger, or of another format; creates nothing.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let opened = opened_in_peace(path)?;
        Ok(Self { path: path.to_owned(), opened: Arc::new(Mutex::new(opened)) })
    }

    async fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        read: impl Fn(&Transaction<'_>) -> Result<T, StepError> + Send + 'static,
    ) -> Result<T, Fault> {
        let (path, opened) = (self.path.clone(), Arc::clone(&self.opened));
        blocking(name, move || {
            let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            let context = || format!("ledger {}: {name}", path.display());
            for _ in 0..READS_MAX {
                let run = |connection: &mut Connection| -> Result<T, StepError> {
                    let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
                    read(&transaction)
                };
                let answer = run(&mut opened.connection);
                if opened.alone.is_none_or(|look| Look::at(&path).is_ok_and(|now| now == look)) {
                    return answer.map_err(|error| error.fault(&context(), fault_of));
                }
                *opened = opened_in_peace(&path)?;
            }
            Err(Fault::new(FaultKind::Unavailable, context() + ": it changes hands again and again"))
        })
        .await
    }
}

/// Opens the ledger, again if a process starts or ends at that moment.
fn opened_in_peace(path: &Path) -> Result<Opened, Fault> {
    let mut opened = open(path);
    for _ in 1..READS_MAX {
        if opened.is_ok() {
            break;
        }
        opened = open(path);
    }
    opened
}

#[async_trait]
impl LedgerReader for SqliteReader {
    async fn tables(&self) -> Result<Vec<TableId>, Fault> {
        let tables = self.read("tables", |step| {
            let mut select = step.prepare_cached(
                "SELECT table_id FROM last_loads UNION SELECT table_id FROM homes
                 UNION SELECT table_id FROM batches WHERE state IN (0, 1)",
            )?;
            let tables = select.query_map([], |row| row.get(0))?;
            tables.map(|table| Ok(table_of(&table.map(|table: String| table)?)?)).collect()
        });
        let mut tables: Vec<TableId> = tables.await?;
        tables.sort();
        Ok(tables)
    }

    async fn batches(&self, scope: &Scope, after: &BatchCursor, limit: usize) -> Result<BatchPage, Fault> {
        let (scope, after) = (scope.clone(), number_of(after));
        self.read("batches", move |step| batch_page(step, &scope, after, limit)).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchAccount>, Fault> {
        let batch = batch.clone();
        self.read("batch", move |step| {
            let mut select = step.prepare_cached(&format!("{} WHERE id = ?1", batches::RECORD))?;
            let found = select.query_row([batch.as_str()], batches::stored).optional()?;
            found.map(|stored| account(step, stored)).transpose()
        })
        .await
    }

    async fn files(
        &self,
        scope: &Scope,
        after: Option<&FileCursor>,
        limit: usize,
    ) -> Result<FilePage, Fault> {
        let (scope, after) = (scope.clone(), after.cloned().unwrap_or_default());
        self.read("files", move |step| loose::page(step, &scope, &after, limit)).await
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        self.read("modes", tables::modes).await
    }

    async fn shapes(&self) -> Result<Vec<(TableId, Vec<ShapeEntry>)>, Fault> {
        self.read("shapes", shapes::shapes).await
    }

    async fn watermarks(&self) -> Result<Vec<(TableId, Instant)>, Fault> {
        self.read("watermarks", watermark::all).await
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.read("usage", move |step| usage::since(step, since)).await
    }

    async fn dead_letters(&self, after: Option<&FileCursor>, limit: usize) -> Result<LetterPage, Fault> {
        let after = after.map_or(0, number_of);
        self.read("dead_letters", move |step| tables::dead_letters(step, after, limit)).await
    }

    async fn notices(&self) -> Result<Vec<Notice>, Fault> {
        self.read("notices", notices::all).await
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.read("forgotten_before", expiry::forgotten_before).await
    }

    async fn identity(&self) -> Result<Identity, Fault> {
        self.read("identity", |step| Ok(step.query_row(identity::READ, [], identity::of_row)?)).await
    }
}

/// A cursor is the number of a batch: numbers rise by the order in which batches are made.
fn number_of(cursor: &BatchCursor) -> i64 {
    <[u8; 8]>::try_from(cursor.as_slice()).map_or(0, i64::from_be_bytes)
}

fn batch_page(
    step: &Transaction<'_>,
    scope: &Scope,
    after: i64,
    limit: usize,
) -> Result<BatchPage, StepError> {
    let limit = limit.max(1);
    let table = scope.table.as_ref().map(table_text).transpose()?;
    let since = scope.since.map(|since| since.micros());
    let mut select = step.prepare_cached(&format!(
        "{} WHERE number > ?1 AND (?2 IS NULL OR table_id = ?2) AND (?3 IS NULL OR claimed_at >= ?3)
         ORDER BY number LIMIT ?4",
        batches::RECORD
    ))?;
    let rows = select
        .query_map(params![after, table, since, i64::try_from(limit).unwrap_or(i64::MAX)], batches::stored)?;
    let (mut accounts, mut last) = (Vec::new(), after);
    for row in rows {
        let stored = row?;
        last = stored.number;
        accounts.push(account(step, stored)?);
    }
    let more = accounts.len() >= limit;
    if !more {
        let newest: Option<i64> = step.query_row("SELECT max(number) FROM batches", [], |row| row.get(0))?;
        last = last.max(newest.unwrap_or(0));
    }
    Ok(BatchPage { batches: accounts, next: last.to_be_bytes().to_vec(), more })
}

fn account(step: &Transaction<'_>, stored: batches::Stored) -> Result<BatchAccount, StepError> {
    let (number, changed_at) = (stored.number, Instant::from_micros(stored.updated_at));
    let BatchRecord { batch, state, .. } = batches::whole(step, stored)?;
    let mut attempts = batches::attempts(step, number, &batch, i64::MAX)?;
    attempts.reverse();
    let mut select = step.prepare_cached("SELECT home, batch FROM files WHERE key = ?1")?;
    let mut home_of = |file: &FileId| -> Result<FileHome, StepError> {
        let home: Option<(i64, Option<i64>)> =
            select.query_row([file_key(file)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(match home {
            None => FileHome::Nowhere,
            Some((_, Some(batch))) if batch == number => FileHome::Here,
            Some((files::IN_BATCH, _)) => FileHome::Elsewhere,
            Some(_) => FileHome::Loose,
        })
    };
    let homes = batch.manifest.entries.iter().map(|entry| home_of(&entry.file)).collect::<Result<_, _>>()?;
    Ok(BatchAccount { batch, state, attempts, homes, changed_at })
}

#[cfg(test)]
mod tests;
