//! An attempt whose rows go by a stream.

use std::sync::Arc;

use gcp_bigquery_client::model::query_request::QueryRequest;

use super::answers::Failure;
use super::stream_answers::{Committing, Sealing};
use super::streams::arrow_type;
use super::{BigQuery, schema};
use crate::columns::arrow_rows::fits_a_stream;
use crate::columns::body::Body;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::job::{JobStatus, Submission};
use crate::flow::cpu::blocking;

/// How long the question may take how many rows of a batch there are.
const COUNT_TIMEOUT_MS: i32 = 30_000;

impl BigQuery {
    /// The table is made, and takes the body's columns, before there is a stream into it: a stream knows its columns.
    pub(super) async fn stream_for(
        &self,
        destination: &Destination,
        body: &Body,
    ) -> Result<Option<Arc<str>>, Fault> {
        self.prepare(destination, body).await?;
        let path = body.path().to_owned();
        if !blocking("measuring the rows of a body", move || fits_a_stream(&path)).await? {
            return Ok(None);
        }
        self.streams.create(destination).await.map(Some).map_err(|fault| self.of_table(destination, fault))
    }

    pub(super) async fn append(
        &self,
        attempt: &Attempt,
        stream: &str,
        body: &Body,
    ) -> Result<Submission, Fault> {
        let types = schema::wanted(body.plan()).into_iter().map(|(_, kind)| arrow_type(kind)).collect();
        let sent = self.streams.append(attempt, stream, body, types).await;
        sent.map(|()| Submission::Accepted).map_err(|fault| self.of_table(&attempt.destination, fault))
    }

    pub(super) async fn seal(&self, attempt: &Attempt, stream: &str) -> Result<JobStatus, Fault> {
        match self.streams.seal(attempt, stream).await? {
            Sealing::Rows(rows) => Ok(JobStatus::Sealed { rows }),
            Sealing::Gone(words) => self.found_or_unsettled(attempt, true, words).await,
            Sealing::Refused(words) => self.found_or_unsettled(attempt, false, words).await,
        }
    }

    pub(super) async fn commit(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let Some(stream) = &attempt.stream else {
            let text = format!("attempt {} has no stream", attempt.job_id);
            return Err(Fault::new(FaultKind::Internal, text));
        };
        match self.streams.commit(attempt, stream).await? {
            Committing::Committed => Ok(JobStatus::Committed),
            Committing::Gone(words) => self.found_or_unsettled(attempt, true, words).await,
            Committing::Refused(words) => self.found_or_unsettled(attempt, false, words).await,
        }
    }

    /// The table itself is asked: what a commit has brought, whenever that was, is there.
    async fn found_or_unsettled(
        &self,
        attempt: &Attempt,
        gone: bool,
        words: String,
    ) -> Result<JobStatus, Fault> {
        let found = self.found(attempt, &words).await?;
        Ok(found.unwrap_or(JobStatus::Unsettled { gone, reason: words }))
    }

    /// What the table itself says, where the stream does not: a commit brings all rows of a batch or none. None: there are no
    /// rows of it.
    async fn found(&self, attempt: &Attempt, why: &str) -> Result<Option<JobStatus>, Fault> {
        let context = format!("cannot count the rows of batch {} ({why})", attempt.batch);
        let request = count(attempt);
        let answer = self.client.job().query(&attempt.destination.project, request).await;
        let answer = match answer.map_err(|error| Failure::of(&context, error)) {
            Ok(answer) => answer,
            // No table, no rows.
            Err(gone @ (Failure::Refused(_) | Failure::Fault(_))) if gone.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure.fault(&context)),
        };
        let row = answer.rows.unwrap_or_default().into_iter().next();
        let cell = row.and_then(|row| row.columns?.into_iter().next()?.value);
        let rows: Option<u64> = cell.and_then(|cell| cell.as_str()?.parse().ok());
        match rows {
            _ if answer.job_complete != Some(true) => {
                Err(Fault::new(FaultKind::Unavailable, format!("{context}: the query goes on")))
            }
            None => Err(Fault::new(FaultKind::Unavailable, format!("{context}: the answer is no number"))),
            Some(0) => Ok(None),
            Some(rows) => Ok(Some(JobStatus::Succeeded {
                rows,
                batch: Some(attempt.batch.clone()),
                destination_matches: true,
            })),
        }
    }

    /// A table that was made or changed just now is not known to all of the service yet.
    fn of_table(&self, destination: &Destination, mut fault: Fault) -> Fault {
        if fault.kind == FaultKind::DestinationRefused {
            if self.tables.is_settling(destination) {
                fault.kind = FaultKind::Unavailable;
            } else {
                // Somebody may have dropped it.
                self.tables.forget(destination);
            }
        }
        fault
    }
}

/// Asks how many rows of a batch its table has. The partition is pruned by the time of the claim.
fn count(attempt: &Attempt) -> QueryRequest {
    let Destination { project, location, dataset, table } = &attempt.destination;
    // GoogleSQL reads every escape that JSON writes.
    let batch = serde_json::Value::from(attempt.batch.as_str());
    let statement = format!(
        "SELECT COUNT(*) FROM `{project}.{dataset}.{table}` WHERE _batch_id = {batch} \
         AND _claimed_at = TIMESTAMP_MICROS({})",
        attempt.claimed_at.micros()
    );
    QueryRequest {
        location: Some(location.to_string()),
        timeout_ms: Some(COUNT_TIMEOUT_MS),
        ..QueryRequest::new(statement)
    }
}
