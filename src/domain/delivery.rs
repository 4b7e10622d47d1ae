//! One batch on its way into the warehouse: the exactly-once protocol (ARCHITECTURE.md), as a pure machine.
//!
//! `step` takes what happened and says the one thing to do next; the loader's task does it and comes back with what
//! happened. A crash may fall between any two steps: `Delivery::resume` starts from what the ledger holds.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Attempt, Batch};
use super::fault::FaultKind;
use super::ids::AttemptNumber;
use super::instant::Instant;
use super::job::{FenceAnswer, JobStatus, Submission};
use super::transition::{AttemptOutcome, BatchRecord, Claim, Step};

/// The most attempts of one batch; after that its files are deferred.
pub const ATTEMPTS_MAX: u32 = 6;
/// The most consecutive failures of one ledger step before the process gives up on the ledger.
pub const LEDGER_TRIES_MAX: u32 = 20;
/// Waits between tries of one action: doubling from the first to the longest.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between tries of one action.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The reason of an attempt whose job id a fence took.
const FENCED: &str = "fenced: no late upload can land any more";
/// The reason of one that is known to have failed when its process begins.
const RESTARTED: &str = "tried again after a restart";
/// The reason of one that was never submitted.
const SUSPECT: &str =
    "not submitted: the other half is loaded, so that a file that is refused must be in this one";
/// The first wait before a job that runs is asked about again, and the longest; each is twice the one before. A load takes seconds, its rows
/// are there whenever it is asked about, and each question is a call that is paid for.
pub const FIRST_POLL: Duration = Duration::from_secs(2);
/// How long nothing may be learned of a stream: longer than any call to it may go on at the service. Then it has failed if the
/// service does not know it, and nobody can have committed it; else a person is asked.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(900);
/// The longest wait between two questions about a running job.
pub const LONGEST_POLL: Duration = Duration::from_secs(5);

mod built;
mod failed;
mod homes;
mod pace;
mod part;
mod protocol;
mod unbuilt;

use pace::Pace;
pub use part::Part;
pub use protocol::{Action, End, Event};
use protocol::{After, Phase};

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    batch: Batch,
    plan_hash: Arc<str>,
    attempt: Option<Attempt>,
    phase: Phase,
    /// What follows a fence that is taken.
    after_fence: After,
    has_body: bool,
    /// The stream that was made for the next attempt. One attempt uses it up.
    stream: Option<Arc<str>>,
    /// A stream has refused what is in it, or streams have ended short: a load job has the last word.
    refused_by_stream: bool,
    refused_patience: Duration,
    hold: Option<String>,
    /// Its table took something since the batch was refused first.
    table_takes: bool,
    /// It is fenced unsubmitted, because a file that is refused must be in it.
    is_suspect: bool,
    pace: Pace,
}

/// What to do, and how long to wait before it.
pub type Next = (Duration, Action);

impl Delivery {
    /// A batch that is planned but not claimed. `plan_hash` is the hash of today's column rules.
    pub fn plan(batch: Batch, plan_hash: Arc<str>, refused_patience: Duration) -> Self {
        Self {
            batch,
            plan_hash,
            attempt: None,
            phase: Phase::Planning,
            after_fence: After::NextAttempt,
            has_body: false,
            stream: None,
            refused_by_stream: false,
            refused_patience,
            hold: None,
            table_takes: false,
            is_suspect: false,
            pace: Pace::default(),
        }
    }

    /// A batch that the ledger holds as open, after a crash or as the child of a re-homed one.
    pub fn resume(record: BatchRecord, plan_hash: Arc<str>, refused_patience: Duration) -> Self {
        let mut delivery = Self::plan(record.batch, plan_hash, refused_patience);
        delivery.phase = match &record.last_attempt {
            None => Phase::Committing,
            Some((_, AttemptOutcome::Open)) => Phase::Asking,
            Some((_, AttemptOutcome::Failed(_))) => Phase::Renewing(RESTARTED.to_owned()),
            // The ledger marks both in one step, so an open batch has no such attempt; the question settles it.
            Some((_, AttemptOutcome::Succeeded)) => Phase::Asking,
        };
        // What a stream has failed with is not given to another one.
        delivery.refused_by_stream = matches!(&record.last_attempt, Some((attempt, AttemptOutcome::Failed(_))) if attempt.stream.is_some());
        delivery.attempt = record.last_attempt.map(|(attempt, _)| attempt);
        delivery
    }

    /// The batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// True once the ledger has the batch: from here on only the warehouse decides.
    pub fn is_claimed(&self) -> bool {
        !matches!(self.phase, Phase::Planning | Phase::Claiming)
    }

    /// The same delivery as if nothing had been tried yet: its waits and its patience begin anew.
    pub fn rested(mut self) -> Self {
        self.pace = Pace::default();
        self
    }

