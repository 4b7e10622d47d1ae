//! When the body of a batch is built, and its stream made.

use std::sync::Arc;
use std::time::Duration;

use super::{After, Delivery, Next, Phase};
use crate::domain::ids::AttemptNumber;
use crate::domain::summary::CommitSpan;

impl Delivery {
    pub(super) fn on_built(
        &mut self,
        plan_hash: Arc<str>,
        commits: Option<CommitSpan>,
        stream: Option<Arc<str>>,
    ) -> Next {
        self.has_body = true;
        self.plan_hash = Arc::clone(&plan_hash);
        match self.phase.clone() {
            Phase::Planning => {
                self.batch.commits = commits;
                self.attempt = Some(self.batch.attempt(AttemptNumber::FIRST, plan_hash).through(stream));
                self.fresh(Phase::Claiming);
                self.retry(Duration::ZERO)
            }
            Phase::Renewing(reason) => {
                self.stream = stream;
                self.write_failure(reason, After::NextAttempt)
            }
            Phase::Rebuilding
            | Phase::Claiming
            | Phase::Submitting
            | Phase::Asking
            | Phase::CommittingStream
            | Phase::Fencing
            | Phase::Failing(..)
            | Phase::Probing(_)
            | Phase::Rehoming(..)
            | Phase::Committing
            | Phase::Holding(_) => {
                // Invariant I-2: other rules would put other rows under the same id.
                let same = self.attempt.as_ref().is_some_and(|attempt| attempt.plan_hash == plan_hash);
                self.after_fence = After::NextAttempt;
                self.fresh(if same { Phase::Submitting } else { Phase::Fencing });
                self.retry(Duration::ZERO)
            }
        }
    }
}
