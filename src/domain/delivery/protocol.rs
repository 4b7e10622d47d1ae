//! What a delivery does, hears and comes to.

use std::sync::Arc;

use crate::domain::batch::Attempt;
use crate::domain::fault::FaultKind;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::AttemptNumber;
use crate::domain::job::{FenceAnswer, JobStatus, Submission};
use crate::domain::summary::CommitSpan;
use crate::domain::transition::{Claim, Home, Step};
use crate::domain::watchdog::Edge;

/// The one thing to do next.
// One lives at a time, on its way from `step` to its performer.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Build the body from the manifest (fetch its files first when they are not at hand), and make a stream for it where its
    /// table's rows go by streams.
    Build {
        /// Its rows may go by a stream. Not where they are under a job's id already, or a stream has refused them.
        by_stream: bool,
    },
    /// Claim the batch in the ledger, with this first attempt.
    Claim(Option<Attempt>),
    /// Submit the body under the attempt's job id.
    Submit(Attempt),
    /// Ask about the attempt's job id.
    Ask(Attempt),
    /// Commit the attempt's stream, which is sealed and whole.
    CommitStream(Attempt),
    /// Fence the attempt's job id.
    Fence(Attempt),
    /// Write that the attempt failed and, with `next`, the next one.
    FailAttempt {
        /// The failed attempt.
        failed: AttemptNumber,
        /// Why.
        reason: String,
        /// The next attempt.
        next: Option<Attempt>,
    },
    /// The warehouse refuses what is in the batch's only file: find out whether its table takes anything at all.
    Probe,
    /// Give the files new homes.
    Rehome(Vec<Home>),
    /// Mark the batch loaded.
    Commit,
    /// Hold the batch for a person.
    Hold,
    /// It is over.
    End(End),
}

impl Action {
    /// Whose answer is due while it is done, and what it is in a few words.
    pub const fn work(&self) -> (Edge, &'static str) {
        match self {
            Self::Build { .. } => (Edge::Cpu, "building the body"),
            Self::Claim(_) => (Edge::Ledger, "claiming the batch"),
            Self::Submit(_) => (Edge::Warehouse, "submitting the job"),
            Self::Ask(_) => (Edge::Warehouse, "asking about the job"),
            Self::CommitStream(_) => (Edge::Warehouse, "committing the stream"),
            Self::Fence(_) => (Edge::Warehouse, "fencing the job's id"),
            Self::FailAttempt { .. } => (Edge::Ledger, "writing the failed attempt down"),
            Self::Probe => (Edge::Warehouse, "asking whether the table takes anything"),
            Self::Rehome(_) => (Edge::Ledger, "giving the files new homes"),
            Self::Commit => (Edge::Ledger, "committing the batch"),
            Self::Hold => (Edge::Ledger, "holding the batch"),
            Self::End(_) => (Edge::Actor, "ending"),
        }
    }
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The rows are in the warehouse and the ledger says so.
    Loaded {
        /// There are rows, and so there was a job.
        by_a_job: bool,
    },
    /// The files have new homes; batches among them are to be delivered. `hold` names why the table must be held.
    Rehomed {
        /// The homes.
        homes: Vec<Home>,
        /// Why the table is to be held, if it is.
        hold: Option<String>,
        /// The warehouse's words, where it refused what is in the files.
        refusal: Option<String>,
    },
    /// Nothing was claimed: these files belong to others, or are final already.
    ClaimLost(Vec<(FileId, FileState)>),
    /// Nothing was claimed: the body could not be built.
    Unbuilt {
        /// The culprit, when one file is to blame.
        file: Option<FileId>,
        /// The kind, for the policy.
        kind: FaultKind,
        /// Why.
        reason: String,
    },
    /// The batch is held, with the reason; so is the table.
    Held(String),
    /// Another process moved the batch on: the ledger knows better.
    Superseded,
    /// The ledger does not answer: the process must end.
    LedgerLost(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It begins.
    Begun,
    /// The body is built by the rules with this hash.
    Built {
        /// Hash of the column rules in force.
        plan_hash: Arc<str>,
        /// The commit times in the batch's change files.
        commits: Option<CommitSpan>,
        /// The stream that was made for its next attempt, if its rows go by one.
        stream: Option<Arc<str>>,
    },
    /// The body could not be built.
    Unbuilt {
        /// The culprit, when one file is to blame.
        file: Option<FileId>,
        /// The kind.
        kind: FaultKind,
        /// Why.
        reason: String,
    },
    /// The ledger answered the claim.
    Claim(Claim),
    /// The warehouse answered the submission.
    Submitted(Submission),
    /// The submission failed: unknown, unless its kind says refused.
    SubmitFailed {
        /// The kind.
        kind: FaultKind,
        /// Why.
        reason: String,
    },
    /// The warehouse answered the question.
    Status(JobStatus),
    /// The question failed.
    AskFailed,
    /// The warehouse answered the fence.
    Fence(FenceAnswer),
    /// The fence failed: unknown.
    FenceFailed,
    /// What is known of the table, whatever the file: `Err` is why it takes nothing.
    Probed(Result<(), String>),
    /// That could not be found out.
    ProbeFailed {
        /// The warehouse's words, where it may not be asked, or has no such table.
        refused: Option<String>,
    },
    /// The ledger answered a step on the batch.
    Step(Step),
    /// The ledger did not answer: unknown.
    LedgerFailed(String),
}

/// What is to follow once the attempt is known to have failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum After {
    /// Build if need be and try again under attempt n+1.
    NextAttempt,
    /// Split the batch, or poison its only file, with the warehouse's words.
    Bisect(String),
    /// This file is poison, the rest becomes a batch of its own.
    Poison(FileId, String),
    /// This file vanished, the rest becomes a batch of its own.
    Vanish(FileId),
    /// All files are deferred; the table is held when a reason is given.
    DeferAll(Option<String>),
}

/// Where the delivery stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Building the first body; nothing is claimed.
    Planning,
    Claiming,
    Submitting,
    Asking,
    CommittingStream,
    /// Building again for a claimed batch whose attempt is not known to have failed.
    Rebuilding,
    /// Building for attempt n+1: attempt n is known to have failed, for this reason.
    Renewing(String),
    Fencing,
    Failing(After, String),
    /// The only file is poison, for this reason, if the table takes others.
    Probing(String),
    /// The files go to these homes; with the warehouse's words, where it refused what is in them.
    Rehoming(Vec<Home>, Option<String>),
    Committing,
    Holding(String),
}
