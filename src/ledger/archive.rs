//! A ledger as lines of text: copied from one store to another, or made anew from what the warehouse holds.
//!
//! One JSON object a line. The first names the ledger and its epoch, the last counts the others: a file that was cut is
//! not taken for a whole one. Abandoned batches are left out: their files have other homes. Strikes are left out too:
//! they begin anew.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::audit::BatchAccount;
use crate::domain::batch::Batch;
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::Fault;
use crate::domain::file::{FileId, FileState};
use crate::domain::identity::Identity;
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::domain::shape::ShapeEntry;
use crate::domain::transition::{AttemptOutcome, BatchState, TableMode};
use crate::ledger::reader::{BatchCursor, DeadLetter, LedgerReader, LooseFile, Scope};

mod replay;

pub use replay::replay;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;
/// What is read from the ledger at one time.
const PAGE: usize = 200;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Ledger(Head),
    /// A batch that is not abandoned, with the files that are in it.
    Batch(KeptBatch),
    /// A file in no batch.
    File(KeptFile),
    /// A table that does not run.
    Mode {
        /// The table.
        table: TableId,
        /// `paused`, `quarantined` or `held`.
        mode: String,
        /// Why.
        reason: String,
    },
    /// Which column of a table became which.
    Shape {
        /// The table.
        table: TableId,
        /// All entries, oldest first.
        entries: Vec<ShapeEntry>,
    },
    /// How far a table is loaded.
    Watermark {
        /// The table.
        table: TableId,
        /// Everything that was committed before is loaded, as far as it was announced.
        at: Instant,
    },
    /// A message that could not be parsed.
    DeadLetter(DeadLetter),
    /// What a process has done on a day.
    Usage(KeptUsage),
    /// The last.
    End(Counts),
}

/// Whose lines follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format of the lines.
    pub format: u32,
    /// The ledger's name.
    pub ledger: String,
    /// Its epoch.
    pub epoch: u64,
    /// When it was written.
    pub exported_at: Instant,
    /// The latest time before which it has forgotten anything.
    #[serde(default)]
    pub forgotten_before: Option<Instant>,
}

/// A batch with its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBatch {
    /// The batch.
    pub batch: Batch,
    /// `open`, `held` or `loaded`.
    pub state: KeptState,
    /// Its attempts from number 1.
    pub attempts: Vec<KeptAttempt>,
    /// When its state was written.
    pub at: Instant,
    /// What receivers are still to be told of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<KeptNotice>,
}

/// What a receiver is still to be told of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNotice {
    /// The receiver.
    pub receiver: Arc<str>,
    /// When the batch was committed, as the notice says.
    pub loaded_at: Instant,
    /// What it is sent.
    pub body: Arc<str>,
}

/// The state of a batch that is not abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptState {
    /// Its outcome is open.
    Open,
    /// It waits for a person.
    Held,
    /// Its rows are in the warehouse.
    Loaded,
}

/// An attempt: what does not follow from its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAttempt {
    /// Hash of its column rules.
    pub plan_hash: Arc<str>,
    /// Why it is known to have failed, if it is.
    pub failed: Option<String>,
    /// The stream by which its rows go, if they go by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Arc<str>>,
}

/// A file in no batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// The file.
    pub file: FileId,
    /// What it is.
    pub place: Place,
    /// When it came to be so.
    pub at: Instant,
    /// When the announcement of a deferred file says that it was written.
    pub event_at: Option<Instant>,
}

/// What a file in no batch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Refused for good.
    Poison {
        /// Why.
        reason: String,
        /// A person has given it up.
        discarded: bool,
    },
    /// The object was gone.
    Vanished,
    /// To be taken up later.
    Deferred,
}

/// How many lines there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Batches.
    pub batches: u64,
    /// Files in them.
    pub files_in_batches: u64,
    /// Files in no batch.
    pub files: u64,
    /// Tables that do not run.
    pub modes: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Tables that have a shape.
    #[serde(default)]
    pub shapes: u64,
    /// Days of usage, of each process that ran on them.
    #[serde(default)]
    pub usage: u64,
    /// Tables that have a watermark.
    #[serde(default)]
    pub watermarks: u64,
}

impl Counts {
    /// Counts one line.
    pub fn add(&mut self, line: &Line) {
        match line {
            Line::Batch(kept) => {
                self.batches += 1;
                self.files_in_batches += kept.batch.manifest.entries.len() as u64;
            }
            Line::File(_) => self.files += 1,
            Line::Mode { .. } => self.modes += 1,
            Line::DeadLetter(_) => self.dead_letters += 1,
            Line::Shape { .. } => self.shapes += 1,
            Line::Usage(_) => self.usage += 1,
            Line::Watermark { .. } => self.watermarks += 1,
            Line::Ledger(_) | Line::End(_) => {}
        }
    }
}

impl Head {
    /// Of a ledger with this identity.
    pub fn new(identity: Identity, exported_at: Instant, forgotten_before: Option<Instant>) -> Self {
        let Identity { ledger, epoch } = identity;
        Self { format: FORMAT, ledger, epoch, exported_at, forgotten_before }
    }

