//! What happens between a queue and its poller.

use std::time::Duration;

use tracing::{debug, error, warn};

use super::{c, count, event, label, level};
use crate::domain::fault::Fault;
use crate::domain::ids::QueueId;
use crate::domain::instant::Instant;

/// A message may be received this often before SQS moves it to the dead-letter queue (architecture, section 10).
const RECEIVES_WANTED: u32 = 20;

event! {
    /// Messages were received.
    MessagesReceived<'a> { queue: &'a QueueId, count: usize } |e| {
        debug!(queue = %e.queue, count = e.count, "received messages");
        count(&c::RECEIVED, &[label("queue", e.queue)], e.count as u64);
    }
}

event! {
    /// Messages were deleted: all their files are final.
    MessagesDeleted<'a> { queue: &'a QueueId, count: usize } |e| {
        debug!(queue = %e.queue, count = e.count, "deleted messages");
        count(&c::DELETED, &[label("queue", e.queue)], e.count as u64);
    }
}

event! {
    /// Receipts were stale when used.
    ReceiptsLost<'a> { queue: &'a QueueId, count: usize } |e| {
        if e.count > 0 {
            warn!(queue = %e.queue, count = e.count, "receipts were stale: their messages come back and find their files final");
        }
        count(&c::LOST_RECEIPTS, &[label("queue", e.queue)], e.count as u64);
    }
}

event! {
    /// A call to the queue failed.
    QueueCallFailed<'a> { queue: &'a QueueId, call: &'static str, fault: &'a Fault } |e| {
        warn!(queue = %e.queue, call = e.call, error = e.fault.chain(), remedy = e.fault.kind.remedy(),
            "a queue call failed and is tried again");
        let labels = [label("queue", e.queue), label("call", e.call), label("reason", e.fault.kind.label())];
        count(&c::QUEUE_FAILURES, &labels, 1);
    }
}

event! {
    /// A message is no S3 notification.
    MessageUnparsable<'a> { queue: &'a QueueId, reason: &'a str } |e| {
        error!(queue = %e.queue, reason = e.reason, remedy = "find out who sends to this queue; the message is kept in the dead-letter queue, or else in the ledger",
            "a message could not be read: it is put aside as a dead letter and deleted");
        count(&c::UNPARSABLE, &[label("queue", e.queue)], 1);
    }
}

event! {
    /// An announced object is not for landbridge.
    FileNotOurs<'a> { queue: &'a QueueId, key: &'a str, reason: &'static str } |e| {
        debug!(queue = %e.queue, key = e.key, reason = e.reason, "not ours");
        count(&c::FILES_NOT_OURS, &[label("queue", e.queue), label("reason", e.reason)], 1);
    }
}

event! {
    /// What a poller holds.
    IntakeLevel<'a> { queue: &'a QueueId, held_messages: usize, parked_files: usize, drained: Option<Instant> } |e| {
        level(&c::HELD_MESSAGES, &[label("queue", e.queue)], e.held_messages as f64);
        level(&c::PARKED_FILES, &[label("queue", e.queue)], e.parked_files as f64);
        if let Some(drained) = e.drained {
            level(&c::QUEUE_DRAINED, &[label("queue", e.queue)], drained.seconds());
        }
    }
}

event! {
    /// What a queue holds.
    QueueDepth<'a> { queue: &'a QueueId, visible: u64, in_flight: u64, oldest_age: Duration } |e| {
        level(&c::QUEUE_VISIBLE, &[label("queue", e.queue)], e.visible as f64);
        level(&c::QUEUE_IN_FLIGHT, &[label("queue", e.queue)], e.in_flight as f64);
        level(&c::QUEUE_AGE, &[label("queue", e.queue)], e.oldest_age.as_secs_f64());
    }
}

event! {
    /// An SQS queue was looked at.
    QueueSeen<'a> { queue: &'a QueueId, receives_max: Option<u32> } |e| {
        match e.receives_max {
            Some(receives_max) if receives_max >= RECEIVES_WANTED => {
                debug!(queue = %e.queue, receives_max, "the queue has a dead-letter queue");
            }
            Some(receives_max) => warn!(queue = %e.queue, receives_max,
                remedy = "raise maxReceiveCount to 100: it is the last net, landbridge judges files itself",
                "the queue gives messages up after few receives"),
            None => warn!(queue = %e.queue,
                remedy = "give the queue a dead-letter queue, with maxReceiveCount 100 and a retention of 14 days",
                "the queue has no dead-letter queue"),
        }
    }
}

event! {
    /// What a message said, once for each object that it named.
    Announced<'a> { queue: &'a QueueId, kind: &'static str } |e| {
        count(&c::ANNOUNCEMENTS, &[label("queue", e.queue), label("kind", e.kind)], 1);
    }
}
