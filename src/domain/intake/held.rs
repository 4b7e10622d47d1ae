//! What an intake keeps of its messages and their files.

use std::sync::Arc;

use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::transition::Verdict;
use crate::domain::watchdog::Edge;

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
    /// When its phase was entered, as far as an answer is due in it.
    pub(super) asked_at: Instant,
}

impl Item {
    /// Enters a phase in which the ledger's answer is due.
    pub(super) fn ask(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.asked_at = now;
    }

    /// The question to the ledger that is out about the file.
    pub(super) fn asked(&self) -> Option<(Instant, Edge, &'static str)> {
        let what = match self.phase {
            Phase::Settling(_) => "writing a verdict down",
            Phase::Striking => "writing a strike down",
            Phase::Offered | Phase::Parked { .. } | Phase::Waiting { .. } => return None,
        };
        Some((self.asked_at, Edge::Ledger, what))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) id: Arc<str>,
    pub(super) receipt: Arc<str>,
    pub(super) received_at: Instant,
    pub(super) extended_at: Instant,
    pub(super) open: usize,
    pub(super) deleting: bool,
    /// The question that is out about the message itself: to delete it, or to do what it asks for.
    pub(super) asked: Option<(Instant, Edge, &'static str)>,
}
