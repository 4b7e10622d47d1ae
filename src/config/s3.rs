//! `s3://` sources and the SQS queues that announce them.

use std::sync::Arc;

use super::{ConfigError, Place};

/// Bucket and prefix of `s3://bucket/prefix/`; the prefix ends with a slash or is empty.
pub(super) fn source(
    place: &Place,
    text: &str,
    errors: &mut Vec<ConfigError>,
) -> Option<(Arc<str>, Arc<str>)> {
    let rest = text.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let admitted = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    if !admitted {
        errors.push(ConfigError {
            place: place.clone(),
            key: "source".to_owned(),
            problem: format!("\"{bucket}\" cannot be the name of a bucket"),
            expected: "expected `s3://BUCKET/PREFIX/`; the bucket 3 to 63 of a-z, 0-9, `-` and `.`"
                .to_owned(),
            nearest: None,
        });
        return None;
    }
    let prefix = match prefix {
        "" => String::new(),
        prefix => format!("{}/", prefix.trim_end_matches('/')),
    };
    Some((bucket.into(), prefix.into()))
}

/// The queue's URL.
pub(super) fn queue(place: &Place, text: Option<&str>, errors: &mut Vec<ConfigError>) -> Option<Arc<str>> {
    let is_url = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        // Host, account, name.
        rest.is_some_and(|rest| {
            rest.split('/').filter(|part| !part.is_empty()).count() >= 3
                && !rest.contains(char::is_whitespace)
        })
    };
    let problem = match text {
        Some(text) if text.ends_with(".fifo") => {
            format!("\"{text}\" is a FIFO queue, which S3 does not announce to")
        }
        Some(text) if is_url(text) => return Some(text.into()),
        Some(text) => format!("\"{text}\" is no queue URL"),
        None => "an s3:// source needs the queue that announces it".to_owned(),
    };
    errors.push(ConfigError {
        place: place.clone(),
        key: "queue".to_owned(),
        problem,
        expected: "expected `queue = \"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME\"`, a standard queue"
            .to_owned(),
        nearest: None,
    });
    None
}
