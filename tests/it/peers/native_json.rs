//! Columns of JSON in tables whose rows go by streams, over real gRPC: native where nothing is lost by it, text beside it where not.

use serde_json::Value;

use super::cloud::{Cluster, Emulators, PROJECT, World};
use super::journeys::FAST;
use super::process::Process;
use super::streams::SHORT;
use super::typed_view::{numbers, parquet, texts, until_column};

const JSON: &str = "[mapping.table.columns]\ndoc = { type = \"json\" }\n";

/// One table with a column `doc`, which is JSON at the source.
async fn world() -> World {
    let mut world = World::new(1, 1).await;
    world.streamed = true;
    world
}

/// Starts landbridge, with the table's rows going so.
async fn start(world: &World, delivery: &str, extra: &str) -> Process {
    let path = world.configure(&format!("{FAST}{SHORT}"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (streamed, wanted) =
        ("delivery = \"storage_write\"\n", format!("delivery = \"{delivery}\"\n{extra}{JSON}"));
    assert!(text.contains(streamed));
    std::fs::write(&path, text.replace(streamed, &wanted)).unwrap();
    Process::start(&path).await
}

/// Puts a file with these documents, by their ids.
async fn put(world: &World, documents: &[(i64, Option<&str>)]) {
    let ids = numbers(documents.iter().map(|(id, _)| Some(*id)).collect());
    let docs = texts(&documents.iter().map(|(_, text)| *text).collect::<Vec<_>>());
    let cluster = &world.clusters[0];
    world.put_bytes(&cluster.bucket, &world.key("t0"), parquet(vec![("id", ids), ("doc", docs)])).await;
}

/// The table's own columns as the service has them, with their types.
async fn columns(cluster: &Cluster) -> Vec<String> {
    let (address, dataset) = (&Emulators::get().bigquery, &cluster.dataset);
    let url = format!("{address}/bigquery/v2/projects/{PROJECT}/datasets/{dataset}/tables/t0");
    let answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let fields = answer["schema"]["fields"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let own = fields.iter().filter(|field| !text(&field["name"]).starts_with('_'));
    own.map(|field| format!("{} {}", text(&field["name"]), text(&field["type"]))).collect()
}

/// Columns of all rows of the table or its view, by their ids.
async fn rows(world: &World, table: &str, columns: &str) -> Vec<String> {
    let dataset = &world.clusters[0].dataset;
    let query = format!("SELECT id, {columns} FROM `{PROJECT}.{dataset}.{table}` ORDER BY id");
    let shown = |row: &Vec<Option<String>>| {
        row.iter().map(|cell| cell.as_deref().unwrap_or("-")).collect::<Vec<_>>().join("; ")
    };
    world.query(&query).await.iter().map(shown).collect()
}

/// True when a load job has loaded into the table.
async fn a_job_loaded(cluster: &Cluster) -> bool {
    let address = &Emulators::get().bigquery;
    let url = format!("{address}/bigquery/v2/projects/{PROJECT}/jobs?projection=full&maxResults=1000");
    let jobs = reqwest::get(url).await.unwrap().text().await.unwrap();
    jobs.contains(&format!("lb_{}", cluster.dataset))
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_native_and_what_it_does_not_hold_exactly_stands_beside_it() {
    let world = world().await;
    let cluster = &world.clusters[0];
    let process = start(&world, "storage_write", "").await;
    put(
        &world,
        &[(1, Some(r#"{"a": {"b": 18446744073709551615}, "c": [0.1, "ü"]}"#)), (2, None), (3, Some("null"))],
    )
    .await;
    process.until_files("loaded", 1).await;
    assert_eq!(columns(cluster).await, ["id INTEGER", "doc JSON"]);
    let values = "JSON_VALUE(doc, '$.a.b'), JSON_VALUE(doc, '$.c[1]'), CAST(doc IS NULL AS STRING)";
    let first = ["1; 18446744073709551615; ü; false", "2; -; -; true", "3; -; -; false"];
    assert_eq!(rows(&world, "t0", values).await, first);
    // Cut by DMS; a number that would be rounded; and one that is held, of the same batch.
    let rounded = r#"{"n": 1.0000000000000000001}"#;
    put(&world, &[(4, Some(r#"{"cut": "he"#)), (5, Some(rounded)), (6, Some("[6]"))]).await;
    process.until_files("loaded", 2).await;
    assert_eq!(columns(cluster).await, ["id INTEGER", "doc JSON", "doc__string STRING"]);
    assert!(!a_job_loaded(cluster).await, "a stream takes text, too");
    assert!(process.log().contains("loaded as text"), "{}", process.log());
    let labels = format!("table=\"{}/casino.t0\",column=\"doc\"", cluster.name);
    assert_eq!(process.metric("landbridge_json_as_text_total", &labels).await, 1.0, "{labels}");
    put(&world, &[(7, Some("[7]"))]).await;
    process.until_files("loaded", 3).await;
    let both = "CAST(doc IS NULL AS STRING), doc__string";
    let expected = [
        "1; false; -",
        "2; true; -",
        "3; false; -",
        r#"4; true; {"cut": "he"#,
        r#"5; true; {"n": 1.0000000000000000001}"#,
        "6; true; [6]",
        "7; false; -",
    ];
    assert_eq!(rows(&world, "t0", both).await, expected);
    // One column of JSON again; what it cannot say is in the text of all.
    until_column(&process, &cluster.dataset, "t0", "doc__raw").await;
    let read = "JSON_VALUE(doc, '$[0]'), CAST(doc IS NULL AS STRING), doc__raw";
    let seen = rows(&world, "t0_typed", read).await;
    assert_eq!(
        seen[3..],
        [
            r#"4; -; true; {"cut": "he"#.to_owned(),
            format!("5; -; false; {rounded}"),
            "6; 6; false; [6]".to_owned(),
            "7; 7; false; [7]".to_owned()
        ]
    );
    assert_eq!(process.metric("landbridge_view_failures_total", "").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stream_takes_goes_by_a_load_job_beside_the_json() {
    let world = world().await;
    let cluster = &world.clusters[0];
    let process = start(&world, "storage_write", "").await;
    let large = format!("[\"{}\"]", "x".repeat(9 << 20));
    put(&world, &[(1, Some(&large)), (2, Some("[2]"))]).await;
    process.until_files("loaded", 1).await;
    assert!(process.log().contains("too large for a stream") && a_job_loaded(cluster).await);
    assert_eq!(columns(cluster).await, ["id INTEGER", "doc JSON", "doc__string STRING"]);
    put(&world, &[(3, Some("[3]"))]).await;
    process.until_files("loaded", 2).await;
    // By a load job into a table that has a column of JSON.
    put(&world, &[(4, Some(&large)), (5, None)]).await;
    process.until_files("loaded", 3).await;
    let shown = "JSON_VALUE(doc, '$[0]'), CAST(LENGTH(doc__string) AS STRING)";
    let length = large.len();
    let expected = [
        format!("1; -; {length}"),
        "2; -; 3".to_owned(),
        "3; 3; -".to_owned(),
        format!("4; -; {length}"),
        "5; -; -".to_owned(),
    ];
    assert_eq!(rows(&world, "t0", shown).await, expected);
    until_column(&process, &cluster.dataset, "t0", "doc__raw").await;
    let held = rows(&world, "t0_typed", "CAST(doc IS NULL AS STRING)").await;
    assert_eq!(held, ["1; false", "2; false", "3; false", "4; false", "5; true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_batch_of_a_table_does_not_decide_what_the_others_are() {
    let world = world().await;
    let cluster = &world.clusters[0];
    let process = start(&world, "storage_write", "").await;
    put(&world, &[(1, Some("{\"cut\": "))]).await;
    process.until_files("loaded", 1).await;
    assert_eq!(columns(cluster).await, ["id INTEGER", "doc__string STRING"]);
    put(&world, &[(2, Some("{}"))]).await;
    process.until_files("loaded", 2).await;
    assert_eq!(columns(cluster).await, ["id INTEGER", "doc__string STRING", "doc JSON"]);
    let placed = rows(&world, "t0", "CAST(doc IS NULL AS STRING), doc__string").await;
    assert_eq!(placed, ["1; true; {\"cut\": ", "2; false; -"]);
    until_column(&process, &cluster.dataset, "t0", "doc__raw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_text_keeps_it_and_one_that_goes_back_to_jobs_goes_on_beside() {
    let world = world().await;
    let cluster = &world.clusters[0];
    for (delivery, extra) in [("load_jobs", ""), ("storage_write", "")] {
        let process = start(&world, delivery, extra).await;
        put(&world, &[(if delivery == "load_jobs" { 1 } else { 2 }, Some("{}"))]).await;
        process.until_files("loaded", 1).await;
        assert_eq!(columns(cluster).await, ["id INTEGER", "doc STRING"], "{delivery}");
        process.kill();
    }
    assert_eq!(rows(&world, "t0", "doc").await, ["1; {}", "2; {}"]);
    let world = self::world().await;
    let cluster = &world.clusters[0];
    for (id, delivery, extra, expected) in [
        (1, "storage_write", "", "doc JSON"),
        (2, "load_jobs", "", "doc__string STRING"),
        (3, "storage_write", "schema_changes = \"freeze\"\n", "doc__string STRING"),
        (4, "storage_write", "", "doc__string STRING"),
    ] {
        let process = start(&world, delivery, extra).await;
        put(&world, &[(id, Some("{}"))]).await;
        process.until_files("loaded", 1).await;
        assert_eq!(columns(cluster).await.last().map(String::as_str), Some(expected), "{id}");
        process.kill();
    }
    let placed = rows(&world, "t0", "CAST(doc IS NULL AS STRING), doc__string").await;
    assert_eq!(placed, ["1; false; -", "2; true; {}", "3; true; {}", "4; false; -"]);
}
