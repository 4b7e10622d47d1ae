//! A webhook, signed as Standard Webhooks has it. Its address may be a secret: it is in no error, no log and no metric.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{Client, Url};

use super::{Receiver, http};
use crate::config::secret::Secret;
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::notice::Notice;
use crate::domain::outbox::Answer;
use crate::domain::signature::{SigningKey, signatures};

/// The webhook.
pub struct Webhook {
    http: Client,
    /// Parsed; never shown.
    url: Url,
    host: String,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// The webhook at `url`, which is sent one signature for each of `keys`. Nothing is asked of it yet.
    pub fn new(url: &Secret, keys: Vec<SigningKey>, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        // The parser's error is not shown: what it says may hold a part of the address.
        let url = Url::parse(url.expose())
            .map_err(|_| Fault::new(FaultKind::Internal, "the address of a webhook is none"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { http: http::client()?, url, host, keys, clock })
    }
}

#[async_trait]
impl Receiver for Webhook {
    async fn tell(&self, notice: &Notice) -> Answer {
        let (id, now) = (notice.id.batch.as_str(), self.clock.now());
        // Of this try: a receiver refuses what is old.
        let timestamp = now.micros().div_euclid(1_000_000);
        let request = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signatures(&self.keys, id, timestamp, &notice.body))
            .body(notice.body.to_string());
        http::post(request, &self.host, now).await
    }
}
