//! Every error reason, as an answer to a request and as the end of a job: its kind, and what becomes of the table, as
//! `docs/faults.md` says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use landbridge::demo::rows::{Column, Layout, Slice, Values, rows};
use landbridge::demo::writer::{Codec, write};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::instant::Instant;
use landbridge::domain::job::JobStatus;
use landbridge::warehouse::Warehouse;
use landbridge::warehouse::bigquery::reasons::{REASONS, Reason};
use serde_json::{Value, json};

use super::{connect, loaded, table};
use crate::peers::process::Process;
use crate::support::http::{Answer, Request, Server};

/// The first of the reason's status codes.
fn status_of(reason: &Reason) -> u16 {
    let first: u16 = reason.status.split(',').next().unwrap().parse().unwrap();
    if first == 200 { 400 } else { first }
}

#[tokio::test]
async fn every_reason_has_its_kind_at_a_request_and_at_a_job() {
    let loaded = loaded(1).await;
    for reason in REASONS.iter().filter(|reason| reason.name != "duplicate") {
        let id = loaded.attempt.job_id.as_str().to_owned();
        let server = Server::start(move |request| {
            if request.target.starts_with("/upload/") {
                return Answer::error(status_of(reason), reason.name);
            }
            if request.target.contains("/jobs/") {
                let failure = json!({"reason": reason.name, "message": "so it is"});
                return Answer::json(200, &json!({
                    "jobReference": {"projectId": "p", "jobId": id, "location": "EU"},
                    "configuration": {"load": {"destinationTable": {"projectId": "p", "datasetId": "d", "tableId": "t"}}},
                    "status": {"state": "DONE", "errorResult": failure, "errors": [failure]},
                }));
            }
            Answer::json(200, &table(&[]))
        })
        .await;
        let warehouse = connect(&server.url).await;
        let fault = warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
        assert_eq!(fault.kind, reason.kind, "{}", fault.chain());
        assert!(fault.chain().contains(reason.name), "{}", fault.chain());
        let status = warehouse.ask(&loaded.attempt).await.unwrap();
        let told = format!("{}: so it is", reason.name);
        assert_eq!(status, JobStatus::Failed { kind: reason.kind, reason: told });
    }
}

/// BigQuery as far as loads go, which answers each table's loads for the reason in the table's name: `request_` ones when they
/// are submitted, `job_` ones when they have run.
#[derive(Default)]
struct Service {
    jobs: Mutex<BTreeMap<String, Value>>,
    /// Submissions of each table.
    submitted: Mutex<BTreeMap<String, usize>>,
}

/// What passes by itself is answered once, everything else for ever.
fn passes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Unavailable | FaultKind::Throttled)
}

impl Service {
    fn answer(&self, request: &Request) -> Answer {
        let path = request.target.split('?').next().unwrap();
        if let Some(id) = path.strip_prefix("/bigquery/v2/projects/p/jobs/") {
            let jobs = self.jobs.lock().unwrap();
            return jobs.get(id).map_or_else(|| Answer::error(404, "notFound"), |job| Answer::json(200, job));
        }
        if path.starts_with("/upload/") {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let job = text.split("\r\n\r\n").nth(1).unwrap().split("\r\n").next().unwrap();
            return self.submit(serde_json::from_str(job).unwrap());
        }
        if path.ends_with("/jobs") {
            return self.submit(request.json());
        }
        if request.method == "GET" {
            return Answer::error(404, "notFound");
        }
        Answer::json(200, &request.json())
    }

