//! To the batcher of a table.

use actix::Message;

use crate::domain::fault::Fault;
use crate::domain::fault::FaultKind;
use crate::domain::file::FileId;
use crate::domain::ids::Generation;
use crate::domain::lane::Lane;
use crate::domain::table::{CloseReason, Event, Outcome};
use crate::domain::transition::DeferredFile;
use crate::flow::lease::Lease;
use crate::messages::fetcher::Fetched;

/// A file that was announced, with its lease.
#[derive(Debug)]
pub struct Offered {
    /// The file.
    pub file: FileId,
    /// True when it was in hand while something crashed.
    pub suspect: bool,
    /// The lease; settled or dropped, never lost.
    pub lease: Lease,
}

/// Files were announced. Sent by a poller; if it is lost, the leases tell.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OfferFiles(pub Vec<Offered>);

/// A fetch ended. Sent by a fetcher; dropped when no such file is being fetched.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FileFetched {
    /// The file.
    pub file: FileId,
    /// The open object, or why not.
    pub result: Result<Fetched, Fault>,
}

/// The ledger answered. Sent by the batcher's own tasks; dropped when the generation is an older one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LedgerAnswered {
    /// The batcher that asked.
    pub generation: Generation,
    /// What happened.
    pub events: Vec<Event>,
}

/// The ledger listed deferred files, oldest first. Sent by the batcher's own task; if it is lost, the next take-up asks
/// again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DeferredListed {
    /// The batcher that asked.
    pub generation: Generation,
    /// How often files were deferred before it was asked.
    pub deferrals: u64,
    /// The files; `None` when the ledger did not answer.
    pub files: Option<Vec<DeferredFile>>,
    /// There may be more of them than were asked for.
    pub is_cut: bool,
}

/// Files of this table were written down as deferred. Sent by a poller that had no room for them; if it is lost, the
/// interval finds them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct FilesDeferred;

/// What a delivery made of one file.
#[derive(Debug)]
pub enum FileEnd {
    /// It is final in the ledger.
    Finished(Outcome),
    /// It was not claimed; nothing is known against it.
    Returned,
    /// It was not claimed, and was in a batch whose build panicked: it travels alone from now on.
    Suspect,
    /// It was not claimed, and this is why.
    Failed(FaultKind, String),
}

/// A delivery ended. Sent by the loader. If it is lost with its batcher, the next generation starts with no delivery in
/// flight.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DeliveryEnded {
    /// The batcher that handed the batch over, when it did; a re-homed or resumed batch has none.
    pub generation: Option<Generation>,
    /// The lane of the batch.
    pub lane: Lane,
    /// What became of each file, with the leases of those that are not final.
    pub files: Vec<(FileId, FileEnd, Vec<Lease>)>,
}

/// Close the windows. Sent by the root (admin, pressure, end of input); if it is lost, age closes them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct FlushWindow {
    /// Why.
    pub reason: CloseReason,
    /// Of which lane; none: of both.
    pub lane: Option<Lane>,
}

/// What do you hold? Comes back with counts.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<BatcherSnapshot>")]
pub struct Snapshot;

/// What a batcher holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatcherSnapshot {
    /// Files in hand.
    pub in_hand: usize,
    /// Files on their way into the window.
    pub arriving: usize,
    /// Files that wait to be tried or asked about again.
    pub waiting: usize,
    /// Files in the open window.
    pub in_window: usize,
    /// True when the ledger has been asked for deferred files since the last one was taken up, and had none.
    pub none_deferred: bool,
}
