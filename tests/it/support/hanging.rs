//! Calls to the edges that never come back: of one table, at one place, so often; or all calls to the ledger.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use landbridge::bucket::{Bucket, Held};
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Batch, Destination};
use landbridge::domain::cost::usage::{Day, KeptUsage};
use landbridge::domain::fault::Fault;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, BatchId, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::notice::{Notice, NoticeId};
use landbridge::domain::object::Object;
use landbridge::domain::planner::Submitted;
use landbridge::domain::shape::ShapeEntry;
use landbridge::domain::summary::TableSummary;
use landbridge::domain::typed_view::TypedView;
use landbridge::domain::watermark::Hands;
use landbridge::ledger::{
    BatchRecord, Claim, DeferredFile, Home, Ledger, Mending, PoisonFile, Step, TableMode, Verdict,
};
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};

use super::Edges;

/// Where calls hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Lookup,
    Deferred,
    Settle,
    Claim,
    Commit,
    OpenBatches,
    Open,
    Submit,
    /// The work is done, and the answer never comes.
    AfterSubmit,
    Ask,
}

/// The calls that hang, and jobs that run for long.
pub struct Hanging {
    table: &'static str,
    place: Place,
    left: AtomicUsize,
    started: tokio::time::Instant,
    /// When each table submitted, in seconds of the run.
    pub submitted: Mutex<BTreeMap<String, Vec<u64>>>,
    /// No call to the ledger comes back any more.
    pub ledger: AtomicBool,
    /// So often a question about a job of the table is answered with "running".
    pub running: AtomicUsize,
}

impl Hanging {
    pub fn new(table: &'static str, place: Place, times: usize) -> Arc<Self> {
        Arc::new(Self {
            table,
            place,
            left: AtomicUsize::new(times),
            started: tokio::time::Instant::now(),
            submitted: Mutex::default(),
            ledger: AtomicBool::new(false),
            running: AtomicUsize::new(0),
        })
    }

    /// How many calls are still to hang.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// Puts these hanging calls before all edges.
    pub fn wrap(self: &Arc<Self>, edges: Edges) -> Edges {
        Edges {
            bucket: Arc::new(Before { inner: edges.bucket, hanging: Arc::clone(self) }),
            warehouse: Arc::new(Before { inner: edges.warehouse, hanging: Arc::clone(self) }),
            ledger: Arc::new(Before { inner: edges.ledger, hanging: Arc::clone(self) }),
        }
    }

    async fn at(&self, table: &str, place: Place) {
        let due = table == self.table
            && place == self.place
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if due {
            pending::<()>().await;
        }
    }

    async fn of_ledger<T>(&self, table: Option<&str>, place: Place, call: impl Future<Output = T>) -> T {
        if self.ledger.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        self.at(table.unwrap_or(self.table), place).await;
        call.await
    }
}

struct Before<T: ?Sized> {
    inner: Arc<T>,
    hanging: Arc<Hanging>,
}

#[async_trait]
impl Bucket for Before<dyn Bucket> {
    fn held(&self, file: &FileId) -> Held {
        self.inner.held(file)
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        self.hanging.at(&file.table.table, Place::Open).await;
        self.inner.open(file).await
    }
}

#[async_trait]
impl Warehouse for Before<dyn Warehouse> {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let table = &attempt.destination.table;
        let second = self.hanging.started.elapsed().as_secs();
        self.hanging.submitted.lock().unwrap().entry(table.to_string()).or_default().push(second);
        self.hanging.at(table, Place::Submit).await;
        let answer = self.inner.submit(attempt, body).await;
        self.hanging.at(table, Place::AfterSubmit).await;
        answer
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let table = &attempt.destination.table;
        self.hanging.at(table, Place::Ask).await;
        let running = &self.hanging.running;
        let runs = **table == *self.hanging.table
            && running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if runs { Ok(JobStatus::Running) } else { self.inner.ask(attempt).await }
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.inner.fence(attempt).await
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.inner.columns(destination).await
    }

    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.inner.publish_view(destination, view).await
    }
}