    fn submit(&self, mut job: Value) -> Answer {
        let id = job["jobReference"]["jobId"].as_str().unwrap().to_owned();
        if self.jobs.lock().unwrap().contains_key(&id) {
            return Answer::error(409, "duplicate");
        }
        job["status"] = json!({"state": "DONE"});
        if job["configuration"]["load"].is_object() {
            job["statistics"] = json!({"load": {"outputRows": "5"}});
            let table =
                job["configuration"]["load"]["destinationTable"]["tableId"].as_str().unwrap().to_owned();
            let (level, name) = table.split_once('_').unwrap();
            let reason = REASONS.iter().find(|reason| reason.name == name).unwrap();
            let mut submitted = self.submitted.lock().unwrap();
            let count = submitted.entry(table.clone()).or_default();
            *count += 1;
            // Of content one file is refused; that its table takes other loads is tried with one of no rows.
            let of_one = reason.kind == FaultKind::ContentRefused;
            if of_one && *count > 1 {
                job["statistics"] = json!({"load": {"outputRows": "0"}});
            }
            if *count == 1 || !passes(reason.kind) && !of_one {
                if level == "request" {
                    return Answer::error(status_of(reason), name);
                }
                job["status"]["errorResult"] = json!({"reason": name, "message": "so it is"});
            }
        }
        self.jobs.lock().unwrap().insert(id, job.clone());
        Answer::json(200, &job)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reason_is_answered_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let service = std::sync::Arc::new(Service::default());
    let serving = std::sync::Arc::clone(&service);
    let server = Server::start(move |request| serving.answer(request)).await;
    let mut config = format!(
        "[warehouse]\nkind = \"bigquery\"\nproject = \"p\"\nlocation = \"EU\"\ncredentials = \"anonymous\"\nendpoint = \"{}\"\n\
         [batching]\nwindow = \"1s\"\n[timing]\njob_timeout = \"10s\"\n[limits]\nloads_in_flight = 64\n\
         [[mapping]]\ncluster = \"c\"\nsource = \"in\"\ndataset = \"d\"\n",
        server.url
    );
    let reasons = || REASONS.iter().filter(|reason| reason.name != "duplicate");
    let tables: Vec<(String, &Reason)> = reasons()
        .flat_map(|reason| ["request", "job"].map(|level| (format!("{level}_{}", reason.name), reason)))
        .collect();
    let slice = Slice { first: 0, rows: 5, commit: Instant::from_micros(0), step_micros: 1, seed: 1 };
    let columns = [Column { name: "id", values: Values::Number, nulls: 0 }];
    for (table, _) in &tables {
        config.push_str(&format!("[[mapping.table]]\nname = \"s.{table}\"\n"));
        let path = folder.path().join("in/s").join(table);
        std::fs::create_dir_all(&path).unwrap();
        write(
            &path.join("20251123-000000001.parquet"),
            &rows(&columns, Layout::Changes, slice).unwrap(),
            Codec::None,
        )
        .unwrap();
    }
    let path = folder.path().join("landbridge.toml");
    std::fs::write(&path, config).unwrap();
    let process = Process::start(&path).await;
    for (table, reason) in &tables {
        let files = |outcome: &str| format!("table=\"c/s.{table}\",outcome=\"{outcome}\"");
        let mode = |mode: &str| format!("table=\"c/s.{table}\",mode=\"{mode}\"");
        let (outcome, expected_mode) = match reason.kind {
            FaultKind::Unavailable | FaultKind::Throttled => ("loaded", "running"),
            FaultKind::ContentRefused => ("poisoned", "running"),
            FaultKind::QuotaExceeded => ("deferred", "running"),
            FaultKind::AccessDenied | FaultKind::DestinationRefused => ("deferred", "held"),
            FaultKind::Vanished
            | FaultKind::Unreadable
            | FaultKind::UnsupportedType
            | FaultKind::SchemaConflict
            | FaultKind::AlreadyLoaded
            | FaultKind::DiskFull
            | FaultKind::LedgerCorrupt
            | FaultKind::Internal => panic!("{table} is answered in a way that this test does not know"),
        };
        process
            .until(&format!("the file of {table} is {outcome} and its table {expected_mode}"), || async {
                process.metric("landbridge_files_total", &files(outcome)).await >= 1.0
                    && (process.metric("landbridge_table_mode", &mode(expected_mode)).await - 1.0).abs() < 0.1
            })
            .await;
    }
    let log = process.log();
    for reason in reasons() {
        assert!(log.contains(reason.name), "{} is not in the log", reason.name);
    }
}
