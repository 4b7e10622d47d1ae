//! What happens to batches and their attempts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{c, count, event, label, level, observe, raise};
use crate::domain::alert::AlertKind;
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::ids::{AttemptNumber, BatchId, JobId, TableId};
use crate::domain::instant::Instant;
use crate::domain::table::Outcome;

fn batch_outcome(table: &TableId, outcome: &'static str) {
    count(&c::BATCH_OUTCOMES, &[label("table", table), label("outcome", outcome)], 1);
}

fn attempt(table: &TableId, state: &'static str, reason: &'static str) {
    count(&c::ATTEMPTS, &[label("table", table), label("state", state), label("reason", reason)], 1);
}

event! {
    /// The ledger has the batch.
    BatchClaimed<'a> { table: &'a TableId, batch: &'a BatchId, files: usize, rows: u64 } |e| {
        debug!(table = %e.table, batch = %e.batch, files = e.files, rows = e.rows, "claimed");
        batch_outcome(e.table, "claimed");
    }
}

event! {
    /// The batch's rows are in the warehouse, and the ledger says so.
    BatchLoaded<'a> { table: &'a TableId, batch: &'a Batch, body_bytes: u64, took: Duration, now: Instant } |e| {
        let entries = &e.batch.manifest.entries;
        let (files, rows) = (entries.len(), e.batch.manifest.rows());
        let input_bytes: u64 = entries.iter().map(|entry| entry.file.size_bytes).sum();
        info!(table = %e.table, batch = %e.batch.id, files, rows, input_bytes, body_bytes = e.body_bytes,
            took_seconds = e.took.as_secs_f64(), "loaded");
        let table = [label("table", e.table)];
        batch_outcome(e.table, "loaded");
        count(&c::FILES_TOTAL, &[label("table", e.table), label("outcome", Outcome::Loaded.label())], files as u64);
        count(&c::ROWS_TOTAL, &table, rows);
        count(&c::INPUT_BYTES, &table, input_bytes);
        count(&c::BODY_BYTES, &table, e.body_bytes);
        observe(&c::BATCH_FILES, &table, files as f64);
        observe(&c::LOAD_SECONDS, &table, e.took.as_secs_f64());
        level(&c::LAST_SUCCESS, &table, e.now.seconds());
    }
}

event! {
    /// The batch waits for a person.
    BatchHeld<'a> { table: &'a TableId, batch: &'a BatchId, reason: &'a str } |e| {
        error!(table = %e.table, batch = %e.batch, reason = e.reason,
            remedy = "compare the warehouse's job with the batch, then resume the table",
            "the batch is held: nothing of it was committed or repeated");
        batch_outcome(e.table, "held");
        raise(AlertKind::Held, e.table, &format!("batch {}", e.batch), e.reason);
    }
}

event! {
    /// The batch's files have new homes.
    BatchRehomed<'a> { table: &'a TableId, batch: &'a BatchId, homes: usize } |e| {
        warn!(table = %e.table, batch = %e.batch, homes = e.homes, "the batch was abandoned and its files re-homed");
        batch_outcome(e.table, "rehomed");
    }
}

event! {
    /// Whether the table takes anything is found out by a load of no rows.
    TableProbed<'a> { table: &'a TableId, batch: &'a BatchId, job: &'a JobId } |e| {
        info!(table = %e.table, batch = %e.batch, job = %e.job, "the warehouse refuses what is in a file: trying whether its table takes a load of no rows");
    }
}

event! {
    /// Some files of the batch belong to another.
    ClaimLost<'a> { table: &'a TableId, batch: &'a BatchId, files: usize } |e| {
        info!(table = %e.table, batch = %e.batch, files = e.files, "files of the batch were claimed elsewhere; the others form a new one");
        batch_outcome(e.table, "claim_lost");
    }
}

event! {
    /// Another process moved the batch on.
    BatchSuperseded<'a> { table: &'a TableId, batch: &'a BatchId } |e| {
        info!(table = %e.table, batch = %e.batch, "the batch was moved on elsewhere");
        batch_outcome(e.table, "superseded");
    }
}

event! {
    /// An open batch of an earlier run is taken up.
    BatchResumed<'a> { table: &'a TableId, batch: &'a BatchId } |e| {
        info!(table = %e.table, batch = %e.batch, "taking up an open batch: the warehouse is asked about its job");
        batch_outcome(e.table, "resumed");
    }
}

