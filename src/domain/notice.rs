//! What receivers are told of a batch that is loaded: one JSON object, the same in every try.

use std::sync::Arc;

use serde_json::{Value, json};

use super::batch::{Batch, Destination, hex};
use super::ids::{BatchId, TableId};
use super::instant::Instant;
use super::summary::CommitSpan;

/// The type of the event, as receivers see it.
pub const TABLE_LOADED: &str = "table.loaded";
/// The type of what tries a receiver.
pub const TEST: &str = "landbridge.test";

/// A notice of one receiver: oldest first, and named by its batch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId {
    /// When the batch was committed, by the clock of the process that did it.
    pub loaded_at: Instant,
    /// The batch.
    pub batch: BatchId,
}

/// One event on its way to one receiver. It stands in the ledger from the commit of its batch until it is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// The receiver, as the configuration names it.
    pub receiver: Arc<str>,
    /// Which.
    pub id: NoticeId,
    /// The source table.
    pub table: TableId,
    /// The JSON that the receiver is sent.
    pub body: Arc<str>,
}

/// What is known of a batch beside the ledger's record of it, when it is committed. What is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When its first and its last row were committed at the source.
    pub commits: Option<CommitSpan>,
    /// Everything that was committed at the source before, as far as it was announced, is in the warehouse.
    pub watermark: Option<Instant>,
}

/// The notices of a batch that is committed at `loaded_at`, one for each receiver.
pub fn notices(receivers: &[Arc<str>], batch: &Batch, known: Known, loaded_at: Instant) -> Vec<Notice> {
    if receivers.is_empty() {
        return Vec::new();
    }
    let body: Arc<str> = body(batch, known, loaded_at).to_string().into();
    let notice = |receiver: &Arc<str>| Notice {
        receiver: Arc::clone(receiver),
        id: NoticeId { loaded_at, batch: batch.id.clone() },
        table: batch.table.clone(),
        body: Arc::clone(&body),
    };
    receivers.iter().map(notice).collect()
}

/// A notice that stands for none, with which a receiver is tried.
pub fn sample(receiver: &Arc<str>, now: Instant) -> Notice {
    let (table, hash) = (TableId::new("sample", "landbridge", "test"), hex(&now.micros().to_be_bytes()));
    let id = NoticeId { loaded_at: now, batch: BatchId::from_stored(format!("test{hash}")) };
    let data = json!({"batch_id": id.batch.as_str(), "table": table.to_string(), "rows": 0, "files": 0,
        "loaded_at": now.rfc3339()});
    let body = json!({"type": TEST, "timestamp": now.rfc3339(), "data": data});
    Notice { receiver: Arc::clone(receiver), id, table, body: body.to_string().into() }
}

/// Times are texts, with milliseconds; `claimed_at` has the microseconds of `_claimed_at`, so that with `_batch_id` it finds
/// the rows in one partition.
fn body(batch: &Batch, known: Known, loaded_at: Instant) -> Value {
    let Destination { project, location, dataset, table } = &batch.destination;
    let mut data = json!({
        "batch_id": batch.id.as_str(),
        "table": batch.table.to_string(),
        "destination": {"project": &**project, "location": &**location, "dataset": &**dataset, "table": &**table},
        "files": batch.manifest.entries.len(),
        "rows": batch.manifest.rows(),
        "claimed_at": batch.claimed_at.rfc3339_micros(),
        "loaded_at": loaded_at.rfc3339(),
    });
    let (events, commits) = (batch.events, known.commits);
    let times = [
        ("first_event_at", events.map(|span| span.oldest)),
        ("last_event_at", events.map(|span| span.newest)),
        ("first_commit_at", commits.map(|span| span.oldest)),
        ("last_commit_at", commits.map(|span| span.newest)),
        ("watermark", known.watermark),
    ];
    if let Some(data) = data.as_object_mut() {
        for (name, at) in times.into_iter().filter_map(|(name, at)| Some((name, at?))) {
            data.insert(name.to_owned(), at.rfc3339().into());
        }
    }
    json!({"type": TABLE_LOADED, "timestamp": loaded_at.rfc3339(), "data": data})
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Manifest, ManifestEntry};
    use super::super::file::FileId;
    use super::super::summary::EventSpan;
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out() {
        let table = TableId::new("game-a", "casino", "bets");
        let file = FileId {
            table: table.clone(),
            bucket: "b".into(),
            key: "k".into(),
            etag: "e".into(),
            size_bytes: 7,
        };
        let manifest = Manifest { entries: vec![ManifestEntry { file, rows: 3 }] };
        let destination =
            Destination { dataset: "game_a".into(), table: "bets".into(), ..Default::default() };
        let at = Instant::from_micros;
        let mut batch = Batch::plan(table, destination, at(1_763_856_000_123_456), None, manifest);
        let loaded_at = at(1_763_856_009_000_000);
        let told = |batch: &Batch, known| {
            let notices = notices(&["fraud".into(), "bi".into()], batch, known, loaded_at);
            assert_eq!(notices.len(), 2);
            assert_eq!(notices[0].body, notices[1].body);
            serde_json::from_str::<serde_json::Value>(&notices[0].body).unwrap()
        };
        let event = told(&batch, Known::default());
        assert_eq!(event["type"], "table.loaded");
        assert_eq!(event["data"]["table"], "game-a/casino.bets");
        assert_eq!(event["data"]["claimed_at"], "2025-11-23T00:00:00.123456Z");
        assert_eq!((&event["data"]["rows"], &event["data"]["files"]), (&3.into(), &1.into()));
        assert_eq!(event["data"]["destination"]["dataset"], "game_a");
        assert!(event["data"].get("watermark").is_none() && event["data"].get("first_event_at").is_none());
        batch.events = EventSpan::of([at(1_763_856_000_000_000), at(1_763_856_001_000_000)]);
        let commits = CommitSpan { oldest: at(1_763_856_000_000_000), newest: at(1_763_856_001_000_000) };
        let known = Known { commits: Some(commits), watermark: Some(at(1_763_856_000_000_000)) };
        let event = told(&batch, known);
        assert_eq!(event["data"]["last_event_at"], "2025-11-23T00:00:01.000Z");
        assert_eq!(event["data"]["first_commit_at"], "2025-11-23T00:00:00.000Z");
        assert_eq!(event["data"]["watermark"], "2025-11-23T00:00:00.000Z");
        assert_eq!(notices(&[], &batch, known, loaded_at), []);
    }
}
