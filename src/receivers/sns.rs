//! A topic of Amazon SNS. The batch and the table are attributes of the message too, so that a subscription can filter.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;

use super::Receiver;
use crate::cloud::aws;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::notice::Notice;
use crate::domain::outbox::Answer;

/// The topic.
pub struct Topic {
    client: Client,
    arn: Arc<str>,
}

impl Topic {
    /// The topic with this ARN. Nothing is asked of it yet.
    pub fn new(config: &SdkConfig, arn: Arc<str>) -> Self {
        Self { client: Client::new(config), arn }
    }

    async fn publish(&self, notice: &Notice) -> Result<(), Fault> {
        let (batch, table) = (notice.id.batch.as_str(), notice.table.to_string());
        let mut call = self.client.publish().topic_arn(&*self.arn).message(&*notice.body);
        for (name, value) in [("batch_id", batch), ("table", &table)] {
            call = call.message_attributes(name, attribute(value)?);
        }
        if self.arn.ends_with(".fifo") {
            // SNS itself drops a repeat within five minutes, and keeps the order of a table.
            call = call.message_group_id(&table).message_deduplication_id(batch);
        }
        let answer = call.send().await;
        answer.map(|_| ()).map_err(|error| aws::fault("no answer".to_owned(), "sns:Publish", error))
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, Fault> {
    let built = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    built.map_err(|error| Fault::from_error(FaultKind::Internal, "cannot write an attribute", error))
}

#[async_trait]
impl Receiver for Topic {
    async fn tell(&self, notice: &Notice) -> Answer {
        match self.publish(notice).await {
            Ok(()) => Answer::Taken,
            Err(fault) => super::judge(&fault),
        }
    }
}
