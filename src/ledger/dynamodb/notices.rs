//! Notices of loaded batches that their receivers have not been told yet.
//!
//! One is written with the commit of its batch, in its transaction, and deleted when it is told: three write units.

use tokio::task::JoinSet;

use super::item::{Fields, Item, PK, SK, item, key, number, sortable, text};
use super::transaction::Change;
use super::{DynamoDbLedger, StepError};
use crate::domain::ids::BatchId;
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::ledger::stored::{table_of, table_text};

/// The partition. Its items are sorted by receiver and by time.
const NOTICES: &str = "NOTICES";
/// Notices that are deleted at one time.
const DELETES_AT_ONCE: usize = 16;

/// A receiver's name has no `#`.
fn notice_key(receiver: &str, id: &NoticeId) -> Item {
    key(NOTICES, format!("{receiver}#{}#{}", sortable(id.loaded_at.micros()), id.batch))
}

/// Writes one, with whatever else is in the step.
pub(super) fn written(notice: &Notice) -> Result<Change, StepError> {
    let mut own = notice_key(&notice.receiver, &notice.id);
    own.extend(item([
        ("n_batch", text(notice.id.batch.as_str())),
        ("n_at", number(notice.id.loaded_at.micros())),
        ("n_table", text(table_text(&notice.table)?)),
        ("n_body", text(&*notice.body)),
    ]));
    Ok(Change::put(own))
}

fn read(item: &Item) -> Result<Notice, StepError> {
    let receiver = item.text_of(SK)?.split('#').next().unwrap_or_default();
    let id = NoticeId {
        loaded_at: Instant::from_micros(item.number_of("n_at")?),
        batch: BatchId::from_stored(item.text_of("n_batch")?),
    };
    Ok(Notice {
        receiver: receiver.into(),
        id,
        table: table_of(item.text_of("n_table")?)?,
        body: item.text_of("n_body")?.into(),
    })
}

impl DynamoDbLedger {
    pub(super) async fn notices_of(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, StepError> {
        let values = item([(":pk", text(NOTICES)), (":of", text(format!("{receiver}#")))]);
        // A key that was there, or might have been: the query goes on behind it.
        let (mut notices, mut from) = (Vec::new(), after.map(|id| notice_key(receiver, id)));
        while notices.len() < limit {
            let condition = "pk = :pk AND begins_with(sk, :of)";
            let left = limit.saturating_sub(notices.len());
            let page = self.page("notices", None, condition, values.clone(), left, from).await?;
            for one in &page.items {
                notices.push(read(one)?);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(notices)
    }

    /// Those of all receivers.
    pub(super) async fn all_notices(&self) -> Result<Vec<Notice>, StepError> {
        let items = self.query("notices", "pk = :pk", item([(":pk", text(NOTICES))])).await?;
        items.iter().map(read).collect()
    }

    pub(super) async fn delete_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), StepError> {
        self.delete_all(told.iter().map(|id| notice_key(receiver, id)).collect()).await
    }

    /// What nobody asks for any more: of receivers that are in no configuration.
    pub(super) async fn expire_notices(&self, before: Instant) -> Result<(), StepError> {
        let mut old = Vec::new();
        for one in self.query("expire", "pk = :pk", item([(":pk", text(NOTICES))])).await? {
            if one.number_of::<i64>("n_at")? < before.micros() {
                old.push(key(one.text_of(PK)?, one.text_of(SK)?));
            }
        }
        self.delete_all(old).await
    }

    async fn delete_all(&self, keys: Vec<Item>) -> Result<(), StepError> {
        for some in keys.chunks(DELETES_AT_ONCE) {
            let mut deletes = JoinSet::new();
            for one in some.iter().cloned() {
                let call = self.inner.client.delete_item().table_name(&*self.inner.table).set_key(Some(one));
                deletes.spawn(call.send());
            }
            let mut failed = None;
            while let Some(answer) = deletes.join_next().await {
                let answer = answer.map_err(|error| StepError::Misused(error.to_string()))?;
                // The others are deleted all the same.
                failed = answer.err().or(failed);
            }
            if let Some(error) = failed {
                return Err(self.failed("notices", "dynamodb:DeleteItem", error).into());
            }
        }
        Ok(())
    }
}
