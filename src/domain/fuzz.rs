//! Notifications and keys, whatever they say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};

use super::batch::Destination;
use super::ids::TableId;
use super::instant::Instant;
use super::notification::{Action, Announcement, Parsed, REASON_LETTERS_MAX, event_body, parse};
use super::route::{FileKind, Route, Router, SourceRoute, TableRoute, Unmapped, file_kind};
use crate::fuzz::Choices;

/// A message as it is, and one that says what the bytes choose.
pub(crate) fn notification(bytes: &[u8]) {
    check(parse(&String::from_utf8_lossy(bytes)));
    let mut choices = Choices::new(bytes);
    let (body, expected) = message(&mut choices);
    match (parse(&body), expected) {
        (Parsed::Events(events), Some(expected)) => assert_eq!(events, expected, "{body}"),
        (Parsed::Unparsable(_), None) => {}
        (parsed, expected) => panic!("{body} is {parsed:?}, not {expected:?}"),
    }
}

/// What holds of every answer: what is refused says why, briefly; what is understood can be written and read again.
fn check(parsed: Parsed) {
    let events = match parsed {
        Parsed::Events(events) => events,
        Parsed::TestEvent => return,
        Parsed::Redrive(copy) => {
            let body = copy.body().unwrap();
            return assert_eq!(parse(&body), Parsed::Redrive(copy));
        }
        Parsed::Unparsable(reason) => {
            assert!(!reason.is_empty() && reason.chars().count() <= REASON_LETTERS_MAX, "{reason}");
            return;
        }
    };
    for event in events.iter().filter(|event| matches!(event.action, Action::Created | Action::Copied)) {
        assert!(!event.etag.is_empty());
        let at = Instant::from_micros(1_763_856_000_123_000);
        let body = event_body(&event.bucket, &event.key, event.size_bytes, &event.etag, at, 1);
        let Parsed::Events(again) = parse(&body) else { panic!("{body}") };
        let [again] = &again[..] else { panic!("{body}") };
        assert_eq!(
            (&again.bucket, &again.key, again.size_bytes, &again.etag, again.event_time),
            (&event.bucket, &event.key, event.size_bytes, &event.etag, Some(at))
        );
    }
}

/// A message in one of the wrappings, and what it announces; nothing when one record lacks what it needs.
fn message(choices: &mut Choices<'_>) -> (String, Option<Vec<Announcement>>) {
    if choices.flag() {
        let (detail, expected) = record(choices, false);
        let kind = match expected.as_ref().map(|event| event.action) {
            Some(Action::Removed) => "Object Deleted",
            Some(Action::Other) => "Object Restore Completed",
            Some(Action::Created | Action::Copied) | None => "Object Created",
        };
        let body = json!({"detail-type": kind, "time": "2026-11-23T00:00:00.123Z", "detail": detail});
        return (body.to_string(), expected.map(|event| vec![event]));
    }
    let count = choices.below(4);
    let (records, expected): (Vec<Value>, Vec<_>) = (0..count).map(|_| record(choices, true)).unzip();
    let body = json!({"Records": records}).to_string();
    let expected = expected.into_iter().collect();
    if choices.flag() {
        return (json!({"Type": "Notification", "Message": body}).to_string(), expected);
    }
    (body, expected)
}

/// One record: of S3's own form, whose keys are encoded, or of EventBridge's, whose keys are not.
fn record(choices: &mut Choices<'_>, is_raw: bool) -> (Value, Option<Announcement>) {
    let (name, reason, action) = *choices.pick(&[
        ("ObjectCreated:Put", "PutObject", Action::Created),
        ("ObjectCreated:Copy", "CopyObject", Action::Copied),
        ("ObjectRemoved:Delete", "DeleteObject", Action::Removed),
        ("ObjectRestore:Completed", "", Action::Other),
    ]);
    let (key, bucket) = (choices.text(40), choices.text(8));
    let etag = choices.text(8).trim_matches('"').to_owned();
    let size = (!choices.flag()).then(|| choices.number());
    let version = choices.flag().then(|| choices.text(8));
    let written = if is_raw {
        percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string()
    } else {
        key.clone()
    };
    let quoted = if choices.flag() { format!("\"{etag}\"") } else { etag.clone() };
    let mut object = json!({"key": written});
    object[if is_raw { "eTag" } else { "etag" }] = json!(quoted);
    if let Some(size) = size {
        object["size"] = json!(size);
    }
    if let Some(version) = &version {
        object[if is_raw { "versionId" } else { "version-id" }] = json!(version);
    }
    let place = json!({"bucket": {"name": bucket}, "object": object});
    let value = if is_raw {
        json!({"eventVersion": "2.1", "eventName": name, "eventTime": "2026-11-23T00:00:00.123Z", "s3": place})
    } else {
        let mut detail = place;
        detail["reason"] = json!(reason);
        detail
    };
    let needed = matches!(action, Action::Created | Action::Copied);
    let complete = !needed || (size.is_some() && !etag.is_empty());
    let announcement = complete.then(|| Announcement {
        action,
        bucket: bucket.into(),
        key: key.into(),
        size_bytes: size.unwrap_or(0),
        etag: etag.into(),
        version_id: version.map(Into::into),
        event_time: Some(Instant::from_micros(1_795_392_000_123_000)),
    });
    (value, announcement)
}

