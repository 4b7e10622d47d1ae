//! Poison files: listed, redriven, discarded; and strikes, of which three make one.

use super::files::{Counts, DEFERRED, DISCARDED, Loose, POISON, STRIKES, file_partition};
use super::item::{Fields, item, key, number, text};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, READS_MAX, StepError};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::{Mending, PoisonFile, rules};
use crate::ledger::stored::from_json;

impl DynamoDbLedger {
    /// Poison files of a table, oldest first, then discarded ones.
    pub(super) async fn poison_files(
        &self,
        table: &TableId,
        limit: usize,
    ) -> Result<Vec<PoisonFile>, StepError> {
        let mut found = self.poison_of(table, POISON, limit).await?;
        let left = limit.saturating_sub(found.len());
        if left > 0 {
            found.extend(self.poison_of(table, DISCARDED, left).await?);
        }
        Ok(found)
    }

    async fn poison_of(
        &self,
        table: &TableId,
        home: i64,
        limit: usize,
    ) -> Result<Vec<PoisonFile>, StepError> {
        let items = self.loose_items("poison", table, home, limit).await?;
        let poison = items.iter().map(|item| {
            Ok(PoisonFile {
                file: from_json("a poison file", item.text_of("f_identity")?)?,
                reason: item.maybe_text("f_reason")?.unwrap_or_default().to_owned(),
                at: Instant::from_micros(item.number_of("f_at")?),
                discarded: home == DISCARDED,
            })
        });
        poison.collect()
    }

    pub(super) async fn mend_file(
        &self,
        file: &FileId,
        at: Instant,
        mending: Mending,
        now: Instant,
    ) -> Result<bool, StepError> {
        for _ in 0..READS_MAX {
            let known = self.known_files(std::slice::from_ref(file)).await?.into_iter().next().flatten();
            let Some((was, state)) = known else { return Ok(false) };
            let is_meant = match mending {
                Mending::Redrive => was.at == Some(at),
                Mending::SendBack => was.at.is_some_and(|since| since <= at) && was.home != DISCARDED,
                Mending::Discard => was.at == Some(at) && was.home != DISCARDED,
            };
            if rules::mend(Some(&state), mending, now).is_none() || !is_meant {
                return Ok(false);
            }
            let (home, reason, since) = match mending {
                Mending::Redrive | Mending::SendBack => (DEFERRED, None, now),
                Mending::Discard => (DISCARDED, Some(was.reason.as_str()), at),
            };
            let mut counts = Counts::default();
            counts.moved(&file.table, Some(was.home), home);
            let loose = Loose { home, reason, at: since, event_at: was.event_at };
            let mut changes = vec![loose.change(file, Some(&was))?];
            if home == DEFERRED {
                changes.push(Change::delete(key(file_partition(file), STRIKES)));
            }
            changes.extend(counts.changes()?);
            if self.send("mend", &changes).await? == Sent::Done {
                return Ok(true);
            }
        }
        Err(self.contended("mend"))
    }

    pub(super) async fn strike_file(
        &self,
        file: &FileId,
        reason: &str,
        now: Instant,
    ) -> Result<u32, StepError> {
        let values = item([(":one", number(1)), (":reason", text(reason)), (":now", number(now.micros()))]);
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key(file_partition(file), STRIKES)));
        let call = call.update_expression("ADD s_count :one SET s_reason = :reason, s_at = :now");
        let call = call.condition_expression("attribute_not_exists(s_at) OR s_at < :now");
        let call = call.set_expression_attribute_values(Some(values));
        let call = call.return_values(aws_sdk_dynamodb::types::ReturnValue::UpdatedNew);
        let struck = match self.if_it_held("strike", "dynamodb:UpdateItem", call.send().await)? {
            Some(answer) => answer.attributes,
            None => self.get("strike", key(file_partition(file), STRIKES)).await?,
        };
        Ok(struck.unwrap_or_default().number_of("s_count")?)
    }
}
