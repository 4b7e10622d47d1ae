//! Faults between the tree and its edges: a call that fails before or after it has done its work, a crash before or
//! after it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use landbridge::bucket::{Bucket, Held};
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Batch, Destination};
use landbridge::domain::cost::usage::{Day, KeptUsage};
use landbridge::domain::fault::{Fault, FaultKind};
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
use tokio::sync::Notify;

use super::Edges;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    FailBefore,
    /// The work is done, the answer is lost.
    FailAfter,
    CrashBefore,
    CrashAfter,
}

/// What each process on a shared ledger has said last, by its name.
pub type Others = Arc<Mutex<BTreeMap<String, Hands>>>;

/// A script of troubles by call number, over all edges together.
#[derive(Default)]
pub struct Faults {
    calls: AtomicUsize,
    script: BTreeMap<usize, Trouble>,
    /// So many of the next calls of a name fail before they do anything.
    refusing: Mutex<BTreeMap<&'static str, usize>>,
    /// Answers every claim with "won" and does nothing.
    no_claims: bool,
    /// What the processes that share the ledger have said, where others do.
    others: Option<Others>,
    pub crashed: Notify,
    /// The names of the calls, in order.
    pub log: Mutex<Vec<&'static str>>,
}

impl Faults {
    pub fn new(script: impl IntoIterator<Item = (usize, Trouble)>) -> Arc<Self> {
        Arc::new(Self { script: script.into_iter().collect(), ..Self::default() })
    }

    /// A ledger whose claim does nothing.
    pub fn without_claims() -> Arc<Self> {
        Arc::new(Self { no_claims: true, ..Self::default() })
    }

    /// The next calls of this name fail before they do anything, so many times.
    pub fn refuse_next(&self, name: &'static str, times: usize) {
        self.refusing.lock().unwrap().insert(name, times);
    }

    /// How many refusals are still to come.
    pub fn refusals_left(&self) -> usize {
        self.refusing.lock().unwrap().values().sum()
    }

    fn refuses(&self, name: &'static str) -> bool {
        let mut refusing = self.refusing.lock().unwrap();
        let Some(left) = refusing.get_mut(name).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    /// A ledger that other processes share.
    pub fn none_among(others: Others) -> Arc<Self> {
        Arc::new(Self { others: Some(others), ..Self::default() })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Puts these faults before all edges.
    pub fn wrap(self: &Arc<Self>, edges: Edges) -> Edges {
        Edges {
            bucket: Arc::new(Faulty { inner: edges.bucket, faults: Arc::clone(self) }),
            warehouse: Arc::new(Faulty { inner: edges.warehouse, faults: Arc::clone(self) }),
            ledger: Arc::new(Faulty { inner: edges.ledger, faults: Arc::clone(self) }),
        }
    }

    async fn act<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(name);
        let lost = || Fault::new(FaultKind::Unavailable, format!("{name} failed on request"));
        if self.refuses(name) {
            return Err(lost());
        }
        match self.script.get(&number) {
            None => call.await,
            Some(Trouble::FailBefore) => Err(lost()),
            Some(Trouble::FailAfter) => {
                call.await?;
                Err(lost())
            }
            Some(Trouble::CrashBefore) => self.crash().await,
            Some(Trouble::CrashAfter) => {
                let _ = call.await;
                self.crash().await
            }
        }
    }

    async fn crash<T>(&self) -> T {
        self.crashed.notify_one();
        std::future::pending().await
    }
}

struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Bucket for Faulty<dyn Bucket> {
    fn held(&self, file: &FileId) -> Held {
        self.inner.held(file)
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        self.faults.act("open", self.inner.open(file)).await
    }
}

#[async_trait]
impl Warehouse for Faulty<dyn Warehouse> {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        self.faults.act("submit", self.inner.submit(attempt, body)).await
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        self.faults.act("ask", self.inner.ask(attempt)).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.faults.act("fence", self.inner.fence(attempt)).await
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.faults.act("columns", self.inner.columns(destination)).await
    }

    /// No load depends on it: no fault of it is counted among theirs.
    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.inner.publish_view(destination, view).await
    }
}

#[async_trait]
impl Ledger for Faulty<dyn Ledger> {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        self.faults.act("lookup", self.inner.lookup(files)).await
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        if self.faults.no_claims {
            return Ok(Claim::Won);
        }
        self.faults.act("claim", self.inner.claim(batch, attempt, now)).await
    }

    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault> {
        self.faults.act("fail_attempt", self.inner.fail_attempt(batch, failed, reason, next, now)).await
    }

    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault> {
        self.faults.act("commit", self.inner.commit_telling(batch, notices, now)).await
    }

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        self.faults.act("rehome", self.inner.rehome(batch, homes, now)).await
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        self.faults.act("hold", self.inner.hold(batch, held, now)).await
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        self.faults.act("open_batches", self.inner.open_batches(table, limit)).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        self.faults.act("batch", self.inner.batch(batch)).await
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        self.faults.act("settle", self.inner.settle(files, now)).await
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        self.faults.act("deferred", self.inner.deferred(table, limit)).await
    }

    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault> {
        self.faults.act("deferred_count", self.inner.deferred_count(table)).await
    }

    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault> {
        self.faults.act("strike", self.inner.strike(file, reason, now)).await
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
        let said = async {
            let Some(others) = &self.faults.others else { return Ok(Vec::new()) };
            let mut said = others.lock().unwrap();
            said.retain(|_, hands| hands.at >= since);
            said.insert(own.process.clone(), own.clone());
            Ok(said.values().filter(|hands| hands.process != own.process).cloned().collect())
        };
        self.faults.act("declare_hands", said).await
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
        self.faults.act("expire", self.inner.expire(before, limit)).await
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.inner.forgotten_before().await
    }

    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault> {
        self.faults.act("dead_letter", self.inner.dead_letter(queue, body, reason, now)).await
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        // Asked once, before the tree starts: a failure there is the process's own.
        self.inner.modes().await
    }

    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault> {
        self.faults.act("set_mode", self.inner.set_mode(table, mode, now)).await
    }

    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault> {
        self.faults.act("notices", self.inner.notices(receiver, after, limit)).await
    }

    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault> {
        self.faults.act("take_notices", self.inner.take_notices(receiver, told)).await
    }

    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault> {
        self.faults.act("submitted_since", self.inner.submitted_since(since)).await
    }

    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault> {
        self.faults.act("shape", self.inner.shape(table)).await
    }

    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault> {
        self.faults.act("grow_shape", self.inner.grow_shape(table, known, entries)).await
    }

    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault> {
        self.faults.act("keep_usage", self.inner.keep_usage(usage)).await
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.faults.act("usage", self.inner.usage(since)).await
    }

    async fn forget_usage(&self, before: Day) -> Result<u64, Fault> {
        self.faults.act("forget_usage", self.inner.forget_usage(before)).await
    }

    fn has_other_writers(&self) -> bool {
        self.faults.others.is_some()
    }

    async fn close(&self) -> Result<(), Fault> {
        Ok(())
    }
}
