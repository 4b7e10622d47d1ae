//! Receivers of the clouds: SNS on its stand-in, Pub/Sub's REST call as Google documents it.

#[cfg(feature = "pubsub")]
mod pubsub {
    use std::sync::Arc;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use landbridge::app::SystemClock;
    use landbridge::config::types::GoogleCredentials;
    use landbridge::domain::clock::Clock;
    use landbridge::domain::notice::sample;
    use landbridge::domain::outbox;
    use landbridge::receivers::Receiver;
    use landbridge::receivers::pubsub::Topic;
    use serde_json::json;

    use crate::support::http::{Answer, Server};

    #[tokio::test]
    async fn a_notice_is_published_with_its_attributes() {
        let server = Server::start(|request| match request.target.contains("/topics/gone:") {
            true => Answer::error(404, "notFound"),
            false => Answer::json(200, &json!({"messageIds": ["1"]})),
        })
        .await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let topic = |name: &str| {
            let (url, nobody) = (Some(server.url.as_str()), &GoogleCredentials::Anonymous);
            Topic::new(&format!("projects/p/topics/{name}"), url, nobody, Arc::clone(&clock)).unwrap()
        };
        let notice = sample(&"lake".into(), clock.now());
        assert_eq!(topic("loaded").tell(&notice).await, outbox::Answer::Taken);
        let request = &server.requests()[0];
        assert_eq!(request.target, "/v1/projects/p/topics/loaded:publish");
        let message = &request.json()["messages"][0];
        assert_eq!(STANDARD.decode(message["data"].as_str().unwrap()).unwrap(), notice.body.as_bytes());
        assert_eq!(message["attributes"]["batch_id"], notice.id.batch.as_str());
        assert_eq!(message["attributes"]["table"], notice.table.to_string());
        let refused = topic("gone").tell(&notice).await;
        assert_eq!(refused, outbox::Answer::Refused { problem: "it answered 404".to_owned() });
    }
}

#[cfg(feature = "sns")]
mod sns {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::cli::{generate, landbridge, output};
    use crate::notify::tell;
    use crate::peers::cloud::Emulators;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_topic_is_told_of_each_batch_and_its_subscribers_see_the_table() {
        let emulators = Emulators::get();
        let config = emulators.aws_config().await;
        let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let name = format!("loaded-{}", std::process::id());
        let topic = sns.create_topic().name(&name).send().await.unwrap().topic_arn.unwrap();
        let queue = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
        let arn = topic.replace(":sns:", ":sqs:");
        let subscribed = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn).send().await;
        subscribed.unwrap();

        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), 800, 400);
        tell(folder.path(), &[("bi", &format!("sns = \"{topic}\""))]);
        let path = folder.path().join("landbridge.toml");
        let mut command = landbridge();
        command.env("LANDBRIDGE__HTTP__LISTEN", "off").env("LANDBRIDGE__BATCHING__FILES", "1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("LANDBRIDGE__AWS__ENDPOINT", &emulators.aws);
        let (ended, log) = output(command.args(["run", "--until-idle", "--config"]).arg(&path));
        assert!(ended.status.success(), "{log}");

        let mut batches = BTreeSet::new();
        while batches.len() < 2 {
            let call = sqs.receive_message().queue_url(&queue).wait_time_seconds(5);
            let messages = call.max_number_of_messages(10).send().await.unwrap().messages.unwrap_or_default();
            assert!(!messages.is_empty(), "{batches:?} of 2 came; {log}");
            for message in messages {
                let envelope: Value = serde_json::from_str(&message.body.unwrap()).unwrap();
                let event: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
                assert_eq!(event["type"], "table.loaded");
                assert_eq!(envelope["MessageAttributes"]["table"]["Value"], event["data"]["table"]);
                batches.insert(event["data"]["batch_id"].as_str().unwrap().to_owned());
            }
        }
    }
}
