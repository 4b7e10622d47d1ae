//! What a table hears, does and comes to.

use std::time::Duration;

use crate::domain::fault::FaultKind;
use crate::domain::file::{FileId, FileState};
use crate::domain::transition::Verdict;

/// The bounds of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableBounds {
    /// A window closes when its first file is this old.
    pub window: Duration,
    /// A window closes at this many bytes.
    pub bytes_max: u64,
    /// A window closes at this many files.
    pub files_max: usize,
    /// Batches in flight at one time; further windows wait.
    pub loads_max: usize,
    /// A file held unclaimed for longer than this, for whatever reason but its own window, is deferred.
    pub defer_after: Duration,
}

/// Why a window closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Its first file was old enough.
    Age,
    /// It held enough bytes.
    Bytes,
    /// It held enough files.
    Files,
    /// Memory credit ran short.
    Pressure,
    /// An admin, or the end of the input, asked for it.
    Flush,
    /// The process is draining.
    Shutdown,
    /// The next file's columns contradict those in the window.
    Schema,
    /// The file was in hand when something crashed, and travels alone.
    Suspect,
}

impl CloseReason {
    /// The reason as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
            Self::Files => "files",
            Self::Pressure => "pressure",
            Self::Flush => "flush",
            Self::Shutdown => "shutdown",
            Self::Schema => "schema",
            Self::Suspect => "suspect",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A file was announced (or taken up from the deferred ones).
    Announced {
        /// The file.
        file: FileId,
        /// True when it was in hand while something crashed.
        suspect: bool,
    },
    /// The ledger said what it knows of the file.
    LookedUp {
        /// The file.
        file: FileId,
        /// Its state.
        state: Option<FileState>,
    },
    /// The object is open and its footer read.
    Fetched {
        /// The file.
        file: FileId,
        /// Its size.
        bytes: u64,
    },
    /// The object could not be opened or its footer not read; or it could not be built into a body.
    Failed {
        /// The file.
        file: FileId,
        /// The kind.
        kind: FaultKind,
        /// Why.
        reason: String,
    },
    /// The ledger counted a strike.
    Struck {
        /// The file.
        file: FileId,
        /// Strikes so far.
        strikes: u32,
        /// Why.
        reason: String,
    },
    /// The ledger wrote the verdict down, or knew better.
    Settled {
        /// The file.
        file: FileId,
        /// Its state now.
        state: FileState,
    },
    /// A ledger call about the file failed.
    LedgerFailed {
        /// The file.
        file: FileId,
    },
    /// A delivery ended. Its files come back by `Finished` and `Returned`.
    DeliveryEnded,
    /// A delivery gave the file a final state.
    Finished {
        /// The file.
        file: FileId,
        /// The state, as `Outcome` says it.
        outcome: Outcome,
    },
    /// The table's own delivery gave the file back: it was not claimed, or another batch has it now.
    Returned {
        /// The file.
        file: FileId,
        /// True when it is to travel alone from now on.
        suspect: bool,
    },
    /// A delivery that has not had the file from this table is done with it: one of an earlier generation, of a batch
    /// that was open at the start, or of a part of a batch. What it came to may be old news.
    EndedElsewhere {
        /// The file.
        file: FileId,
        /// True when it is to travel alone from now on.
        suspect: bool,
    },
    /// The planner says when windows that open from now on close.
    Planned {
        /// At this age of their first file.
        age: Duration,
        /// At so many files.
        files: usize,
    },
    /// Close the window.
    Flush(CloseReason),
    /// Time has passed.
    Tick,
}

impl Event {
    /// The file that it is about.
    pub fn file(&self) -> Option<&FileId> {
        match self {
            Self::Announced { file, .. }
            | Self::LookedUp { file, .. }
            | Self::Fetched { file, .. }
            | Self::Failed { file, .. }
            | Self::Struck { file, .. }
            | Self::Settled { file, .. }
            | Self::LedgerFailed { file }
            | Self::Finished { file, .. }
            | Self::Returned { file, .. }
            | Self::EndedElsewhere { file, .. } => Some(file),
            Self::DeliveryEnded | Self::Planned { .. } | Self::Flush(_) | Self::Tick => None,
        }
    }
}

/// The end of a file, as far as its messages are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its rows are in the warehouse.
    Loaded,
    /// They were there before this announcement.
    Duplicate,
    /// Refused for good.
    Poisoned,
    /// Gone.
    Vanished,
    /// Written down for later.
    Deferred,
    /// Claimed by a held batch.
    Held,
}

impl Outcome {
    /// The outcome of a final state, for an announcement that finds it.
    pub fn of(state: &FileState) -> Option<Self> {
        match state {
            FileState::Claimed { held: true, .. } => Some(Self::Held),
            FileState::Claimed { held: false, .. } => None,
            FileState::Loaded { .. } => Some(Self::Duplicate),
            FileState::Poison { .. } => Some(Self::Poisoned),
            FileState::Vanished { .. } => Some(Self::Vanished),
            FileState::Deferred { .. } => Some(Self::Deferred),
        }
    }

    /// The outcome as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Duplicate => "duplicate",
            Self::Poisoned => "poisoned",
            Self::Vanished => "vanished",
            Self::Deferred => "deferred",
            Self::Held => "held",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Ask the ledger.
    Lookup(FileId),
    /// Open the object and read its footer.
    Fetch(FileId),
    /// Count a strike.
    Strike(FileId, String),
    /// Write a verdict down.
    Settle(FileId, Verdict),
    /// The file is final: settle everything that waits for it. `fresh` is true when this process made it so.
    Release {
        /// The file.
        file: FileId,
        /// Its end.
        outcome: Outcome,
        /// True when it became final just now.
        fresh: bool,
    },
    /// Hand these files, in this order, to the loader.
    Deliver(Vec<FileId>, CloseReason),
}