    /// Takes what happened and says what to do next.
    pub fn step(&mut self, now: Instant, event: Event) -> Next {
        match event {
            Event::Begun => self.begin(),
            Event::Built { plan_hash, commits, stream } => self.on_built(plan_hash, commits, stream),
            Event::Unbuilt { file, kind, reason } => self.on_unbuilt(now, file, kind, reason),
            Event::Claim(Claim::Won) => self.on_claimed(),
            Event::Claim(Claim::Lost(files)) => end(End::ClaimLost(files)),
            Event::Submitted(Submission::Accepted | Submission::Duplicate) => {
                self.pace.not_refused();
                self.fresh(Phase::Asking);
                self.retry(Duration::ZERO)
            }
            Event::SubmitFailed { kind, reason } => self.on_submit_failed(now, kind, reason),
            Event::Status(status) => self.on_status(now, status),
            // Nothing was submitted under its id: it is loaded as any other.
            Event::FenceFailed if self.is_suspect => {
                (self.is_suspect, self.after_fence) = (false, After::NextAttempt);
                self.fresh(Phase::Asking);
                self.retry(Duration::ZERO)
            }
            Event::AskFailed | Event::FenceFailed => {
                let wait = self.pace.back_off(LONGEST_WAIT);
                self.retry(wait)
            }
            Event::Fence(FenceAnswer::Accepted) => {
                let after = self.after_fence.clone();
                self.fail_attempt(if self.is_suspect { SUSPECT } else { FENCED }.to_owned(), after)
            }
            Event::Fence(FenceAnswer::Duplicate) => {
                self.is_suspect = false;
                self.phase = Phase::Asking;
                self.retry(Duration::ZERO)
            }
            Event::Probed(table) => self.on_probed(table),
            Event::ProbeFailed { refused } => self.on_probe_failed(now, refused),
            Event::Step(step) => self.on_step(step),
            Event::LedgerFailed(reason) => self.on_ledger_failed(reason),
        }
    }

    fn begin(&mut self) -> Next {
        if self.batch.manifest.rows() == 0 && self.phase == Phase::Planning {
            // A batch of zero rows becomes loaded without a job.
            self.phase = Phase::Claiming;
        }
        self.retry(Duration::ZERO)
    }

    /// The action of the current phase, after `wait`.
    fn retry(&self, wait: Duration) -> Next {
        let action = match (&self.phase, &self.attempt) {
            (Phase::Planning | Phase::Renewing(_), _) => Action::Build { by_stream: !self.refused_by_stream },
            // What is built again goes under the id that it has.
            (Phase::Rebuilding, _) => Action::Build { by_stream: false },
            (Phase::Claiming, attempt) => Action::Claim(attempt.clone()),
            (Phase::Submitting, Some(attempt)) => Action::Submit(attempt.clone()),
            (Phase::Asking, Some(attempt)) => Action::Ask(attempt.clone()),
            (Phase::CommittingStream, Some(attempt)) => Action::CommitStream(attempt.clone()),
            // To ask about a stream seals it: no late rows can land any more.
            (Phase::Fencing, Some(attempt)) if attempt.stream.is_some() => Action::Ask(attempt.clone()),
            (Phase::Fencing, Some(attempt)) => Action::Fence(attempt.clone()),
            (Phase::Failing(after, reason), Some(attempt)) => self.failing(attempt, after, reason),
            (Phase::Probing(_), _) => Action::Probe,
            (Phase::Rehoming(homes, _), _) => Action::Rehome(homes.clone()),
            (Phase::Committing, _) => Action::Commit,
            (Phase::Holding(_), _) => Action::Hold,
            // Without an attempt there is no job to ask about: a batch of zero rows only claims and commits.
            (
                Phase::Submitting
                | Phase::Asking
                | Phase::CommittingStream
                | Phase::Fencing
                | Phase::Failing(..),
                None,
            ) => Action::Commit,
        };
        (wait, action)
    }

    fn on_claimed(&mut self) -> Next {
        self.fresh(if self.attempt.is_none() { Phase::Committing } else { Phase::Submitting });
        self.retry(Duration::ZERO)
    }

    fn on_submit_failed(&mut self, now: Instant, kind: FaultKind, reason: String) -> Next {
        match kind {
            FaultKind::ContentRefused
            | FaultKind::UnsupportedType
            | FaultKind::SchemaConflict
            | FaultKind::AlreadyLoaded => {
                self.after_fence = After::Bisect(reason);
                self.fresh(Phase::Fencing);
                self.retry(Duration::ZERO)
            }
            FaultKind::DestinationRefused | FaultKind::AccessDenied | FaultKind::QuotaExceeded
                if self.pace.refused_for(now) >= self.refused_patience =>
            {
                let hold = (kind != FaultKind::QuotaExceeded).then_some(reason);
                self.after_fence = After::DeferAll(hold);
                self.fresh(Phase::Fencing);
                self.retry(Duration::ZERO)
            }
            FaultKind::Unavailable
            | FaultKind::Throttled
            | FaultKind::QuotaExceeded
            | FaultKind::AccessDenied
            | FaultKind::Vanished
            | FaultKind::Unreadable
            | FaultKind::DestinationRefused
            | FaultKind::DiskFull
            | FaultKind::LedgerCorrupt
            | FaultKind::Internal => {
                // The table may have taken a wider type since the body was built: it is built anew.
                self.has_body &= kind != FaultKind::DestinationRefused;
                // Unknown: the job may exist all the same. Ask about this very id (Invariant I-3).
                let wait = self.pace.back_off(LONGEST_WAIT);
                self.phase = Phase::Asking;
                self.retry(wait)
            }
        }
    }

