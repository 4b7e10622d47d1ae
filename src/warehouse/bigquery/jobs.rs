//! The list of load jobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::BigQuery;
use crate::domain::batch::job_prefix;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;
use crate::warehouse::jobs::{Jobs, LoadJob, LoadJobs, ProjectJobs, Which, Whose};

/// Jobs in one answer, and answers that are read at most: a day of a busy project.
const PAGE: usize = 1_000;
const PAGES_MAX: usize = 1_000;
/// Jobs that are named.
const NAMED_MAX: usize = 100_000;
/// Answers that are read at most where jobs are counted: three times what a project may load in a day, queries among them. The newest
/// come first.
const COUNTED_PAGES_MAX: usize = 300;
/// Of each job, what is of use: its whole configuration may be a query of a megabyte.
const COUNTED_FIELDS: &str = "nextPageToken,jobs(jobReference,state,statistics(creationTime,load),configuration(jobType,load(destinationTable)))";

impl BigQuery {
    /// Gives `each` the jobs of one page after the other, until there is no other or it wants none. False where there are more than
    /// so many pages.
    async fn pages(
        &self,
        context: &str,
        path: &str,
        pages_max: usize,
        mut each: impl FnMut(&[Value]) -> bool + Send,
    ) -> Result<bool, Fault> {
        let mut next = String::new();
        for _ in 0..pages_max {
            let answer = self.rest.resource(context, &format!("{path}{next}")).await?.unwrap_or_default();
            let jobs = answer.get("jobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let goes_on = each(jobs);
            let token = answer.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
            let Some(token) = token.filter(|_| goes_on) else { return Ok(true) };
            let token = percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC);
            next = format!("&pageToken={token}");
        }
        Ok(false)
    }
}

#[async_trait]
impl Jobs for BigQuery {
    async fn jobs(&self, datasets: &BTreeSet<Arc<str>>, which: Which) -> Result<Vec<String>, Fault> {
        let project = &self.project;
        let context = format!("cannot list the jobs of {project} (needs bigquery.jobs.listAll)");
        let wanted = match which {
            Which::Undone => "stateFilter=pending&stateFilter=running".to_owned(),
            Which::MadeSince(at) => format!("minCreationTime={}", at.micros() / 1_000),
        };
        let prefixes: Vec<_> = datasets.iter().map(|dataset| job_prefix(dataset)).collect();
        let path = format!("projects/{project}/jobs?allUsers=true&maxResults={PAGE}&{wanted}");
        let mut ids = Vec::new();
        let named = |jobs: &[Value]| {
            ids.extend(jobs.iter().filter_map(|job| ours(job, &prefixes, which)));
            ids.len() < NAMED_MAX
        };
        if self.pages(&context, &path, PAGES_MAX, named).await? {
            ids.truncate(NAMED_MAX);
            return Ok(ids);
        }
        Err(Fault::new(FaultKind::Unavailable, format!("{context}: there are too many")))
    }
}

#[async_trait]
impl ProjectJobs for BigQuery {
    async fn load_jobs(&self, since: Instant, whose: Whose) -> Result<LoadJobs, Fault> {
        let project = &self.project;
        let all = whose == Whose::Everybodys;
        let context = format!("cannot list the load jobs of {project}");
        // The time is in milliseconds: rounded down, so that none is left out.
        let since = since.micros().div_euclid(1_000);
        let path = format!(
            "projects/{project}/jobs?allUsers={all}&projection=full&maxResults={PAGE}&minCreationTime={since}&fields={COUNTED_FIELDS}"
        );
        let mut found = LoadJobs::default();
        let count = |jobs: &[Value]| {
            for job in jobs {
                match load_job(job) {
                    Seen::Load(job) => found.jobs.push(job),
                    Seen::Other => {}
                    Seen::Hidden => found.hidden += 1,
                }
            }
            true
        };
        let is_whole = self.pages(&context, &path, COUNTED_PAGES_MAX, count).await?;
        Ok(LoadJobs { is_whole, ..found })
    }
}

