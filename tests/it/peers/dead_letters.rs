//! The dead-letter queue of a real queue: what landbridge puts there, and what a redrive by hand brings back.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::cloud::{Cluster, World};
use super::journeys::FAST;
use super::process::Process;

/// Gives the cluster's queue a dead-letter queue; answers its address.
async fn dead_letter_queue(world: &World, cluster: &Cluster) -> String {
    let name = format!("dead-{}", cluster.name);
    let dead = world.sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": "100"}).to_string();
    let set = world.sqs.set_queue_attributes().queue_url(&cluster.queue);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    dead
}

/// Takes everything out of the dead-letter queue: texts and reasons.
async fn take(world: &World, dead: &str) -> Vec<(String, String)> {
    let mut taken = Vec::new();
    loop {
        let receive = world.sqs.receive_message().queue_url(dead).max_number_of_messages(10);
        let answer = receive.wait_time_seconds(0).message_attribute_names("All").send().await.unwrap();
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return taken;
        }
        for message in messages {
            let reason = message.message_attributes.unwrap().remove("landbridge_reason").unwrap();
            taken.push((message.body.unwrap(), reason.string_value.unwrap()));
            let delete = world.sqs.delete_message().queue_url(dead);
            delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
        }
    }
}

/// What the console's redrive does: the messages as they are, into the queue that they came from.
async fn send_back(world: &World, cluster: &Cluster, letters: &[(String, String)]) {
    for (body, _) in letters {
        world.sqs.send_message().queue_url(&cluster.queue).message_body(body).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_by_hand_in_the_console_loads_a_poison_file_once() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let dead = dead_letter_queue(&world, cluster).await;
    world.announce_nothing(cluster).await;
    let key = world.key("t0");
    let bytes = world.file(5, &[]);
    let size = bytes.len();
    let etag = world.put_bytes(&cluster.bucket, &key, bytes).await;
    // A copy of an object: poison until somebody says that its rows are not there.
    let copied = json!({"Records": [{"eventVersion": "2.5", "eventName": "ObjectCreated:Copy", "eventTime": "2026-11-23T03:01:31.230Z",
        "s3": {"bucket": {"name": cluster.bucket}, "object": {"key": key, "size": size, "eTag": etag}}}]});
    let messages = [(copied.to_string(), String::new()), ("no JSON at all".to_owned(), String::new())];
    send_back(&world, cluster, &messages).await;
    let process = Process::start(&world.configure(FAST)).await;
    process.until_files("poisoned", 1).await;
    process.until("both messages are settled", || async { world.waiting(cluster).await == 0 }).await;
    assert_eq!(world.loaded_rows().await, 0);
    let mut letters = take(&world, &dead).await;
    letters.sort();
    let [(garbage, why_garbage), (copy, why_copy)] = letters.try_into().unwrap();
    let (garbage, copy) = if garbage == "no JSON at all" { (garbage, copy) } else { (copy, garbage) };
    let reasons = [why_garbage, why_copy];
    assert!(reasons.iter().any(|why| why.contains("no JSON")), "{reasons:?}");
    assert!(reasons.iter().any(|why| why.contains("announced by a copy")), "{reasons:?}");
    assert_eq!(garbage, "no JSON at all");
    let shown: Value = serde_json::from_str(&copy).unwrap();
    assert_eq!(shown["landbridge"]["poison"]["key"], Value::String(key.clone()));
    // Sent back twice, since a queue may deliver twice.
    let back = vec![(copy, String::new())];
    send_back(&world, cluster, &back).await;
    process.until_files("loaded", 1).await;
    send_back(&world, cluster, &back).await;
    process
        .until("the second is settled", || async {
            process.metric("landbridge_announcements_total", "kind=\"redrive\"").await > 1.5
                && world.waiting(cluster).await == 0
        })
        .await;
    assert_eq!(world.must_be_equal(&[]), 5);
    assert!(take(&world, &dead).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_that_is_gone_keeps_no_verdict_waiting() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let dead = dead_letter_queue(&world, cluster).await;
    world.sqs.delete_queue().queue_url(&dead).send().await.unwrap();
    let poison = world.key("t0");
    world.put_bytes(&cluster.bucket, &poison, b"PAR1 this is no Parquet file PAR1".to_vec()).await;
    world.sqs.send_message().queue_url(&cluster.queue).message_body("no JSON").send().await.unwrap();
    world.put(cluster, "t0", 3).await;
    let process = Process::start(&world.configure(FAST)).await;
    process.until_files("poisoned", 1).await;
    process.until_files("loaded", 1).await;
    process.until("all messages are settled", || async { world.waiting(cluster).await == 0 }).await;
    assert!(process.metric("landbridge_poison_copies_total", "outcome=\"failed\"").await > 0.5);
    let log = process.log();
    assert!(log.contains("no copy of the poison file"), "{log}");
    // The message that no queue took is in the ledger.
    process.kill();
    let config = world.folder.path().join("landbridge.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_landbridge"))
        .args(["dlq", "messages", "--config"])
        .arg(&config)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("no JSON"), "{shown}");
}