fn table_of(files: &[FileId]) -> Option<&str> {
    files.first().map(|file| &*file.table.table)
}

#[async_trait]
impl Ledger for Before<dyn Ledger> {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        self.hanging.of_ledger(table_of(files), Place::Lookup, self.inner.lookup(files)).await
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        let table = Some(&*batch.table.table);
        self.hanging.of_ledger(table, Place::Claim, self.inner.claim(batch, attempt, now)).await
    }

    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault> {
        self.inner.fail_attempt(batch, failed, reason, next, now).await
    }

    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault> {
        let record = self.inner.batch(batch).await?;
        let table = record.map(|record| record.batch.table.table.to_string());
        self.hanging
            .of_ledger(table.as_deref(), Place::Commit, self.inner.commit_telling(batch, notices, now))
            .await
    }

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        self.inner.rehome(batch, homes, now).await
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        self.inner.hold(batch, held, now).await
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        let name = table.map(|table| &*table.table);
        self.hanging.of_ledger(name, Place::OpenBatches, self.inner.open_batches(table, limit)).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        self.inner.batch(batch).await
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        let table = files.first().map(|(file, _)| &*file.table.table);
        self.hanging.of_ledger(table, Place::Settle, self.inner.settle(files, now)).await
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        let name = Some(&*table.table);
        self.hanging.of_ledger(name, Place::Deferred, self.inner.deferred(table, limit)).await
    }

    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault> {
        self.inner.deferred_count(table).await
    }

    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault> {
        self.inner.strike(file, reason, now).await
    }

    async fn note_events(&self, files: &[(FileId, Instant)]) -> Result<(), Fault> {
        self.inner.note_events(files).await
    }

    async fn summary(&self, now: Instant) -> Result<Vec<TableSummary>, Fault> {
        self.inner.summary(now).await
    }

    async fn blocking(&self) -> Result<BTreeMap<TableId, Instant>, Fault> {
        self.inner.blocking().await
    }

    async fn declare_hands(&self, own: &Hands, since: Instant) -> Result<Vec<Hands>, Fault> {
        self.hanging.of_ledger(None, Place::Nowhere, self.inner.declare_hands(own, since)).await
    }

    fn has_other_writers(&self) -> bool {
        self.inner.has_other_writers()
    }

    async fn raise_watermarks(&self, marks: &[(TableId, Instant)]) -> Result<(), Fault> {
        self.inner.raise_watermarks(marks).await
    }

    async fn poison(&self, table: &TableId, limit: usize) -> Result<Vec<PoisonFile>, Fault> {
        self.inner.poison(table, limit).await
    }

    async fn mend(
        &self,
        files: &[(FileId, Instant)],
        mending: Mending,
        now: Instant,
    ) -> Result<Vec<bool>, Fault> {
        self.inner.mend(files, mending, now).await
    }

    async fn expire(&self, before: Instant, limit: usize) -> Result<u64, Fault> {
        self.inner.expire(before, limit).await
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.inner.forgotten_before().await
    }

    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault> {
        self.inner.dead_letter(queue, body, reason, now).await
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        self.inner.modes().await
    }

    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault> {
        self.inner.set_mode(table, mode, now).await
    }

    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault> {
        self.inner.notices(receiver, after, limit).await
    }

    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault> {
        self.inner.take_notices(receiver, told).await
    }

    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault> {
        self.inner.submitted_since(since).await
    }

    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault> {
        self.inner.shape(table).await
    }

    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault> {
        self.inner.grow_shape(table, known, entries).await
    }

    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault> {
        self.inner.keep_usage(usage).await
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.inner.usage(since).await
    }

    async fn forget_usage(&self, before: Day) -> Result<u64, Fault> {
        self.inner.forget_usage(before).await
    }

    async fn close(&self) -> Result<(), Fault> {
        self.inner.close().await
    }
}
