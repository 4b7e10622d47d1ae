//! The ledger in one SQLite file, for one process on a durable volume.
//!
//! Each step is one `BEGIN IMMEDIATE` transaction with `synchronous=FULL`: what was answered survives a power cut
//! (Invariant I-2). A file costs about 30 bytes in `files` and 110 in its batch's manifest: 100,800 files a day for 400
//! days are some 6 GB.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::{Claim, DeferredFile, Home, Ledger, Mending, PoisonFile, Step, TableMode, Verdict};
use crate::domain::batch::{Attempt, Batch};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::domain::planner::Submitted;
use crate::domain::shape::ShapeEntry;
use crate::domain::summary::TableSummary;
use crate::domain::transition::BatchRecord;
use crate::domain::watermark::Hands;
use crate::flow::cpu::blocking;

mod batches;
mod expiry;
mod files;
mod identity;
mod notices;
pub mod reader;
mod schema;
mod shapes;
mod submitted;
mod summary;
mod tables;
mod usage;
mod watermark;

/// The ledger.
#[derive(Clone)]
pub struct SqliteLedger {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
    /// Held for the ledger's life: SQLite is for one process.
    _lock: Option<File>,
}

impl SqliteLedger {
    /// Opens or creates the ledger at `path`. Refuses a file that is no ledger, one of a newer version, a damaged one,
    /// and one that another process has open.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let shown = path.display();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Fault::from_io(format!("cannot create {}", folder.display()), error))?;
        }
        let lock = lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| fault_of(&format!("cannot open the ledger {shown}"), error))?;
        let connection = schema::prepare(connection, path)?;
        Ok(Self::over(connection, path.to_owned(), Some(lock)))
    }

    /// A ledger that is gone with the process, for tests.
    pub fn open_in_memory() -> Result<Self, Fault> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory()
            .map_err(|error| fault_of("cannot open a ledger in memory", error))?;
        Ok(Self::over(schema::prepare(connection, path)?, path.to_owned(), None))
    }

    fn over(connection: Connection, path: PathBuf, lock: Option<File>) -> Self {
        Self { inner: Arc::new(Inner { path, connection: Mutex::new(Some(connection)), _lock: lock }) }
    }

    /// Runs one step as one transaction. A panic or an error inside rolls it back.
    async fn step<T: Send + 'static>(
        &self,
        name: &'static str,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, StepError> + Send + 'static,
    ) -> Result<T, Fault> {
        self.on_connection(name, move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = step(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }

    async fn on_connection<T: Send + 'static>(
        &self,
        name: &'static str,
        run: impl FnOnce(&mut Connection) -> Result<T, StepError> + Send + 'static,
    ) -> Result<T, Fault> {
        let inner = Arc::clone(&self.inner);
        blocking(name, move || {
            let mut guard = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let context = || format!("ledger {}: {name}", inner.path.display());
            let connection = guard
                .as_mut()
                .ok_or_else(|| Fault::new(FaultKind::Unavailable, context() + ": it is closed"))?;
            run(connection).map_err(|error| error.fault(&context(), fault_of))
        })
        .await
    }
}

/// Why a step failed.
type StepError = super::step_error::StepError<rusqlite::Error>;

fn lock(path: &Path) -> Result<File, Fault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let cannot = |error| Fault::from_io(format!("cannot create the ledger's lock {}", name.display()), error);
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::new(
            FaultKind::AccessDenied,
            format!(
                "another process has the ledger {} open: stop it first, or give this one a ledger of its own",
                path.display()
            ),
        )),
        Err(TryLockError::Error(error)) => {
            Err(Fault::from_io(format!("cannot lock {}", name.display()), error))
        }
    }
}