    /// The ledger's name and epoch.
    pub fn identity(&self) -> Identity {
        Identity { ledger: self.ledger.clone(), epoch: self.epoch }
    }
}

impl KeptBatch {
    /// Nothing, of an abandoned batch.
    fn of(account: BatchAccount, waiting: &mut Waiting) -> Option<Self> {
        let state = match account.state {
            BatchState::Open => KeptState::Open,
            BatchState::Held => KeptState::Held,
            BatchState::Loaded => KeptState::Loaded,
            BatchState::Abandoned => return None,
        };
        let attempts = account.attempts.into_iter().map(|(attempt, outcome)| KeptAttempt {
            plan_hash: attempt.plan_hash,
            failed: match outcome {
                AttemptOutcome::Failed(reason) => Some(reason),
                AttemptOutcome::Open | AttemptOutcome::Succeeded => None,
            },
            stream: attempt.stream,
        });
        let notices = waiting.remove(&account.batch.id).unwrap_or_default();
        let (attempts, at) = (attempts.collect(), account.changed_at);
        Some(Self { attempts, batch: account.batch, state, at, notices })
    }

    /// A batch whose rows are in the warehouse, of which nothing else is known.
    pub fn loaded(batch: Batch, plan_hash: &str) -> Self {
        let attempt = KeptAttempt { plan_hash: plan_hash.into(), failed: None, stream: None };
        let attempts = if batch.manifest.rows() > 0 { vec![attempt] } else { Vec::new() };
        let (at, notices) = (batch.claimed_at, Vec::new());
        Self { state: KeptState::Loaded, attempts, at, batch, notices }
    }

    fn attempt(&self, index: usize) -> Option<crate::domain::batch::Attempt> {
        let number = AttemptNumber(u32::try_from(index).ok()?.saturating_add(1));
        let kept = self.attempts.get(index)?;
        Some(self.batch.attempt(number, Arc::clone(&kept.plan_hash)).through(kept.stream.clone()))
    }
}

/// Notices by their batches.
type Waiting = HashMap<BatchId, Vec<KeptNotice>>;

impl KeptNotice {
    /// As its batch's ledger has it.
    fn of_batch(&self, batch: &Batch) -> Notice {
        let id = NoticeId { loaded_at: self.loaded_at, batch: batch.id.clone() };
        let (receiver, body) = (Arc::clone(&self.receiver), Arc::clone(&self.body));
        Notice { receiver, id, table: batch.table.clone(), body }
    }
}

impl KeptFile {
    fn of(loose: LooseFile) -> Option<Self> {
        let place = match loose.state {
            FileState::Poison { reason } => Place::Poison { reason, discarded: loose.discarded },
            FileState::Vanished { .. } => Place::Vanished,
            FileState::Deferred { .. } => Place::Deferred,
            FileState::Claimed { .. } | FileState::Loaded { .. } => return None,
        };
        Some(Self { file: loose.file, place, at: loose.at, event_at: loose.event_at })
    }
}

/// Gives every line between the first and the last to `take`, as they are read. No process may write meanwhile.
pub async fn read(
    reader: &dyn LedgerReader,
    take: &mut (dyn FnMut(Line) -> Result<(), Fault> + Send),
) -> Result<(), Fault> {
    let mut waiting = Waiting::new();
    for Notice { receiver, id, table: _, body } in reader.notices().await? {
        let kept = KeptNotice { receiver, loaded_at: id.loaded_at, body };
        waiting.entry(id.batch).or_default().push(kept);
    }
    let mut next = BatchCursor::new();
    loop {
        let page = reader.batches(&Scope::default(), &next, PAGE).await?;
        let mut kept = page.batches.into_iter().filter_map(|account| KeptBatch::of(account, &mut waiting));
        kept.try_for_each(|kept| take(Line::Batch(kept)))?;
        next = page.next;
        if !page.more {
            break;
        }
    }
    let (scope, mut after) = (Scope { loose_only: true, ..Scope::default() }, None);
    loop {
        let page = reader.files(&scope, after.as_ref(), PAGE).await?;
        page.loose.into_iter().filter_map(KeptFile::of).try_for_each(|kept| take(Line::File(kept)))?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (table, mode) in reader.modes().await? {
        let (mode, reason) = match mode {
            TableMode::Running => continue,
            TableMode::Paused => ("paused", String::new()),
            TableMode::Quarantined(reason) => ("quarantined", reason),
            TableMode::Held(reason) => ("held", reason),
        };
        take(Line::Mode { table, mode: mode.to_owned(), reason })?;
    }
    for (table, entries) in reader.shapes().await? {
        take(Line::Shape { table, entries })?;
    }
    for (table, at) in reader.watermarks().await? {
        take(Line::Watermark { table, at })?;
    }
    reader.usage(Day(0)).await?.into_iter().try_for_each(|usage| take(Line::Usage(usage)))?;
    loop {
        let page = reader.dead_letters(after.as_ref(), PAGE).await?;
        page.letters.into_iter().try_for_each(|letter| take(Line::DeadLetter(letter)))?;
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
