//! The ledger read beside the processes that write it: batches by the index of claims, files by a scan of the table.
//!
//! The index may show a batch later than it was made, and two processes claim in the order of their own clocks: whoever
//! reads on begins a while before the last claim that was shown.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};

use super::batches::StoredBatch;
use super::files::{FILE, IN_BATCH, file_partition, loose};
use super::item::{Fields, Item, PK, SK, item, key, sortable, text};
use super::submitted::{batch_of, is_batch};
use super::{DynamoDbLedger, READS_MAX, StepError};
use crate::domain::audit::{BatchAccount, FileHome};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::identity::Identity;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::Notice;
use crate::domain::shape::ShapeEntry;
use crate::domain::transition::{BatchRecord, TableMode};
use crate::ledger::reader::{
    BatchCursor, BatchPage, FileCursor, FilePage, LedgerReader, LetterPage, Scope, StrayFile,
};
use crate::ledger::stored::{Unreadable, from_json, table_of, table_text, to_json};

/// So long before the last claim that was shown whoever reads on begins.
const OVERLAP_MICROS: i64 = 600_000_000;
/// What every key of the index begins with.
const CLAIMED_DIGITS: usize = 20;

/// Who reads the ledger.
pub struct DynamoDbReader {
    ledger: DynamoDbLedger,
}

impl DynamoDbReader {
    /// Reads the ledger in `table`. Refuses what is not there, no ledger, or of another format; creates nothing.
    pub async fn open(config: &SdkConfig, table: &str) -> Result<Self, Fault> {
        Ok(Self { ledger: DynamoDbLedger::open_to_read(config, table).await? })
    }
}

/// Where a reading of batches stands.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    /// The last claim of each table that was shown.
    seen: BTreeMap<String, String>,
    /// The tables of this reading that are still to be read.
    left: Vec<String>,
    /// The last claim that was shown of the first of them, in this reading.
    at: Option<String>,
}

impl Place {
    fn read(cursor: &BatchCursor) -> Result<Self, StepError> {
        if cursor.is_empty() {
            return Ok(Self::default());
        }
        let place = serde_json::from_slice(cursor);
        place.map_err(|error| StepError::Misused(format!("no cursor of batches: {error}")))
    }

    /// From where the first table is read on.
    fn from(&self, table: &str, scope: &Scope) -> Result<String, Unreadable> {
        let overlapped = |last: &String| -> Result<String, Unreadable> {
            let digits = last.get(..CLAIMED_DIGITS).and_then(|digits| digits.parse::<i64>().ok());
            let claimed =
                digits.ok_or_else(|| Unreadable(format!("the claim {last} cannot be read back")))?;
            Ok(sortable(claimed.saturating_sub(OVERLAP_MICROS)))
        };
        let again = self.seen.get(table).map(overlapped).transpose()?;
        let since = scope.since.map(|since| sortable(since.micros()));
        let begun = [self.at.clone(), again, since];
        Ok(begun.into_iter().flatten().max().unwrap_or_else(|| sortable(0)))
    }
}

impl DynamoDbLedger {
    pub(super) async fn known_tables(&self) -> Result<Vec<TableId>, StepError> {
        let mut tables = BTreeSet::new();
        for (pk, field) in [("TABLES", SK), ("OPEN", "o_table")] {
            for item in self.query("tables", "pk = :pk", item([(":pk", text(pk))])).await? {
                tables.insert(table_of(item.text_of(field)?)?);
            }
        }
        Ok(tables.into_iter().collect())
    }

