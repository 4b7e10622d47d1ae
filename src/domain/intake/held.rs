//! What an intake keeps of its messages and their files.

use std::sync::Arc;

use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::transition::Verdict;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Offered,
    Parked { since: Instant },
    Settling(Verdict),
    Waiting { until: Instant, verdict: Option<Verdict> },
    Striking,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Item {
    pub(super) file: FileId,
    pub(super) suspect: bool,
    pub(super) event_at: Instant,
    pub(super) parked_since: Option<Instant>,
    pub(super) phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) id: Arc<str>,
    pub(super) receipt: Arc<str>,
    pub(super) received_at: Instant,
    pub(super) extended_at: Instant,
    pub(super) open: usize,
    pub(super) deleting: bool,
}
