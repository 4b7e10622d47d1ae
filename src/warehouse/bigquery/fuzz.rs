//! Answers of BigQuery, whatever they say: nothing they say loses a load that succeeded, or takes one for ours that is
//! not, or leads data elsewhere.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use gcp_bigquery_client::error::{BQError, ResponseError};
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::table::Table;
use serde_json::json;

use super::answers::{Failure, Refusal};
use super::job::status;
use super::reasons::classify;
use super::rest::{arrived, is_of_endpoint};
use super::schema::SqlType;
use super::tables::changes;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::{CHAIN_LETTERS_MAX, Fault, FaultKind};
use crate::domain::ids::{AttemptNumber, BatchId, JobId};
use crate::domain::instant::Instant;
use crate::domain::job::JobStatus;
use crate::fuzz::Choices;

const ENDPOINT: &str = "https://bigquery.googleapis.com";
const TOLD_LETTERS_MAX: usize = 2_000;

/// The bytes are an answer of any kind; then they choose a job's.
pub(crate) fn answer(bytes: &[u8]) {
    let (head, body) = bytes.split_at(bytes.len().min(2));
    let code = head.iter().fold(0_u16, |code, byte| code << 8 | u16::from(*byte));
    refusal(code % 600, body);
    if let Ok(error) = serde_json::from_slice::<ResponseError>(body) {
        told(Failure::of("cannot ask about x", BQError::ResponseError { error }).fault("cannot ask about x"));
    }
    if let Ok(job) = serde_json::from_slice::<Job>(body) {
        check_status(&job);
    }
    if let Ok(table) = serde_json::from_slice::<Table>(body) {
        check_table(table);
    }
    let text = String::from_utf8_lossy(body);
    check_session(&text);
    let mut choices = Choices::new(bytes);
    chosen_job(&mut choices);
    chosen_range(&mut choices);
}

fn refusal(status: u16, body: &[u8]) {
    let refusal = Refusal::read(status, body);
    assert_eq!(refusal.status, status);
    let kind = classify(status, refusal.reason.as_deref());
    let fault = refusal.fault("cannot load x");
    assert_eq!(fault.kind, kind);
    assert!(fault.chain().starts_with(&format!("cannot load x: {status}")));
    told(fault);
}

fn told(fault: Fault) {
    let told = fault.chain();
    assert!(told.starts_with("cannot ") && told.chars().count() <= CHAIN_LETTERS_MAX, "{told}");
}

/// What is said of a job that is not DONE, or whose label is not there, is never that it is ours and has succeeded.
fn check_status(job: &Job) {
    let done = job.status.as_ref().and_then(|status| status.state.as_deref()) == Some("DONE");
    let label = |key| job.configuration.as_ref()?.labels.as_ref()?.get(key).cloned();
    match status(&attempt(), job) {
        JobStatus::Succeeded { batch, .. } => {
            assert!(done && label("fence").is_none());
            assert_eq!(batch.map(|batch| batch.to_string()), label("batch_id").filter(|_| is_load(job)));
        }
        JobStatus::Failed { reason, .. } => {
            assert!(done && is_load(job) && reason.chars().count() <= TOLD_LETTERS_MAX);
        }
        JobStatus::Fenced => assert!(label("fence").is_some()),
        JobStatus::Running => assert!(!done && label("fence").is_none()),
        JobStatus::NotFound => panic!("a job that is there is not found"),
        JobStatus::Sealed { .. } | JobStatus::Committed | JobStatus::Unsettled { .. } => {
            panic!("a job is taken for a stream")
        }
    }
}

fn is_load(job: &Job) -> bool {
    job.configuration.as_ref().is_some_and(|configuration| configuration.load.is_some())
}

/// A job of chosen fields, and what it must be taken for.
fn chosen_job(choices: &mut Choices<'_>) {
    let state = *choices.pick(&["DONE", "RUNNING", "PENDING", ""]);
    let (table, batch) = (*choices.pick(&["t", "u"]), *choices.pick(&["b1", "b2", ""]));
    let (fence, failed, rows) = (choices.below(8) == 0, choices.flag(), choices.number());
    let mut job = json!({
        "configuration": {"load": {"destinationTable": {"projectId": "p", "datasetId": "d", "tableId": table}}},
        "status": {"state": state},
        "statistics": {"load": {"outputRows": rows.to_string()}},
    });
    if !batch.is_empty() {
        job["configuration"]["labels"]["batch_id"] = json!(batch);
    }
    if fence {
        job["configuration"]["labels"]["fence"] = json!("true");
    }
    if failed {
        job["status"]["errorResult"] = json!({"reason": choices.text(12), "message": choices.text(200)});
    }
    let job: Job = serde_json::from_value(job).unwrap();
    check_status(&job);
    let expected = match status(&attempt(), &job) {
        JobStatus::Succeeded { rows: found, batch: label, destination_matches } => {
            !fence
                && !failed
                && found == rows
                && destination_matches == (table == "t")
                && label == (!batch.is_empty()).then(|| BatchId::from_stored(batch))
        }
        JobStatus::Failed { .. } => !fence && failed,
        JobStatus::Fenced => fence,
        JobStatus::Running => !fence && state != "DONE",
        // Of a stream, or of no job.
        JobStatus::NotFound
        | JobStatus::Sealed { .. }
        | JobStatus::Committed
        | JobStatus::Unsettled { .. } => false,
    };
    assert!(expected, "{job:?}");
}

fn check_table(table: Table) {
    let fields = table.schema.fields.unwrap_or_default();
    let wanted = [("id", SqlType::Int64), ("amount", SqlType::Numeric), ("_op", SqlType::String)];
    let wanted = wanted.map(|(name, kind)| (name.to_owned(), kind));
    match changes(&attempt().destination, &fields, &wanted) {
        Ok(lacking) => {
            for (name, _) in &wanted {
                let is_there = fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
                assert_eq!(is_there, !lacking.missing.iter().any(|(lacking, _)| lacking == name));
            }
        }
        // Never a fault of the files.
        Err(fault) => assert_eq!(fault.kind, FaultKind::DestinationRefused),
    }
}

/// The address of an upload's session is Google's own, or the endpoint's.
fn check_session(session: &str) {
    if !is_of_endpoint(ENDPOINT, session) {
        return;
    }
    let url = reqwest::Url::parse(session).unwrap();
    assert!(url.scheme() == "https" && url.host_str().unwrap().ends_with(".googleapis.com"), "{session}");
}

fn chosen_range(choices: &mut Choices<'_>) {
    let last = choices.number();
    assert_eq!(arrived(Some(&format!("bytes=0-{last}"))), last.saturating_add(1));
    let text = choices.text(40);
    let _: u64 = arrived(Some(&text));
    assert_eq!(arrived(None), 0);
}

fn attempt() -> Attempt {
    Attempt {
        batch: BatchId::from_stored("b1"),
        number: AttemptNumber::FIRST,
        job_id: JobId::from_stored("lb_d_t_1"),
        destination: Destination {
            project: "p".into(),
            location: "EU".into(),
            dataset: "d".into(),
            table: "t".into(),
        },
        claimed_at: Instant::from_micros(0),
        manifest_hash: "m".into(),
        plan_hash: "h".into(),
        stream: None,
    }
}
