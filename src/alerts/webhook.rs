//! One message to a Slack-compatible webhook. Its address is a secret: it is in no error, no log and no metric.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url};
use serde_json::json;

use super::Messenger;
use crate::config::secret::Secret;
use crate::domain::alert::digest::Message;
use crate::domain::fault::{Fault, FaultKind};
use crate::telemetry::events;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// The waits between the tries of one message.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// The longest wait that the webhook may ask for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(30);

/// The webhook.
#[derive(Clone)]
pub(super) struct Webhook {
    http: Client,
    /// Parsed; never shown.
    url: Url,
    host: String,
}

/// What an answer means for the message.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    /// Another try may help, after this wait if the webhook named one.
    Again(Option<Duration>),
    /// No other try helps now: the webhook is gone, or refuses the message.
    Refused,
}

impl Webhook {
    pub(super) fn new(url: &Secret) -> Result<Self, Fault> {
        // The parser's error is not shown: what it says may hold a part of the address.
        let url = Url::parse(url.expose())
            .map_err(|_| Fault::new(FaultKind::Internal, "alerts.webhook_url is no address"))?;
        let http = crate::cloud::outbound(CONNECT_TIMEOUT, TRY_TIMEOUT)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { http, url, host })
    }

    /// One try, and what it came to in words.
    async fn post(&self, body: String) -> (Answer, String) {
        let request = self.http.post(self.url.clone()).header("content-type", "application/json").body(body);
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                (judge(status.as_u16(), asked_wait(&response)), format!("it answered {}", status.as_u16()))
            }
            // Some webhooks have their secret in the host's name, which TLS names in its errors.
            Err(error) => {
                let text = chain(&error.without_url());
                let shown = if self.host.is_empty() { text } else { text.replace(&self.host, "***") };
                (Answer::Again(None), shown)
            }
        }
    }
}

impl Messenger for Webhook {
    async fn tell(&self, message: Message, last: bool) -> bool {
        let body = json!({ "text": message.text }).to_string();
        let mut waits = WAITS.iter().take(if last { 0 } else { WAITS.len() });
        loop {
            let (answer, problem) = self.post(body.clone()).await;
            let asked = match answer {
                Answer::Taken => {
                    events::AlertSent { kind: message.kind, alerts: message.count, remark: &problem }.emit();
                    return true;
                }
                Answer::Again(asked) => asked,
                Answer::Refused => {
                    events::AlertFailed { kind: message.kind, alerts: message.count, problem: &problem }
                        .emit();
                    return false;
                }
            };
            let Some(wait) = waits.next() else {
                events::AlertFailed { kind: message.kind, alerts: message.count, problem: &problem }.emit();
                return false;
            };
            tokio::time::sleep(asked.unwrap_or(*wait)).await;
        }
    }
}

/// What a status means. Slack answers 200, 4xx for a webhook that is gone or a message that it does not take, and 429
/// with `Retry-After`: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
fn judge(status: u16, asked: Option<Duration>) -> Answer {
    match status {
        200..=299 => Answer::Taken,
        408 | 425 | 429 => Answer::Again(asked),
        300..=499 => Answer::Refused,
        _ => Answer::Again(asked),
    }
}

fn asked_wait(response: &Response) -> Option<Duration> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(ASKED_WAIT_MAX))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(judge(200, None), Answer::Taken);
        assert_eq!(judge(204, None), Answer::Taken);
        for gone in [301, 308, 400, 403, 404, 410] {
            assert_eq!(judge(gone, None), Answer::Refused, "{gone}");
        }
        for passing in [500, 502, 503, 504] {
            assert_eq!(judge(passing, None), Answer::Again(None), "{passing}");
        }
        assert_eq!(judge(429, Some(ASKED_WAIT_MAX)), Answer::Again(Some(ASKED_WAIT_MAX)));
    }

    #[tokio::test]
    async fn an_error_does_not_name_the_address() {
        // Nobody listens on port 1 of loopback.
        let webhook = Webhook::new(&Secret::new("http://127.0.0.1:1/services/T0/B0/hunter2")).unwrap();
        let (answer, problem) = webhook.post("{}".to_owned()).await;
        assert_eq!(answer, Answer::Again(None));
        assert!(!problem.contains("hunter2") && !problem.contains("services"), "{problem}");
        let fault = Webhook::new(&Secret::new("hunter2")).err().unwrap();
        assert!(!fault.chain().contains("hunter2"), "{fault}");
    }
}
