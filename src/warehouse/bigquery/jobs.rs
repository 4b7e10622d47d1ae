//! The list of load jobs.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::BigQuery;
use crate::domain::batch::job_prefix;
use crate::domain::fault::{Fault, FaultKind};
use crate::warehouse::jobs::{Jobs, Which};

/// Jobs in one answer, and answers that are read at most: a day of a busy project.
const PAGE: usize = 1_000;
const PAGES_MAX: usize = 1_000;
/// Jobs that are named.
const NAMED_MAX: usize = 100_000;

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
        let (mut ids, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let answer = self.rest.resource(&context, &format!("{path}{next}")).await?.unwrap_or_default();
            let jobs = answer.get("jobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            ids.extend(jobs.iter().filter_map(|job| ours(job, &prefixes, which)));
            let token = answer.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
            let Some(token) = token.filter(|_| ids.len() < NAMED_MAX) else {
                ids.truncate(NAMED_MAX);
                return Ok(ids);
            };
            next = format!(
                "&pageToken={}",
                percent_encoding::utf8_percent_encode(token, percent_encoding::NON_ALPHANUMERIC)
            );
        }
        Err(Fault::new(FaultKind::Unavailable, format!("{context}: there are too many")))
    }
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
}
