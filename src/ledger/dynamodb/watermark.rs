//! What stands between a table and its newest commit time, and the mark itself.
//!
//! A file goes from batch to batch and in and out of them while this is read. Open batches are read before and after the files in
//! no batch, so that it is seen at one of its places.

use std::collections::BTreeMap;

use super::batches::{BLOCKS, BLOCKS_NOTHING, OPEN_BATCHES};
use super::commit::count;
use super::files::{DEFERRED, POISON};
use super::item::{Fields, SK, item, key, number, text};
use super::{DynamoDbLedger, StepError};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::watermark::{Hands, UNTOLD, is_change};
use crate::ledger::stored::{from_json, table_of, table_text, to_json};

/// The partition of what processes have in hand.
const HANDS: &str = "HANDS";
/// Files of a table in no batch that are looked at. Where there are more, or the index does not show all of them yet, nobody knows
/// how old the oldest is.
const LOOSE_MAX: usize = 200;

type Oldest = BTreeMap<TableId, Instant>;

fn note(oldest: &mut Oldest, table: TableId, at: Instant) {
    oldest.entry(table).and_modify(|known| *known = at.min(*known)).or_insert(at);
}

impl DynamoDbLedger {
    pub(super) async fn all_blocking(&self) -> Result<Oldest, StepError> {
        let mut oldest = Oldest::new();
        self.open_blocking(&mut oldest).await?;
        for one in self.query("blocking", "pk = :pk", item([(":pk", text("TABLES"))])).await? {
            for (home, counted) in [(DEFERRED, "n_deferred"), (POISON, "n_poison")] {
                let files = count(&one, counted)?;
                if files > 0 {
                    let table = table_of(one.text_of(SK)?)?;
                    let at = self.loose_blocking(&table, home, files).await?;
                    at.into_iter().for_each(|at| note(&mut oldest, table.clone(), at));
                }
            }
        }
        self.open_blocking(&mut oldest).await?;
        Ok(oldest)
    }

    async fn open_blocking(&self, oldest: &mut Oldest) -> Result<(), StepError> {
        for one in self.query("blocking", "pk = :pk", item([(":pk", text(OPEN_BATCHES))])).await? {
            let from = one.maybe_number(BLOCKS)?.map_or(UNTOLD, Instant::from_micros);
            if from.micros() != BLOCKS_NOTHING {
                note(oldest, table_of(one.text_of("o_table")?)?, from);
            }
        }
        Ok(())
    }

    async fn loose_blocking(
        &self,
        table: &TableId,
        home: i64,
        counted: u64,
    ) -> Result<Option<Instant>, StepError> {
        if counted > LOOSE_MAX as u64 {
            return Ok(Some(UNTOLD));
        }
        let items = self.loose_items("blocking", table, home, LOOSE_MAX).await?;
        if (items.len() as u64) < counted {
            return Ok(Some(UNTOLD));
        }
        let mut oldest = None;
        for item in &items {
            let file: FileId = from_json("a file", item.text_of("f_identity")?)?;
            if is_change(&file) {
                let at = item.maybe_number("f_event")?.map_or(UNTOLD, Instant::from_micros);
                oldest = Some(oldest.map_or(at, |known: Instant| known.min(at)));
            }
        }
        Ok(oldest)
    }

    /// What others have said; one's own statement is written.
    pub(super) async fn all_hands(&self, own: &Hands, since: Instant) -> Result<Vec<Hands>, StepError> {
        let mut said = key(HANDS, own.process.as_str());
        said.extend(item([("h_at", number(own.at.micros())), ("h_hands", text(to_json(own)?))]));
        self.put_item("declare_hands", said).await?;
        let mut others = Vec::new();
        for one in self.query("declare_hands", "pk = :pk", item([(":pk", text(HANDS))])).await? {
            let hands: Hands = from_json("what a process has in hand", one.text_of("h_hands")?)?;
            if hands.at < since {
                let (client, table) = (&self.inner.client, &*self.inner.table);
                let call = client.delete_item().table_name(table).set_key(Some(key(HANDS, hands.process)));
                let answer = call.send().await;
                answer.map_err(|error| self.failed("declare_hands", "dynamodb:DeleteItem", error))?;
            } else if hands.process != own.process {
                others.push(hands);
            }
        }
        Ok(others)
    }

    /// The marks of all tables that have one, sorted by table.
    pub(super) async fn all_marks(&self) -> Result<Vec<(TableId, Instant)>, StepError> {
        let mut marks = Vec::new();
        for one in self.query("watermarks", "pk = :pk", item([(":pk", text("TABLES"))])).await? {
            if let Some(at) = one.maybe_number("t_watermark")? {
                marks.push((table_of(one.text_of(SK)?)?, Instant::from_micros(at)));
            }
        }
        marks.sort();
        Ok(marks)
    }

    /// Of a table that has loaded something.
    pub(super) async fn raise_mark(&self, table: &TableId, at: Instant) -> Result<(), StepError> {
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key("TABLES", table_text(table)?)));
        let call = call.update_expression("SET t_watermark = :at");
        let call = call.condition_expression(
            "attribute_exists(t_last_load) AND (attribute_not_exists(t_watermark) OR t_watermark < :at)",
        );
        let values = item([(":at", number(at.micros()))]);
        let answer = call.set_expression_attribute_values(Some(values)).send().await;
        self.if_it_held("raise_watermarks", "dynamodb:UpdateItem", answer)?;
        Ok(())
    }
}
