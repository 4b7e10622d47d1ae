//! When an attempt is known to have failed, and how that is known of a stream.

use std::sync::Arc;
use std::time::Duration;

use super::{ATTEMPTS_MAX, Action, After, Delivery, FENCED, LONGEST_WAIT, Next, Phase, STREAM_PATIENCE};
use crate::domain::batch::Attempt;
use crate::domain::instant::Instant;

/// Streams of one batch; then it goes by load jobs.
const STREAMS_MAX: u32 = 2;

impl Delivery {
    pub(super) fn failing(&self, attempt: &Attempt, after: &After, reason: &str) -> Action {
        let next = matches!(after, After::NextAttempt)
            .then(|| self.batch.attempt(attempt.number.next(), Arc::clone(&self.plan_hash)))
            .map(|next| next.through(self.stream.clone()));
        Action::FailAttempt { failed: attempt.number, reason: reason.to_owned(), next }
    }

    /// The attempt is known to have failed: write it down, with what follows.
    pub(super) fn fail_attempt(&mut self, reason: String, after: After) -> Next {
        let spent = self.attempt.as_ref().is_some_and(|attempt| attempt.number.0 >= ATTEMPTS_MAX);
        let after = if spent && after == After::NextAttempt { After::DeferAll(None) } else { after };
        if after == After::NextAttempt && (!self.has_body || self.is_streamed()) {
            self.fresh(Phase::Renewing(reason));
            return self.retry(Duration::ZERO);
        }
        self.write_failure(reason, after)
    }

    /// Its body and its next stream are at hand, if there is to be another attempt.
    pub(super) fn write_failure(&mut self, reason: String, after: After) -> Next {
        let wait = match &after {
            After::NextAttempt => self.pace.back_off(LONGEST_WAIT),
            After::Bisect(_) | After::Poison(..) | After::Vanish(_) | After::DeferAll(_) => Duration::ZERO,
        };
        self.pace.ledger_answers();
        self.phase = Phase::Failing(after, reason);
        self.retry(wait)
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.stream.is_some())
    }

    /// A stream that is committed was sealed whole.
    pub(super) fn on_committed(&mut self) -> Next {
        let whole = self.phase == Phase::CommittingStream;
        let unasked =
            || Phase::Holding("its stream was committed before it was known to be whole".to_owned());
        self.fresh(if whole { Phase::Committing } else { unasked() });
        self.retry(Duration::ZERO)
    }

    /// A stream that is not found may be found again, as long as what was known of it travels; one that is gone for long was never
    /// committed, if it was not seen whole here: its table has no row of the batch.
    pub(super) fn on_unsettled(&mut self, now: Instant, gone: bool, reason: String) -> Next {
        if self.pace.unsettled_for(now) < STREAM_PATIENCE {
            let wait = self.pace.back_off(LONGEST_WAIT);
            return self.retry(wait);
        }
        if gone && self.phase != Phase::CommittingStream {
            return self.on_sealed(0);
        }
        self.fresh(Phase::Holding(format!("what its stream has cannot be learned: {reason}")));
        self.retry(Duration::ZERO)
    }

    /// The stream takes no more rows. What it has are the first rows of the manifest, in their order, however often each was
    /// sent: rows that were not at their offset were refused. So their number alone says whether it is whole.
    pub(super) fn on_sealed(&mut self, rows: u64) -> Next {
        let expected = self.batch.manifest.rows();
        if rows > expected {
            self.fresh(Phase::Holding(format!("the stream has {rows} rows, the manifest {expected}")));
            return self.retry(Duration::ZERO);
        }
        if rows == expected {
            self.fresh(Phase::CommittingStream);
            return self.retry(Duration::ZERO);
        }
        match std::mem::replace(&mut self.after_fence, After::NextAttempt) {
            // A load job has the last word: it takes larger rows, and sees columns that were added just now.
            After::Bisect(reason) => {
                self.refused_by_stream = true;
                self.fail_attempt(reason, After::NextAttempt)
            }
            After::NextAttempt => {
                // A load job is tried again with patience, and takes no attempt for it.
                self.refused_by_stream |=
                    self.attempt.as_ref().is_some_and(|attempt| attempt.number.0 >= STREAMS_MAX);
                let short = format!("its stream was sealed with {rows} of {expected} rows");
                self.fail_attempt(short, After::NextAttempt)
            }
            after @ (After::Poison(..) | After::Vanish(_) | After::DeferAll(_)) => {
                self.fail_attempt(FENCED.to_owned(), after)
            }
        }
    }
}
