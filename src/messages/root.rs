//! To the root.

use std::time::Duration;

use actix::Message;

use crate::domain::ids::{Generation, TableId};
use crate::domain::lane::Lane;
use crate::domain::transition::TableMode;
use crate::flow::credit::CreditKind;
use crate::messages::child::ChildId;

/// A delivery of the table panicked, or a task of it was wedged: charged to the table. Sent by the loader and by the
/// watchdog; if it is lost, the files come back by their leases.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TableCrashed {
    /// The table.
    pub table: TableId,
    /// What the panic said, or what was wedged.
    pub panic: String,
}

/// A child is wedged: end it, which counts as its crash. Sent by the watchdog; if it is lost, the child is found wedged
/// again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildWedged {
    /// Who.
    pub child: ChildId,
    /// Which start of it; an older one than the root knows is dropped.
    pub generation: Generation,
    /// What it did, and for how long.
    pub reason: String,
}

/// The table must be held for a person. Sent by the loader; the ledger holds the batch already.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct HoldTable {
    /// The table.
    pub table: TableId,
    /// Why.
    pub reason: String,
}

/// The ledger does not answer any more: the process must end. Sent by the loader.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct LedgerLost(pub String);

/// The mode was written to the ledger (or not). Sent by the root's own task.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ModeWritten {
    /// The table.
    pub table: TableId,
    /// The mode.
    pub mode: TableMode,
    /// The fault, when the ledger did not take it.
    pub fault: Option<String>,
}

/// The modes of the tables as the ledger has them, which another process may have changed. Sent by the root's own task.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ModesRead {
    /// How many changes the root had made when it asked: what was changed since is newer.
    pub changes: u64,
    /// Tables that do not run.
    pub modes: Vec<(TableId, TableMode)>,
}

/// A lane's credit runs short: close its windows. Sent by a fetcher; if it is lost, the next one that waits sends it again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CreditShort {
    /// The lane.
    pub lane: Lane,
    /// What is short: memory, or disk for objects.
    pub kind: CreditKind,
}

/// Admin: stop the table until it is resumed. Comes back when its batcher is closed, so that no load of it starts
/// afterwards, and the mode was written to the ledger, or was not within `MODE_WRITE_WAIT`. If it is lost, nothing
/// happened.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<ModeSet, NoSuchTable>")]
pub struct PauseTable(pub TableId);

/// Admin: let the table go on, whatever stopped it; its restart budget starts anew. Comes back as `PauseTable` does.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<ModeSet, NoSuchTable>")]
pub struct ResumeTable(pub TableId);

/// Admin: close the table's window now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), NoSuchTable>")]
pub struct FlushTable(pub TableId);

/// Close all windows now: the input has ended. Sent by the shutdown script and `--until-idle`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct FlushAll(pub crate::domain::table::CloseReason);

/// How long an answer waits for the ledger to take a mode; the write itself is repeated until it is taken.
pub const MODE_WRITE_WAIT: Duration = Duration::from_secs(5);

/// The mode that a table has after an admin's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeSet {
    /// The mode, in force now.
    pub mode: TableMode,
    /// Why the ledger does not have it yet, when it does not: a restart before it has forgets the mode.
    pub unwritten: Option<String>,
}

/// No mapping names that table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no mapping names the table {0}")]
pub struct NoSuchTable(pub TableId);

/// The tree's children no longer restart. Sent at the start of the shutdown script.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct BeginDrain;

/// How do the tables do? Comes back with each table's mode.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "RootSnapshot")]
pub struct Snapshot;

/// The root's view.
#[derive(Clone, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub struct RootSnapshot {
    /// Each table with its mode and the generation of its batcher.
    pub tables: Vec<(TableId, TableMode, u64)>,
    /// Crashes seen since the start.
    pub crashes: u64,
}
