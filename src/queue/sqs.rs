//! SQS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
};

use super::{Depth, MESSAGES_PER_CALL_MAX, Message, MessageId, Queue, Receipt};
use crate::cloud::aws::fault;
use crate::cloud::metering::SqsMetering;
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;
use crate::flow::meter::Meter;

/// The longest long poll (SQS: 20 s).
const WAIT_MAX: Duration = Duration::from_secs(20);
/// After a call that brought some messages, and not as many as it could, so long is waited before the next: the files of a cluster come within
/// seconds of each other, and a call is paid for, whether it brings one message or ten.
const GATHER: Duration = Duration::from_millis(500);
/// How long one call may take, the SDK's repetitions included: longer than a long poll, so that a service that falls
/// silent costs a queue less than a minute.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);
/// How long a dead letter may take, its calls together: a verdict, or a message, waits for it.
const DEAD_LETTER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest visibility timeout (SQS: 12 h).
const VISIBILITY_MAX: Duration = Duration::from_secs(43_200);

/// The attribute of a message in the dead-letter queue that says why it is there.
const REASON_ATTRIBUTE: &str = "landbridge_reason";
/// Letters of it: attributes count towards a message's size.
const ATTRIBUTE_LETTERS_MAX: usize = 500;

/// An SQS standard queue.
pub struct SqsQueue {
    client: Client,
    url: Arc<str>,
    clock: Arc<dyn Clock>,
    /// When the oldest message of the latest receive was sent, in Unix milliseconds; 0 for none. SQS itself tells the
    /// age of the oldest message to CloudWatch alone.
    oldest_sent_ms: AtomicI64,
    /// The latest receive brought some, and not as many as it could.
    gathers: AtomicBool,
}

/// What is worth knowing of a queue before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSetup {
    /// The receive count after which SQS itself moves a message to the dead-letter queue; `None` without one.
    pub receives_max: Option<u32>,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(config: &SdkConfig, url: Arc<str>, clock: Arc<dyn Clock>) -> Self {
        let timeouts = config.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled);
        let timeouts = timeouts.into_builder().operation_timeout(CALL_TIMEOUT).build();
        let config = aws_sdk_sqs::config::Builder::from(config).timeout_config(timeouts).build();
        Self {
            client: Client::from_conf(config),
            url,
            clock,
            oldest_sent_ms: AtomicI64::new(0),
            gathers: AtomicBool::new(false),
        }
    }

    /// Counts what is asked.
    pub fn metered(self, meter: &Arc<Meter>) -> Self {
        let config = self.client.config().to_builder().interceptor(SqsMetering(Arc::clone(meter))).build();
        Self { client: Client::from_conf(config), ..self }
    }

    /// Asks for the queue's own settings.
    pub async fn setup(&self) -> Result<QueueSetup, Fault> {
        let attributes = self.attributes([QueueAttributeName::RedrivePolicy]).await?;
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        Ok(QueueSetup { receives_max: policy.and_then(|policy| receives_max(policy)) })
    }

    async fn send_aside(&self, body: &str, reason: &str) -> Result<bool, Fault> {
        // Asked each time: it is seldom wanted, and people change it.
        let attributes = self.attributes([QueueAttributeName::RedrivePolicy]).await?;
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        let Some(url) = policy.and_then(|policy| dead_letter_url(&self.url, policy)) else {
            return Ok(false);
        };
        let context = format!("cannot send to {url}, the dead-letter queue of {}", self.url);
        let reason =
            MessageAttributeValue::builder().data_type("String").string_value(attribute_text(reason));
        let reason =
            reason.build().map_err(|error| Fault::from_error(FaultKind::Internal, context.clone(), error))?;
        let call = self.client.send_message().queue_url(url).message_body(body);
        let call = call.message_attributes(REASON_ATTRIBUTE, reason);
        call.send().await.map_err(|error| fault(context, "sqs:SendMessage", error))?;
        Ok(true)
    }

    async fn attributes(
        &self,
        names: impl IntoIterator<Item = QueueAttributeName>,
    ) -> Result<BTreeMap<QueueAttributeName, String>, Fault> {
        let names = names.into_iter().collect();
        let call = self.client.get_queue_attributes().queue_url(&*self.url).set_attribute_names(Some(names));
        let answer = call.send().await.map_err(|error| {
            fault(format!("cannot read the attributes of {}", self.url), "sqs:GetQueueAttributes", error)
        })?;
        Ok(answer.attributes.unwrap_or_default().into_iter().collect())
    }
}

