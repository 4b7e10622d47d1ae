//! What a message on the queue says: S3 notifications in all their wrappings.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime};
use serde::Deserialize;
use serde_json::{Value, json};

use super::dead_letter::PoisonCopy;
use super::instant::Instant;

/// The letters that AWS leaves as they are in an event's key, besides letters and digits; a slash stays too.
const UNENCODED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b' ');

/// Of why a message is not understood this much is told: it may repeat what the message says.
pub const REASON_LETTERS_MAX: usize = 500;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Written.
    Created,
    /// Written by a copy: a re-encryption in place, say.
    Copied,
    /// Deleted.
    Removed,
    /// Anything else.
    Other,
}

impl Action {
    /// The action as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Copied => "copied",
            Self::Removed => "removed",
            Self::Other => "other",
        }
    }
}

/// One record of a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Announcement {
    /// What happened.
    pub action: Action,
    /// The bucket.
    pub bucket: Arc<str>,
    /// The key, decoded.
    pub key: Arc<str>,
    /// The object's size; 0 for removals.
    pub size_bytes: u64,
    /// The ETag without quotes; empty for removals.
    pub etag: Arc<str>,
    /// The version, in versioned buckets.
    pub version_id: Option<Arc<str>>,
    /// When it happened, when the event says so readably.
    pub event_time: Option<Instant>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Records, possibly none.
    Events(Vec<Announcement>),
    /// S3 tried whether the queue is there.
    TestEvent,
    /// The copy of a poison file came back from the dead-letter queue.
    Redrive(PoisonCopy),
    /// No notification that landbridge knows, with the reason.
    Unparsable(String),
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventVersion")]
    version: Option<String>,
    #[serde(rename = "eventName")]
    name: String,
    #[serde(rename = "eventTime")]
    time: Option<String>,
    s3: S3,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: RawObject,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct RawObject {
    key: String,
    size: Option<u64>,
    #[serde(rename = "eTag", alias = "etag")]
    etag: Option<String>,
    #[serde(rename = "versionId", alias = "version-id")]
    version_id: Option<String>,
}

/// Reads a message: a raw S3 event, one wrapped by SNS, an EventBridge event, S3's test event, or what landbridge itself
/// had put into the dead-letter queue.
pub fn parse(body: &str) -> Parsed {
    let value: Value = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => return unparsable(&format!("the message is no JSON: {error}")),
    };
    match value.get("Message") {
        Some(Value::String(inner)) if value.get("Records").is_none() => match serde_json::from_str(inner) {
            Ok(inner) => parse_value(inner),
            Err(error) => unparsable(&format!("the message inside the SNS envelope is no JSON: {error}")),
        },
        _ => parse_value(value),
    }
}

fn parse_value(value: Value) -> Parsed {
    if let Some(copy) = PoisonCopy::read(&value) {
        return copy.map_or_else(|reason| unparsable(&reason), Parsed::Redrive);
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Parsed::TestEvent;
    }
    if let Some(kind) = value.get("detail-type").and_then(Value::as_str).map(str::to_owned) {
        return match event_bridge(&kind, value) {
            Ok(announcement) => Parsed::Events(vec![announcement]),
            Err(reason) => unparsable(&reason),
        };
    }
    let Some(Value::Array(records)) = value.get("Records") else {
        return unparsable("the message has neither Records nor a detail-type");
    };
    let announcements: Result<Vec<_>, String> = records
        .iter()
        .enumerate()
        .map(|(number, record)| record_of(record).map_err(|reason| format!("record {number}: {reason}")))
        .collect();
    announcements.map_or_else(|reason| unparsable(&reason), Parsed::Events)
}

fn unparsable(reason: &str) -> Parsed {
    Parsed::Unparsable(reason.chars().take(REASON_LETTERS_MAX).collect())
}

