//! What receivers are told of loaded batches.

use std::time::Duration;

use tracing::{debug, error, warn};

use super::{c, count, event, label, level, observe, raise};
use crate::domain::alert::AlertKind;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::notice::Notice;
use crate::domain::outbox::{Answer, Overdue};

fn outcome(receiver: &str, outcome: &'static str) {
    count(&c::NOTICES, &[label("receiver", receiver), label("outcome", outcome)], 1);
}

event! {
    /// A receiver was told, or was not.
    NoticeAnswered<'a> { notice: &'a Notice, answer: &'a Answer, age: Duration } |e| {
        let Notice { receiver, table, id, .. } = e.notice;
        let (name, problem) = match e.answer {
            Answer::Taken => {
                debug!(receiver = &**receiver, %table, batch = %id.batch, age_seconds = e.age.as_secs_f64(), "told the receiver");
                observe(&c::NOTICE_SECONDS, &[label("receiver", receiver)], e.age.as_secs_f64());
                return outcome(receiver, "told");
            }
            Answer::Unavailable { problem, .. } => ("unavailable", problem),
            Answer::Failed { problem } => ("failed", problem),
            Answer::Refused { problem } => ("refused", problem),
        };
        warn!(receiver = &**receiver, %table, batch = %id.batch, error = problem.as_str(),
            "the receiver did not take a notice: it is told again, loading goes on");
        outcome(receiver, name);
    }
}

event! {
    /// A receiver is not told any more of a batch.
    NoticeGivenUp<'a> { receiver: &'a str, table: &'a TableId, batch: &'a BatchId, problem: &'a str } |e| {
        error!(receiver = e.receiver, table = %e.table, batch = %e.batch, error = e.problem,
            remedy = "the rows are loaded: let whoever the receiver tells look for the batch in `_batch_id`",
            "the receiver did not take a notice for `notify.give_up_after`: it is given up");
        outcome(e.receiver, "given_up");
        raise(AlertKind::Untold, e.table, &format!("receiver {}, batch {}", e.receiver, e.batch), e.problem);
    }
}

event! {
    /// A receiver has not taken a notice for long.
    NoticesOverdue<'a> { receiver: &'a str, overdue: &'a Overdue } |e| {
        let Overdue { table, age, waiting, problem } = e.overdue;
        error!(receiver = e.receiver, %table, age_seconds = age.as_secs(), waiting, error = problem.as_str(),
            remedy = "`landbridge notify` says what the receiver answers; mend it, or its address and key",
            "the receiver does not take notices: they wait in the ledger, loading goes on");
        raise(AlertKind::Untold, table, &format!("receiver {}", e.receiver), problem);
    }
}

event! {
    /// So much waits for a receiver.
    NoticesWaiting<'a> { receiver: &'a str, waiting: usize, oldest: Duration } |e| {
        let receiver = [label("receiver", e.receiver)];
        level(&c::NOTICES_WAITING, &receiver, e.waiting as f64);
        level(&c::NOTICES_AGE, &receiver, e.oldest.as_secs_f64());
    }
}
