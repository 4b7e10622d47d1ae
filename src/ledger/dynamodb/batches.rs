//! Batches and attempts: how they stand in the table, and what is read back.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use super::item::{Fields, Item, PK, SK, bytes, item, key, number, put, sortable, text};
use super::submitted::{ATTEMPT, claimed};
use super::transaction::Change;
use super::{DynamoDbLedger, READS_MAX, StepError};
use crate::domain::batch::{Attempt, Batch, Manifest};
use crate::domain::ids::{AttemptNumber, BatchId, JobId, TableId};
use crate::domain::instant::Instant;
use crate::domain::summary::{CommitSpan, EventSpan};
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState};
use crate::ledger::stored::{from_json, manifest_of, manifest_text, table_of, table_text, to_json};

pub(super) const OPEN: i64 = 0;
pub(super) const HELD: i64 = 1;
pub(super) const LOADED: i64 = 2;
pub(super) const ABANDONED: i64 = 3;

/// The outcomes of an attempt.
pub(super) const UNKNOWN: i64 = 0;
pub(super) const FAILED: i64 = 1;
pub(super) const SUCCEEDED: i64 = 2;

/// The sort key of a batch's own item, which holds its first attempt too.
pub(super) const BATCH: &str = "b";
pub(super) const MANIFEST: &str = "m";
/// The partition of what is open or held.
pub(super) const OPEN_BATCHES: &str = "OPEN";
/// From which event time on an open batch stands in the way of the watermark. Versions that do not know of it write none: then it
/// is not known.
pub(super) const BLOCKS: &str = "o_blocks";
/// That it is of a full load, and in nobody's way.
pub(super) const BLOCKS_NOTHING: i64 = i64::MAX;
/// A manifest up to this size stands in the batch's own item. A write is charged by the item's whole size.
const INLINE_BYTES_MAX: usize = 400;
/// A manifest is not longer than this: 90 files with keys of 1,024 bytes.
const MANIFEST_BYTES_MAX: usize = 2 << 20;
/// Batches that are read at one time.
const READS_AT_ONCE: usize = 16;

/// A batch as it was read.
#[derive(Clone, Debug)]
pub(super) struct StoredBatch {
    pub(super) record: BatchRecord,
    /// All attempts, by number.
    pub(super) attempts: Vec<(Attempt, AttemptOutcome)>,
    /// What is kept of a re-homing.
    pub(super) mark: Option<String>,
    /// When its state was written.
    pub(super) changed_at: Instant,
}

impl StoredBatch {
    /// The number of the last attempt; 0 for none.
    pub(super) fn last(&self) -> u32 {
        self.attempts.last().map_or(0, |(attempt, _)| attempt.number.0)
    }
}

pub(super) fn partition(batch: &BatchId) -> String {
    format!("B#{batch}")
}

pub(super) fn batch_key(batch: &BatchId) -> Item {
    key(partition(batch), BATCH)
}

pub(super) fn attempt_key(batch: &BatchId, number: u32) -> Item {
    key(partition(batch), if number == 1 { BATCH.to_owned() } else { format!("{ATTEMPT}{number:010}") })
}

pub(super) fn open_key(batch: &BatchId, claimed_at: Instant) -> Item {
    key(OPEN_BATCHES, format!("{}#{batch}", sortable(claimed_at.micros())))
}

pub(super) fn state_of(item: &Item) -> Result<BatchState, StepError> {
    match item.number_of("b_state")? {
        OPEN => Ok(BatchState::Open),
        HELD => Ok(BatchState::Held),
        LOADED => Ok(BatchState::Loaded),
        ABANDONED => Ok(BatchState::Abandoned),
        other => Err(StepError::Corrupt(format!("a batch has the unknown state {other}"))),
    }
}

pub(super) fn stored_state(state: BatchState) -> i64 {
    match state {
        BatchState::Open => OPEN,
        BatchState::Held => HELD,
        BatchState::Loaded => LOADED,
        BatchState::Abandoned => ABANDONED,
    }
}

fn put_attempt(item: &mut Item, attempt: &Attempt, now: Instant) {
    put(item, "a_job", Some(text(attempt.job_id.as_str())));
    put(item, "a_manifest", Some(text(&*attempt.manifest_hash)));
    put(item, "a_plan", Some(text(&*attempt.plan_hash)));
    put(item, "a_stream", attempt.stream.as_deref().map(text));
    put(item, "a_outcome", Some(number(UNKNOWN)));
    put(item, "a_at", Some(number(now.micros())));
}

/// An attempt goes where its batch goes: what differs is another hand's.
fn check(batch: &Batch, attempt: &Attempt) -> Result<(), StepError> {
    if attempt.destination == batch.destination && attempt.claimed_at == batch.claimed_at {
        return Ok(());
    }
    Err(StepError::Misused(format!("attempt {} goes elsewhere than its batch", attempt.job_id)))
}

