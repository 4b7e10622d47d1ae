//! The copy of a poison file that waits in a dead-letter queue. Sent back to its queue (the console's redrive), it says that
//! the file is to be loaded after all.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::FileId;
use super::instant::Instant;

/// The format of the envelope.
const VERSION: u32 = 1;
/// Of a reason this much is copied: SQS takes 262,144 bytes a message.
const REASON_LETTERS_MAX: usize = 4_000;

/// A poison file as the dead-letter queue shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoisonCopy {
    /// The file.
    pub file: FileId,
    /// Why it is poison.
    pub reason: String,
    /// When it was known to be so: a file that became poison later is not meant.
    pub since: Instant,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    landbridge: Letter,
}

#[derive(Serialize, Deserialize)]
struct Letter {
    version: u32,
    /// For people.
    table: String,
    /// For people.
    reason: String,
    poison: FileId,
    since_micros: i64,
}

impl PoisonCopy {
    /// The message's text: one JSON object with the one key `landbridge`.
    pub fn body(&self) -> Result<String, serde_json::Error> {
        let letter = Letter {
            version: VERSION,
            table: self.file.table.to_string(),
            reason: shortened(&self.reason),
            poison: self.file.clone(),
            since_micros: self.since.micros(),
        };
        serde_json::to_string(&Envelope { landbridge: letter })
    }

    /// Reads it back; `None` when the message is no envelope at all.
    pub(super) fn read(message: &Value) -> Option<Result<Self, String>> {
        message.get("landbridge")?;
        Some(Envelope::deserialize(message).map_err(|error| error.to_string()).and_then(|envelope| {
            let Letter { version, table: _, reason, poison, since_micros } = envelope.landbridge;
            if version != VERSION {
                return Err(format!(
                    "the copy of a poison file has version {version}, this landbridge knows {VERSION}"
                ));
            }
            Ok(Self { file: poison, reason: shortened(&reason), since: Instant::from_micros(since_micros) })
        }))
    }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TableId;
    use crate::domain::notification::{Parsed, parse};

    fn copy() -> PoisonCopy {
        let table = TableId::new("game-a", "casino", "bet \"x\"");
        let file =
            FileId { table, bucket: "b".into(), key: "k é.parquet".into(), etag: "e".into(), size_bytes: 7 };
        PoisonCopy {
            file,
            reason: "it is no Parquet".to_owned(),
            since: Instant::from_micros(1_763_856_000_123_456),
        }
    }

    #[test]
    fn what_is_sent_is_understood_when_it_comes_back() {
        assert_eq!(parse(&copy().body().unwrap()), Parsed::Redrive(copy()));
        let long = PoisonCopy { reason: "é".repeat(100_000), ..copy() };
        assert!(long.body().unwrap().len() < 20_000);
    }

    #[test]
    fn an_envelope_of_another_kind_is_not_taken_for_an_announcement() {
        let body = copy().body().unwrap();
        for (was, is, expected) in [
            ("\"version\":1", "\"version\":2", "has version 2"),
            ("\"since_micros\"", "\"since\"", "missing field `since_micros`"),
            ("\"etag\"", "\"tag\"", "missing field `etag`"),
        ] {
            let parsed = parse(&body.replace(was, is));
            assert!(matches!(&parsed, Parsed::Unparsable(reason) if reason.contains(expected)), "{parsed:?}");
        }
    }
}
