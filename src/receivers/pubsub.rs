//! A topic of Google Pub/Sub, by REST (<https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>). The
//! batch and the table are attributes of the message too, so that a subscription can filter.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::json;

use super::{Receiver, http};
use crate::cloud::google::{Identity, PUBSUB};
use crate::config::types::GoogleCredentials;
use crate::domain::clock::Clock;
use crate::domain::fault::Fault;
use crate::domain::notice::Notice;
use crate::domain::outbox::Answer;

const ENDPOINT: &str = "https://pubsub.googleapis.com";

/// The topic.
pub struct Topic {
    http: Client,
    url: String,
    identity: Identity,
    clock: Arc<dyn Clock>,
}

impl Topic {
    /// The topic `projects/PROJECT/topics/TOPIC`. Nothing is asked of it yet.
    pub fn new(
        topic: &str,
        endpoint: Option<&str>,
        credentials: &GoogleCredentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let url = format!("{}/v1/{topic}:publish", endpoint.unwrap_or(ENDPOINT));
        Ok(Self { http: http::client()?, url, identity: Identity::with_scope(credentials, PUBSUB)?, clock })
    }
}

#[async_trait]
impl Receiver for Topic {
    async fn tell(&self, notice: &Notice) -> Answer {
        let token = match self.identity.token().await {
            Ok(token) => token,
            Err(fault) => return super::judge(&fault),
        };
        let attributes = json!({"batch_id": notice.id.batch.as_str(), "table": notice.table.to_string()});
        let data = STANDARD.encode(notice.body.as_bytes());
        let message = json!({"messages": [{"data": data, "attributes": attributes}]});
        let mut request = self.http.post(&self.url).json(&message);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        http::post(request, "", self.clock.now()).await
    }
}
