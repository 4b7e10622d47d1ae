//! The ledger in one DynamoDB table, for several processes.
//!
//! Each step is one transaction whose conditions are what the rules decided on (Invariant I-1). Whatever decides is read
//! strongly consistent; indexes only say where to look. A claim of files that the ledger does not know, and the commit
//! of a batch that this process claimed, read nothing: their conditions say so, and where those do not hold, all is
//! read and decided.
//!
//! Items, by partition and sort key:
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | `F#` + hash | `f`, `s` | a file's place; its strikes |
//! | `B#` + id | `b`, `m`, `a#0000000002` | a batch with its first attempt; a long manifest; further attempts |
//! | `OPEN` | claim time + id | a batch that is open or held |
//! | `TABLES` | table | the figures of a table |
//! | `SHAPES` | table | how many entries its shape has |
//! | `S#` + table | number of the first | entries of its shape |
//! | `MODES` | table | the mode of a table that does not run |
//! | `NOTICES` | receiver + time + id | what a receiver is still to be told of a loaded batch |
//! | `HANDS` | process | what a process has in hand |
//! | `DEAD` | time + hash | a message that could not be parsed |
//! | `USAGE` | day + process | what the process has done on that day |
//! | `LEDGER` | `ledger` | the format |

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use dashmap::DashMap;

use self::commit::Fact;
use super::{Claim, DeferredFile, Home, Ledger, Mending, PoisonFile, Step, TableMode, Verdict};
use crate::cloud::aws;
use crate::cloud::metering::DynamoDbMetering;
use crate::domain::batch::{Attempt, Batch};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::domain::planner::Submitted;
use crate::domain::shape::ShapeEntry;
use crate::domain::summary::TableSummary;
use crate::domain::transition::BatchRecord;
use crate::domain::watermark::Hands;
use crate::flow::meter::Meter;

mod batches;
mod calls;
mod commit;
mod event_times;
mod expiry;
mod files;
mod identity;
mod item;
mod notices;
mod poison;
pub mod reader;
mod setup;
mod shapes;
mod steps;
mod submitted;
mod tables;
mod transaction;
mod usage;
mod watermark;

/// Why a step failed.
type StepError = super::step_error::StepError<Fault>;

/// Reads of what other processes change at the same moment, before it is a fault.
const READS_MAX: usize = 8;
/// Batches of this process whose commits need not read.
const FACTS_MAX: usize = 10_000;

/// The ledger.
#[derive(Clone)]
pub struct DynamoDbLedger {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    table: Arc<str>,
    facts: DashMap<BatchId, Fact>,
}

impl DynamoDbLedger {
    /// Opens the ledger in `table`, which is made unless it is there. Refuses a table that is no ledger, and one of a
    /// newer format.
    pub async fn open(config: &SdkConfig, table: &str) -> Result<Self, Fault> {
        Self::open_metered(config, table, &Arc::default()).await
    }

    /// The same, and counts what it takes.
    pub async fn open_metered(config: &SdkConfig, table: &str, meter: &Arc<Meter>) -> Result<Self, Fault> {
        let ledger = Self::over(config, table, meter);
        ledger.told("open", ledger.prepare().await)?;
        Ok(ledger)
    }

    /// The same for who only reads: nothing is made.
    async fn open_to_read(config: &SdkConfig, table: &str) -> Result<Self, Fault> {
        let ledger = Self::over(config, table, &Arc::default());
        ledger.told("open", ledger.check_format(false).await)?;
        Ok(ledger)
    }

    fn over(config: &SdkConfig, table: &str, meter: &Arc<Meter>) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config);
        let client = Client::from_conf(config.interceptor(DynamoDbMetering(Arc::clone(meter))).build());
        Self { inner: Arc::new(Inner { client, table: table.into(), facts: DashMap::new() }) }
    }

    fn context(&self, step: &str) -> String {
        format!("ledger {}: {step}", self.inner.table)
    }

    fn failed<E>(&self, step: &str, permission: &str, error: SdkError<E>) -> Fault
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        aws::fault(self.context(step), permission, error)
    }

    /// What a conditional write was answered; nothing when its condition does not hold.
    fn if_it_held<T, E>(
        &self,
        step: &str,
        permission: &str,
        answer: Result<T, SdkError<E>>,
    ) -> Result<Option<T>, Fault>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(self.failed(step, permission, error)),
        }
    }

    fn told<T>(&self, step: &str, result: Result<T, StepError>) -> Result<T, Fault> {
        result.map_err(|error| error.fault(&self.context(step), |_, fault| fault))
    }

    /// Others were faster, again and again.
    fn contended(&self, step: &str) -> StepError {
        let text = format!("{}: other processes change the same again and again", self.context(step));
        Fault::new(FaultKind::Unavailable, text).into()
    }
}

