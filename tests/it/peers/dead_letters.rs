//! The dead-letter queue of a real queue: what landbridge puts there, and what a redrive by hand brings back.

use aws_sdk_sqs::types::QueueAttributeName;
use landbridge::domain::ids::TableId;
use landbridge::ledger::sqlite::SqliteLedger;
use landbridge::ledger::{Ledger, Mending};
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

/// What a redrive to a custom destination does: the messages as they are, into the queue.
async fn send_back(world: &World, cluster: &Cluster, letters: &[(String, String)]) {
    for (body, _) in letters {
        world.sqs.send_message().queue_url(&cluster.queue).message_body(body).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_by_hand_in_the_console_loads_poison_files_once_and_no_discarded_one() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let dead = dead_letter_queue(&world, cluster).await;
    let key = world.put(cluster, "t0", 5).await;
    let unwanted = world.put(cluster, "t0", 7).await;
    world.sqs.send_message().queue_url(&cluster.queue).message_body("no JSON at all").send().await.unwrap();
    // The mapping takes a column of the table for DMS's own: nothing can be loaded.
    let config = world.configure(FAST);
    let right = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, right.replace("dms_change_seq", "id")).unwrap();
    let process = Process::start(&config).await;
    process.until_files("poisoned", 2).await;
    process.until("all messages are settled", || async { world.waiting(cluster).await == 0 }).await;
    let table = TableId::new(&*cluster.name, "casino", "t0");
    process.kill();
    assert_eq!(world.loaded_rows().await, 0);
    let letters = take(&world, &dead).await;
    let of = |text: &str| {
        let found: Vec<_> = letters.iter().filter(|(body, _)| body.contains(text)).cloned().collect();
        assert_eq!(found.len(), 1, "{letters:?}");
        found
    };
    assert!(of("no JSON at all")[0].1.contains("no JSON"));
    let (copy, why) = of(&key).remove(0);
    assert!(why.contains("is mapped as a column of DMS itself"), "{why}");
    let shown: Value = serde_json::from_str(&copy).unwrap();
    assert_eq!(shown["landbridge"]["table"], table.to_string());
    // One is given up.
    let ledger = SqliteLedger::open(&world.folder.path().join("state/ledger.db")).unwrap();
    let poison = ledger.poison(&table, 9).await.unwrap();
    let one = poison.iter().find(|one| *one.file.key == *unwanted).unwrap();
    let now = one.at.plus(std::time::Duration::from_secs(1));
    let given_up = ledger.mend(&[(one.file.clone(), one.at)], Mending::Discard, now).await.unwrap();
    assert_eq!(given_up, [true]);
    drop(ledger);
    std::fs::write(&config, right).unwrap();
    let process = Process::start(&config).await;
    // Sent back twice, since a queue may deliver twice.
    let back = [of(&key), of(&unwanted)].concat();
    send_back(&world, cluster, &back).await;
    process.until_files("loaded", 1).await;
    send_back(&world, cluster, &back).await;
    process
        .until("all four are settled", || async {
            process.metric("landbridge_announcements_total", "kind=\"redrive\"").await > 3.5
                && world.waiting(cluster).await == 0
        })
        .await;
    assert_eq!(world.must_be_equal(&[&unwanted]), 5);
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
