//! What happens to a table's files and modes.

use std::fmt::Display;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{begin, c, count, event, label, level, observe, raise};
use crate::domain::alert::AlertKind;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::table::Outcome;
use crate::domain::transition::{Mending, TableMode, Verdict};

event! {
    /// The ledger wrote a verdict on a file down, or knew better.
    FileSettled<'a> { table: &'a TableId, file: &'a FileId, verdict: &'a Verdict, state: &'a FileState } |e| {
        let table = e.table;
        match (e.verdict, e.state) {
            (Verdict::Poison(reason), FileState::Poison { .. }) => FilePoisoned { table, file: e.file, reason }.emit(),
            (Verdict::Vanish, FileState::Vanished { .. }) => FileVanished { table, file: e.file }.emit(),
            (Verdict::Defer, FileState::Deferred { .. }) => FilesDeferred { table, count: 1 }.emit(),
            (Verdict::Poison(_) | Verdict::Vanish | Verdict::Defer, state) => {
                debug!(%table, file = %e.file, state = state.label(), "the ledger knew the file already");
            }
        }
    }
}

event! {
    /// A file is poison.
    FilePoisoned<'a> { table: &'a TableId, file: &'a FileId, reason: &'a str } |e| {
        error!(table = %e.table, file = %e.file, reason = e.reason,
            remedy = AlertKind::Poison.remedy(),
            "the file is poison: it is not loaded, the other files of its table go on");
        count(&c::FILES_TOTAL, &[label("table", e.table), label("outcome", Outcome::Poisoned.label())], 1);
        raise(AlertKind::Poison, e.table, &e.file.to_string(), e.reason);
    }
}

event! {
    /// A person has redriven or discarded a poison file.
    PoisonMended<'a> { table: &'a TableId, file: &'a FileId, mending: Mending } |e| {
        let mending = e.mending.label();
        info!(table = %e.table, file = %e.file, mending, "a person has seen to the poison file");
        count(&c::POISON_MENDED, &[label("table", e.table), label("mending", mending)], 1);
    }
}

event! {
    /// A copy came back of a file that is not poison, or is anew.
    NothingToRedrive<'a> { table: &'a TableId, file: &'a FileId } |e| {
        info!(table = %e.table, file = %e.file, "a copy came back of a file that is not poison any more, or is anew since then: nothing was done");
    }
}

event! {
    /// A copy of a poison file is in the dead-letter queue.
    PoisonCopied<'a> { table: &'a TableId, file: &'a FileId } |e| {
        debug!(table = %e.table, file = %e.file, "a copy of the poison file is in the dead-letter queue");
        count(&c::POISON_COPIES, &[label("table", e.table), label("outcome", "sent")], 1);
    }
}

event! {
    /// A copy of a poison file could not be sent.
    PoisonNotCopied<'a> { table: &'a TableId, file: &'a FileId, fault: &'a Fault } |e| {
        warn!(table = %e.table, file = %e.file, error = e.fault.chain(), remedy = e.fault.kind.remedy(),
            "no copy of the poison file is in the dead-letter queue; the ledger has it: see `landbridge dlq`");
        count(&c::POISON_COPIES, &[label("table", e.table), label("outcome", "failed")], 1);
    }
}

event! {
    /// A file is gone.
    FileVanished<'a> { table: &'a TableId, file: &'a FileId } |e| {
        error!(table = %e.table, file = %e.file,
            remedy = AlertKind::Vanished.remedy(),
            "the object was gone or replaced when it was to be read");
        count(&c::FILES_TOTAL, &[label("table", e.table), label("outcome", Outcome::Vanished.label())], 1);
        raise(AlertKind::Vanished, e.table, &e.file.to_string(), "");
    }
}

event! {
    /// Files were written down for later.
    FilesDeferred<'a> { table: &'a TableId, count: u64 } |e| {
        debug!(table = %e.table, count = e.count, "deferred: the ledger keeps them until the table takes them up");
        count(&c::FILES_TOTAL, &[label("table", e.table), label("outcome", Outcome::Deferred.label())], e.count);
    }
}

event! {
    /// Deferred files were taken up again.
    DeferredTakenUp<'a> { table: &'a TableId, count: usize } |e| {
        if e.count > 0 {
            info!(table = %e.table, count = e.count, "took up deferred files");
        }
        count(&c::DEFERRED_TAKEN_UP, &[label("table", e.table)], e.count as u64);
    }
}

event! {
    /// A file is final, and everything that waited for it is settled.
    FileReleased<'a> { file: &'a FileId, outcome: Outcome, fresh: bool, waiters: usize } |e| {
        debug!(table = %e.file.table, file = %e.file, outcome = e.outcome.label(), waiters = e.waiters, "final");
        let duplicates = if e.fresh { 0 } else { e.waiters };
        let labels = [label("table", &e.file.table), label("outcome", Outcome::Duplicate.label())];
        count(&c::FILES_TOTAL, &labels, duplicates as u64);
    }
}

