//! What the planner does, and what it is for.

use std::time::Duration;

use tracing::{debug, warn};

use super::{c, count, event, label, level, observe};
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::planner::Window;

event! {
    /// A table's window was planned.
    WindowPlanned<'a> { table: &'a TableId, window: Window, jobs: u64 } |e| {
        let table = [label("table", e.table)];
        level(&c::WINDOW_SECONDS, &table, e.window.age.as_secs_f64());
        level(&c::TABLE_JOBS, &table, e.jobs as f64);
    }
}

/// What is left of the project's jobs and streams.
#[allow(missing_docs)]
pub struct BudgetShown {
    pub jobs: u64,
    pub streams: u64,
    pub strangers: u64,
    pub reserve: f64,
    pub members: u32,
}

impl BudgetShown {
    /// Moves the metrics.
    pub fn emit(self) {
        level(&c::PROJECT_JOBS, &[], self.jobs as f64);
        level(&c::PROJECT_STREAMS, &[], self.streams as f64);
        level(&c::PROJECT_STRANGERS, &[], self.strangers as f64);
        level(&c::PROJECT_RESERVE, &[], self.reserve);
        level(&c::PLANNERS, &[], f64::from(self.members));
    }
}

event! {
    /// A stage of a batch that is loaded took so long.
    StageTook<'a> { table: &'a TableId, stage: &'a str, seconds: f64 } |e| {
        observe(&c::STAGE_SECONDS, &[label("table", e.table), label("stage", e.stage)], e.seconds);
    }
}

event! {
    /// The changes of a file are loaded.
    ChangesLoaded<'a> { table: &'a TableId, committed_at: Instant, now: Instant } |e| {
        observe(&c::FRESHNESS_SECONDS, &[label("table", e.table)], e.now.since(e.committed_at).as_secs_f64());
    }
}

event! {
    /// The warehouse has said that a quota is used up: windows are longer for a while.
    WindowsLengthened<'a> { table: &'a TableId, until: Instant } |e| {
        warn!(table = %e.table, until = e.until.rfc3339(),
            remedy = "nothing; who else loads into the project? INFORMATION_SCHEMA.JOBS_BY_PROJECT tells",
            "BigQuery refused a job for a quota: windows are longer until then, and nothing is lost");
        count(&c::QUOTA_REFUSALS, &[label("table", e.table)], 1);
    }
}

event! {
    /// The project's load jobs were listed.
    ProjectJobsListed<'a> { jobs: usize, new: usize, of_day: u64, outcome: &'a str } |e| {
        debug!(jobs = e.jobs, new = e.new, of_day = e.of_day, "listed the project's load jobs; those that are in no ledger are counted");
        count(&c::JOB_LISTINGS, &[label("outcome", e.outcome)], 1);
    }
}

event! {
    /// Not all of the project's load jobs can be seen.
    JobsListedInPart<'a> { whose: &'a str, hidden: usize } |e| {
        warn!(whose = e.whose, hidden = e.hidden,
            remedy = "grant bigquery.jobs.listAll on the project (deploy/iam/google.md), or leave room in planner.jobs_per_day, or set planner.other_jobs = \"ignored\"",
            "not all load jobs of the project can be seen: the planner counts those that can");
    }
}

event! {
    /// The project's load jobs could not be listed.
    JobsUnlisted<'a> { fault: &'a Fault } |e| {
        warn!(error = e.fault.chain(), remedy = e.fault.kind.remedy(),
            "could not list the project's load jobs: what was counted stays, loads go on, and it is tried again in five minutes");
        count(&c::JOB_LISTINGS, &[label("outcome", "failed")], 1);
    }
}

event! {
    /// A call to the warehouse waited for its turn.
    CallWaited<'a> { call: &'a str, waited: Duration } |e| {
        observe(&c::CALL_WAIT, &[label("call", e.call)], e.waited.as_secs_f64());
    }
}
