//! What each process has done on each day: an item a day and process, packed, which the process writes again and again.

use std::io::Read;

use super::item::{Fields, Item, PK, SK, bytes, item, key, number, sortable, text};
use super::{DynamoDbLedger, StepError};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::instant::Instant;
use crate::ledger::stored::{from_json, to_json};

const USAGE: &str = "USAGE";
/// What an item is unpacked to at most: 10,000 tables have 2 MB.
const TALLY_BYTES_MAX: u64 = 16 << 20;

/// What days sort by. Nothing was counted before 1970.
fn begins(day: Day) -> String {
    sortable(day.0)
}

impl DynamoDbLedger {
    pub(super) async fn write_usage(&self, usage: &KeptUsage) -> Result<(), StepError> {
        let packed = zstd::bulk::compress(to_json(&usage.tally)?.as_bytes(), 3);
        let packed = packed.map_err(|error| StepError::Misused(error.to_string()))?;
        let mut own = key(USAGE, format!("{}#{}", begins(usage.day), usage.writer));
        own.extend(item([
            ("u_day", number(usage.day.0)),
            ("u_writer", text(&usage.writer)),
            ("u_from", number(usage.from.micros())),
            ("u_tally", bytes(packed)),
        ]));
        self.put_item("keep_usage", own).await
    }

    pub(super) async fn usage_since(&self, since: Day) -> Result<Vec<KeptUsage>, StepError> {
        let values = item([(":pk", text(USAGE)), (":since", text(begins(since)))]);
        let items = self.query("usage", "pk = :pk AND sk >= :since", values).await?;
        items.iter().map(usage_of).collect()
    }

    pub(super) async fn drop_usage(&self, before: Day) -> Result<u64, StepError> {
        let values = item([(":pk", text(USAGE)), (":before", text(begins(before)))]);
        let items = self.query("forget_usage", "pk = :pk AND sk < :before", values).await?;
        for old in &items {
            let own = key(old.text_of(PK)?, old.text_of(SK)?);
            let call = self.inner.client.delete_item().table_name(&*self.inner.table).set_key(Some(own));
            let answer = call.send().await;
            answer.map_err(|error| self.failed("forget_usage", "dynamodb:DeleteItem", error))?;
        }
        Ok(items.len() as u64)
    }
}

fn usage_of(stored: &Item) -> Result<KeptUsage, StepError> {
    let mut json = String::new();
    let packed = stored.maybe_bytes("u_tally")?.unwrap_or_default();
    let unpacked = zstd::stream::read::Decoder::new(packed).map(|reader| reader.take(TALLY_BYTES_MAX));
    unpacked
        .and_then(|mut unpacked| unpacked.read_to_string(&mut json))
        .map_err(|error| StepError::Corrupt(format!("a day's usage cannot be unpacked: {error}")))?;
    Ok(KeptUsage {
        day: Day(stored.number_of("u_day")?),
        writer: stored.text_of("u_writer")?.to_owned(),
        from: Instant::from_micros(stored.number_of("u_from")?),
        tally: from_json("a day's usage", &json)?,
    })
}
