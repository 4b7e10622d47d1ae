//! Jobs as landbridge writes and reads them.

use std::collections::HashMap;
use std::time::Duration;

use gcp_bigquery_client::model::error_proto::ErrorProto;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_load::JobConfigurationLoad;
use gcp_bigquery_client::model::job_configuration_query::JobConfigurationQuery;
use gcp_bigquery_client::model::job_reference::JobReference;
use gcp_bigquery_client::model::table_reference::TableReference;
use gcp_bigquery_client::model::table_schema::TableSchema;

use super::reasons::classify;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::FaultKind;
use crate::domain::ids::BatchId;
use crate::domain::job::JobStatus;

/// The label that a load must carry to be adopted (Invariant I-5).
const BATCH_ID: &str = "batch_id";
/// The label of a fence (Invariant I-3b).
const FENCE: &str = "fence";
/// How long BigQuery may work on one job before it stops it.
const JOB_TIMEOUT: Duration = Duration::from_secs(1800);
/// A label's longest value (BigQuery: 63 letters).
const LABEL_LETTERS_MAX: usize = 63;

fn reference(attempt: &Attempt) -> JobReference {
    JobReference {
        job_id: Some(attempt.job_id.as_str().to_owned()),
        location: Some(attempt.destination.location.to_string()),
        project_id: Some(attempt.destination.project.to_string()),
    }
}

pub(super) fn table_reference(destination: &Destination) -> TableReference {
    TableReference::new(&destination.project, &destination.dataset, &destination.table)
}

/// Lower-case letters, digits, `_` and `-`: all that a label's value may hold.
fn label_value(text: &str) -> String {
    text.chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' })
        .take(LABEL_LETTERS_MAX)
        .collect()
}

fn labels(attempt: &Attempt, purpose: &str) -> HashMap<String, String> {
    let pairs = [
        ("managed_by", "landbridge".to_owned()),
        ("purpose", purpose.to_owned()),
        (BATCH_ID, label_value(attempt.batch.as_str())),
        ("attempt", attempt.number.to_string()),
        ("dataset", label_value(&attempt.destination.dataset)),
        ("table", label_value(&attempt.destination.table)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The load of one Parquet object into the attempt's table, which exists with this schema. Explicit, because DATETIME
/// and TIME are only taken so (bigquery.md, section 2.2).
pub(super) fn load(attempt: &Attempt, schema: TableSchema) -> Job {
    let load = JobConfigurationLoad {
        destination_table: Some(table_reference(&attempt.destination)),
        schema: Some(schema),
        source_format: Some("PARQUET".to_owned()),
        create_disposition: Some("CREATE_NEVER".to_owned()),
        write_disposition: Some("WRITE_APPEND".to_owned()),
        ..JobConfigurationLoad::default()
    };
    Job {
        job_reference: Some(reference(attempt)),
        configuration: Some(JobConfiguration {
            job_timeout_ms: Some(JOB_TIMEOUT.as_millis().to_string()),
            labels: Some(labels(attempt, "load")),
            load: Some(load),
            ..JobConfiguration::default()
        }),
        ..Job::default()
    }
}

/// A query that does nothing but take the attempt's id.
pub(super) fn fence(attempt: &Attempt) -> Job {
    let mut labels = labels(attempt, "fence");
    labels.insert(FENCE.to_owned(), "true".to_owned());
    let query = JobConfigurationQuery {
        query: "SELECT 1".to_owned(),
        use_legacy_sql: Some(false),
        ..JobConfigurationQuery::default()
    };
    Job {
        job_reference: Some(reference(attempt)),
        configuration: Some(JobConfiguration {
            labels: Some(labels),
            query: Some(query),
            ..JobConfiguration::default()
        }),
        ..Job::default()
    }
}

/// What a job of the attempt's id says.
pub(super) fn status(attempt: &Attempt, job: &Job) -> JobStatus {
    let configuration = job.configuration.as_ref();
    let labels = configuration.and_then(|configuration| configuration.labels.as_ref());
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).cloned();
    if label(FENCE).is_some() {
        // Whatever becomes of it: it has the id.
        return JobStatus::Fenced;
    }
    let state = job.status.as_ref().and_then(|status| status.state.as_deref());
    if state != Some("DONE") {
        return JobStatus::Running;
    }
    let load = configuration.and_then(|configuration| configuration.load.as_ref());
    let wanted = table_reference(&attempt.destination);
    let found = load.and_then(|load| load.destination_table.as_ref());
    let destination_matches = found.is_some_and(|found| {
        (&found.project_id, &found.dataset_id, &found.table_id)
            == (&wanted.project_id, &wanted.dataset_id, &wanted.table_id)
    });
    let failure = job.status.as_ref().and_then(|status| status.error_result.as_ref());
    if let Some(failure) = failure
        && load.is_some()
    {
        let all = job.status.as_ref().and_then(|status| status.errors.as_deref()).unwrap_or_default();
        return JobStatus::Failed { kind: failed_kind(failure), reason: told(failure, all) };
    }
    let statistics = job.statistics.as_ref().and_then(|statistics| statistics.load.as_ref());
    let rows = statistics.and_then(|load| load.output_rows.as_ref()).and_then(|rows| rows.parse().ok());
    JobStatus::Succeeded {
        // Without a count it is not committed: no manifest has that many rows.
        rows: rows.unwrap_or(u64::MAX),
        batch: load.and_then(|_| label(BATCH_ID)).map(BatchId::from_stored),
        destination_matches,
    }
}

fn failed_kind(failure: &ErrorProto) -> FaultKind {
    classify(400, failure.reason.as_deref())
}

/// BigQuery's own words: the result, and what else it says, cut to a length that a log and a ledger can take.
fn told(failure: &ErrorProto, all: &[ErrorProto]) -> String {
    let words = |error: &ErrorProto| {
        let reason = error.reason.as_deref().unwrap_or("no reason");
        format!("{reason}: {}", error.message.as_deref().unwrap_or("no message"))
    };
    let mut told = vec![words(failure)];
    for error in all.iter().map(words) {
        if !told.contains(&error) {
            told.push(error);
        }
    }
    told.join("; ").chars().take(2_000).collect()
}