/// A key as it is, and one as DMS writes it.
pub(crate) fn key(bytes: &[u8]) {
    let router = router();
    let key = String::from_utf8_lossy(bytes);
    for bucket in ["cdc", "other"] {
        check_route(bucket, &key, router.route(bucket, &key));
    }
    let mut choices = Choices::new(bytes);
    let (name, kind) = file_name(&mut choices);
    let folder = |choices: &mut Choices<'_>| choices.text(12).replace('/', "-");
    // A key that the mapping's own pattern may match is not routed by its folders.
    let (mut schema, table) = (folder(&mut choices), folder(&mut choices));
    if schema.starts_with("odd_") {
        schema.insert(0, '-');
    }
    let between = choices.pick(&["", "p0/", "2026/11/23/"]);
    let key = format!("dms/{schema}/{table}/{between}{name}");
    let expected = if table.starts_with("awsdms_") {
        Route::NotOurs("dms_control_table")
    } else if (schema.as_str(), table.as_str()) == ("casino", "bets") {
        Route::Table { table: TableId::new("a", "casino", "bets"), kind }
    } else {
        Route::Unmapped { table: TableId::new("a", schema, table) }
    };
    assert_eq!(router.route("cdc", &key), expected, "{key}");
}

fn file_name(choices: &mut Choices<'_>) -> (String, FileKind) {
    let number = choices.number();
    match choices.below(3) {
        0 => (format!("LOAD{:08X}.parquet", number % (1 << 32)), FileKind::FullLoad),
        1 => (format!("SEGMENT{number}_LOAD{:08x}.parquet", number >> 32), FileKind::FullLoad),
        _ => {
            let digits = 9 + choices.below(2);
            let time = number % 10_u64.pow(u32::try_from(digits).unwrap());
            (format!("{:08}-{time:0digits$}.parquet", number % 100_000_000), FileKind::Changes)
        }
    }
}

/// What holds of every answer: it is told from the key alone, and names what is mapped, or what the key itself names.
fn check_route(bucket: &str, key: &str, route: Route) {
    let parts: Vec<&str> = key.strip_prefix("dms/").unwrap_or_default().split('/').collect();
    let kind = parts.last().and_then(|name| file_kind(name));
    match route {
        Route::Table { table, kind: found } => {
            assert_eq!(bucket, "cdc");
            assert_eq!(found, kind.unwrap_or(FileKind::Other));
            let names = (&*table.schema, &*table.table);
            let by_folder = names == ("casino", "bets") && parts.starts_with(&["casino", "bets"]);
            assert!(by_folder || (names == ("public", "odd") && parts[0].starts_with("odd_")), "{key}");
        }
        Route::Unmapped { table } => {
            assert_eq!((&*table.schema, &*table.table), (parts[0], parts[1]), "{key}");
            assert!(parts.len() > 2 && kind.is_some() && bucket == "cdc");
        }
        Route::NotOurs(reason) => {
            let known = [
                "no_such_prefix",
                "folder_marker",
                "no_table_folder",
                "dms_control_table",
                "no_dms_file_name",
            ];
            assert!(known.contains(&reason), "{reason}");
            assert_eq!(reason == "no_such_prefix", bucket != "cdc" || !key.starts_with("dms/"), "{key}");
        }
    }
}

fn router() -> Router {
    let table = |schema: &str, table: &str, files: Option<&str>| TableRoute {
        table: TableId::new("a", schema, table),
        destination: Destination {
            project: "".into(),
            location: "".into(),
            dataset: "d".into(),
            table: table.into(),
        },
        files: files.map(Into::into),
    };
    Router::new([SourceRoute {
        cluster: "a".into(),
        bucket: "cdc".into(),
        prefix: "dms/".into(),
        unmapped: Unmapped::Defer,
        tables: vec![table("casino", "bets", None), table("public", "odd", Some("odd_*a*b*?.parquet"))],
    }])
}
