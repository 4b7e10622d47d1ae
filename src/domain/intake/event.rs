//! What an intake hears and does.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::dead_letter::PoisonCopy;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::Verdict;

/// The bounds of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IntakeBounds {
    /// Messages held at one time.
    pub held_messages_max: usize,
    /// Files parked at one time; the oldest beyond that are deferred.
    pub parked_files_max: usize,
    /// Files of one table offered at one time; more are parked.
    pub files_per_table: usize,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// How long a file may be parked.
    pub defer_after: Duration,
}

/// One file of one held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// The message's number within this poller.
    pub message: u64,
    /// The file's place in the message.
    pub index: usize,
}

/// What is to become of a file, from its announcement alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Its table loads it.
    Offer,
    /// The ledger gets this verdict at once.
    Settle(Verdict),
}

/// A file that a message announces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Announced {
    /// The file.
    pub file: FileId,
    /// What is to become of it.
    pub plan: Plan,
    /// When the object was written, as far as its event says; else when it was received.
    pub event_at: Instant,
}

/// A file that is offered to its table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Offer {
    /// The item.
    pub item: ItemId,
    /// The file.
    pub file: FileId,
    /// True when it was in hand while something crashed.
    pub suspect: bool,
    /// When the object was written.
    pub event_at: Instant,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Files of ours (none: a test event, a deletion, not ours).
    Files(Vec<Announced>),
    /// A poison file is to be loaded after all.
    Redrive(PoisonCopy),
    /// It could not be parsed.
    Unparsable {
        /// Its text.
        body: Arc<str>,
        /// Why not.
        reason: String,
    },
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arrived {
    /// The same in each delivery.
    pub id: Arc<str>,
    /// The handle of this delivery.
    pub receipt: Arc<str>,
    /// What it says.
    pub content: Content,
}

/// How a lease ended without being settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abandoned {
    /// Its holder went away; the file has nothing to do with it.
    Innocent,
    /// It was in a batch that was in hand while something crashed.
    Suspect,
    /// It alone was in hand while something crashed.
    Blamed,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Messages were received.
    Received(Vec<Arrived>),
    /// The file is final.
    LeaseSettled(ItemId),
    /// The lease was dropped.
    LeaseAbandoned(ItemId, Abandoned),
    /// Nobody took the offer.
    OfferRefused(ItemId),
    /// The table runs (again).
    TableOpened(TableId),
    /// The ledger wrote the verdict down, or knew better.
    VerdictWritten(ItemId, FileState),
    /// The ledger counted a strike.
    Struck(ItemId, u32),
    /// The ledger did not answer.
    LedgerFailed(ItemId),
    /// What the message itself asked for (to be put aside, to redrive a file) is done.
    Done(u64),
    /// It could not be done; it is tried again when the message is redelivered.
    Undone(u64),
    /// Messages were deleted.
    Deleted(Vec<u64>),
    /// They could not be deleted; they are tried again.
    DeleteFailed(Vec<u64>),
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Offer files to their table's batcher.
    Offer {
        /// The table.
        table: TableId,
        /// The files.
        files: Vec<Offer>,
    },
    /// Write a verdict down.
    Settle(ItemId, FileId, Verdict),
    /// Count a strike.
    Strike(ItemId, FileId),
    /// Redrive a poison file.
    Redrive {
        /// The message's number.
        message: u64,
        /// The file, and when it became poison.
        copy: PoisonCopy,
    },
    /// Put an unparsable message aside.
    DeadLetter {
        /// The message's number.
        message: u64,
        /// Its text.
        body: Arc<str>,
        /// Why it could not be parsed.
        reason: String,
    },
    /// Delete messages.
    Delete(Vec<(u64, Arc<str>)>),
    /// Extend messages.
    Extend(Vec<(u64, Arc<str>)>),
}
