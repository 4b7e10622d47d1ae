//! What goes wrong between two clouds, and the sum that is right all the same.

use std::path::Path;
use std::time::Duration;

use super::cloud::{Emulators, World};
use super::journeys::FAST;
use super::process::Process;
use super::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let world = World::new(1, 3).await;
    let config = world.configure("[batching]\nwindow = \"1s\"\n[timing]\nvisibility_timeout = \"30s\"\n");
    let cluster = &world.clusters[0];
    let mut process = Process::start(&config).await;
    for round in 0..4_usize {
        for table in &cluster.tables {
            for _ in 0..4 {
                world.put(cluster, table, 30).await;
            }
        }
        // At another moment of the windows each time.
        process
            .until("something is claimed", || async {
                process.metric("landbridge_batch_outcomes_total", "claimed").await >= 1.0
            })
            .await;
        tokio::time::sleep(Duration::from_millis(170 * round as u64)).await;
        process.kill();
        process = Process::start(&config).await;
    }
    process.until("all rows are there", || async { world.loaded_rows().await == 48 * 30 }).await;
    assert_eq!(world.must_be_equal(&[]), 48 * 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_overwritten_before_it_is_read_counts_as_vanished_and_its_new_content_arrives() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let key = world.put(cluster, "t0", 10).await;
    let etag = world.put_bytes(&cluster.bucket, &key, world.file(20, &[])).await;
    let process = Process::start(&config).await;
    process.until_files("loaded", 1).await;
    process.until_files("vanished", 1).await;
    assert_eq!(world.must_be_equal(&[]), 20);
    let files = format!("SELECT DISTINCT _source_file FROM `{}.t0`", cluster.dataset);
    assert_eq!(world.query(&files).await, [[Some(format!("{}/{key}@{etag}", cluster.bucket))]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_bucket_keeps_versions_an_overwritten_object_is_not_lost() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    world.keep_versions(cluster).await;
    let config = world.configure(FAST);
    let key = world.put(cluster, "t0", 10).await;
    world.put_bytes(&cluster.bucket, &key, world.file(20, &[])).await;
    world.s3.delete_object().bucket(&cluster.bucket).key(&key).send().await.unwrap();
    let process = Process::start(&config).await;
    process.until_files("loaded", 2).await;
    assert_eq!(world.loaded_rows().await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gone_object_and_a_poison_file_are_told_and_hold_nobody_up() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    let config = world.configure(FAST);
    let gone = world.put(cluster, "t0", 10).await;
    world.s3.delete_object().bucket(&cluster.bucket).key(&gone).send().await.unwrap();
    let poison = world.key("t0");
    world.put_bytes(&cluster.bucket, &poison, b"PAR1 this is no Parquet file PAR1".to_vec()).await;
    let empty = world.key("t1");
    world.put_bytes(&cluster.bucket, &empty, Vec::new()).await;
    world.put(cluster, "t0", 7).await;
    world.put(cluster, "t1", 8).await;
    let process = Process::start(&config).await;
    process.until_files("loaded", 2).await;
    process.until_files("vanished", 1).await;
    process.until_files("poisoned", 2).await;
    assert_eq!(world.must_be_equal(&[&poison, &empty]), 15);
    let log = process.log();
    assert!(log.contains(&gone) && log.contains(&poison) && log.contains(&empty));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_bigquery_is_down_for_a_minute_files_wait_and_then_arrive_once() {
    let mut world = World::new(1, 2).await;
    let proxy = Proxy::start(&Emulators::get().bigquery).await;
    world.bigquery = proxy.url.clone();
    let process = Process::start(&world.configure(FAST)).await;
    let cluster = &world.clusters[0];
    world.put(cluster, "t0", 5).await;
    process.until_files("loaded", 1).await;
    proxy.set_down(true);
    for _ in 0..6 {
        for table in &cluster.tables {
            world.put(cluster, table, 5).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert!(process.metric("landbridge_files_total", "loaded").await < 2.0);
    proxy.set_down(false);
    process.until_files("loaded", 13).await;
    assert_eq!(world.must_be_equal(&[]), 65);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_is_cut_is_adopted_and_not_repeated() {
    let mut world = World::new(1, 2).await;
    let proxy = Proxy::start(&Emulators::get().bigquery).await;
    world.bigquery = proxy.url.clone();
    let process = Process::start(&world.configure(FAST)).await;
    proxy.cut_uploads(4);
    let cluster = &world.clusters[0];
    for table in &cluster.tables {
        for _ in 0..3 {
            world.put(cluster, table, 11).await;
        }
    }
    process.until_files("loaded", 6).await;
    assert!(proxy.cut() >= 1);
    assert_eq!(world.must_be_equal(&[]), 66);
    assert!(process.metric("landbridge_attempts_total", "state=\"unknown\"").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_genuine_file_arrives_value_by_value() {
    let mut world = World::new(1, 0).await;
    world.clusters[0].tables.push("dms_test_table".to_owned());
    let cluster = &world.clusters[0];
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dms/dms_test_table_LOAD00000001.parquet");
    let config = world.configure(FAST);
    let text = std::fs::read_to_string(&config).unwrap().replace("\"dms_timestamp\"", "\"DMS_TIMESTAMP\"");
    std::fs::write(&config, text).unwrap();
    let key = "dms/casino/dms_test_table/LOAD00000001.parquet";
    world.put_bytes(&cluster.bucket, key, std::fs::read(file).unwrap()).await;
    let process = Process::start(&config).await;
    process.until_files("loaded", 1).await;
    let (equal, verdict) = world.compare(&[], &["--timestamp", "DMS_TIMESTAMP"]);
    assert!(equal && verdict["rows"] == 10, "{verdict:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_table_that_nobody_maps_wait_until_somebody_does() {
    let mut world = World::new(1, 1).await;
    let config = world.configure(FAST);
    let process = Process::start(&config).await;
    for _ in 0..3 {
        world.put(&world.clusters[0], "new", 9).await;
    }
    world.put(&world.clusters[0], "t0", 1).await;
    process.until_files("deferred", 3).await;
    process.until_files("loaded", 1).await;
    drop(process);
    world.clusters[0].tables.push("new".to_owned());
    let process = Process::start(&world.configure(FAST)).await;
    process.until_files("loaded", 3).await;
    assert_eq!(world.must_be_equal(&[]), 28);
}