event! {
    /// A file's rows are in the warehouse.
    FileLoaded<'a> { table: &'a TableId, event_at: Instant, now: Instant } |e| {
        observe(&c::LAG_SECONDS, &[label("table", e.table)], e.now.since(e.event_at).as_secs_f64());
    }
}

event! {
    /// A strike against a file.
    FileStruck<'a> { file: &'a FileId, strikes: u32, reason: &'a str } |e| {
        warn!(table = %e.file.table, file = %e.file, strikes = e.strikes, reason = e.reason,
            "a strike against the file: it is tried again, three make it poison");
        count(&c::STRIKES, &[label("table", &e.file.table), label("reason", "strike")], 1);
    }
}

event! {
    /// An object could not be opened, or its footer not be read.
    FetchFailed<'a> { file: &'a FileId, fault: &'a Fault } |e| {
        warn!(table = %e.file.table, file = %e.file, error = e.fault.chain(), remedy = e.fault.kind.remedy(), "could not read the file");
        count(&c::FETCH_FAILURES, &[label("table", &e.file.table), label("reason", e.fault.kind.label())], 1);
    }
}

event! {
    /// A window closed because the next file's columns contradict its own.
    SchemaSplit<'a> { table: &'a TableId, file: &'a FileId, conflict: &'a dyn Display } |e| {
        info!(table = %e.table, file = %e.file, conflict = %e.conflict, "the columns changed: the file begins a batch of its own");
        count(&c::SCHEMA_SPLITS, &[label("table", e.table)], 1);
    }
}

event! {
    /// A window closed.
    WindowClosed<'a> { table: &'a TableId, reason: &'static str, files: usize, bytes: u64 } |e| {
        debug!(table = %e.table, reason = e.reason, files = e.files, bytes = e.bytes, "window closed");
        count(&c::BATCHES, &[label("table", e.table), label("reason", e.reason)], 1);
    }
}

/// Every mode's label.
const MODES: [&str; 4] = ["running", "paused", "quarantined", "held"];

fn mode_label(mode: &TableMode) -> &'static str {
    match mode {
        TableMode::Running => "running",
        TableMode::Paused => "paused",
        TableMode::Quarantined(_) => "quarantined",
        TableMode::Held(_) => "held",
    }
}

/// Shows a table's counters from zero: Prometheus sees no increase in one that first appears as 1, and the one poison
/// file of a month would be on no board.
fn begin_counters(table: &TableId) {
    use Outcome::{Deferred, Held, Loaded, Poisoned, Vanished};
    for outcome in [Loaded, Poisoned, Vanished, Deferred, Held] {
        begin(&c::FILES_TOTAL, &[label("table", table), label("outcome", outcome.label())]);
    }
    for outcome in ["loaded", "held"] {
        begin(&c::BATCH_OUTCOMES, &[label("table", table), label("outcome", outcome)]);
    }
    begin(&c::ATTEMPTS, &[label("table", table), label("state", "submitted"), label("reason", "")]);
    let quota = FaultKind::QuotaExceeded.label();
    for state in ["failed", "unknown"] {
        begin(&c::ATTEMPTS, &[label("table", table), label("state", state), label("reason", quota)]);
    }
}

event! {
    /// The mode that a table starts with.
    TableModeKnown<'a> { table: &'a TableId, mode: &'a TableMode } |e| {
        begin_counters(e.table);
        let current = mode_label(e.mode);
        for mode in MODES {
            let value = if mode == current { 1.0 } else { 0.0 };
            level(&c::TABLE_MODE, &[label("table", e.table), label("mode", mode)], value);
        }
        if current != "running" {
            warn!(table = %e.table, mode = current, remedy = "resume it when its cause is gone", "the table does not run: its files are deferred");
        }
    }
}

event! {
    /// A table's mode changed.
    TableModeChanged<'a> { table: &'a TableId, mode: &'a TableMode } |e| {
        info!(table = %e.table, mode = mode_label(e.mode), "the table's mode changed");
        TableModeKnown { table: e.table, mode: e.mode }.emit();
    }
}

event! {
    /// A table crashed and starts again soon.
    TableResting<'a> { table: &'a TableId, delay: Duration, panic: &'a str } |e| {
        warn!(table = %e.table, delay_seconds = e.delay.as_secs_f64(), panic = e.panic, "the table crashed and starts again after a rest");
    }
}

event! {
    /// A table crashed too often.
    TableQuarantined<'a> { table: &'a TableId, panic: &'a str } |e| {
        error!(table = %e.table, panic = e.panic, remedy = AlertKind::Quarantined.remedy(),
            "the table crashed five times in ten minutes and is quarantined: its files are deferred, other tables go on");
        raise(AlertKind::Quarantined, e.table, "", e.panic);
    }
}

event! {
    /// A table waits for a person.
    TableHeld<'a> { table: &'a TableId, reason: &'a str } |e| {
        error!(table = %e.table, reason = e.reason, remedy = "clear the cause, then resume the table",
            "the table is held: its files are deferred, other tables go on");
        raise(AlertKind::Held, e.table, "", e.reason);
    }
}