/// The address of a queue's dead-letter queue. Both are of one account and one region (SQS Developer Guide, "Configuring a
/// dead-letter queue"), so that only the names differ.
fn dead_letter_url(url: &str, policy: &str) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let name = policy.get("deadLetterTargetArn")?.as_str()?.rsplit(':').next()?;
    let (prefix, _) = url.rsplit_once('/')?;
    (!name.is_empty()).then(|| format!("{prefix}/{name}"))
}

/// The receive count of a redrive policy.
pub(crate) fn receives_max(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    // Written as a number by some, as a text by others.
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok()).and_then(|count| u32::try_from(count).ok())
}

/// A text as an attribute may hold it: not empty, and none of the letters that SQS refuses (XML's).
fn attribute_text(text: &str) -> String {
    let allowed = |letter: &char| !letter.is_control() && !matches!(letter, '\u{FFFE}' | '\u{FFFF}');
    let text: String = text.chars().filter(allowed).take(ATTRIBUTE_LETTERS_MAX).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn seconds(duration: Duration, max: Duration) -> i32 {
    i32::try_from(duration.min(max).as_secs()).unwrap_or(i32::MAX)
}

/// The receipts of entries that failed because they are lost; a fault when one failed for another reason.
fn lost(
    call: &str,
    url: &str,
    receipts: &[Receipt],
    failed: Vec<BatchResultErrorEntry>,
) -> Result<Vec<Receipt>, Fault> {
    let mut lost = Vec::new();
    for entry in failed {
        let code = entry.code().rsplit('.').next().unwrap_or_default();
        let gone =
            ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "InvalidIdFormat"];
        if !gone.contains(&code) {
            let message = entry.message().unwrap_or_default();
            let text = format!("cannot {call} messages of {url}: {}: {message}", entry.code());
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
        let position: Option<usize> = entry.id().parse().ok();
        lost.extend(position.and_then(|position| receipts.get(position)).cloned());
    }
    Ok(lost)
}

#[async_trait]
impl Queue for SqsQueue {
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault> {
        if self.gathers.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(GATHER).await;
        }
        let most = max.clamp(1, MESSAGES_PER_CALL_MAX);
        let max = i32::try_from(most).unwrap_or(1);
        let call = self
            .client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(max)
            .wait_time_seconds(seconds(wait, WAIT_MAX))
            .visibility_timeout(seconds(visibility, VISIBILITY_MAX))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        // Not repeated by the SDK: what an answer that was lost has hidden would not be known to be hidden.
        let once = aws_sdk_sqs::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = call.customize().config_override(once).send().await.map_err(|error| {
            fault(format!("cannot receive from {}", self.url), "sqs:ReceiveMessage", error)
        })?;
        let received = answer.messages.unwrap_or_default();
        self.gathers.store((1..most).contains(&received.len()), Ordering::Relaxed);
        let mut oldest = None;
        let mut messages = Vec::with_capacity(received.len());
        for message in received {
            let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name));
            let number = |name| attribute(name).and_then(|text: &String| text.parse::<i64>().ok());
            let sent = number(MessageSystemAttributeName::SentTimestamp);
            oldest = [oldest, sent].into_iter().flatten().min();
            let receives = number(MessageSystemAttributeName::ApproximateReceiveCount);
            let (Some(id), Some(receipt)) = (message.message_id, message.receipt_handle) else {
                // Without a receipt it can be neither deleted nor extended: it comes back.
                continue;
            };
            let at = sent.map(|sent_ms| Instant::from_micros(sent_ms.saturating_mul(1_000)));
            messages.push(Message {
                id: MessageId(id.into()),
                receipt: Receipt(receipt.into()),
                body: message.body.unwrap_or_default().into(),
                receive_count: receives.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
                age: at.map(|at| self.clock.now().since(at)),
            });
        }
        self.oldest_sent_ms.store(oldest.unwrap_or(0), Ordering::Relaxed);
        Ok(messages)
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Fault> {
        let entries = receipts.iter().enumerate().map(|(position, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(position.to_string());
            entry.receipt_handle(&*receipt.0).build()
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|error| {
            Fault::from_error(FaultKind::Internal, format!("cannot delete from {}", self.url), error)
        })?;
        let call = self.client.delete_message_batch().queue_url(&*self.url).set_entries(Some(entries));
        let answer = call
            .send()
            .await
            .map_err(|error| fault(format!("cannot delete from {}", self.url), "sqs:DeleteMessage", error))?;
        lost("delete", &self.url, receipts, answer.failed)
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Receipt>, Fault> {
        let entries = receipts.iter().enumerate().map(|(position, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(&*receipt.0)
                .visibility_timeout(seconds(visibility, VISIBILITY_MAX))
                .build()
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|error| {
            Fault::from_error(FaultKind::Internal, format!("cannot extend messages of {}", self.url), error)
        })?;
        let call = self.client.change_message_visibility_batch().queue_url(&*self.url);
        let answer = call.set_entries(Some(entries)).send().await.map_err(|error| {
            let context = format!("cannot extend messages of {}", self.url);
            fault(context, "sqs:ChangeMessageVisibility", error)
        })?;
        lost("extend", &self.url, receipts, answer.failed)
    }

    async fn send_dead_letter(&self, body: &str, reason: &str) -> Result<bool, Fault> {
        let sent = tokio::time::timeout(DEAD_LETTER_TIMEOUT, self.send_aside(body, reason)).await;
        sent.unwrap_or_else(|_| {
            let text = format!("the dead-letter queue of {} gives no answer", self.url);
            Err(Fault::new(FaultKind::Unavailable, text))
        })
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let attributes = self.attributes(names).await?;
        let number = |name: &QueueAttributeName| {
            attributes.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        let sent_ms = self.oldest_sent_ms.load(Ordering::Relaxed);
        let visible = number(&QueueAttributeName::ApproximateNumberOfMessages);
        let waited = || self.clock.now().since(Instant::from_micros(sent_ms.saturating_mul(1_000)));
        Ok(Depth {
            visible,
            in_flight: number(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            oldest_age: if visible > 0 && sent_ms > 0 { waited() } else { Duration::ZERO },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, code: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).code(code).sender_fault(true).build().unwrap()
    }

    #[test]
    fn a_lost_receipt_is_told_from_a_failure() {
        let receipts = [Receipt("a".into()), Receipt("b".into())];
        let one = lost("delete", "q", &receipts, vec![failed("1", "ReceiptHandleIsInvalid")]);
        assert_eq!(one.unwrap(), [Receipt("b".into())]);
        let prefixed = failed("0", "AWS.SimpleQueueService.MessageNotInflight");
        assert_eq!(lost("extend", "q", &receipts, vec![prefixed]).unwrap(), [Receipt("a".into())]);
        let fault = lost("delete", "q", &receipts, vec![failed("0", "InternalError")]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable);
        assert!(fault.context.contains("InternalError"), "{fault}");
    }

    #[test]
    fn the_dead_letter_queue_stands_beside_its_queue() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:game-a-dead","maxReceiveCount":100}"#;
        let url = dead_letter_url("https://sqs.eu-west-1.amazonaws.com/1/game-a", policy);
        assert_eq!(url.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/1/game-a-dead"));
        for policy in ["", "{}", r#"{"deadLetterTargetArn":""}"#, r#"{"deadLetterTargetArn":7}"#] {
            assert_eq!(dead_letter_url("https://sqs/1/a", policy), None, "{policy}");
        }
        assert_eq!(attribute_text("a\u{0}b\u{FFFF}c"), "abc");
        assert_eq!(attribute_text("\u{1}"), "unknown");
    }

    #[test]
    fn durations_stay_within_what_sqs_takes() {
        assert_eq!(seconds(Duration::from_secs(60), WAIT_MAX), 20);
        assert_eq!(seconds(Duration::MAX, VISIBILITY_MAX), 43_200);
        assert_eq!(seconds(Duration::ZERO, WAIT_MAX), 0);
    }
}