/// What may be seen of a listed job.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Load(LoadJob),
    Other,
    Hidden,
}

/// Of the jobs of others everything but their existence is left out for who has only `bigquery.jobs.list`.
fn load_job(job: &Value) -> Seen {
    let text = |path: &str| job.pointer(path).and_then(Value::as_str);
    let kind = text("/configuration/jobType");
    let is_load = kind == Some("LOAD")
        || job.pointer("/configuration/load").is_some()
        || job.pointer("/statistics/load").is_some();
    if !is_load {
        return if kind.is_some() { Seen::Other } else { Seen::Hidden };
    }
    let made = job.pointer("/statistics/creationTime");
    let made = made.and_then(|at| at.as_str().map_or_else(|| at.as_i64(), |at| at.parse().ok()));
    let (Some(id), Some(made)) = (text("/jobReference/jobId"), made) else { return Seen::Hidden };
    let into = |key: &str| text(&format!("/configuration/load/destinationTable/{key}"));
    // A decorator names a partition of the table.
    let table = into("tableId").map(|table| table.split('$').next().unwrap_or(table).to_owned());
    Seen::Load(LoadJob {
        id: id.to_owned(),
        made_at: Instant::from_micros(made.saturating_mul(1_000)),
        into: into("datasetId").map(str::to_owned).zip(table),
    })
}

/// The id of a job of landbridge.
fn ours(job: &Value, prefixes: &[String], which: Which) -> Option<String> {
    let id = job.get("jobReference")?.get("jobId")?.as_str()?;
    let state = job.get("state").or_else(|| job.get("status")?.get("state")).and_then(Value::as_str);
    // The filter is the service's matter; whoever ignores it is asked too much, and answered all the same.
    let is_wanted = which != Which::Undone || state != Some("DONE");
    (prefixes.iter().any(|prefix| id.starts_with(prefix)) && is_wanted).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_load_jobs_of_landbridge_count_and_only_those_that_are_not_done() {
        let job = |id: &str, state: &str| json!({"jobReference": {"jobId": id}, "state": state});
        let ours = |job: &Value, which| ours(job, &["lb_d_".to_owned()], which);
        assert_eq!(ours(&job("lb_e_t_1", "RUNNING"), Which::Undone), None);
        assert_eq!(ours(&job("lb_d_t_1", "RUNNING"), Which::Undone).as_deref(), Some("lb_d_t_1"));
        assert_eq!(ours(&job("lb_d_t_1", "DONE"), Which::Undone), None);
        let since = Which::MadeSince(crate::domain::instant::Instant::from_micros(0));
        assert_eq!(ours(&job("lb_d_t_1", "DONE"), since).as_deref(), Some("lb_d_t_1"));
        assert_eq!(ours(&job("bquxjob_1", "RUNNING"), Which::Undone), None);
        assert_eq!(ours(&json!({}), Which::Undone), None);
    }

    #[test]
    fn load_jobs_are_told_from_others_and_from_what_may_not_be_seen() {
        let job = json!({
            "jobReference": {"jobId": "j"},
            "statistics": {"creationTime": "1763942400123"},
            "configuration": {"jobType": "LOAD", "load": {"destinationTable": {"datasetId": "d", "tableId": "t$20251127"}}},
        });
        let made_at = Instant::from_micros(1_763_942_400_123_000);
        let into = Some(("d".to_owned(), "t".to_owned()));
        assert_eq!(load_job(&job), Seen::Load(LoadJob { id: "j".to_owned(), made_at, into }));
        // As it is shown without its configuration, and to who may not see it.
        let bare = json!({"jobReference": {"jobId": "j"}, "statistics": {"creationTime": 7, "load": {}}});
        let made_at = Instant::from_micros(7_000);
        assert_eq!(load_job(&bare), Seen::Load(LoadJob { id: "j".to_owned(), made_at, into: None }));
        assert_eq!(load_job(&json!({"configuration": {"jobType": "QUERY"}})), Seen::Other);
        assert_eq!(load_job(&json!({"jobReference": {"jobId": "j"}})), Seen::Hidden);
    }
}
