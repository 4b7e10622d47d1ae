//! How long a delivery waits, and for how long it is patient: nothing here decides what is done to the batch's files.

use std::time::Duration;

use super::{FIRST_POLL, FIRST_WAIT, LEDGER_TRIES_MAX, LONGEST_POLL, LONGEST_WAIT};
use crate::domain::instant::Instant;

/// What was tried so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    /// Tries of the present phase's action.
    tries: u32,
    /// Answers that no job of the id is known.
    not_found: u32,
    /// Failures of a ledger step in a row.
    ledger_tries: u32,
    /// When a submission was refused first, since the last one that was not.
    refused_since: Option<Instant>,
    /// Since when nothing could be learned of a stream, in the present phase.
    unsettled_since: Option<Instant>,
}

impl Pace {
    /// A phase begins of which nothing was tried yet.
    pub(super) fn begin_phase(&mut self) {
        self.tries = 0;
        self.ledger_tries = 0;
        self.unsettled_since = None;
    }

    /// A ledger step is asked for that nothing is known of yet.
    pub(super) fn ledger_answers(&mut self) {
        self.ledger_tries = 0;
    }

    /// The wait before the same is tried again.
    pub(super) fn back_off(&mut self, longest: Duration) -> Duration {
        self.tries = self.tries.saturating_add(1);
        doubling(self.tries, longest)
    }

    /// The wait before a job that runs is asked about again.
    pub(super) fn poll(&mut self) -> Duration {
        self.tries = self.tries.saturating_add(1);
        let times = 2_u32.saturating_pow(self.tries.saturating_sub(1).min(16));
        FIRST_POLL.saturating_mul(times).min(LONGEST_POLL)
    }

    /// The wait before a job that is not known is submitted again: none at first, but a job that was accepted and is not
    /// found again and again must not become a tight loop.
    pub(super) fn not_found(&mut self) -> Duration {
        let wait = self.not_found.checked_sub(1).map_or(Duration::ZERO, |n| doubling(n + 1, LONGEST_WAIT));
        self.not_found = self.not_found.saturating_add(1);
        wait
    }

    /// The wait before a ledger step is asked for again; `None` when the ledger was silent for too long.
    pub(super) fn ledger_silent(&mut self) -> Option<Duration> {
        self.ledger_tries = self.ledger_tries.saturating_add(1);
        (self.ledger_tries < LEDGER_TRIES_MAX).then(|| doubling(self.ledger_tries, LONGEST_WAIT))
    }

    /// For how long submissions have been refused by `now`, this one included.
    pub(super) fn refused_for(&mut self, now: Instant) -> Duration {
        now.since(*self.refused_since.get_or_insert(now))
    }

    /// For how long nothing could be learned of a stream by `now`.
    pub(super) fn unsettled_for(&mut self, now: Instant) -> Duration {
        now.since(*self.unsettled_since.get_or_insert(now))
    }

    /// A submission was not refused.
    pub(super) fn not_refused(&mut self) {
        self.refused_since = None;
    }
}

/// `FIRST_WAIT` for the first try, then twice as long each time.
fn doubling(tries: u32, longest: Duration) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16))).min(longest)
}
