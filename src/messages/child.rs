//! What every child of the tree answers, and what its end tells the root.

use std::fmt;

use actix::Message;

use crate::domain::ids::{Generation, QueueId, TableId};

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildId {
    /// The poller of a queue.
    Poller(QueueId),
    /// One of the fetchers.
    Fetcher(usize),
    /// The batcher of a table.
    Batcher(TableId),
    /// The loader.
    Loader,
}

impl ChildId {
    /// The kind of child, as a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Poller(_) => "poller",
            Self::Fetcher(_) => "fetcher",
            Self::Batcher(_) => "batcher",
            Self::Loader => "loader",
        }
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poller(queue) => write!(formatter, "poller {queue}"),
            Self::Fetcher(number) => write!(formatter, "fetcher {number}"),
            Self::Batcher(table) => write!(formatter, "batcher {table}"),
            Self::Loader => formatter.write_str("loader"),
        }
    }
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildExit {
    /// It stopped by itself, as it was told.
    Stopped,
    /// It could not be built.
    InitFailed(String),
    /// A handler panicked, with this text.
    Panicked(String),
    /// Its task was aborted.
    Aborted,
}

/// A child ended. Sent once by `start_child`, to the root. If the root is gone, so is the process.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildExited {
    /// Who.
    pub child: ChildId,
    /// Which start of it; an older one than the root knows is dropped.
    pub generation: Generation,
    /// How.
    pub exit: ChildExit,
}

/// Are you there? Sent by whoever wants to know; a lost one is a timeout.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// Stop at once. Sent by the root; what is in hand frees itself. If it is lost the child is dead already.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;
