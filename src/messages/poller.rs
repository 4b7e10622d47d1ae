//! To the poller of a queue.

use actix::Message;

use crate::domain::drain::Receive;
use crate::domain::fault::FaultKind;
use crate::domain::ids::{QueueId, TableId};
use crate::domain::instant::Instant;
use crate::domain::intake::{Arrived, Event};

/// Messages were received and parsed, perhaps none. Sent by the poller's own receive loop; comes back with how many more may be
/// received. If it is lost, the messages become visible again.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct Received {
    /// The messages.
    pub messages: Vec<Arrived>,
    /// The call that brought them.
    pub call: Receive,
}

/// A call that was to bring messages has failed. Sent by the poller's own receive loop.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ReceiveFailed(pub FaultKind);

/// So many messages wait in the queue, roughly. Sent by the poller's own task.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Counted {
    /// When it was asked.
    pub asked_at: Instant,
    /// How many can be received.
    pub visible: u64,
}

/// Things happened to held messages: leases ended, the ledger or the queue answered. Sent by the poller's own tasks. If
/// it is lost, the messages become visible again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Happened(pub Vec<Event>);

/// The table runs (again): offer it what is parked. Sent by the root; if it is lost, the next tick does it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OfferParked(pub TableId);

/// Receive no more, and tell when all that is held has been settled or released.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopReceiving;

/// Make what is still held visible again. Sent by the shutdown script when the loader is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ReleaseHeld;

/// What do you hold? Comes back with counts.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<PollerSnapshot>")]
pub struct Snapshot;

/// Which tables' files do you hold? Comes back with each table's, for the status page and the watermarks.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Held>")]
pub struct HeldByTable;

/// What a poller holds, by table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its queue.
    pub queue: QueueId,
    /// Since when there is this poller: what another held before it may still be hidden.
    pub since: Instant,
    /// What was sent to the queue before was received; none where that was not seen yet.
    pub drained: Option<Instant>,
    /// Each table's.
    pub tables: Vec<TableIntake>,
}

/// What a poller holds of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableIntake {
    /// The table.
    pub table: TableId,
    /// Files parked.
    pub parked: usize,
    /// The oldest event time of its files, parked or handed on, that are not final.
    pub oldest_event: Instant,
    /// The same of its change files alone.
    pub oldest_change: Option<Instant>,
}

/// What a poller holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollerSnapshot {
    /// Messages received and not yet deleted.
    pub held_messages: usize,
    /// Files parked.
    pub parked_files: usize,
}