/// Writes attempt n+1, which nobody has written before.
pub(super) fn next_attempt(batch: &Batch, attempt: &Attempt, now: Instant) -> Result<Change, StepError> {
    check(batch, attempt)?;
    let mut item = attempt_key(&batch.id, attempt.number.0);
    put_attempt(&mut item, attempt, now);
    item.extend(claimed(&table_text(&batch.table)?, now, &batch.id, Some(attempt)));
    Ok(Change::put(item).when("attribute_not_exists(pk)", Item::new()))
}

/// Writes a batch that nobody has written before, with its first attempt, as open.
pub(super) fn new_batch(
    batch: &Batch,
    attempt: Option<&Attempt>,
    blocks_from: Option<Instant>,
    now: Instant,
) -> Result<Vec<Change>, StepError> {
    let events = batch.events;
    let table = table_text(&batch.table)?;
    let mut own = batch_key(&batch.id);
    own.extend(item([
        ("b_state", number(OPEN)),
        ("b_table", text(&table)),
        ("b_destination", text(to_json(&batch.destination)?)),
        ("b_claimed", number(batch.claimed_at.micros())),
        ("b_attempts", number(attempt.map_or(0, |attempt| attempt.number.0))),
        ("b_updated", number(now.micros())),
    ]));
    // A part of a batch that was re-homed has that batch's claim time, and is begun later.
    own.extend(claimed(&table, batch.claimed_at.max(now), &batch.id, attempt));
    put(&mut own, "b_parent", batch.parent.as_ref().map(|parent| text(parent.as_str())));
    put(&mut own, "b_oldest", events.map(|events| number(events.oldest.micros())));
    put(&mut own, "b_newest", events.map(|events| number(events.newest.micros())));
    let blocks = batch.clone().blocking_from(blocks_from).blocks_from;
    put(&mut own, "b_blocks", blocks.map(|from| number(from.micros())));
    put(&mut own, "b_commit_first", batch.commits.map(|commits| number(commits.oldest.micros())));
    put(&mut own, "b_commit_last", batch.commits.map(|commits| number(commits.newest.micros())));
    if let Some(attempt) = attempt {
        check(batch, attempt)?;
        if attempt.number != AttemptNumber::FIRST {
            return Err(StepError::Misused(format!(
                "batch {} begins with attempt {}",
                batch.id, attempt.number
            )));
        }
        put_attempt(&mut own, attempt, now);
    }
    let manifest = compressed(&batch.manifest)?;
    let mut changes = Vec::new();
    if manifest.len() <= INLINE_BYTES_MAX {
        put(&mut own, "b_manifest", Some(bytes(manifest)));
    } else {
        let mut apart = key(partition(&batch.id), MANIFEST);
        put(&mut apart, "b_manifest", Some(bytes(manifest)));
        changes.push(Change::put(apart));
    }
    let pending = events.map_or(batch.claimed_at, |events| events.oldest);
    let mut open = open_key(&batch.id, batch.claimed_at);
    open.extend(item([
        ("o_batch", text(batch.id.as_str())),
        ("o_table", text(table)),
        ("o_pending", number(pending.micros())),
        (BLOCKS, number(blocks_from.map_or(BLOCKS_NOTHING, Instant::micros))),
    ]));
    changes.push(Change::put(own).when("attribute_not_exists(pk)", Item::new()));
    changes.push(Change::put(open));
    Ok(changes)
}

fn compressed(manifest: &Manifest) -> Result<Vec<u8>, StepError> {
    let text = manifest_text(manifest)?;
    zstd::bulk::compress(text.as_bytes(), 3).map_err(|error| StepError::Misused(error.to_string()))
}

fn manifest(table: &TableId, compressed: &[u8]) -> Result<Manifest, StepError> {
    let strange = |error: &dyn std::fmt::Display| {
        StepError::Corrupt(format!("a manifest cannot be read back: {error}"))
    };
    let text = zstd::bulk::decompress(compressed, MANIFEST_BYTES_MAX).map_err(|error| strange(&error))?;
    let text = String::from_utf8(text).map_err(|error| strange(&error))?;
    Ok(manifest_of(table, &text)?)
}

fn attempt_of(item: &Item, number: u32, batch: &Batch) -> Result<(Attempt, AttemptOutcome), StepError> {
    let job_id = item.text_of("a_job")?;
    let outcome = match item.number_of("a_outcome")? {
        UNKNOWN => AttemptOutcome::Open,
        FAILED => AttemptOutcome::Failed(item.maybe_text("a_reason")?.unwrap_or_default().to_owned()),
        SUCCEEDED => AttemptOutcome::Succeeded,
        other => {
            return Err(StepError::Corrupt(format!("attempt {job_id} has the unknown outcome {other}")));
        }
    };
    let attempt = Attempt {
        batch: batch.id.clone(),
        number: AttemptNumber(number),
        job_id: JobId::from_stored(job_id.to_owned()),
        destination: batch.destination.clone(),
        claimed_at: batch.claimed_at,
        manifest_hash: item.text_of("a_manifest")?.into(),
        plan_hash: item.text_of("a_plan")?.into(),
        stream: item.maybe_text("a_stream")?.map(Into::into),
    };
    Ok((attempt, outcome))
}

