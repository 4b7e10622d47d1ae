//! One POST, and what its answer means.

use std::time::Duration;

use chrono::DateTime;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response};

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;
use crate::domain::outbox::Answer;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// Of an answer's body this much is read, so that the connection can be used again.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A client that follows no redirect: where a notice goes, the configuration says.
pub(super) fn client() -> Result<Client, Fault> {
    crate::cloud::outbound(CONNECT_TIMEOUT, TRY_TIMEOUT)
}

/// Sends it. `host` is kept out of what is told: some receivers have their secret in it.
pub(super) async fn post(request: RequestBuilder, host: &str, now: Instant) -> Answer {
    match request.send().await {
        Ok(response) => {
            let (status, wait) = (response.status().as_u16(), asked_wait(&response, now));
            read_to_its_end(response).await;
            judge(status, wait)
        }
        Err(error) => {
            let told = Fault::from_error(FaultKind::Unavailable, "no answer", error.without_url()).chain();
            let problem = if host.is_empty() { told } else { told.replace(host, "***") };
            Answer::Unavailable { problem, wait: None }
        }
    }
}

/// What a status means. 502 to 504 are of what stands before the receiver, and so of no notice in particular.
fn judge(status: u16, wait: Option<Duration>) -> Answer {
    let problem = format!("it answered {status}");
    match status {
        200..=299 => Answer::Taken,
        408 | 425 | 429 | 502..=504 => Answer::Unavailable { problem, wait },
        300..=499 => Answer::Refused { problem },
        _ => Answer::Failed { problem },
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
fn asked_wait(response: &Response, now: Instant) -> Option<Duration> {
    wait_of(response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim(), now)
}

fn wait_of(text: &str, now: Instant) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(now.until(Instant::from_micros(date.timestamp_micros())))
}

async fn read_to_its_end(mut response: Response) {
    let mut read = 0;
    // What cannot be read closes the connection, and nothing else.
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > BODY_BYTES_MAX {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_say_whether_the_notice_or_the_receiver_is_meant() {
        let wait = Some(Duration::from_secs(7));
        for status in [200, 202, 204] {
            assert_eq!(judge(status, wait), Answer::Taken);
        }
        for status in [408, 425, 429, 502, 503, 504] {
            assert!(matches!(judge(status, wait), Answer::Unavailable { wait: Some(_), .. }), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 410, 413] {
            assert!(matches!(judge(status, wait), Answer::Refused { .. }), "{status}");
        }
        assert_eq!(judge(500, None), Answer::Failed { problem: "it answered 500".to_owned() });
    }

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_as_a_date() {
        let now = Instant::from_rfc3339("2025-11-23T00:00:00Z").unwrap();
        assert_eq!(wait_of("120", now), Some(Duration::from_secs(120)));
        assert_eq!(wait_of("Sun, 23 Nov 2025 00:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(wait_of("Sat, 22 Nov 2025 00:00:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait_of("soon", now), None);
    }
}
