//! The service's own answers, as they were recorded, read over HTTP: by the adapter, and each of them by the client.

use std::path::Path;
use std::sync::Arc;

use gcp_bigquery_client::Client;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::error::BQError;
use gcp_bigquery_client::model::dataset::Dataset;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_schema::TableSchema;
use gcp_bigquery_client::tabledata::ListQueryParameters;
use landbridge::cloud::google::Identity;
use landbridge::config::types::GoogleCredentials;
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

/// Makes the call that the exchange recorded. `None` for uploads, which the client does not have: `uploads` reads their answers.
async fn call(client: &Client, method: &str, path: &str) -> Option<Result<(), BQError>> {
    let resource: Vec<_> = path.split('/').skip(3).step_by(2).collect();
    let table = || Table::new("p", "d", "t", TableSchema::new(Vec::new()));
    Some(match (method, resource.as_slice()) {
        ("POST", ["datasets"]) => client.dataset().create(Dataset::new("p", "d")).await.map(drop),
        ("GET", ["datasets"]) if path.ends_with("/datasets") => {
            client.dataset().list("p", Default::default()).await.map(drop)
        }
        ("GET", ["datasets"]) => client.dataset().get("p", "d").await.map(drop),
        ("GET", ["datasets", "tables"]) if path.ends_with("/tables") => {
            client.table().list("p", "d", Default::default()).await.map(drop)
        }
        ("GET", ["datasets", "tables"]) => client.table().get("p", "d", "t", None).await.map(drop),
        ("PATCH", ["datasets", "tables"]) => client.table().patch("p", "d", "t", table()).await.map(drop),
        ("DELETE", ["datasets", "tables"]) => client.table().delete("p", "d", "t").await,
        ("GET", ["datasets", "tables", "data"]) => {
            let all: ListQueryParameters = serde_json::from_value(json!({})).unwrap();
            client.tabledata().list("p", "d", "t", all).await.map(drop)
        }
        ("POST", ["jobs"]) => client.job().insert("p", Job::default()).await.map(drop),
        ("GET", ["jobs"]) => client.job().get_job("p", "j", None).await.map(drop),
        ("POST", ["queries"]) => client.job().query("p", QueryRequest::new("SELECT 1")).await.map(drop),
        _ => return None,
    })
}

#[tokio::test]
async fn every_recorded_answer_is_read_with_the_status_that_it_has() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bigquery-recorded");
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let (mut read, mut uploads) = (0, 0);
    for name in names.filter(|name| name.ends_with(".json")) {
        let exchange = data(&name);
        let request = &exchange["request"];
        let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
        let (status, body) = recorded(&name, "x");
        let empty = body.is_null();
        let server = Server::start(move |_| {
            if empty { Answer::Reply(status, Vec::new(), Vec::new()) } else { Answer::json(status, &body) }
        })
        .await;
        let identity = Identity::new(&GoogleCredentials::Anonymous).unwrap();
        let client = ClientBuilder::new()
            .with_v2_base_url(server.url.clone())
            .build_from_authenticator(Arc::new(identity))
            .await
            .unwrap();
        match call(&client, method, path).await {
            Some(Ok(())) => assert!(status < 300, "{name}"),
            Some(Err(BQError::ResponseError { error })) => {
                assert_eq!(error.error.code, i64::from(status), "{name}");
                assert!(error.error.errors[0].contains_key("reason"), "{name}");
            }
            Some(Err(error)) => panic!("{name} was not read: {error:?}"),
            None => {
                assert!(path.starts_with("/upload/"), "{name}: no call for {method} {path}");
                uploads += 1;
            }
        }
        read += 1;
    }
    assert_eq!((read, uploads), (32, 8));
}

/// A session begins without a job and has an address of the service's own; its last byte makes the job.
#[test]
fn an_upload_makes_a_job_with_its_last_byte_and_not_before() {
    for (initiate, upload) in [
        ("27_load_baseline_initiate.json", "28_load_baseline_upload.json"),
        ("100_load_float_inf_nan_initiate.json", "101_load_float_inf_nan_upload.json"),
        ("105_load_bad_value_initiate.json", "106_load_bad_value_upload.json"),
        ("134_load_ts_t_no_z_initiate.json", "135_load_ts_t_no_z_upload.json"),
    ] {
        let (begun, done) = (data(initiate), data(upload));
        assert_eq!((&begun["status"], &begun["body"]), (&json!(200), &Value::Null), "{initiate}");
        let session = begun["headers"]["Location"].as_str().unwrap();
        assert!(session.starts_with("https://bigquery.googleapis.com/upload/bigquery/v2/"), "{session}");
        assert_eq!(done["body"]["kind"], "bigquery#job", "{upload}");
        let job: Job = serde_json::from_value(recorded(upload, "x").1).unwrap();
        assert_eq!(job.job_reference.unwrap().job_id.as_deref(), Some("x"), "{upload}");
    }
}
