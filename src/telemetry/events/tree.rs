//! What happens to the tree, the process and the ledger.

use std::fmt::Debug;
use std::time::Duration;

use tracing::{error, info, warn};

use super::{begin, c, count, event, label, level};
use crate::domain::fault::Fault;
use crate::domain::ids::{Generation, TableId};
use crate::domain::instant::Instant;

event! {
    /// The process starts.
    Started<'a> { version: &'a str, tables: usize, queues: usize } |e| {
        info!(version = e.version, tables = e.tables, queues = e.queues, "landbridge starts");
        level(&c::BUILD_INFO, &[label("version", e.version)], 1.0);
        for child in ["batcher", "delivery", "fetch", "fetcher", "loader", "poller"] {
            begin(&c::WEDGED, &[label("child", child)]);
        }
    }
}

event! {
    /// A child was started.
    ChildStarted<'a> { child: &'a str, name: String, generation: Generation } |e| {
        if e.generation > Generation(1) {
            info!(child = e.name, generation = e.generation.0, "started again");
        }
        count(&c::STARTS, &[label("child", e.child)], 1);
    }
}

event! {
    /// A child ended unbidden.
    ChildExited<'a> { child: &'a str, name: String, exit: &'a dyn Debug, panicked: bool } |e| {
        warn!(child = e.name, exit = ?e.exit, "a part of the tree ended; what it held comes back");
        count(&c::RESTARTS, &[label("child", e.child)], 1);
        count(&c::PANICS, &[label("child", e.child)], u64::from(e.panicked));
    }
}

event! {
    /// A child, a delivery or a fetch had work in hand and did not move for as long as its patience.
    Wedged<'a> { kind: &'a str, name: String, table: Option<String>, reason: String, stalled: Duration, ended: &'a str } |e| {
        warn!(table = e.table, child = e.name, reason = e.reason, stalled_seconds = e.stalled.as_secs(), done = e.ended,
            remedy = "nothing, once; report it with the log around it if it comes again: every call has a timeout of its own",
            "a part of the tree was wedged");
        count(&c::WEDGED, &[label("child", e.kind)], 1);
    }
}

event! {
    /// A task panicked: a fetch or a delivery.
    TaskPanicked<'a> { child: &'a str, table: &'a TableId, panic: &'a str } |e| {
        warn!(child = e.child, table = %e.table, panic = e.panic, "a task panicked; what it held comes back");
        count(&c::PANICS, &[label("child", e.child)], 1);
    }
}

event! {
    /// The ledger did not answer.
    LedgerFailed<'a> { step: &'static str, fault: &'a Fault } |e| {
        warn!(step = e.step, error = e.fault.chain(), remedy = e.fault.kind.remedy(), "the ledger did not answer; the step is repeated");
        count(&c::LEDGER_FAILURES, &[label("step", e.step), label("reason", e.fault.kind.label())], 1);
    }
}

event! {
    /// The ledger has forgotten what is over for longer than its horizon.
    LedgerExpired<'a> { expired: u64, before: &'a Instant } |e| {
        info!(expired = e.expired, before = %e.before.rfc3339(), "batches and vanished files that are older than the horizon were forgotten");
        count(&c::LEDGER_EXPIRED, &[], e.expired);
    }
}

event! {
    /// A fetch waited for credit.
    CreditWaited<'a> { kind: &'a str, waited: Duration } |e| {
        let counter = metrics::counter!(c::CREDIT_WAIT.name, "kind" => e.kind.to_owned());
        counter.increment(e.waited.as_secs());
    }
}

event! {
    /// How much credit is free.
    CreditLevel<'a> { kind: &'a str, available: u64, limit: u64 } |e| {
        level(&c::CREDIT_AVAILABLE, &[label("kind", e.kind)], e.available as f64);
        level(&c::CREDIT_LIMIT, &[label("kind", e.kind)], e.limit as f64);
    }
}

event! {
    /// The process begins to drain.
    DrainStarted<'a> { cause: &'a str, deadline: Duration } |e| {
        info!(cause = e.cause, deadline_seconds = e.deadline.as_secs(), "draining: no more messages are received");
    }
}

event! {
    /// The process has drained, or ran out of time.
    DrainEnded<'a> { in_flight: usize, held_messages: usize, took: Duration, remark: &'a str } |e| {
        let took_seconds = e.took.as_secs_f64();
        if e.in_flight + e.held_messages == 0 {
            info!(took_seconds, "drained: nothing is left in hand");
        } else {
            warn!(took_seconds, batches = e.in_flight, messages = e.held_messages, remark = e.remark,
                "drained with work left: the next start takes it up from the ledger and the queue");
        }
    }
}

event! {
    /// The process ends because it cannot go on.
    Failed<'a> { reason: &'a str } |e| {
        error!(reason = e.reason, remedy = "mend the cause; the next start takes up where this one ended", "landbridge cannot go on");
    }
}
