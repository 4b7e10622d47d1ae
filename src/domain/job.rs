//! What a warehouse answers about an attempt: of its job id, which can be used once, or of its stream.

use super::fault::FaultKind;
use super::ids::BatchId;

/// What became of a submission that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submission {
    /// A job of this id exists now, and it is this one. Ask for its outcome.
    Accepted,
    /// A job of this id existed before: a load of ours, a fence, or something foreign. Ask.
    Duplicate,
}

/// What the warehouse says of a job id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// No job of this id is known. Not a failure: a late upload can still arrive (Invariant I-3).
    NotFound,
    /// It runs.
    Running,
    /// The attempt's stream takes no more rows, and none of them is in the table: they are committed all at once, or never.
    Sealed {
        /// The rows that it has.
        rows: u64,
    },
    /// The attempt's stream is committed: all rows with which it was sealed are in the table.
    Committed,
    /// The service does not say what the attempt's stream has, and the table has no row of its batch.
    Unsettled {
        /// The service knows no such stream (any more).
        gone: bool,
        /// The service's own words.
        reason: String,
    },
    /// A load job of this id has ended well.
    Succeeded {
        /// The rows it wrote.
        rows: u64,
        /// Its label `batch_id`; a job without ours is not adopted (Invariant I-5).
        batch: Option<BatchId>,
        /// True when its destination is the attempt's.
        destination_matches: bool,
    },
    /// A load job of this id has ended badly: nothing of it is visible.
    Failed {
        /// The kind, for the policy.
        kind: FaultKind,
        /// The warehouse's own words.
        reason: String,
    },
    /// The id was taken by a fence: the attempt has failed (Invariant I-3b).
    Fenced,
}

/// What became of a fence that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FenceAnswer {
    /// The fence took the id: no late upload can land any more.
    Accepted,
    /// A job of this id exists. Ask about it.
    Duplicate,
}
