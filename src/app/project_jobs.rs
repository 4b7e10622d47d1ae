//! Asks the warehouse every few minutes which load jobs the project has had, so that the planner knows those that are in no ledger: of
//! whoever else loads into the project, of another landbridge, and our own loads of no rows.
//!
//! The first time all of the last 24 hours are asked for, later what was made since the last answer. Nothing waits for it, and nothing stops
//! when it fails: what was counted stays, and what is missing is asked for the next time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::actors::world::World;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::planner::{DAY, JobKey, ListedJob};
use crate::messages::planner::{JobsListed, Strangers};
use crate::telemetry::events;
use crate::warehouse::jobs::{LoadJob, LoadJobs, ProjectJobs, Whose};

/// How often.
pub const LIST_INTERVAL: Duration = Duration::from_secs(300);
/// How much of what was listed is listed again: a list may show a job later than it was made.
const AGAIN: Duration = Duration::from_secs(600);
/// How long the planner may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends with the process, or when it is dropped.
pub struct JobLists(AbortHandle);

impl Drop for JobLists {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who lists, and what he knows.
pub struct Lister {
    jobs: Arc<dyn ProjectJobs>,
    world: Arc<World>,
    /// Which table goes where.
    tables: BTreeMap<(Arc<str>, Arc<str>), TableId>,
    whose: Whose,
    /// Until when all jobs were listed and counted.
    until: Option<Instant>,
    /// It was said that not all may be seen.
    said: bool,
}

impl Lister {
    /// Nothing is listed yet.
    pub fn new(jobs: Arc<dyn ProjectJobs>, world: Arc<World>) -> Self {
        let tables = world.tables.iter().map(|(table, setup)| {
            let destination = &setup.destination;
            ((Arc::clone(&destination.dataset), Arc::clone(&destination.table)), table.clone())
        });
        let tables = tables.collect();
        Self { jobs, world, tables, whose: Whose::Everybodys, until: None, said: false }
    }

    /// Starts listing.
    pub(super) fn start(mut self) -> JobLists {
        let task = tokio::spawn(async move {
            loop {
                let was_asked = self.list().await;
                tokio::time::sleep(if was_asked { LIST_INTERVAL } else { ANSWER_TIMEOUT }).await;
            }
        });
        JobLists(task.abort_handle())
    }

    /// Lists once, tells the planner, and says what came of it. False where there is no planner that would hear of it: nothing is asked.
    pub async fn list(&mut self) -> bool {
        let Some(planner) = self.world.directory.planner() else { return false };
        let now = self.world.ports.clock.now();
        let since = self.until.map_or(now.minus(DAY), |until| until.minus(AGAIN).max(now.minus(DAY)));
        let listed = match self.listed(since).await {
            Ok(listed) => listed,
            Err(fault) => {
                events::JobsUnlisted { fault: &fault }.emit();
                return true;
            }
        };
        let jobs = listed.jobs.iter().map(|job| self.listed_job(job)).collect();
        let answer = planner.send(JobsListed(jobs)).timeout(ANSWER_TIMEOUT).await;
        // One that ended meanwhile: what it was told is listed again.
        let Some(strangers) = answer.ok().flatten() else { return true };
        self.until = Some(now);
        let (hidden, is_whole) = (listed.hidden, listed.is_whole);
        let is_in_part = self.whose == Whose::Own || hidden > 0 || !is_whole;
        if is_in_part && !std::mem::replace(&mut self.said, true) {
            let whose = if self.whose == Whose::Own { "landbridge's own" } else { "everybody's" };
            events::JobsListedInPart { whose, hidden }.emit();
        }
        let Strangers { new, of_day } = strangers;
        let outcome = if is_whole { "listed" } else { "in_part" };
        events::ProjectJobsListed { jobs: listed.jobs.len(), new, of_day, outcome }.emit();
        true
    }

    /// Everybody's; where that is not allowed, from then on those that are landbridge's own.
    async fn listed(&mut self, since: Instant) -> Result<LoadJobs, Fault> {
        let listed = self.jobs.load_jobs(since, self.whose).await;
        let is_denied = listed.as_ref().is_err_and(|fault| fault.kind == FaultKind::AccessDenied);
        if !is_denied || self.whose == Whose::Own {
            return listed;
        }
        self.whose = Whose::Own;
        self.jobs.load_jobs(since, self.whose).await
    }

    fn listed_job(&self, job: &LoadJob) -> ListedJob {
        let into = job.into.as_ref().map(|(dataset, table)| (dataset.as_str().into(), table.as_str().into()));
        let table = into.and_then(|into| self.tables.get(&into)).cloned();
        ListedJob { key: JobKey::of_job(&job.id), at: job.made_at, table }
    }
}
