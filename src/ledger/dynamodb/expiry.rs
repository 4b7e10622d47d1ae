//! What is forgotten after the horizon.

use std::time::Duration;

use super::batches::{MANIFEST, StoredBatch, attempt_key, batch_key, partition};
use super::files::{Counts, FILE, VANISHED, file_partition};
use super::item::{Fields, item, key, number, sortable, text};
use super::submitted::{batch_of, is_batch};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, StepError};
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::BatchState;
use crate::ledger::stored::{from_json, table_text};

impl DynamoDbLedger {
    pub(super) async fn expire_all(&self, before: Instant, limit: usize) -> Result<u64, StepError> {
        let mut expired = 0;
        for table in self.known_tables().await? {
            expired += self.expire_batches(&table, before, limit).await?;
            expired += self.expire_vanished(&table, before, limit).await?;
        }
        self.expire_notices(before).await?;
        Ok(expired)
    }

    /// Writes down that what ended before may be forgotten.
    pub async fn remember_forgotten(&self, before: Instant) -> Result<(), Fault> {
        self.told("expire", self.note_forgotten(before).await)
    }

    async fn note_forgotten(&self, before: Instant) -> Result<(), StepError> {
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key("LEDGER", "ledger")));
        let call = call.update_expression("SET l_forgotten = :before");
        let call = call.condition_expression("attribute_not_exists(l_forgotten) OR l_forgotten < :before");
        let values = item([(":before", number(before.micros()))]);
        let answer = call.set_expression_attribute_values(Some(values)).send().await;
        // Refused: more was forgotten before.
        self.if_it_held("expire", "dynamodb:UpdateItem", answer)?;
        Ok(())
    }

    pub(super) async fn forgotten(&self) -> Result<Option<Instant>, StepError> {
        let stored = self.get("forgotten_before", key("LEDGER", "ledger")).await?.unwrap_or_default();
        Ok(stored.maybe_number("l_forgotten")?.map(Instant::from_micros))
    }

    async fn expire_batches(&self, table: &TableId, before: Instant, limit: usize) -> Result<u64, StepError> {
        let values = item([(":table", text(table_text(table)?)), (":to", text(sortable(before.micros())))]);
        let condition = "claim_table = :table AND claim_order < :to";
        let (mut expired, mut from) = (0, None);
        while expired < limit as u64 {
            let page = self.page("expire", Some("claims"), condition, values.clone(), limit, from).await?;
            let mut over = Vec::new();
            for one in &page.items {
                // Further attempts are forgotten with their batch.
                if is_batch(one)? {
                    let stored = self.stored_batch("expire", &batch_of(one)?).await?;
                    over.extend(stored.filter(|stored| is_over(stored, before)));
                }
            }
            // First: what is forgotten and not known to be would be loaded again.
            if let Some(youngest) = over.iter().map(|stored| stored.changed_at).max() {
                self.note_forgotten(youngest.plus(Duration::from_micros(1))).await?;
            }
            for stored in &over {
                expired += u64::from(self.forget_batch(stored).await?);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(expired)
    }

    /// Forgets a batch that is over, and the files in it, in one step.
    async fn forget_batch(&self, stored: &StoredBatch) -> Result<bool, StepError> {
        let is_loaded = stored.record.state == BatchState::Loaded;
        let batch = &stored.record.batch;
        let mut changes =
            vec![Change::delete(batch_key(&batch.id)), Change::delete(key(partition(&batch.id), MANIFEST))];
        changes.extend((2..=stored.last()).map(|attempt| Change::delete(attempt_key(&batch.id, attempt))));
        let files = batch.manifest.entries.iter().filter(|_| is_loaded).map(|entry| &entry.file);
        changes.extend(files.map(|file| {
            let ours = item([(":batch", text(batch.id.as_str()))]);
            let own = Change::delete(key(file_partition(file), FILE));
            own.when("attribute_not_exists(pk) OR f_batch = :batch", ours)
        }));
        Ok(self.send("expire", &changes).await? == Sent::Done)
    }

    async fn expire_vanished(
        &self,
        table: &TableId,
        before: Instant,
        limit: usize,
    ) -> Result<u64, StepError> {
        let mut over = Vec::new();
        for found in self.loose_items("expire", table, VANISHED, limit).await? {
            let at: i64 = found.number_of("f_at")?;
            over.extend((at < before.micros()).then_some((at, found)));
        }
        if let Some(youngest) = over.iter().map(|(at, _)| *at).max() {
            self.note_forgotten(Instant::from_micros(youngest.saturating_add(1))).await?;
        }
        let mut expired = 0;
        for (at, found) in over {
            let file: FileId = from_json("a vanished file", found.text_of("f_identity")?)?;
            let as_it_was = item([(":home", number(VANISHED)), (":at", number(at))]);
            let forget = Change::delete(key(file_partition(&file), FILE));
            let mut counts = Counts::default();
            counts.left(table, VANISHED);
            let mut changes = vec![forget.when("f_home = :home AND f_at = :at", as_it_was)];
            changes.extend(counts.changes()?);
            expired += u64::from(self.send("expire", &changes).await? == Sent::Done);
        }
        Ok(expired)
    }
}

/// True of a batch that ended before.
fn is_over(stored: &StoredBatch, before: Instant) -> bool {
    match stored.record.state {
        BatchState::Open | BatchState::Held => false,
        BatchState::Loaded | BatchState::Abandoned => stored.changed_at < before,
    }
}
