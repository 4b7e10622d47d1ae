//! To the planner.

use std::time::Duration;

use actix::Message;

use crate::domain::ids::{JobId, TableId};
use crate::domain::instant::Instant;
use crate::domain::lane::Lane;
use crate::domain::planner::{Granted, ListedJob, Submitted};

/// A file is open. Sent by its table's batcher; if it is lost, the table seems a little quieter than it is.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FileCame {
    /// The table.
    pub table: TableId,
    /// Its rows.
    pub rows: u64,
}

/// A load job was submitted. Sent by its delivery; if it is lost, the planner is, and the next one reads the ledger.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct JobSubmitted {
    /// The job.
    pub job: Submitted,
    /// The lane of its batch.
    pub lane: Lane,
    /// It was granted before (`FullLoadBegins`).
    pub is_granted: bool,
}

/// A stream was made, or may have been. Sent by its delivery; if it is lost, the planner is, and the next one reads of the ledger which
/// attempts have one.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StreamMade;

/// A load of no rows is submitted, which is in no ledger. Sent by its delivery; if it is lost, the warehouse's list tells.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ProbeSubmitted {
    /// The job.
    pub job: JobId,
    /// The table that is asked.
    pub table: TableId,
}

/// Load jobs that the warehouse's list has, the ledger's own among them. Sent every few minutes by whoever lists them, who tells
/// the same again where no answer comes back.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Strangers>")]
pub struct JobsListed(pub Vec<ListedJob>);

/// How many of them are no attempts of this ledger, and were not known; and how many such jobs the last 24 hours have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strangers {
    /// Of those that were told.
    pub new: usize,
    /// Of the last 24 hours.
    pub of_day: u64,
}

/// May a full load's batch be loaded? Sent by its delivery, before that waits for a slot. Comes back with the job that is taken for it, or with
/// how long to wait before it is asked again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Granted, Duration>")]
pub struct FullLoadBegins;

/// A full load ended without using the job that was granted. Sent by its delivery; if it is lost, a job of the day is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct FullLoadUnused(pub Granted);

/// May the tables' status be written now? Then it counts as a job. Sent by whoever writes it, who asks again after a refusal.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct GrantStatus {
    /// The job that would be submitted.
    pub job: String,
}

/// The warehouse has said that a quota is used up, or a rate too high. Sent by a delivery; if it is lost, the next refusal tells.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct QuotaRefused {
    /// The table whose job was refused.
    pub table: TableId,
}

/// What the ledger has of jobs. Sent by the planner's own task; if it is lost, the next reading tells.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SubmissionsRead {
    /// Attempts, those of this process among them.
    pub submitted: Vec<Submitted>,
    /// When it was read.
    pub until: Instant,
}

/// Streams cost nothing yet in this month, or no longer. Sent every few minutes by whoever watches the cost; if it is lost, the next tells.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StreamsAreFree(pub bool);

/// The month is going to cost more than it may, or no longer. Sent every few minutes by whoever watches the cost; if it is lost, the next
/// tells.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SlowDown(pub bool);