    fn on_status(&mut self, now: Instant, status: JobStatus) -> Next {
        match status {
            JobStatus::Unsettled { gone, reason } => self.on_unsettled(now, gone, reason),
            JobStatus::Sealed { rows } => self.on_sealed(rows),
            JobStatus::Committed => self.on_committed(),
            JobStatus::NotFound => {
                self.phase = if self.has_body { Phase::Submitting } else { Phase::Rebuilding };
                let wait = self.pace.not_found();
                self.retry(wait)
            }
            JobStatus::Running => {
                let wait = self.pace.poll();
                self.retry(wait)
            }
            JobStatus::Succeeded { rows, batch, destination_matches } => {
                let expected = self.batch.manifest.rows();
                // Invariant I-5: adopt only what is ours, commit only what is whole.
                let objection = if batch.as_ref() != Some(&self.batch.id) {
                    Some("the job of this id does not carry the batch's label".to_owned())
                } else if !destination_matches {
                    Some("the job of this id loaded into another table".to_owned())
                } else {
                    (rows != expected)
                        .then(|| format!("the job wrote {rows} rows, the manifest has {expected}"))
                };
                self.fresh(objection.map_or(Phase::Committing, Phase::Holding));
                self.retry(Duration::ZERO)
            }
            JobStatus::Failed { kind, reason } => self.on_job_failed(kind, reason),
            JobStatus::Fenced => {
                let after = self.after_fence.clone();
                self.fail_attempt(FENCED.to_owned(), after)
            }
        }
    }

    fn on_job_failed(&mut self, kind: FaultKind, reason: String) -> Next {
        let after = match kind {
            FaultKind::ContentRefused
            | FaultKind::AlreadyLoaded
            | FaultKind::Unreadable
            | FaultKind::UnsupportedType
            | FaultKind::SchemaConflict => After::Bisect(reason.clone()),
            FaultKind::AccessDenied | FaultKind::DestinationRefused => After::DeferAll(Some(reason.clone())),
            FaultKind::QuotaExceeded => After::DeferAll(None),
            FaultKind::Unavailable
            | FaultKind::Throttled
            | FaultKind::Vanished
            | FaultKind::DiskFull
            | FaultKind::LedgerCorrupt
            | FaultKind::Internal => After::NextAttempt,
        };
        // Whether its table takes others is asked with the columns of its body.
        let alone = matches!(after, After::Bisect(_)) && self.batch.manifest.entries.len() == 1;
        if alone && !self.has_body {
            self.fresh(Phase::Renewing(reason));
            return self.retry(Duration::ZERO);
        }
        self.fail_attempt(reason, after)
    }

    fn on_step(&mut self, step: Step) -> Next {
        if step == Step::Refused {
            return end(End::Superseded);
        }
        match self.phase.clone() {
            Phase::Committing => end(End::Loaded { by_a_job: self.batch.manifest.rows() > 0 }),
            Phase::Holding(reason) => end(End::Held(reason)),
            Phase::Rehoming(homes, refusal) => end(End::Rehomed { homes, hold: self.hold.take(), refusal }),
            Phase::Failing(After::NextAttempt, _) => {
                let number =
                    self.attempt.as_ref().map_or(AttemptNumber::FIRST, |attempt| attempt.number.next());
                let next = self.batch.attempt(number, Arc::clone(&self.plan_hash));
                self.attempt = Some(next.through(self.stream.take()));
                self.after_fence = After::NextAttempt;
                self.fresh(Phase::Submitting);
                self.retry(Duration::ZERO)
            }
            Phase::Failing(After::Bisect(reason), _)
                if self.batch.manifest.entries.len() == 1 && !self.table_takes =>
            {
                self.fresh(Phase::Probing(reason));
                self.retry(Duration::ZERO)
            }
            Phase::Failing(after, _) => self.rehome(after),
            Phase::Planning
            | Phase::Claiming
            | Phase::Submitting
            | Phase::Asking
            | Phase::CommittingStream
            | Phase::Rebuilding
            | Phase::Renewing(_)
            | Phase::Probing(_)
            | Phase::Fencing => end(End::Superseded),
        }
    }

    fn on_ledger_failed(&mut self, reason: String) -> Next {
        match self.pace.ledger_silent() {
            Some(wait) => self.retry(wait),
            None => end(End::LedgerLost(reason)),
        }
    }

    /// Enters a phase of which nothing was tried yet.
    fn fresh(&mut self, phase: Phase) {
        self.phase = phase;
        self.pace.begin_phase();
    }
}

fn end(end: End) -> Next {
    (Duration::ZERO, Action::End(end))
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
