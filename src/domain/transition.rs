//! The ledger's conditional transitions, as values: what is asked of it and what it answers.

use super::batch::{Attempt, Batch};
use super::file::{FileId, FileState};
use super::ids::BatchId;
use super::instant::Instant;

pub mod rules;
pub mod states;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The batch, its files and its first attempt are in the ledger. Also answered when this very batch was there, with
    /// this very attempt as its last.
    Won,
    /// Some files are not free; nothing was written. Names those files and their states.
    Lost(Vec<(FileId, FileState)>),
}

/// What became of a conditional step on a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It is done, now or before.
    Done,
    /// The batch's state excludes it: another process was faster, or the caller is wrong. Nothing was written.
    Refused,
}

/// The outcome of one attempt, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

impl BatchState {
    /// The state of a file that is in `batch`; `None` when that is abandoned, since its files have other homes.
    pub fn of_file(self, batch: BatchId) -> Option<FileState> {
        match self {
            Self::Open => Some(FileState::Claimed { batch, held: false }),
            Self::Held => Some(FileState::Claimed { batch, held: true }),
            Self::Loaded => Some(FileState::Loaded { batch }),
            Self::Abandoned => None,
        }
    }
}

/// A batch as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BatchRecord {
    /// The batch.
    pub batch: Batch,
    /// Its state.
    pub state: BatchState,
    /// Its last attempt and what is known of it; none for a batch of zero rows.
    pub last_attempt: Option<(Attempt, AttemptOutcome)>,
    /// When its state, or its last attempt, was written down last.
    pub since: Instant,
}

/// The new home of a file of an abandoned batch.
// At most as many as a batch has files, for as long as one step takes.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Take it up later.
    Defer,
    /// Never load it, with the reason.
    Poison(String),
    /// The object was gone at that time.
    Vanish,
}

/// A file that is to be taken up later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeferredFile {
    /// The file.
    pub file: FileId,
    /// When it was deferred.
    pub since: Instant,
    /// When its announcement says that it was written, where that is known.
    pub event_at: Option<Instant>,
}

/// A poison file, as a person looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoisonFile {
    /// The file.
    pub file: FileId,
    /// Why it is never loaded.
    pub reason: String,
    /// When it became poison. A redrive or a discard names it: a file that became poison anew since is left as it is.
    pub at: Instant,
    /// A person has given it up.
    pub discarded: bool,
}

/// What a person does about poison files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mending {
    /// They are taken up again, as deferred files are; their strikes are forgotten.
    Redrive,
    /// The same for files whose copies came back from a dead-letter queue, up to these times; discarded ones stay as they
    /// are, since nobody looked at the copies one by one.
    SendBack,
    /// They are given up: they stay poison, and are counted no more.
    Discard,
}

impl Mending {
    /// Its name, in addresses, on the command line and as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::SendBack => "send_back",
            Self::Discard => "discard",
        }
    }
}

/// What a table may do. Kept in the ledger, so that it survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
