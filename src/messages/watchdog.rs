//! To the watchdog.

use actix::Message;

use crate::domain::ids::Generation;
use crate::domain::watchdog::Sighting;
use crate::messages::child::{ChildId, Part};

/// One that is watched: a part of one start of a child.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// The child.
    pub child: ChildId,
    /// Which start of it.
    pub generation: Generation,
    /// Which part; `None` for the child that does not answer.
    pub part: Option<Part>,
}

/// All children were asked. Sent by the watchdog's own task; if it is lost, the next look asks again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Looked(pub Vec<Sighting<Watched>>);