/// A batch from the items of its partition; nothing where one of them was written while they were read.
fn read(id: &BatchId, items: &BTreeMap<String, Item>) -> Result<Option<StoredBatch>, StepError> {
    let Some(own) = items.get(BATCH) else { return Ok(None) };
    let table = table_of(own.text_of("b_table")?)?;
    let apart = items.get(MANIFEST);
    let stored = match own.maybe_bytes("b_manifest")? {
        Some(inline) => Some(inline),
        None => apart.map(|apart| apart.maybe_bytes("b_manifest")).transpose()?.flatten(),
    };
    let Some(stored) = stored else { return Ok(None) };
    let instant = |name| own.maybe_number(name).map(|at| at.map(Instant::from_micros));
    let batch = Batch {
        id: id.clone(),
        manifest: manifest(&table, stored)?,
        table,
        destination: from_json("a destination", own.text_of("b_destination")?)?,
        claimed_at: Instant::from_micros(own.number_of("b_claimed")?),
        parent: own.maybe_text("b_parent")?.map(|parent| BatchId::from_stored(parent.to_owned())),
        events: EventSpan::of([instant("b_oldest")?, instant("b_newest")?].into_iter().flatten()),
        commits: instant("b_commit_first")?
            .zip(instant("b_commit_last")?)
            .map(|(oldest, newest)| CommitSpan { oldest, newest }),
        blocks_from: instant("b_blocks")?,
    };
    let mut attempts = Vec::new();
    for number in 1..=own.number_of::<u32>("b_attempts")? {
        let name = attempt_key(id, number);
        let Some(item) = items.get(name.text_of(SK)?) else { return Ok(None) };
        attempts.push(attempt_of(item, number, &batch)?);
    }
    let changed_at = instant("b_updated")?.unwrap_or(Instant::from_micros(0));
    // Every step on an attempt writes its time on the batch, too.
    let last_attempt = attempts.last().cloned();
    let record = BatchRecord { batch, state: state_of(own)?, last_attempt, since: changed_at };
    let mark = own.maybe_text("b_homes")?.map(str::to_owned);
    Ok(Some(StoredBatch { record, attempts, mark, changed_at }))
}

impl DynamoDbLedger {
    pub(super) async fn stored_batch(
        &self,
        step: &'static str,
        batch: &BatchId,
    ) -> Result<Option<StoredBatch>, StepError> {
        for _ in 0..READS_MAX {
            let values = item([(":pk", text(partition(batch)))]);
            let items = self.query(step, "pk = :pk", values).await?;
            if items.is_empty() {
                return Ok(None);
            }
            let named = items.into_iter().map(|item| Ok((item.text_of(SK)?.to_owned(), item)));
            if let Some(read) = read(batch, &named.collect::<Result<_, StepError>>()?)? {
                return Ok(Some(read));
            }
        }
        Err(StepError::Corrupt(format!("batch {batch} is there in part only")))
    }

    /// The ids of open and held batches, oldest first.
    async fn open_ids(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchId>, StepError> {
        let table = table.map(table_text).transpose()?;
        let items = self.query("open_batches", "pk = :pk", item([(":pk", text(OPEN_BATCHES))])).await?;
        let mut ids = Vec::new();
        for item in &items {
            if table.is_none() || table.as_deref() == item.maybe_text("o_table")? {
                ids.push(BatchId::from_stored(item.text_of("o_batch")?.to_owned()));
            }
        }
        ids.truncate(limit);
        Ok(ids)
    }

    pub(super) async fn open_records(
        &self,
        table: Option<&TableId>,
        limit: usize,
    ) -> Result<Vec<BatchRecord>, StepError> {
        let ids = self.open_ids(table, limit).await?;
        let mut records = Vec::with_capacity(ids.len());
        for some in ids.chunks(READS_AT_ONCE) {
            let mut reads = JoinSet::new();
            for (place, id) in some.iter().cloned().enumerate() {
                let ledger = self.clone();
                reads.spawn(async move { (place, ledger.stored_batch("open_batches", &id).await) });
            }
            let mut read: Vec<_> = Vec::new();
            while let Some(one) = reads.join_next().await {
                let (place, stored) = one.map_err(|error| StepError::Misused(error.to_string()))?;
                read.push((place, stored?));
            }
            read.sort_by_key(|(place, _)| *place);
            let open = read.into_iter().filter_map(|(_, stored)| Some(stored?.record));
            // What was closed since the list was read is not open.
            records.extend(open.filter(|record| match record.state {
                BatchState::Open | BatchState::Held => true,
                BatchState::Loaded | BatchState::Abandoned => false,
            }));
        }
        Ok(records)
    }
}

/// The key and nothing else, of an item.
pub(super) fn name_of(item: &Item) -> Result<(String, String), StepError> {
    Ok((item.text_of(PK)?.to_owned(), item.text_of(SK)?.to_owned()))
}
