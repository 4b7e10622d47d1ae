//! To the outbox.

use std::sync::Arc;

use actix::Message;

use crate::domain::notice::{Notice, NoticeId};
use crate::domain::outbox::{Answer, Shown};

/// A batch was committed; its receivers are to be told. Sent by its delivery; if it is lost, the ledger has the notices, and
/// is read every half minute.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TellReceivers(pub Vec<Notice>);

/// What came of a notice. Sent by the outbox's own task; if it is lost, the outbox is, and the next one reads the ledger.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct NoticeAnswered {
    /// The receiver.
    pub receiver: Arc<str>,
    /// Which notice.
    pub id: NoticeId,
    /// What it made of it.
    pub answer: Answer,
}

/// What the ledger has answered. Sent by the outbox's own task; if it is lost, the outbox is.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct LedgerAnswered {
    /// Of which receiver's notices.
    pub receiver: Arc<str>,
    /// What it answered.
    pub answer: OutboxAnswer,
}

/// What the ledger answers the outbox.
#[derive(Clone, Debug)]
pub enum OutboxAnswer {
    /// Its oldest notices.
    Read(Vec<Notice>),
    /// What was told is taken out.
    Taken,
    /// It did not answer.
    Failed,
}

/// How do the receivers do? Sent by whoever shows it; a lost one is a timeout.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Vec<(Arc<str>, Shown)>>")]
pub struct Snapshot;
