//! What every child of the tree answers, and what its end tells the root.

use std::fmt;

use actix::Message;

use crate::domain::ids::{Generation, QueueId, TableId};
use crate::domain::watchdog::Reading;

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
    /// The planner.
    Planner,
    /// The outbox.
    Outbox,
    /// The watchdog.
    Watchdog,
}

impl ChildId {
    /// The kind of child, as a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Poller(_) => "poller",
            Self::Fetcher(_) => "fetcher",
            Self::Batcher(_) => "batcher",
            Self::Loader => "loader",
            Self::Planner => "planner",
            Self::Outbox => "outbox",
            Self::Watchdog => "watchdog",
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
            Self::Planner => formatter.write_str("planner"),
            Self::Outbox => formatter.write_str("outbox"),
            Self::Watchdog => formatter.write_str("watchdog"),
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

/// Are you there, and what is due? Comes back with the pulse. Sent by the watchdog; a lost one is a timeout.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Pulse>")]
pub struct Ping;

/// What a child does, part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Each part, with its table where it has one of its own.
    pub parts: Vec<(Part, Option<TableId>, Reading)>,
}

impl Pulse {
    /// The child's own parts.
    pub fn own(parts: impl IntoIterator<Item = (&'static str, Reading)>) -> Self {
        let parts = parts.into_iter().map(|(name, reading)| (Part::Own(name), None, reading));
        Self { parts: parts.collect() }
    }
}

/// What can be wedged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The child itself, in this respect.
    Own(&'static str),
    /// A delivery of the loader.
    Delivery(u64),
    /// A fetch of a fetcher.
    Fetch(u64),
}

/// Stop at once. Sent by the root; what is in hand frees itself. If it is lost the child is dead already.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;
