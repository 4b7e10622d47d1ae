//! The SQS adapter over real HTTP, against answers that no stand-in gives.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use landbridge::app::SystemClock;
use landbridge::domain::fault::FaultKind;
use landbridge::queue::sqs::{QueueSetup, SqsQueue};
use landbridge::queue::{Queue, Receipt};
use serde_json::{Value, json};

use crate::support::http::{Answer, Server};

const URL: &str = "http://127.0.0.1:1/123456789012/cdc";
const MINUTE: Duration = Duration::from_secs(60);

async fn queue(server: &Server) -> SqsQueue {
    let settings = landbridge::config::types::Aws {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(server.url.clone()),
        path_style: false,
    };
    // The stack of the product, with credentials that are not looked for.
    let credentials = Credentials::new("test", "test", None, None, "test");
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(credentials);
    let config = landbridge::cloud::aws::connect(&settings, settings.region.as_deref()).await;
    let config = config.into_builder().credentials_provider(provider).build();
    SqsQueue::new(&config, URL.into(), Arc::new(SystemClock))
}

fn error(status: u16, code: &str) -> Answer {
    Answer::json(status, &json!({"__type": code, "message": "so it is"}))
}

fn receipts(names: &[&str]) -> Vec<Receipt> {
    names.iter().map(|name| Receipt((*name).into())).collect()
}

#[tokio::test]
async fn a_receive_asks_for_ten_messages_a_long_poll_and_its_visibility() {
    let sent = json!({"Messages": [
        {"MessageId": "m1", "ReceiptHandle": "r1", "Body": "one", "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1000"}},
        {"MessageId": "m2", "Body": "no receipt"},
    ]});
    let server = Server::start(move |_| Answer::json(200, &sent)).await;
    let messages = queue(&server).await.receive(99, MINUTE, MINUTE * 2).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((&*messages[0].id.0, &*messages[0].body, messages[0].receive_count), ("m1", "one", 3));
    let asked: Value = server.requests()[0].json();
    assert_eq!((&asked["QueueUrl"], &asked["MaxNumberOfMessages"]), (&json!(URL), &json!(10)));
    assert_eq!((&asked["WaitTimeSeconds"], &asked["VisibilityTimeout"]), (&json!(20), &json!(120)));
}

#[tokio::test]
async fn entries_that_fail_are_told_apart() {
    let failed = |code: &str| json!({"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": code, "SenderFault": true, "Message": "m"}]});
    let lost = failed("ReceiptHandleIsInvalid");
    let server = Server::start(move |_| Answer::json(200, &lost)).await;
    let receipts = receipts(&["a", "b"]);
    assert_eq!(queue(&server).await.delete(&receipts).await.unwrap(), receipts[1..]);
    assert_eq!(queue(&server).await.change_visibility(&receipts, MINUTE).await.unwrap(), receipts[1..]);
    let asked = server.requests()[1].json();
    assert_eq!(asked["Entries"][1], json!({"Id": "1", "ReceiptHandle": "b", "VisibilityTimeout": 60}));
    let broken = failed("InternalError");
    let server = Server::start(move |_| Answer::json(200, &broken)).await;
    assert_eq!(queue(&server).await.delete(&receipts).await.unwrap_err().kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn every_error_is_a_fault_that_names_queue_and_permission() {
    let cases = [
        (400, "com.amazonaws.sqs#QueueDoesNotExist", FaultKind::AccessDenied, "the queue does not exist"),
        (403, "com.amazonaws.sqs#AccessDeniedException", FaultKind::AccessDenied, "needs sqs:ReceiveMessage"),
        (403, "ExpiredToken", FaultKind::AccessDenied, "have expired"),
        (400, "com.amazonaws.sqs#RequestThrottled", FaultKind::Throttled, "cannot receive from"),
        (403, "com.amazonaws.sqs#OverLimit", FaultKind::Throttled, URL),
        (500, "InternalError", FaultKind::Unavailable, URL),
    ];
    for (status, code, kind, told) in cases {
        let server = Server::start(move |_| error(status, code)).await;
        let fault = queue(&server).await.receive(10, MINUTE, MINUTE).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{}", fault.chain());
        assert!(fault.chain().contains(told), "{}", fault.chain());
    }
    let server = Server::start(|_| Answer::Cut).await;
    let fault = queue(&server).await.receive(10, MINUTE, MINUTE).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn a_service_that_falls_silent_is_given_up() {
    // A reply whose body never comes; the connection stays open as long as the server does.
    let server = Server::start(|_| Answer::Silence).await;
    let waited = tokio::time::timeout(MINUTE, queue(&server).await.receive(10, MINUTE, MINUTE)).await;
    let fault = waited.expect("a call ends by itself").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{}", fault.chain());
}

#[tokio::test]
async fn the_queues_own_settings_are_read() {
    let answer = |policy: Option<&'static str>| {
        move |_: &crate::support::http::Request| {
            let attributes = policy.map_or(json!({}), |policy| json!({"RedrivePolicy": policy}));
            Answer::json(200, &json!({"Attributes": attributes}))
        }
    };
    let cases = [
        (None, None),
        (Some(r#"{"deadLetterTargetArn":"arn","maxReceiveCount":5}"#), Some(5)),
        (Some(r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"100"}"#), Some(100)),
    ];
    for (policy, receives_max) in cases {
        let server = Server::start(answer(policy)).await;
        assert_eq!(queue(&server).await.setup().await.unwrap(), QueueSetup { receives_max });
    }
}
