//! The port to the ledger, the authority on the state of every file and batch, and its adapters.
//!
//! Every method is one conditional step (Invariant I-1). An `Err` leaves open whether the step happened: the caller
//! repeats it, and a step that has happened answers as if it happened now.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::batch::{Attempt, Batch};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::Fault;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::domain::planner::Submitted;
use crate::domain::shape::ShapeEntry;
use crate::domain::summary::TableSummary;
pub use crate::domain::transition::{
    AttemptOutcome, BatchRecord, BatchState, Claim, DeferredFile, Home, Mending, PoisonFile, Step, TableMode,
    Verdict,
};
use crate::domain::watermark::Hands;

pub mod archive;
#[cfg(test)]
pub(crate) mod archive_conformance;
#[cfg(test)]
pub(crate) mod conformance;
pub mod dynamodb;
pub mod front;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
pub(crate) mod model_conformance;
#[cfg(test)]
mod page;
pub mod reader;
#[cfg(test)]
pub(crate) mod reader_conformance;
pub mod sqlite;
mod step_error;
pub(crate) mod stored;
pub mod usage;

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
    async fn commit(&self, batch: &BatchId, now: Instant) -> Result<Step, Fault> {
        self.commit_telling(batch, &[], now).await
    }

    /// The same, and writes down in the same step what receivers are to be told of it. Where the batch was loaded before,
    /// nothing is written: whoever committed it has written his own.
    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault>;

    /// The oldest notices of a receiver that nobody has told it, as far as the ledger knows; only those behind `after`, and at most
    /// `limit`.
    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault>;

    /// Takes notices out that the receiver was told, or that are given up. Those that are not there are none.
    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault>;

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

    /// Deferred files of a table, those deferred first before the others, at most `limit`.
    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault>;

    /// How many files of a table are deferred.
    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault>;

    /// Adds a strike with its reason and answers how many the file has now. A strike of the same time, or an older one, is
    /// that strike again: it is repeated when its answer was lost.
    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault>;

    /// Writes down when the announcements of up to 90 files that are deferred or poison say that they were written; the oldest
    /// time of a file stays. Files in another state are left as they are.
    async fn note_events(&self, files: &[(FileId, Instant)]) -> Result<(), Fault>;

    /// The figures of all tables of which something is known, sorted by table; `now` names the UTC day whose files and
    /// rows are counted. As cheap as the tables are many, whatever the number of files.
    async fn summary(&self, now: Instant) -> Result<Vec<TableSummary>, Fault>;

    /// Of each table that has anything which the warehouse has not: the oldest event among its change files that are claimed, held,
    /// deferred, or poison and not discarded; `watermark::UNTOLD` where one has none that is known.
    async fn blocking(&self) -> Result<BTreeMap<TableId, Instant>, Fault>;

    /// Says what this process has in hand, and answers what others on the same ledger have said last; what was said before `since` is
    /// forgotten. Nothing where there are no others.
    async fn declare_hands(&self, own: &Hands, since: Instant) -> Result<Vec<Hands>, Fault>;

    /// Raises the watermarks of tables that have loaded something; one that is later already stays.
    async fn raise_watermarks(&self, marks: &[(TableId, Instant)]) -> Result<(), Fault>;

    /// Poison files of a table, oldest first, then discarded ones; at most `limit`.
    async fn poison(&self, table: &TableId, limit: usize) -> Result<Vec<PoisonFile>, Fault>;

    /// Redrives or discards up to 90 files that became poison at these times (`SendBack`: then or earlier); answers which of
    /// them. A file that is not
    /// poison any more, or is anew, is left as it is; so is a discarded one that is discarded again.
    async fn mend(
        &self,
        files: &[(FileId, Instant)],
        mending: Mending,
        now: Instant,
    ) -> Result<Vec<bool>, Fault>;

    /// Forgets batches that were loaded or abandoned before, with their files, and files that vanished before; at most
    /// `limit` of each table's batches and files. Answers how many: as long as there are any, it is asked again. What is
    /// open, held, deferred or poison is never forgotten. That it forgets so much is written down first, for good. Notices
    /// that are as old are taken out: their receivers are in no configuration any more.
    async fn expire(&self, before: Instant, limit: usize) -> Result<u64, Fault>;

    /// The latest time before which anything was ever forgotten, whatever was asked for since.
    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault>;

    /// Writes down a message that could not be parsed, when there is no dead-letter queue.
    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault>;

    /// Modes of all tables that are not running.
    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault>;

    /// Sets the mode of a table, as it was decided at `now`. Where several processes write, a later decision stands.
    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault>;

    /// The shape of a table, oldest entry first.
    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault>;

    /// Appends `entries` to the shape of a table if it has exactly `known` entries; `false` when it has others. Repeated
    /// with the same entries it answers `true`. What is appended never changes (Invariant I-3b).
    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault>;

    /// Attempts that were begun then or later, in any order (and some that were only ended then): what the quotas of a warehouse
    /// count; Invariant I-2 makes it complete. Where several processes write, one that was begun within the last seconds may not be
    /// shown yet.
    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault>;

    /// Keeps what one process has done on one day, instead of what it had kept of it: repeated it changes nothing.
    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault>;

    /// What each process has done on that day and later, in any order.
    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault>;

    /// Forgets what was done on days before that. Answers how many entries.
    async fn forget_usage(&self, before: Day) -> Result<u64, Fault>;

    /// True when other processes may change it too: modes are read again and again, and batches that another process has
    /// left behind are taken over.
    fn has_other_writers(&self) -> bool;

    /// Flushes and closes; later calls answer `Unavailable`.
    async fn close(&self) -> Result<(), Fault>;
}

/// A ledger shared by all actors.
pub type SharedLedger = Arc<dyn Ledger>;
