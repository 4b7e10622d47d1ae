//! The port to the ledger, the authority on the state of every file and batch, and its adapters.
//!
//! Every method is one conditional step (Invariant I-1). An `Err` leaves open whether the step happened: the caller
//! repeats it, and a step that has happened answers as if it happened now.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::batch::{Attempt, Batch};
use crate::domain::fault::Fault;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;

pub mod front;
pub mod sqlite;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The batch, its files and its first attempt are in the ledger. Also answered when this very batch was there.
    Won,
    /// Some files are not free; nothing was written. Names those files and their states.
    Lost(Vec<(FileId, FileState)>),
}

/// What became of a conditional step on a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is done, now or before.
    Done,
    /// The batch's state excludes it: another process was faster, or the caller is wrong. Nothing was written.
    Refused,
}

/// The outcome of one attempt, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Not known yet.
    Open,
    /// Known to have failed, with the reason. Only this permits the next attempt (Invariant I-3).
    Failed(String),
    /// Its rows are in the warehouse.
    Succeeded,
}

/// The state of a batch, as the ledger keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Its outcome is open.
    Open,
    /// Its outcome is open and it waits for a person.
    Held,
    /// Its rows are in the warehouse.
    Loaded,
    /// All its files were re-homed.
    Abandoned,
}

/// A batch as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRecord {
    /// The batch.
    pub batch: Batch,
    /// Its state.
    pub state: BatchState,
    /// Its last attempt and what is known of it; none for a batch of zero rows.
    pub last_attempt: Option<(Attempt, AttemptOutcome)>,
}

/// The new home of a file of an abandoned batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A batch of its own or with others; its files are those of its manifest.
    Batch {
        /// The new batch, whose parent is the abandoned one.
        batch: Batch,
        /// Its first attempt.
        attempt: Option<Attempt>,
    },
    /// Poison, with the reason.
    Poison(FileId, String),
    /// Vanished.
    Vanished(FileId),
    /// Deferred.
    Deferred(FileId),
}

/// What becomes of a file that is not in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it up later.
    Defer,
    /// Never load it, with the reason.
    Poison(String),
    /// The object was gone at that time.
    Vanish,
}

/// What a table may do. Kept in the ledger, so that it survives a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableMode {
    /// Loads.
    Running,
    /// Stopped by an admin.
    Paused,
    /// Stopped after five crashes in ten minutes, with the last one's text.
    Quarantined(String),
    /// Stopped because an outcome needs a person, with the reason.
    Held(String),
}

/// The ledger.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The states of up to 90 files, in their order; `None` for a file that the ledger does not know.
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault>;

    /// Claims the batch's files for it and writes its first attempt (none for zero rows), all or nothing. A file is
    /// free when the ledger does not know it, or knows it as deferred or vanished.
    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault>;

    /// Writes that attempt `failed` has failed, for `reason`, and, with `next`, attempt n+1 in the same step
    /// (Invariant I-3). Refused unless the batch is open or held and its last attempt is `failed`, open or failed.
    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault>;

    /// Marks the batch loaded, and its last attempt succeeded. Refused when it is abandoned.
    async fn commit(&self, batch: &BatchId, now: Instant) -> Result<Step, Fault>;

    /// Abandons the batch and gives all its files new homes, in one step (Invariant I-1). Refused unless the batch is
    /// open or held and its last attempt is known to have failed, or when the homes are not exactly its files.
    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault>;

    /// Holds an open batch, or lets a held one go on. Refused when it is loaded or abandoned.
    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault>;

    /// Open and held batches, oldest first, at most `limit`; of one table, or of all.
    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault>;

    /// One batch.
    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault>;

    /// Writes down what becomes of up to 90 files that no batch holds. Free and deferred files take any verdict, a
    /// vanished one too; `Defer` leaves a poison file poison. Answers the state of each file afterwards, in order: a
    /// file that a batch claims or has loaded stays as it is.
    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault>;

    /// Deferred files of a table with the time of their deferral, oldest first, at most `limit`.
    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<(FileId, Instant)>, Fault>;

    /// How many files of a table are deferred.
    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault>;

    /// Adds a strike with its reason and answers how many the file has now.
    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault>;

    /// Writes down a message that could not be parsed, when there is no dead-letter queue.
    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault>;

    /// Modes of all tables that are not running.
    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault>;

    /// Sets the mode of a table.
    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault>;

    /// Flushes and closes; later calls answer `Unavailable`.
    async fn close(&self) -> Result<(), Fault>;
}

/// A ledger shared by all actors.
pub type SharedLedger = Arc<dyn Ledger>;
