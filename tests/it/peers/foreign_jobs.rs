//! Whoever else loads into the project uses its quotas too.

use landbridge::config::load;
use landbridge::domain::instant::Instant;
use landbridge::warehouse::bigquery::{BigQuery, Keys};
use landbridge::warehouse::jobs::{ProjectJobs, Whose};
use serde_json::json;

use super::cloud::{Emulators, PROJECT, World};
use super::journeys::FAST;
use super::process::Process;

/// The load jobs of a table in the last 24 hours.
async fn of(process: &Process, table: &str) -> f64 {
    process.metric("landbridge_table_jobs", table).await
}

/// Loads a line by a load job, as another tool does.
async fn load_by_hand(dataset: &str, table: &str, id: &str) {
    let bigquery = &Emulators::get().bigquery;
    let client = reqwest::Client::new();
    let body = json!({"datasetReference": {"projectId": PROJECT, "datasetId": dataset}, "location": "US"});
    let datasets = format!("{bigquery}/bigquery/v2/projects/{PROJECT}/datasets");
    // It may be there.
    let _ = client.post(datasets).json(&body).send().await.unwrap();
    let job = json!({
        "jobReference": {"projectId": PROJECT, "jobId": id, "location": "US"},
        "configuration": {"load": {
            "destinationTable": {"projectId": PROJECT, "datasetId": dataset, "tableId": table},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "schema": {"fields": [{"name": "id", "type": "INTEGER"}]},
        }},
    });
    let whole = format!(
        "--line\r\nContent-Type: application/json\r\n\r\n{job}\r\n--line\r\nContent-Type: application/octet-stream\r\n\r\n{{\"id\": 1}}\n\r\n--line--\r\n"
    );
    let url = format!("{bigquery}/upload/bigquery/v2/projects/{PROJECT}/jobs?uploadType=multipart");
    let request = client.post(url).header("content-type", "multipart/related; boundary=line").body(whole);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_job_of_another_tool_is_counted_and_those_of_the_ledger_are_not_counted_again() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    world.put(cluster, "t0", 10).await;
    world.put(cluster, "t0", 10).await;
    let process = Process::start(&config).await;
    process.until_files("loaded", 2).await;
    // Other tests load into the project too, and each has a dataset of its own: its tables tell.
    let own = process.metric("landbridge_attempts_total", "state=\"submitted\"").await;
    process.kill();
    for (table, id) in [("t1", "a"), ("t1", "b"), ("t0", "c")] {
        load_by_hand(&cluster.dataset, table, &format!("{}_{id}", cluster.dataset)).await;
    }

    let process = Process::start(&config).await;
    process
        .until("the jobs of others are counted", || async { of(&process, "casino.t1").await == 2.0 })
        .await;
    assert_eq!(of(&process, "casino.t0").await, own + 1.0);
    assert!(process.metric("landbridge_project_foreign_jobs", "").await >= 3.0);
    assert_eq!(process.metric("landbridge_job_listings_total", "outcome=\"listed\"").await, 1.0);
    assert_eq!(process.metric("landbridge_job_listings_total", "outcome=\"failed\"").await, 0.0);
    drop(process);

    let ignored = world.configure(&format!("{FAST}[planner]\nother_jobs = \"ignored\"\n"));
    let process = Process::start(&ignored).await;
    process.until("the ledger was read", || async { of(&process, "casino.t0").await == own }).await;
    assert_eq!(of(&process, "casino.t1").await, 0.0);
}

/// A list of several pages, as the adapter reads it.
#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let config = load(&world.configure(""), []).unwrap();
    let landbridge::config::types::Warehouse::BigQuery(settings) = &config.warehouse else { panic!() };
    for number in 0..3 {
        load_by_hand(&cluster.dataset, "t0", &format!("{}_{number}", cluster.dataset)).await;
    }
    let bigquery = BigQuery::new(settings, Keys::default()).await.unwrap();
    for whose in [Whose::Everybodys, Whose::Own] {
        let listed = bigquery.load_jobs(Instant::from_micros(0), whose).await.unwrap();
        let into = |table: &str| Some((cluster.dataset.clone(), table.to_owned()));
        let own: Vec<_> = listed.jobs.iter().filter(|job| job.into == into("t0")).collect();
        assert_eq!((own.len(), listed.is_whole), (3, true));
        assert!(own.iter().all(|job| job.made_at > Instant::from_micros(1_700_000_000_000_000)));
    }
    let later = Instant::from_micros(i64::MAX / 2);
    assert_eq!(bigquery.load_jobs(later, Whose::Everybodys).await.unwrap().jobs, []);
}