fn record_of(value: &Value) -> Result<Announcement, String> {
    let record = Record::deserialize(value).map_err(|error| error.to_string())?;
    let major = record.version.as_deref().and_then(|version| version.split('.').next());
    if major.is_some_and(|major| major != "2") {
        return Err(format!("eventVersion {} is not known, only 2.x is", record.version.unwrap_or_default()));
    }
    let action = match record.name.strip_prefix("s3:").unwrap_or(&record.name) {
        "ObjectCreated:Copy" => Action::Copied,
        name if name.starts_with("ObjectCreated:") => Action::Created,
        name if name.starts_with("ObjectRemoved:") || name.starts_with("LifecycleExpiration:") => {
            Action::Removed
        }
        _ => Action::Other,
    };
    let object = record.s3.object;
    // Keys of S3 events are form-encoded: a plus is a space.
    let key = decode_form(&object.key)?;
    announcement(action, record.s3.bucket.name, key, object, record.time.as_deref())
}

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: RawObject,
    reason: Option<String>,
}

fn event_bridge(kind: &str, mut value: Value) -> Result<Announcement, String> {
    let time = value.get("time").and_then(Value::as_str).map(str::to_owned);
    let detail = value.get_mut("detail").map(Value::take).ok_or("the event has no detail")?;
    let detail = Detail::deserialize(detail).map_err(|error| error.to_string())?;
    let action = match (kind, detail.reason.as_deref()) {
        ("Object Created", Some("CopyObject")) => Action::Copied,
        ("Object Created", _) => Action::Created,
        ("Object Deleted", _) => Action::Removed,
        _ => Action::Other,
    };
    // EventBridge does not encode keys.
    let key = detail.object.key.clone();
    announcement(action, detail.bucket.name, key, detail.object, time.as_deref())
}

fn announcement(
    action: Action,
    bucket: String,
    key: String,
    object: RawObject,
    time: Option<&str>,
) -> Result<Announcement, String> {
    let needed = matches!(action, Action::Created | Action::Copied);
    if needed && object.size.is_none() {
        return Err("the object has no size".to_owned());
    }
    let etag = object.etag.unwrap_or_default();
    let etag = etag.trim_matches('"');
    if needed && etag.is_empty() {
        return Err("the object has no eTag".to_owned());
    }
    Ok(Announcement {
        action,
        bucket: bucket.into(),
        key: key.into(),
        size_bytes: object.size.unwrap_or(0),
        etag: etag.into(),
        version_id: object.version_id.map(Into::into),
        event_time: time.and_then(parse_time),
    })
}

fn decode_form(key: &str) -> Result<String, String> {
    let spaced = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.map(|key| key.into_owned()).map_err(|_| format!("the key {key} is no UTF-8"))
}

/// RFC 3339, or the same without a zone, which then is UTC.
fn parse_time(text: &str) -> Option<Instant> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_micros());
    let naive = || {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .map(|time| time.and_utc().timestamp_micros())
    };
    zoned.or_else(|_| naive()).ok().map(Instant::from_micros)
}

