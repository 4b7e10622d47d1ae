//! The table of the tables' status: one small load job that replaces it.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::BigQuery;
use super::reasons::classify;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::job::Submission;
use crate::domain::table_status::{COLUMNS, TABLE};
use crate::warehouse::status::{Status, StatusTable, Written, lines};

/// How often the job is asked about, and the wait before each: what it says later is never heard, and the next slot's job tells.
const ASKED_MAX: u32 = 30;
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long BigQuery may work on it.
const JOB_TIMEOUT_MS: &str = "60000";

impl BigQuery {
    fn status_job(&self, status: &Status) -> Value {
        let fields: Vec<_> = COLUMNS.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        json!({
            "jobReference": {"projectId": &*self.project, "location": &*self.location, "jobId": status.job_id},
            "configuration": {
                "jobTimeoutMs": JOB_TIMEOUT_MS,
                "labels": {"managed_by": "landbridge", "purpose": "status"},
                "load": {
                    "destinationTable": {
                        "projectId": &*self.project, "datasetId": &*status.dataset, "tableId": TABLE,
                    },
                    "sourceFormat": "NEWLINE_DELIMITED_JSON",
                    "schema": {"fields": fields},
                    "createDisposition": "CREATE_IF_NEEDED",
                    "writeDisposition": "WRITE_TRUNCATE",
                },
            },
        })
    }

    /// Waits until the job is done.
    async fn status_done(&self, context: &str, job_id: &str) -> Result<(), Fault> {
        let path = format!("projects/{}/jobs/{job_id}?location={}", self.project, self.location);
        for _ in 0..ASKED_MAX {
            if let Some(job) = self.rest.resource(context, &path).await?
                && job.pointer("/status/state").and_then(Value::as_str) == Some("DONE")
            {
                let Some(error) = job.pointer("/status/errorResult") else { return Ok(()) };
                let text = |key: &str| error.get(key).and_then(Value::as_str);
                let told = text("message").unwrap_or("no message");
                return Err(Fault::new(classify(400, text("reason")), format!("{context}: {told}")));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Err(Fault::new(FaultKind::Unavailable, format!("{context}: its job {job_id} does not end")))
    }
}

#[async_trait]
impl StatusTable for BigQuery {
    async fn write(&self, status: &Status) -> Result<Written, Fault> {
        let context = format!(
            "cannot write {}.{}.{TABLE} (needs a dataset of that name in {}, and bigquery.tables.create and updateData in it)",
            self.project, status.dataset, self.location
        );
        let (job, lines) = (self.status_job(status), lines(status)?);
        match self.rest.upload_lines(&context, &self.project, &status.job_id, &job, &lines).await? {
            Submission::Duplicate => Ok(Written::ByAnother),
            Submission::Accepted => {
                self.status_done(&context, &status.job_id).await?;
                Ok(Written::Now)
            }
        }
    }
}