    async fn batch_page(
        &self,
        scope: &Scope,
        after: &BatchCursor,
        limit: usize,
    ) -> Result<BatchPage, StepError> {
        let mut place = Place::read(after)?;
        if place.left.is_empty() {
            let tables = match &scope.table {
                Some(table) => vec![table.clone()],
                None => self.known_tables().await?,
            };
            place.left = tables.iter().map(table_text).collect::<Result<_, _>>()?;
        }
        let mut batches = Vec::new();
        if let Some(table) = place.left.first().cloned() {
            let from = place.from(&table, scope)?;
            let values = item([(":table", text(&table)), (":from", text(from))]);
            let condition = "claim_table = :table AND claim_order > :from";
            let page = self.page("batches", Some("claims"), condition, values, limit, None).await?;
            for one in &page.items {
                if is_batch(one)? {
                    let account = self.account(&batch_of(one)?).await?;
                    batches.extend(account.filter(|account| Some(account.batch.claimed_at) >= scope.since));
                }
            }
            let last = page.items.last().map(|last| last.text_of("claim_order")).transpose()?;
            place.at = last.map(str::to_owned).or(place.at);
            if page.next.is_none() {
                if let Some(last) = place.at.take() {
                    let seen = place.seen.entry(table).or_default();
                    *seen = last.max(std::mem::take(seen));
                }
                place.left.remove(0);
            }
        }
        let more = !place.left.is_empty();
        Ok(BatchPage { batches, next: to_json(&place)?.into_bytes(), more })
    }

    /// A batch, and where its files are at the moment at which it is so.
    async fn account(&self, id: &BatchId) -> Result<Option<BatchAccount>, StepError> {
        let mut stored = self.stored_batch("batch", id).await?;
        for _ in 0..READS_MAX {
            let Some(before) = stored else { return Ok(None) };
            let homes = self.homes(&before).await?;
            stored = self.stored_batch("batch", id).await?;
            if stored.as_ref().is_some_and(|after| after.record.state == before.record.state) {
                let (StoredBatch { attempts, changed_at, .. }, BatchRecord { batch, state, .. }) =
                    (before.clone(), before.record);
                return Ok(Some(BatchAccount { batch, state, attempts, homes, changed_at }));
            }
        }
        Err(self.contended("batch"))
    }

    async fn homes(&self, stored: &StoredBatch) -> Result<Vec<FileHome>, StepError> {
        let batch = &stored.record.batch;
        let files = batch.manifest.entries.iter().map(|entry| &entry.file);
        let keys = files.clone().map(|file| key(file_partition(file), FILE)).collect();
        let found = self.get_many("batch", keys, Some("pk, sk, f_home, f_batch")).await?;
        let home_of = |file: &FileId| -> Result<FileHome, StepError> {
            let Some(item) = found.get(&(file_partition(file), FILE.to_owned())) else {
                return Ok(FileHome::Nowhere);
            };
            Ok(match (item.number_of("f_home")?, item.maybe_text("f_batch")?) {
                (IN_BATCH, Some(id)) if id == batch.id.as_str() => FileHome::Here,
                (IN_BATCH, _) => FileHome::Elsewhere,
                _ => FileHome::Loose,
            })
        };
        files.map(home_of).collect()
    }

    async fn file_page(
        &self,
        scope: &Scope,
        after: Option<&FileCursor>,
        limit: usize,
    ) -> Result<FilePage, StepError> {
        let from = after.map(|cursor| serde_json::from_slice::<(String, String)>(cursor));
        let from =
            from.transpose().map_err(|error| StepError::Misused(format!("no cursor of files: {error}")))?;
        let call = self.inner.client.scan().table_name(&*self.inner.table).consistent_read(true);
        let wanted =
            if scope.loose_only { "attribute_exists(f_identity)" } else { "attribute_exists(f_home)" };
        let call = call.filter_expression(wanted);
        let call = call.limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let call = call.set_exclusive_start_key(from.map(|(pk, sk)| key(pk, sk)));
        let answer = call.send().await.map_err(|error| self.failed("files", "dynamodb:Scan", error))?;
        let mut page = FilePage::default();
        let mut pointed = BTreeMap::new();
        for item in answer.items.unwrap_or_default() {
            if item.number_of::<i64>("f_home")? == IN_BATCH {
                let id = BatchId::from_stored(item.text_of("f_batch")?.to_owned());
                if !pointed.contains_key(&id) {
                    pointed.insert(id.clone(), self.pointed(&id).await?);
                }
                let batch = pointed.get(&id).and_then(Option::as_ref);
                page.stray.extend(stray(item.text_of(PK)?, &id, batch, scope));
                continue;
            }
            let file: FileId = from_json("a file", item.text_of("f_identity")?)?;
            if scope.table.as_ref().is_none_or(|table| *table == file.table) {
                page.loose.push(loose(file, &item)?);
            }
        }
        if let Some(last) = answer.last_evaluated_key.filter(|key: &Item| !key.is_empty()) {
            page.next = Some(to_json(&super::batches::name_of(&last)?)?.into_bytes());
        }
        Ok(page)
    }