event! {
    /// A batch's body could not be built.
    BodyUnbuilt<'a> { table: &'a TableId, file: Option<&'a FileId>, fault: &'a Fault } |e| {
        let file = e.file.map(ToString::to_string).unwrap_or_default();
        warn!(table = %e.table, file, error = e.fault.chain(), remedy = e.fault.kind.remedy(), "could not build the batch");
        batch_outcome(e.table, "unbuilt");
    }
}

event! {
    /// An attempt is submitted.
    AttemptSubmitted<'a> { table: &'a TableId, batch: &'a BatchId, attempt: AttemptNumber, bytes: u64 } |e| {
        debug!(table = %e.table, batch = %e.batch, attempt = e.attempt.0, bytes = e.bytes, "submitting");
        attempt(e.table, "submitted", "");
    }
}

event! {
    /// The warehouse knew the job id already.
    AttemptDuplicate<'a> { table: &'a TableId, job: &'a JobId } |e| {
        info!(table = %e.table, job = %e.job, "a job of this id exists: asking what became of it");
        attempt(e.table, "duplicate", "");
    }
}

event! {
    /// The warehouse did not answer, or refused.
    AttemptUnknown<'a> { table: &'a TableId, job: &'a JobId, call: &'static str, fault: &'a Fault } |e| {
        warn!(table = %e.table, job = %e.job, call = e.call, error = e.fault.chain(), remedy = e.fault.kind.remedy(),
            "the warehouse did not answer: the same job id is asked about until it is known");
        attempt(e.table, "unknown", e.fault.kind.label());
        if e.fault.kind == FaultKind::QuotaExceeded {
            raise(AlertKind::Quota, e.table, &format!("job {}", e.job), &e.fault.chain());
        }
    }
}

event! {
    /// The warehouse ran the job, and it failed. What follows is told when it is written down.
    JobFailed<'a> { table: &'a TableId, job: &'a JobId, kind: FaultKind, reason: &'a str } |e| {
        warn!(table = %e.table, job = %e.job, kind = e.kind.label(), reason = e.reason, remedy = e.kind.remedy(), "the job failed");
        if e.kind == FaultKind::QuotaExceeded {
            raise(AlertKind::Quota, e.table, &format!("job {}", e.job), e.reason);
        }
    }
}

event! {
    /// No stream could be made.
    StreamNotMade<'a> { table: &'a TableId, fault: &'a Fault } |e| {
        warn!(table = %e.table, error = e.fault.chain(), remedy = e.fault.kind.remedy(),
            "no stream could be made: the batch goes by a load job");
    }
}

event! {
    /// A batch has rows that no stream takes.
    StreamUnfit<'a> { table: &'a TableId } |e| {
        info!(table = %e.table, "a row is too large for a stream: the batch goes by a load job");
    }
}

event! {
    /// Values of a batch are no JSON, or none that BigQuery's JSON holds exactly: their columns go as text, beside those of JSON.
    JsonInexact<'a> { table: &'a TableId, batch: &'a BatchId, columns: &'a BTreeSet<Arc<str>> } |e| {
        let columns = e.columns.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        warn!(table = %e.table, batch = %e.batch, columns, "JSON does not hold every value of these columns exactly (cut by DMS, \
            a key twice, a number that would be rounded): in this batch they are loaded as text, beside the others");
        for column in e.columns {
            count(&c::JSON_AS_TEXT, &[label("table", e.table), label("column", column)], 1);
        }
    }
}

event! {
    /// A fence took the job id.
    AttemptFenced<'a> { table: &'a TableId, job: &'a JobId } |e| {
        warn!(table = %e.table, job = %e.job, "fenced: no late upload can land under this job id");
        attempt(e.table, "fenced", "");
    }
}

event! {
    /// An attempt is known to have failed: its job did, with a kind, or a fence stands in its place.
    AttemptFailed<'a> { table: &'a TableId, batch: &'a BatchId, attempt: AttemptNumber, kind: Option<FaultKind>, reason: &'a str } |e| {
        warn!(table = %e.table, batch = %e.batch, attempt = e.attempt.0, reason = e.reason, "the attempt failed");
        attempt(e.table, "failed", e.kind.map_or("fenced", FaultKind::label));
    }
}
