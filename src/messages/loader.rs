//! To the loader.

use actix::Message;

use crate::domain::delivery::End;
use crate::domain::file::FileId;
use crate::domain::ids::{BatchId, Generation, TableId};
use crate::domain::taking_over::Look;
use crate::domain::transition::BatchRecord;
use crate::flow::lease::Lease;
use crate::messages::fetcher::Fetched;

/// A file on its way into a batch.
#[derive(Debug)]
pub struct LoadFile {
    /// The file.
    pub file: FileId,
    /// The open object.
    pub fetched: Fetched,
    /// Everyone who waits for the file.
    pub leases: Vec<Lease>,
}

/// Load these files as one batch. Sent by a batcher, which hears `DeliveryEnded`. If it is lost, the leases tell.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LoadBatch {
    /// The table.
    pub table: TableId,
    /// The batcher that sends it.
    pub generation: Generation,
    /// The files, in the order of their rows.
    pub files: Vec<LoadFile>,
}

/// A delivery ended by itself. Sent by the delivery's task. If it is lost with its loader, the next generation reads
/// the open batches from the ledger.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DeliveryDone {
    /// The delivery.
    pub delivery: u64,
    /// The loader that started it.
    pub generation: Generation,
    /// How.
    pub end: End,
    /// The leases of its files.
    pub leases: Vec<(FileId, Vec<Lease>)>,
}

/// A delivery panicked. Sent by the task that watches it; its leases were marked suspect.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DeliveryCrashed {
    /// The delivery.
    pub delivery: u64,
    /// The loader that started it.
    pub generation: Generation,
    /// What the panic said.
    pub panic: String,
}

/// These deliveries are wedged: end them. Their batches stay open in the ledger and are resumed with their table. Sent by
/// the watchdog, which has their table charged; if it is lost, they are found wedged again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct AbortDeliveries {
    /// The loader that started them.
    pub generation: Generation,
    /// The deliveries.
    pub deliveries: Vec<u64>,
}

/// The ledger listed open batches. Sent by the loader's own task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OpenBatchesListed {
    /// The loader that asked.
    pub generation: Generation,
    /// Its question.
    pub question: u64,
    /// Why it looks.
    pub look: Look,
    /// Open batches, oldest first; `None` when the ledger did not answer.
    pub batches: Option<Vec<BatchRecord>>,
}

/// The ledger has marked a table's open batches as held, or as going on. Sent by the loader's own task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct BatchesMarked {
    /// The loader that asked.
    pub generation: Generation,
    /// Its question.
    pub question: u64,
    /// The table.
    pub table: TableId,
    /// Held, or going on.
    pub hold: bool,
    /// The batches, as they were before, oldest first; `None` when the ledger did not answer.
    pub batches: Option<Vec<BatchRecord>>,
}

/// Take up the table's open and held batches. Sent by the root when a table runs again; repeated until the ledger has
/// taken it. If it is lost, the next start does it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ResumeBatches(pub TableId);

/// Stop the table's deliveries and hold its open batches. Sent by the root when the table is quarantined or held;
/// repeated until the ledger has taken it. If it is lost with its loader, the next loader takes the batches up.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct HoldBatches(pub TableId);

/// How many loads of each table are in flight? For the status page.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Vec<(TableId, usize)>>")]
pub struct LoadsByTable;

/// Which batches do you deliver, or will? For other processes on the ledger, which leave them alone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Vec<BatchId>>")]
pub struct BatchesInHand;

/// What is in flight? Comes back with counts.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<LoaderSnapshot>")]
pub struct Snapshot;

/// What the loader has in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoaderSnapshot {
    /// Deliveries in flight.
    pub in_flight: usize,
    /// True once the open batches of earlier runs were read and started.
    pub recovered: bool,
}
