//! From S3 to BigQuery and back out again.

use landbridge::demo::rows::Column;

use super::cloud::{ADDED, PROJECT, World};
use super::process::Process;

/// Windows of one second, the least there is.
pub const FAST: &str = "[batching]\nwindow = \"1s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn three_clusters_of_five_tables_arrive_whole() {
    let world = World::new(3, 5).await;
    let process = Process::start(&world.configure(FAST)).await;
    let mut files = 0;
    for cluster in &world.clusters {
        for table in &cluster.tables {
            for rows in [400, 1, 25] {
                world.put(cluster, table, rows).await;
                files += 1;
            }
        }
    }
    process.until_files("loaded", files).await;
    assert_eq!(world.must_be_equal(&[]), 15 * 426);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_sees_a_row_that_is_removed_and_one_that_is_doubled() {
    let world = World::new(1, 1).await;
    let process = Process::start(&world.configure(FAST)).await;
    let cluster = &world.clusters[0];
    world.put(cluster, "t0", 50).await;
    process.until_files("loaded", 1).await;
    assert_eq!(world.must_be_equal(&[]), 50);
    let table = format!("`{PROJECT}.{}.t0`", cluster.dataset);
    world.query(&format!("INSERT INTO {table} SELECT * FROM {table} WHERE _source_row = 7")).await;
    let (equal, verdict) =
        world.compare(&[], &["--timestamp", "dms_timestamp", "--sequence", "dms_change_seq"]);
    assert!(!equal && verdict["doubled"] == 1, "{verdict}");
    world.query(&format!("DELETE FROM {table} WHERE _source_row = 7")).await;
    let (equal, verdict) =
        world.compare(&[], &["--timestamp", "dms_timestamp", "--sequence", "dms_change_seq"]);
    assert!(!equal && verdict["missing"] == 1 && verdict["doubled"] == 0, "{verdict}");
    world.query(&format!("UPDATE {table} SET note = 'changed' WHERE _source_row = 8")).await;
    let (_, verdict) = world.compare(&[], &["--timestamp", "dms_timestamp", "--sequence", "dms_change_seq"]);
    assert_eq!(verdict["different"], 1, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_later_is_added() {
    let world = World::new(1, 1).await;
    let process = Process::start(&world.configure(FAST)).await;
    let cluster = &world.clusters[0];
    world.put(cluster, "t0", 10).await;
    process.until_files("loaded", 1).await;
    let more: [Column; 1] = [ADDED];
    let key = world.key("t0");
    world.put_bytes(&cluster.bucket, &key, world.file(10, &more)).await;
    process.until_files("loaded", 2).await;
    // The old shape still arrives.
    world.put(cluster, "t0", 10).await;
    process.until_files("loaded", 3).await;
    assert_eq!(world.must_be_equal(&[]), 30);
}

/// A table that somebody made with narrower columns, with rows in it: the columns are widened in place, the rows stay.
#[tokio::test(flavor = "multi_thread")]
async fn narrower_columns_of_a_table_are_widened_in_place() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let table = format!("`{PROJECT}.{}.t0`", cluster.dataset);
    world.query(&format!("CREATE SCHEMA `{PROJECT}.{}`", cluster.dataset)).await;
    world.query(&format!("CREATE TABLE {table} (id INT64, amount INT64)")).await;
    world.query(&format!("INSERT INTO {table} (id, amount) VALUES (-1, 9007199254740993)")).await;
    world.put(cluster, "t0", 10).await;
    let process = Process::start(&world.configure(FAST)).await;
    process.until_files("loaded", 1).await;
    let before = world.query(&format!("SELECT CAST(amount AS STRING) FROM {table} WHERE id = -1")).await;
    assert!(before[0][0].as_ref().unwrap().starts_with("9007199254740993"), "{before:?}");
    world.query(&format!("DELETE FROM {table} WHERE id = -1")).await;
    assert_eq!(world.must_be_equal(&[]), 10);
}
