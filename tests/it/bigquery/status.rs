//! The table of the tables' status: one job, which replaces it, and what becomes of refusals.

use std::sync::Arc;

use landbridge::domain::fault::FaultKind;
use landbridge::domain::instant::Instant;
use landbridge::domain::table_status::TableStatus;
use landbridge::warehouse::status::{Status, StatusTable, Written};
use serde_json::{Value, json};

use super::connect;
use crate::support::http::{Answer, Request, Server};

fn status() -> Status {
    let row = TableStatus {
        cluster: "a".into(),
        source_table: "s.t\n\"é".to_owned(),
        dataset: "d".into(),
        table: "t".into(),
        watermark: Some(Instant::from_micros(1_763_856_000_000_000).rfc3339()),
        last_commit_at: None,
        last_loaded_at: None,
        rows_today: 7,
        files_today: 2,
        files_waiting: 1,
        files_poison: 0,
        files_lost: 0,
        mode: "running",
        lag_seconds: Some(1.5),
        written_at: Instant::from_micros(1_763_856_001_500_000).rfc3339(),
    };
    Status {
        dataset: "landbridge".into(),
        job_id: "landbridge_status_1".to_owned(),
        rows: vec![row.clone(), row],
    }
}

/// A service that takes the job as `upload` says, and says of it what `job` is.
async fn service(upload: Answer, job: Value) -> Server {
    Server::start(move |request: &Request| {
        if request.target.starts_with("/upload/") { upload.clone() } else { Answer::json(200, &job) }
    })
    .await
}

async fn written(upload: Answer, job: Value) -> (Result<Written, FaultKind>, String, Server) {
    let server = service(upload, job).await;
    let table: Arc<dyn StatusTable> = Arc::new(connect(&server.url).await);
    let (outcome, text) = match table.write(&status()).await {
        Ok(written) => (Ok(written), String::new()),
        Err(fault) => (Err(fault.kind), fault.chain()),
    };
    (outcome, text, server)
}

#[tokio::test]
async fn the_table_is_replaced_by_one_job() {
    let (outcome, _, server) =
        written(Answer::json(200, &json!({})), json!({"status": {"state": "DONE"}})).await;
    assert_eq!(outcome, Ok(Written::Now));
    let requests = server.requests();
    let uploads: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].target, "/upload/bigquery/v2/projects/p/jobs?uploadType=multipart");
    let text = String::from_utf8_lossy(&uploads[0].body).into_owned();
    let parts: Vec<_> = text.split("\r\n\r\n").collect();
    let job: Value = serde_json::from_str(parts[1].split("\r\n--").next().unwrap()).unwrap();
    let load = &job["configuration"]["load"];
    assert_eq!(
        (&load["sourceFormat"], &load["createDisposition"], &load["writeDisposition"]),
        (&json!("NEWLINE_DELIMITED_JSON"), &json!("CREATE_IF_NEEDED"), &json!("WRITE_TRUNCATE"))
    );
    let to = json!({"projectId": "p", "datasetId": "landbridge", "tableId": "table_status"});
    assert_eq!(load["destinationTable"], to);
    let reference = json!({"projectId": "p", "location": "EU", "jobId": "landbridge_status_1"});
    assert_eq!(job["jobReference"], reference);
    let rows: Vec<Value> = parts[2].lines().take(2).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0], serde_json::to_value(&status().rows[0]).unwrap());
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn who_comes_second_in_a_slot_writes_nothing() {
    let (outcome, ..) = written(Answer::error(409, "duplicate"), json!({})).await;
    assert_eq!(outcome, Ok(Written::ByAnother));
}

#[tokio::test]
async fn a_refusal_says_what_is_needed_and_a_failed_job_what_was_said() {
    let (outcome, text, _) = written(Answer::error(403, "accessDenied"), json!({})).await;
    assert_eq!(outcome, Err(FaultKind::AccessDenied));
    assert!(text.contains("p.landbridge.table_status") && text.contains("bigquery.tables.create"), "{text}");
    let (outcome, text, _) = written(Answer::error(404, "notFound"), json!({})).await;
    assert!(outcome.is_err() && text.contains("a dataset of that name in EU"), "{text}");
    let failed = json!({"status": {"state": "DONE", "errorResult": {"reason": "quotaExceeded", "message": "too many"}}});
    let (outcome, text, _) = written(Answer::json(200, &json!({})), failed).await;
    assert_eq!(outcome, Err(FaultKind::QuotaExceeded));
    assert!(text.contains("too many"), "{text}");
}
