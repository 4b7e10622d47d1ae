//! `landbridge.table_status`: written by a load job among the others, and read back.

use serde_json::json;

use super::cloud::{Emulators, PROJECT, World};
use super::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_reads_how_far_each_table_is_loaded() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    let dataset = format!("{}_status", cluster.dataset);
    let url = format!("{}/bigquery/v2/projects/{PROJECT}/datasets", Emulators::get().bigquery);
    let body = json!({"datasetReference": {"projectId": PROJECT, "datasetId": dataset}, "location": "US"});
    let made = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    let head = format!("[batching]\nwindow = \"1s\"\n[status]\ndataset = \"{dataset}\"\nevery = \"60s\"\n");
    let process = Process::start(&world.configure(&head)).await;
    world.put(cluster, "t0", 40).await;
    process.until_files("loaded", 1).await;
    // What every row of the test's files was committed at.
    let query = format!(
        "SELECT source_table, `table`, CAST(rows_today AS STRING), mode, CAST(watermark IS NULL AS STRING), \
         CAST(lag_seconds > 0 AS STRING), CAST(DATE(last_commit_at) AS STRING), CAST(files_waiting AS STRING) \
         FROM `{PROJECT}.{dataset}.table_status` ORDER BY source_table"
    );
    process
        .until("the status is written, with a watermark", || async {
            let there =
                process.metric("landbridge_table_status_writes_total", "outcome=\"written\"").await > 0.0;
            there && world.query(&query).await[0][4].as_deref() == Some("false")
        })
        .await;
    let rows = world.query(&query).await;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("; "))
        .collect();
    assert_eq!(
        shown,
        [
            "casino.t0; t0; 40; running; false; true; 2025-11-23; 0",
            "casino.t1; t1; 0; running; true; -; -; 0"
        ]
    );
    assert!(process.metric("landbridge_watermark_timestamp_seconds", "casino.t0").await > 1_763_855_999.0);
    assert!(process.metric("landbridge_freshness_seconds_count", "casino.t0").await >= 1.0);
    assert_eq!(process.metric("landbridge_table_status_writes_total", "outcome=\"failed\"").await, 0.0);
}