#[async_trait]
impl Ledger for DynamoDbLedger {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        let known = self.told("lookup", self.known_files(files).await)?;
        Ok(known.into_iter().map(|known| known.map(|(_, state)| state)).collect())
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        self.told("claim", self.claim_batch(batch, attempt, now).await)
    }

    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault> {
        self.told("fail_attempt", self.fail(batch, failed, reason, next, now).await)
    }

    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault> {
        self.told("commit", self.commit_batch(batch, notices, now).await)
    }

    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault> {
        self.told("notices", self.notices_of(receiver, after, limit).await)
    }

    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault> {
        self.told("notices", self.delete_notices(receiver, told).await)
    }

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        self.told("rehome", self.rehome_batch(batch, homes, now).await)
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        self.told("hold", self.hold_batch(batch, held, now).await)
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        self.told("open_batches", self.open_records(table, limit).await)
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        let stored = self.told("batch", self.stored_batch("batch", batch).await)?;
        Ok(stored.map(|stored| stored.record))
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        self.told("settle", self.settle_files(files, now).await)
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        self.told("deferred", self.deferred_files(table, limit).await)
    }

    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault> {
        self.told("deferred_count", self.count_deferred(table).await)
    }

    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault> {
        self.told("strike", self.strike_file(file, reason, now).await)
    }

    async fn note_events(&self, files: &[(FileId, Instant)]) -> Result<(), Fault> {
        self.told("note_events", self.notes(files).await)
    }

    async fn summary(&self, now: Instant) -> Result<Vec<TableSummary>, Fault> {
        self.told("summary", self.summaries(now).await)
    }

    async fn blocking(&self) -> Result<BTreeMap<TableId, Instant>, Fault> {
        self.told("blocking", self.all_blocking().await)
    }

    async fn declare_hands(&self, own: &Hands, since: Instant) -> Result<Vec<Hands>, Fault> {
        self.told("declare_hands", self.all_hands(own, since).await)
    }

    async fn raise_watermarks(&self, marks: &[(TableId, Instant)]) -> Result<(), Fault> {
        for (table, at) in marks {
            self.told("raise_watermarks", self.raise_mark(table, *at).await)?;
        }
        Ok(())
    }

    async fn poison(&self, table: &TableId, limit: usize) -> Result<Vec<PoisonFile>, Fault> {
        self.told("poison", self.poison_files(table, limit).await)
    }

    async fn mend(
        &self,
        files: &[(FileId, Instant)],
        mending: Mending,
        now: Instant,
    ) -> Result<Vec<bool>, Fault> {
        let mut mended = Vec::with_capacity(files.len());
        for (file, at) in files {
            mended.push(self.told("mend", self.mend_file(file, *at, mending, now).await)?);
        }
        Ok(mended)
    }

    async fn expire(&self, before: Instant, limit: usize) -> Result<u64, Fault> {
        self.told("expire", self.expire_all(before, limit).await)
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.told("forgotten_before", self.forgotten().await)
    }

    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault> {
        self.told("dead_letter", self.write_dead_letter(queue, body, reason, now).await)
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        self.told("modes", self.table_modes().await)
    }

    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault> {
        self.told("set_mode", self.write_mode(table, mode, now).await)
    }

    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault> {
        self.told("submitted_since", self.attempts_since(since).await)
    }

    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault> {
        self.told("shape", self.stored_shape(table).await)
    }

    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault> {
        self.told("grow_shape", self.grow_stored_shape(table, known, entries).await)
    }

    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault> {
        self.told("keep_usage", self.write_usage(usage).await)
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.told("usage", self.usage_since(since).await)
    }

    async fn forget_usage(&self, before: Day) -> Result<u64, Fault> {
        self.told("forget_usage", self.drop_usage(before).await)
    }

    fn has_other_writers(&self) -> bool {
        true
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}
