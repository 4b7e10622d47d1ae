//! `landbridge verify` against BigQuery, by real HTTP, beside the process that loads.

use super::cloud::{PROJECT, World};
use super::journeys::FAST;
use super::process::Process;
use crate::verify::verify;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_doubled_removed_or_foreign_is_found() {
    let world = World::new(1, 3).await;
    let config = world.configure(FAST);
    let process = Process::start(&config).await;
    let cluster = &world.clusters[0];
    for (table, rows) in [("t0", 50), ("t0", 7), ("t1", 20)] {
        world.put(cluster, table, rows).await;
    }
    process.until_files("loaded", 3).await;
    let (code, text) = verify(&config, &[]);
    assert_eq!(code, 0, "{text}");
    // The third table is not there yet, and nothing is missed in it.
    assert!(text.ends_with("verified 77 rows of 3 files in 3 tables: missing 0, doubled 0\n"), "{text}");
    let (code, text) = verify(&config, &["--since", "1d", "--bytes-billed-max", "10GB"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("verified 77 rows of 3 files"), "{text}");

    let table = format!("`{PROJECT}.{}.t0`", cluster.dataset);
    world.query(&format!("INSERT INTO {table} SELECT * FROM {table} WHERE _source_row = 30")).await;
    let (code, text) = verify(&config, &[]);
    assert!(code == 1 && text.contains("missing 0, doubled 1\n"), "{text}");
    assert!(text.contains("has 51 rows of it, 1 beyond its 50") && text.contains("job    lb_"), "{text}");
    world.query(&format!("DELETE FROM {table} WHERE _source_row = 30")).await;
    let (code, text) = verify(&config, &[]);
    assert!(code == 1 && text.contains("missing 1, doubled 0\n"), "{text}");
    world.query(&format!("UPDATE {table} SET _source_file = 'b/k@e' WHERE _source_row = 31")).await;
    world.query(&format!("UPDATE {table} SET _batch_id = 'another' WHERE _source_row = 32")).await;
    let (code, text) = verify(&config, &["--table", &format!("{}/casino.t0", cluster.name)]);
    assert!(code == 1 && text.contains("in 1 tables: missing 3, doubled 1, strange 1\n"), "{text}");
    assert!(text.contains("the ledger does not know the file, and their batch does not name"), "{text}");
    let other = format!("{}/casino.t1", cluster.name);
    assert_eq!(verify(&config, &["--table", &other]).0, 0);

    world.query(&format!("DROP TABLE `{PROJECT}.{}.t1`", cluster.dataset)).await;
    let (code, text) = verify(&config, &["--table", &other]);
    assert!(
        code == 1 && text.contains("missing 20,") && text.contains("the warehouse has no table"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_a_page_holds_are_all_compared() {
    let world = World::new(1, 1).await;
    let config = world.configure(FAST);
    let process = Process::start(&config).await;
    let cluster = &world.clusters[0];
    world.put(cluster, "t0", 3).await;
    process.until_files("loaded", 1).await;
    let table = format!("`{PROJECT}.{}.t0`", cluster.dataset);
    let strangers = format!(
        "INSERT INTO {table} (_source_file, _source_row, _batch_id, _claimed_at) \
         SELECT CONCAT('b/', CAST(n AS STRING), '@e'), 0, 'another', CURRENT_TIMESTAMP() \
         FROM UNNEST(GENERATE_ARRAY(1, 12000)) AS n"
    );
    world.query(&strangers).await;
    let (code, text) = verify(&config, &[]);
    assert!(code == 1 && text.contains("missing 0, doubled 0, strange 12000\n"), "{text}");
    assert!(text.contains("and 11980 more"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_does_not_answer_is_no_verdict() {
    let mut world = World::new(1, 1).await;
    let config = world.configure(FAST);
    let process = Process::start(&config).await;
    world.put(&world.clusters[0], "t0", 3).await;
    process.until_files("loaded", 1).await;
    world.bigquery = "http://127.0.0.1:9".to_owned();
    let (code, text) = verify(&world.configure(FAST), &[]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("not verified: cannot count the rows of") && text.contains("verify again"),
        "{text}"
    );
}