/// SQLite's errors in our words.
fn fault_of(context: &str, error: rusqlite::Error) -> Fault {
    use rusqlite::ErrorCode;
    // What is stored is not what was written: trying again reads the same.
    let unreadable = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows
    );
    if unreadable {
        return Fault::from_error(FaultKind::LedgerCorrupt, context, error);
    }
    // The codes are open to additions.
    #[allow(clippy::wildcard_enum_match_arm)]
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FaultKind::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => FaultKind::LedgerCorrupt,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            FaultKind::AccessDenied
        }
        _ => FaultKind::Unavailable,
    };
    Fault::from_error(kind, context, error)
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        let files = files.to_vec();
        self.step("lookup", move |step| files.iter().map(|file| files::state(step, file)).collect()).await
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        let (batch, attempt) = (batch.clone(), attempt.cloned());
        self.step("claim", move |step| batches::claim(step, &batch, attempt.as_ref(), now)).await
    }

    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault> {
        let (batch, reason, next) = (batch.clone(), reason.to_owned(), next.cloned());
        self.step("fail_attempt", move |step| {
            batches::fail_attempt(step, &batch, failed, &reason, next.as_ref(), now)
        })
        .await
    }

    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault> {
        let (batch, notices) = (batch.clone(), notices.to_vec());
        self.step("commit", move |step| batches::commit(step, &batch, &notices, now)).await
    }

    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault> {
        let (receiver, after) = (receiver.to_owned(), after.cloned());
        self.step("notices", move |step| notices::of_receiver(step, &receiver, after.as_ref(), limit)).await
    }

    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault> {
        let (receiver, told) = (receiver.to_owned(), told.to_vec());
        self.step("notices", move |step| notices::told(step, &receiver, &told)).await
    }

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        let (batch, homes) = (batch.clone(), homes.to_vec());
        self.step("rehome", move |step| batches::rehome(step, &batch, &homes, now)).await
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        let batch = batch.clone();
        self.step("hold", move |step| batches::hold(step, &batch, held, now)).await
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        let table = table.cloned();
        self.step("open_batches", move |step| batches::open(step, table.as_ref(), limit)).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        let batch = batch.clone();
        self.step("batch", move |step| batches::record(step, &batch)).await
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        let files = files.to_vec();
        self.step("settle", move |step| {
            files.iter().map(|(file, verdict)| files::settle(step, file, verdict, now)).collect()
        })
        .await
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        let table = table.clone();
        self.step("deferred", move |step| files::deferred(step, &table, limit)).await
    }

    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault> {
        let table = table.clone();
        self.step("deferred_count", move |step| files::deferred_count(step, &table)).await
    }

    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault> {
        let (file, reason) = (file.clone(), reason.to_owned());
        self.step("strike", move |step| files::strike(step, &file, &reason, now)).await
    }

    async fn note_events(&self, files: &[(FileId, Instant)]) -> Result<(), Fault> {
        let files = files.to_vec();
        self.step("note_events", move |step| summary::note_events(step, &files)).await
    }

    async fn summary(&self, now: Instant) -> Result<Vec<TableSummary>, Fault> {
        self.step("summary", move |step| summary::summary(step, now)).await
    }

    async fn poison(&self, table: &TableId, limit: usize) -> Result<Vec<PoisonFile>, Fault> {
        let table = table.clone();
        self.step("poison", move |step| files::poison(step, &table, limit)).await
    }

    async fn mend(
        &self,
        files: &[(FileId, Instant)],
        mending: Mending,
        now: Instant,
    ) -> Result<Vec<bool>, Fault> {
        let files = files.to_vec();
        self.step("mend", move |step| {
            files.iter().map(|(file, at)| files::mend(step, file, *at, mending, now)).collect()
        })
        .await
    }

    async fn expire(&self, before: Instant, limit: usize) -> Result<u64, Fault> {
        self.on_connection("expire", move |connection| expiry::expire(connection, before, limit)).await
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.step("forgotten_before", expiry::forgotten_before).await
    }

    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault> {
        let (queue, body, reason) = (queue.to_owned(), body.to_owned(), reason.to_owned());
        self.step("dead_letter", move |step| tables::dead_letter(step, &queue, &body, &reason, now)).await
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        self.step("modes", tables::modes).await
    }

    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault> {
        let (table, mode) = (table.clone(), mode.clone());
        self.step("set_mode", move |step| tables::set_mode(step, &table, &mode, now)).await
    }

    async fn blocking(&self) -> Result<BTreeMap<TableId, Instant>, Fault> {
        self.step("blocking", watermark::blocking).await
    }

    async fn raise_watermarks(&self, marks: &[(TableId, Instant)]) -> Result<(), Fault> {
        let marks = marks.to_vec();
        self.step("raise_watermarks", move |step| watermark::raise(step, &marks)).await
    }

    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault> {
        self.step("submitted_since", move |step| submitted::submitted_since(step, since)).await
    }

    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault> {
        let table = table.clone();
        self.step("shape", move |step| shapes::shape(step, &table)).await
    }

    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault> {
        let (table, entries) = (table.clone(), entries.to_vec());
        self.step("grow_shape", move |step| shapes::grow_shape(step, &table, known, &entries)).await
    }

    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault> {
        let usage = usage.clone();
        self.step("keep_usage", move |step| usage::keep(step, &usage)).await
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.step("usage", move |step| usage::since(step, since)).await
    }

    async fn forget_usage(&self, before: Day) -> Result<u64, Fault> {
        self.step("forget_usage", move |step| usage::forget(step, before)).await
    }

    /// No other process can open it: there is nobody to tell.
    async fn declare_hands(&self, _own: &Hands, _since: Instant) -> Result<Vec<Hands>, Fault> {
        Ok(Vec::new())
    }

    fn has_other_writers(&self) -> bool {
        false
    }

    async fn close(&self) -> Result<(), Fault> {
        let inner = Arc::clone(&self.inner);
        blocking("close", move || {
            let connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(connection) = connection else { return Ok(()) };
            connection
                .close()
                .map_err(|(_, error)| fault_of(&format!("ledger {}: close", inner.path.display()), error))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
