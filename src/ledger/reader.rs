//! The port of who reads a ledger beside the process that writes it: pages of everything, and no step.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::audit::BatchAccount;
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::Fault;
use crate::domain::file::{FileId, FileState};
use crate::domain::identity::Identity;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::Notice;
use crate::domain::shape::ShapeEntry;
use crate::domain::transition::TableMode;

/// Of what is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One table; `None` is all.
    pub table: Option<TableId>,
    /// Batches claimed then or later; `None` is all.
    pub since: Option<Instant>,
    /// Of files, those in no batch alone: whether the others point rightly is not looked at.
    pub loose_only: bool,
}

/// Where a page of batches ended; empty before the first.
pub type BatchCursor = Vec<u8>;

/// Some batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// Each at least once, by all pages together.
    pub batches: Vec<BatchAccount>,
    /// What to ask after next: after the last page, for the batches made since. Some may be shown again.
    pub next: BatchCursor,
    /// False when there were no more.
    pub more: bool,
}

/// A file that is in no batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LooseFile {
    /// The file.
    pub file: FileId,
    /// Poison, vanished or deferred.
    pub state: FileState,
    /// When it came to be so.
    pub at: Instant,
    /// When the announcement of a deferred file says that it was written, where it was told.
    pub event_at: Option<Instant>,
    /// Poison that a person has given up.
    pub discarded: bool,
}

/// A message that could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The queue that it came from.
    pub queue: String,
    /// Its text; cut where it was too long to be kept.
    pub body: String,
    /// Why it was put aside.
    pub reason: String,
    /// When.
    pub at: Instant,
}

/// Some dead letters, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// What to ask after next; `None` when there are no more.
    pub next: Option<FileCursor>,
}

/// An entry of a file that points to a batch which does not have the file: what Invariant I-1 excludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayFile {
    /// The entry's key, in hexadecimal digits: all that such an entry has.
    pub key: String,
    /// The batch's id; what it points to when that is not there.
    pub batch: String,
    /// The batch's table, if it is there.
    pub table: Option<TableId>,
    /// What is wrong.
    pub text: &'static str,
}

/// Where a page of files ended.
pub type FileCursor = Vec<u8>;

/// Some entries of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePage {
    /// Those in no batch.
    pub loose: Vec<LooseFile>,
    /// Those that point wrongly.
    pub stray: Vec<StrayFile>,
    /// What to ask after next; `None` when there are no more.
    pub next: Option<FileCursor>,
}

/// A ledger that is only read. Each call sees one moment; a call later may see a later one.
#[async_trait]
pub trait LedgerReader: Send + Sync {
    /// The tables of which the ledger knows anything, sorted.
    async fn tables(&self) -> Result<Vec<TableId>, Fault>;

    /// At most `limit` batches of the scope after `after`. A page may be empty and not the last.
    async fn batches(&self, scope: &Scope, after: &BatchCursor, limit: usize) -> Result<BatchPage, Fault>;

    /// One batch.
    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchAccount>, Fault>;

    /// The entries of at most `limit` files after `after`, or of a page without any, of the scope's table; its time does not count.
    async fn files(&self, scope: &Scope, after: Option<&FileCursor>, limit: usize)
    -> Result<FilePage, Fault>;

    /// Modes of all tables that are not running.
    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault>;

    /// The shapes of all tables that have one, sorted by table.
    async fn shapes(&self) -> Result<Vec<(TableId, Vec<ShapeEntry>)>, Fault>;

    /// The watermarks of all tables that have one, sorted by table.
    async fn watermarks(&self) -> Result<Vec<(TableId, Instant)>, Fault>;

    /// What each process has done on that day and later, in any order.
    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault>;

    /// At most `limit` dead letters after `after`.
    async fn dead_letters(&self, after: Option<&FileCursor>, limit: usize) -> Result<LetterPage, Fault>;

    /// What receivers are still to be told, as much as has gathered in `notify.give_up_after`.
    async fn notices(&self) -> Result<Vec<Notice>, Fault>;

    /// The ledger's name, and its epoch so far.
    async fn identity(&self) -> Result<Identity, Fault>;

    /// The latest time before which anything was ever forgotten.
    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault>;
}