    async fn pointed(&self, id: &BatchId) -> Result<Option<Pointed>, StepError> {
        let Some(stored) = self.stored_batch("files", id).await? else { return Ok(None) };
        let batch = stored.record.batch;
        let files = batch.manifest.entries.iter().map(|entry| file_partition(&entry.file)).collect();
        Ok(Some(Pointed { table: batch.table, files }))
    }
}

/// A batch to which entries of files point: its table, and the partitions of the files that it names.
struct Pointed {
    table: TableId,
    files: Vec<String>,
}

fn stray(pk: &str, batch: &BatchId, pointed: Option<&Pointed>, scope: &Scope) -> Option<StrayFile> {
    let (table, text) = match pointed {
        None => (None, "the ledger has a file in a batch that is not there"),
        // Of a batch that names the file its own account tells, with the file's name.
        Some(Pointed { files, .. }) if files.iter().any(|file| file == pk) => return None,
        Some(Pointed { table, .. }) => {
            (Some(table.clone()), "the ledger has a file in a batch whose manifest does not name it")
        }
    };
    let wanted = scope.table.as_ref().is_none_or(|wanted| table.as_ref().is_none_or(|table| table == wanted));
    let key = pk.trim_start_matches("F#").to_owned();
    wanted.then(|| StrayFile { key, batch: batch.to_string(), table, text })
}

#[async_trait]
impl LedgerReader for DynamoDbReader {
    async fn tables(&self) -> Result<Vec<TableId>, Fault> {
        self.ledger.told("tables", self.ledger.known_tables().await)
    }

    async fn batches(&self, scope: &Scope, after: &BatchCursor, limit: usize) -> Result<BatchPage, Fault> {
        self.ledger.told("batches", self.ledger.batch_page(scope, after, limit).await)
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchAccount>, Fault> {
        self.ledger.told("batch", self.ledger.account(batch).await)
    }

    async fn files(
        &self,
        scope: &Scope,
        after: Option<&FileCursor>,
        limit: usize,
    ) -> Result<FilePage, Fault> {
        self.ledger.told("files", self.ledger.file_page(scope, after, limit).await)
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        self.ledger.told("modes", self.ledger.table_modes().await)
    }

    async fn shapes(&self) -> Result<Vec<(TableId, Vec<ShapeEntry>)>, Fault> {
        self.ledger.told("shapes", self.ledger.stored_shapes().await)
    }

    async fn watermarks(&self) -> Result<Vec<(TableId, Instant)>, Fault> {
        self.ledger.told("watermarks", self.ledger.all_marks().await)
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.ledger.told("usage", self.ledger.usage_since(since).await)
    }

    async fn dead_letters(&self, after: Option<&FileCursor>, limit: usize) -> Result<LetterPage, Fault> {
        self.ledger.told("dead_letters", self.ledger.letter_page(after, limit).await)
    }

    async fn notices(&self) -> Result<Vec<Notice>, Fault> {
        self.ledger.told("notices", self.ledger.all_notices().await)
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.ledger.told("forgotten_before", self.ledger.forgotten().await)
    }

    async fn identity(&self) -> Result<Identity, Fault> {
        self.ledger.told("identity", self.ledger.known_identity().await)
    }
}
