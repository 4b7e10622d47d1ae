//! Every kind of message that S3, SNS and EventBridge put on a queue, through a real queue.

use serde_json::{Value, json};

use super::cloud::{Cluster, World};
use super::journeys::FAST;
use super::process::Process;

/// An object that is put into a bucket that announces nothing, and what an event would say of it.
struct Object {
    key: String,
    size: usize,
    etag: String,
}

impl Object {
    async fn put(world: &World, cluster: &Cluster, key: String, rows: usize) -> Self {
        let bytes = world.file(rows, &[]);
        let size = bytes.len();
        let etag = world.put_bytes(&cluster.bucket, &key, bytes).await;
        Self { key, size, etag }
    }

    fn record(&self, cluster: &Cluster, name: &str, version: &str) -> Value {
        // As S3 encodes keys: a space as a plus, everything else that is odd in hexadecimal digits.
        let encoded: String = self
            .key
            .bytes()
            .map(|byte| match byte {
                b' ' => "+".to_owned(),
                b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        json!({"eventVersion": version, "eventSource": "aws:s3", "eventTime": "2026-11-23T03:01:31.230Z", "eventName": name,
            "s3": {"bucket": {"name": cluster.bucket}, "object": {"key": encoded, "size": self.size, "eTag": self.etag}}})
    }

    fn raw(&self, cluster: &Cluster) -> Value {
        json!({"Records": [self.record(cluster, "ObjectCreated:Put", "2.5")]})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_has_its_outcome_and_its_counter() {
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    world.announce_nothing(cluster).await;
    let key = |name: &str| format!("dms/casino/t0/{name}20251123-000000001.parquet");
    let mut objects = Vec::new();
    for name in ["raw/", "sns/", "bridge +%41 é€/", "first/", "second/", "a b+c%20d/ü/", "later/"] {
        objects.push(Object::put(&world, cluster, key(name), 3).await);
    }
    let [raw, sns, bridge, first, second, odd, later] = &objects[..] else { panic!() };
    let removed = Object { key: key("removed/"), size: 1, etag: "e".to_owned() };
    let messages = [
        raw.raw(cluster).to_string(),
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:0:t", "Message": sns.raw(cluster).to_string()}).to_string(),
        json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T03:01:31Z",
            "detail": {"bucket": {"name": cluster.bucket}, "reason": "PutObject",
                "object": {"key": bridge.key, "size": bridge.size, "etag": bridge.etag, "version-id": "v", "sequencer": "00"}}})
        .to_string(),
        json!({"Records": [first.record(cluster, "ObjectCreated:Put", "2.1"), second.record(cluster, "ObjectCreated:CompleteMultipartUpload", "2.6")]}).to_string(),
        odd.raw(cluster).to_string(),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": cluster.bucket}).to_string(),
        json!({"Type": "Notification", "Message": json!({"Event": "s3:TestEvent"}).to_string()}).to_string(),
        json!({"Records": [removed.record(cluster, "ObjectRemoved:Delete", "2.5")]}).to_string(),
        json!({"Records": [later.record(cluster, "ObjectCreated:Put", "3.0")]}).to_string(),
        "no JSON at all".to_owned(),
    ];
    for message in &messages {
        world.sqs.send_message().queue_url(&cluster.queue).message_body(message).send().await.unwrap();
    }
    let process = Process::start(&world.configure(FAST)).await;
    process.until_files("loaded", 6).await;
    let kinds = [("created", 6.0), ("removed", 1.0), ("test_event", 2.0), ("unparsable", 2.0)];
    for (kind, count) in kinds {
        let label = format!("kind=\"{kind}\"");
        process
            .until(&format!("{count} announcements are {kind}"), || async {
                (process.metric("landbridge_announcements_total", &label).await - count).abs() < 0.1
            })
            .await;
    }
    // All of them are settled: nothing comes back.
    process.until("the queue is empty", || async { world.waiting(cluster).await == 0 }).await;
    assert_eq!(world.must_be_equal(&[&later.key]), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_comes_three_times_loads_its_file_once() {
    let world = World::new(1, 2).await;
    let cluster = &world.clusters[0];
    world.announce_nothing(cluster).await;
    let process = Process::start(&world.configure(FAST)).await;
    let mut objects = Vec::new();
    for table in &cluster.tables {
        for _ in 0..5 {
            objects.push(Object::put(&world, cluster, world.key(table), 4).await);
        }
    }
    for round in 0..3 {
        for object in &objects {
            let body = object.raw(cluster).to_string();
            world.sqs.send_message().queue_url(&cluster.queue).message_body(body).send().await.unwrap();
        }
        if round == 1 {
            // The third time is after they were loaded.
            process.until_files("loaded", 10).await;
        }
    }
    process
        .until("all thirty messages are deleted", || async {
            process.metric("landbridge_deleted_messages_total", "").await >= 30.0
        })
        .await;
    // Those that came while their file was on its way joined it; the last ten found it loaded.
    process.until_files("duplicate", 10).await;
    process.until("the queue is empty", || async { world.waiting(cluster).await == 0 }).await;
    assert_eq!(world.must_be_equal(&[]), 40);
}