/// A raw S3 event, as S3 writes it, for a bucket that cannot announce by itself.
pub fn event_body(
    bucket: &str,
    key: &str,
    size_bytes: u64,
    etag: &str,
    at: Instant,
    sequencer: u64,
) -> String {
    let key = percent_encoding::utf8_percent_encode(key, UNENCODED).to_string().replace(' ', "+");
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": at.rfc3339(),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": size_bytes, "eTag": etag, "sequencer": format!("{sequencer:018X}")},
        },
    }]})
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(name: &str, key: &str) -> String {
        format!(
            r#"{{"Records":[{{"eventVersion":"2.6","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-11-23T03:01:31.230Z","eventName":"{name}","s3":{{"bucket":{{"name":"b","arn":"arn:aws:s3:::b"}},"object":{{"key":"{key}","size":1234,"eTag":"4b3e","sequencer":"00000660E8CF825F37"}}}}}}]}}"#
        )
    }

    fn only(parsed: Parsed) -> Announcement {
        let Parsed::Events(events) = parsed else { panic!("{parsed:?}") };
        assert_eq!(events.len(), 1);
        events[0].clone()
    }

    #[test]
    fn a_raw_event_is_decoded_once() {
        let one = only(parse(&raw("ObjectCreated:Put", "in/a+b%2Bc/%C3%A9%3D1/x.parquet")));
        assert_eq!((&*one.key, &*one.bucket, &*one.etag), ("in/a b+c/é=1/x.parquet", "b", "4b3e"));
        assert_eq!((one.size_bytes, one.action), (1234, Action::Created));
        assert_eq!(one.event_time.unwrap().rfc3339(), "2026-11-23T03:01:31.230Z");
    }

    #[test]
    fn each_wrapping_says_the_same() {
        let inner = raw("ObjectCreated:Put", "x.parquet");
        let wrapped = json!({"Type": "Notification", "TopicArn": "arn", "Message": inner}).to_string();
        assert_eq!(parse(&wrapped), parse(&inner));
        let bridge = json!({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-23T03:01:31Z",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b%20c", "size": 1, "etag": "e", "version-id": "v"}, "reason": "PutObject"}});
        let one = only(parse(&bridge.to_string()));
        assert_eq!((&*one.key, one.version_id.as_deref()), ("a+b%20c", Some("v")));
    }

    #[test]
    fn every_kind_has_its_outcome() {
        let actions = [
            ("ObjectCreated:Copy", Action::Copied),
            ("ObjectCreated:CompleteMultipartUpload", Action::Created),
            ("ObjectRemoved:DeleteMarkerCreated", Action::Removed),
            ("LifecycleExpiration:Delete", Action::Removed),
            ("ReducedRedundancyLostObject", Action::Other),
        ];
        for (name, action) in actions {
            assert_eq!(only(parse(&raw(name, "k"))).action, action, "{name}");
        }
        assert_eq!(
            parse(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#),
            Parsed::TestEvent
        );
        let unparsable = [
            ("", "no JSON"),
            ("{}", "neither Records"),
            (r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#, "record 0: missing field `s3`"),
            (&raw("ObjectCreated:Put", "k").replace("2.6", "3.0"), "eventVersion 3.0"),
            (&raw("ObjectCreated:Put", "k").replace(r#""size":1234,"#, ""), "no size"),
            (&raw("ObjectCreated:Put", "k").replace("4b3e", ""), "no eTag"),
            (&raw("ObjectCreated:Put", "%FF"), "no UTF-8"),
        ];
        for (body, expected) in unparsable {
            let parsed = parse(body);
            assert!(
                matches!(&parsed, Parsed::Unparsable(reason) if reason.contains(expected)),
                "{body}: {parsed:?}"
            );
        }
    }

    #[test]
    fn an_event_time_without_a_zone_is_utc_and_a_bad_one_is_none() {
        let body = raw("ObjectCreated:Put", "k");
        let one = only(parse(&body.replace("31.230Z", "31.230500")));
        assert_eq!(one.event_time.unwrap().rfc3339(), "2026-11-23T03:01:31.230Z");
        assert_eq!(only(parse(&body.replace("2026-11-23T", "yesterday "))).event_time, None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in "[ -~é€+%/]{1,60}", size in 0..u64::MAX, etag in "[0-9a-f-]{1,40}") {
            let at = Instant::from_micros(1_763_856_000_123_000);
            let one = only(parse(&event_body("b", &key, size, &etag, at, 7)));
            prop_assert_eq!((&*one.key, one.size_bytes, &*one.etag, one.event_time), (key.as_str(), size, etag.as_str(), Some(at)));
        }

        #[test]
        fn nothing_panics(text in ".{0,200}", at in 0_usize..300, with in "[\\x00-\\x7f]{0,3}") {
            let _ = parse(&text);
            let mut body = raw("ObjectCreated:Put", "k");
            if at < body.len() { body.replace_range(at..=at, &with); }
            let _ = parse(&body);
        }
    }
}
