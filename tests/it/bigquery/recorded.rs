//! The service's own answers, as they were recorded, read by the adapter over HTTP. One exchange after the other, whatever it is
//! about: none may make the client fail to read.

use landbridge::domain::fault::FaultKind;
use landbridge::domain::job::{FenceAnswer, JobStatus, Submission};
use landbridge::warehouse::Warehouse;
use serde_json::{Value, json};

use super::{connect, data, loaded};
use crate::support::http::{Answer, Server};

/// The recorded status and answer, with the attempt's names in it.
fn recorded(name: &str, job_id: &str) -> (u16, Value) {
    let exchange = data(name);
    let text = exchange["body"].to_string();
    let mut named = text.replace("<project>", "p").replace("<dataset>", "d").replace("<location>", "EU");
    for number in 1..100 {
        named = named.replace(&format!("<job-{number}>"), job_id);
    }
    let status = u16::try_from(exchange["status"].as_u64().unwrap()).unwrap();
    (status, serde_json::from_str(&named).unwrap())
}

fn answer(name: &str, job_id: &str) -> Answer {
    let (status, body) = recorded(name, job_id);
    Answer::json(status, &body)
}

async fn asked(name: &'static str, change: fn(&mut Value)) -> JobStatus {
    let loaded = loaded(1).await;
    let id = loaded.attempt.job_id.as_str().to_owned();
    let server = Server::start(move |_| {
        let (status, mut body) = recorded(name, &id);
        change(&mut body);
        Answer::json(status, &body)
    })
    .await;
    connect(&server.url).await.ask(&loaded.attempt).await.unwrap()
}

#[tokio::test]
async fn a_load_that_ended_well_is_adopted_only_with_our_label_and_table() {
    let foreign = asked("29_load_baseline_jobs_get.json", |_| {}).await;
    assert_eq!(foreign, JobStatus::Succeeded { rows: 2, batch: None, destination_matches: false });
    let ours = asked("29_load_baseline_jobs_get.json", |job| {
        job["configuration"]["labels"] = json!({"batch_id": "b1"});
        job["configuration"]["load"]["destinationTable"]["tableId"] = json!("t");
    })
    .await;
    let JobStatus::Succeeded { rows, batch, destination_matches } = ours else { panic!("{ours:?}") };
    assert_eq!((rows, batch.unwrap().as_str(), destination_matches), (2, "b1", true));
}

#[tokio::test]
async fn a_load_that_ended_badly_is_told_in_the_services_words() {
    let status = asked("107_load_bad_value_jobs_get.json", |_| {}).await;
    let JobStatus::Failed { kind, reason } = status else { panic!("{status:?}") };
    assert_eq!(kind, FaultKind::ContentRefused);
    assert!(
        reason.starts_with("invalid: Error while reading data") && reason.contains("column_name: \"b\""),
        "{reason}"
    );
}

#[tokio::test]
async fn a_job_that_is_no_load_is_never_adopted() {
    for name in ["02_jobs_get_ctas.json", "26_jobs_get_dml.json", "164_jobs_get_runtime_error.json"] {
        let status = asked(name, |_| {}).await;
        let adopted = matches!(status, JobStatus::Succeeded { batch: None, destination_matches: false, .. });
        assert!(adopted, "{name}: {status:?}");
    }
    let running = asked("28_load_baseline_upload.json", |_| {}).await;
    assert_eq!(running, JobStatus::Running);
}

#[tokio::test]
async fn conflicts_and_what_is_not_found_are_told_apart() {
    let loaded = loaded(1).await;
    let server = Server::start(|_| answer("168_jobs_insert_conflict.json", "x")).await;
    let warehouse = connect(&server.url).await;
    assert_eq!(warehouse.fence(&loaded.attempt).await.unwrap(), FenceAnswer::Duplicate);
    let server = Server::start(|request| {
        if request.method == "GET" {
            answer("167_tables_get_not_found.json", "x")
        } else if request.target.ends_with("/tables") {
            answer("169_datasets_insert_conflict.json", "x")
        } else {
            answer("28_load_baseline_upload.json", "x")
        }
    })
    .await;
    // The table was made by someone else between the two calls, and is then not found again: not ours to load.
    let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationRefused, "{}", fault.chain());
    let server = Server::start(|request| {
        if request.target.contains("/upload/") {
            answer("28_load_baseline_upload.json", "x")
        } else {
            Answer::json(200, &super::table(&[]))
        }
    })
    .await;
    let submission = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap();
    assert_eq!(submission, Submission::Accepted);
}

#[tokio::test]
async fn tables_as_the_service_shows_them_are_read() {
    // Columns of every type, arrays and structs among them; those that the files do not have stay as they are.
    for name in
        ["13_tables_get.json", "162_tables_patch_add_column.json", "171_tables_get_partitioned_day.json"]
    {
        let server = Server::start(move |request| {
            if request.method == "GET" {
                return answer(name, "x");
            }
            Answer::error(400, "invalidQuery")
        })
        .await;
        let loaded = loaded(1).await;
        let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
        let told = fault.chain();
        // Read, and found to be another table: either it lacks our columns, or has them with other types.
        assert!(told.contains("cannot add") || told.contains("the column"), "{name}: {told}");
    }
}
