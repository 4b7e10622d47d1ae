//! The ledger of one process: the real one, with calls that fail; and what is known of it that a queue needs to check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::domain::batch::{Attempt, Batch, FILES_PER_BATCH_MAX};
use landbridge::domain::cost::usage::{Day, KeptUsage};
use landbridge::domain::fault::Fault;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, BatchId, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::notice::{Notice, NoticeId};
use landbridge::domain::planner::Submitted;
use landbridge::domain::shape::ShapeEntry;
use landbridge::domain::summary::TableSummary;
use landbridge::domain::watermark::Hands;
use landbridge::ledger::sqlite::SqliteLedger;
use landbridge::ledger::{
    BatchRecord, Claim, DeferredFile, Home, Ledger, Mending, PoisonFile, Step, TableMode, Verdict,
};
use landbridge::queue::Receipt;

use super::kinds::Kind;
use super::process::{Breaches, Call, Edge, Process};
use super::time::at_once;

/// What the ledger was seen to do, over all processes.
pub struct Watch {
    pub ledger: SqliteLedger,
    breaches: Arc<Breaches>,
    /// Files that were final at some time though they need not be now: deferred and taken up, vanished and back, held
    /// and released.
    once_final: Mutex<BTreeSet<FileId>>,
    steps: Mutex<BTreeMap<&'static str, u64>>,
}

impl Watch {
    pub fn new(breaches: Arc<Breaches>) -> Arc<Self> {
        Arc::new(Self {
            ledger: SqliteLedger::open_in_memory().unwrap(),
            breaches,
            once_final: Mutex::default(),
            steps: Mutex::default(),
        })
    }

    /// The states of any number of files.
    pub fn states(&self, files: &[FileId]) -> Vec<Option<FileState>> {
        let chunks = files.chunks(FILES_PER_BATCH_MAX);
        chunks.flat_map(|chunk| at_once(self.ledger.lookup(chunk)).unwrap()).collect()
    }

    /// Invariant I-4.
    pub fn check_deleted(&self, receipt: &Receipt, files: &[FileId]) {
        for (file, state) in files.iter().zip(self.states(files)) {
            let is_final = state.as_ref().is_some_and(FileState::is_final);
            if !is_final && !self.once_final.lock().unwrap().contains(file) {
                self.breaches.add(format!(
                    "message {} was deleted while {file} was {state:?}, which is not final (I-4)",
                    receipt.0
                ));
            }
        }
    }

    /// How often each step was taken.
    pub fn steps(&self) -> BTreeMap<&'static str, u64> {
        self.steps.lock().unwrap().clone()
    }

    pub fn step(&self, name: &'static str) {
        *self.steps.lock().unwrap().entry(name).or_default() += 1;
    }

    fn became_final(&self, file: &FileId) {
        self.once_final.lock().unwrap().insert(file.clone());
    }

    fn settled(&self, files: &[(FileId, Verdict)], states: &[FileState]) {
        for ((file, _), state) in files.iter().zip(states) {
            match state {
                FileState::Deferred { .. } => self.step("file deferred"),
                FileState::Vanished { .. } => self.step("file vanished before its claim"),
                FileState::Poison { .. } => self.step("file poison before its claim"),
                FileState::Claimed { .. } | FileState::Loaded { .. } => continue,
            }
            self.became_final(file);
        }
    }

    fn rehomed(&self, homes: &[Home]) {
        for home in homes {
            match home {
                Home::Batch { .. } => self.step("re-homed: batch"),
                Home::Poison(..) => self.step("re-homed: poison file"),
                Home::Vanished(file) => {
                    self.step("re-homed: vanished file");
                    self.became_final(file);
                }
                Home::Deferred(file) => {
                    self.step("re-homed: deferred file");
                    self.became_final(file);
                }
            }
        }
    }

    fn held(&self, batch: &BatchId) {
        self.step("batch held");
        let record = at_once(self.ledger.batch(batch)).unwrap();
        let entries = record.into_iter().flat_map(|record| record.batch.manifest.entries);
        entries.for_each(|entry| self.became_final(&entry.file));
    }
}

/// A mistake that is put before the ledger on purpose; nothing by default.
pub trait Tamper: Send + Sync {
    fn looked_up(&self, _: &[FileId], _: &mut [Option<FileState>]) {}

    fn claimed(&self, _: &Batch) {}

    /// How long a commit that was answered really takes.
    fn commits_after(&self) -> Option<Duration> {
        None
    }
}

/// No mistake.
pub struct Untampered;

impl Tamper for Untampered {}

/// The ledger of one process.
pub struct LedgerPort {
    pub process: Arc<Process>,
    pub watch: Arc<Watch>,
    pub tamper: Arc<dyn Tamper>,
}

impl LedgerPort {
    /// One step: it happens at once or not at all.
    async fn step<T>(
        &self,
        name: &'static str,
        about: String,
        step: impl Future<Output = Result<T, Fault>>,
        seen: impl FnOnce(&T),
    ) -> Result<T, Fault> {
        let call = Call {
            edge: Edge::Ledger,
            name,
            about,
            before: (Kind::LedgerLostBefore, 80),
            after: (Kind::LedgerLostAfter, 100),
        };
        let work = async {
            let answer = at_once(step);
            if let Ok(value) = &answer {
                seen(value);
            }
            answer
        };
        self.process.call(call, work).await
    }
}

fn names<'a>(files: impl Iterator<Item = &'a FileId>) -> String {
    files.map(|file| format!("{}@{}", file.key, &file.etag[24..])).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl Ledger for LedgerPort {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        let mut states =
            self.step("lookup", names(files.iter()), self.watch.ledger.lookup(files), |_| {}).await?;
        self.tamper.looked_up(files, &mut states);
        Ok(states)
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        let files = names(batch.manifest.entries.iter().map(|entry| &entry.file));
        let claim = self.watch.ledger.claim(batch, attempt, now);
        let claim = self.step("claim", format!("{}: {files}", batch.id), claim, |claim| match claim {
            Claim::Won => {
                self.watch.step("claim won");
                self.tamper.claimed(batch);
            }
            Claim::Lost(_) => self.watch.step("claim lost"),
        });
        claim.await
    }

    async fn fail_attempt(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, Fault> {
        let about = format!("{batch} {failed}: {reason}");
        let step = self.watch.ledger.fail_attempt(batch, failed, reason, next, now);
        self.step("fail_attempt", about, step, |_| self.watch.step("attempt failed")).await
    }

    async fn commit_telling(&self, batch: &BatchId, notices: &[Notice], now: Instant) -> Result<Step, Fault> {
        if let Some(delay) = self.tamper.commits_after() {
            let (ledger, batch, notices) = (self.watch.ledger.clone(), batch.clone(), notices.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = at_once(ledger.commit_telling(&batch, &notices, now));
            });
            return Ok(Step::Done);
        }
        let step = self.watch.ledger.commit_telling(batch, notices, now);
        self.step("commit", batch.to_string(), step, |_| self.watch.step("batch committed")).await
    }

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        let step = self.watch.ledger.rehome(batch, homes, now);
        let seen = |step: &Step| {
            if *step == Step::Done {
                self.watch.rehomed(homes);
            }
        };
        self.step("rehome", format!("{batch} into {} homes", homes.len()), step, seen).await
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        let step = self.watch.ledger.hold(batch, held, now);
        let seen = |step: &Step| {
            if held && *step == Step::Done {
                self.watch.held(batch);
            }
        };
        self.step("hold", format!("{batch} {held}"), step, seen).await
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        let about = table.map(TableId::to_string).unwrap_or_default();
        self.step("open_batches", about, self.watch.ledger.open_batches(table, limit), |_| {}).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        self.step("batch", batch.to_string(), self.watch.ledger.batch(batch), |_| {}).await
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        let about = names(files.iter().map(|(file, _)| file));
        let step = self.watch.ledger.settle(files, now);
        self.step("settle", about, step, |states| self.watch.settled(files, states)).await
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        self.step("deferred", table.to_string(), self.watch.ledger.deferred(table, limit), |_| {}).await
    }

    async fn deferred_count(&self, table: &TableId) -> Result<u64, Fault> {
        self.step("deferred_count", table.to_string(), self.watch.ledger.deferred_count(table), |_| {}).await
    }

    async fn strike(&self, file: &FileId, reason: &str, now: Instant) -> Result<u32, Fault> {
        let step = self.watch.ledger.strike(file, reason, now);
        self.step("strike", file.to_string(), step, |_| self.watch.step("strike")).await
    }

    async fn note_events(&self, files: &[(FileId, Instant)]) -> Result<(), Fault> {
        at_once(self.watch.ledger.note_events(files))
    }

    async fn summary(&self, now: Instant) -> Result<Vec<TableSummary>, Fault> {
        at_once(self.watch.ledger.summary(now))
    }

    async fn blocking(&self) -> Result<BTreeMap<TableId, Instant>, Fault> {
        at_once(self.watch.ledger.blocking())
    }

    async fn declare_hands(&self, own: &Hands, since: Instant) -> Result<Vec<Hands>, Fault> {
        self.watch.ledger.declare_hands(own, since).await
    }

    fn has_other_writers(&self) -> bool {
        self.watch.ledger.has_other_writers()
    }

    async fn raise_watermarks(&self, marks: &[(TableId, Instant)]) -> Result<(), Fault> {
        at_once(self.watch.ledger.raise_watermarks(marks))
    }

    async fn poison(&self, table: &TableId, limit: usize) -> Result<Vec<PoisonFile>, Fault> {
        self.watch.ledger.poison(table, limit).await
    }

    async fn mend(
        &self,
        files: &[(FileId, Instant)],
        mending: Mending,
        now: Instant,
    ) -> Result<Vec<bool>, Fault> {
        self.watch.ledger.mend(files, mending, now).await
    }

    async fn expire(&self, before: Instant, limit: usize) -> Result<u64, Fault> {
        self.watch.ledger.expire(before, limit).await
    }

    async fn forgotten_before(&self) -> Result<Option<Instant>, Fault> {
        self.watch.ledger.forgotten_before().await
    }

    async fn dead_letter(&self, queue: &str, body: &str, reason: &str, now: Instant) -> Result<(), Fault> {
        let step = self.watch.ledger.dead_letter(queue, body, reason, now);
        self.step("dead_letter", reason.to_owned(), step, |()| self.watch.step("dead letter")).await
    }

    async fn modes(&self) -> Result<Vec<(TableId, TableMode)>, Fault> {
        // Asked once, before the tree starts: a failure there is the process's own.
        at_once(self.watch.ledger.modes())
    }

    async fn set_mode(&self, table: &TableId, mode: &TableMode, now: Instant) -> Result<(), Fault> {
        let step = self.watch.ledger.set_mode(table, mode, now);
        self.step("set_mode", format!("{table} {mode:?}"), step, |()| match mode {
            TableMode::Running | TableMode::Paused => {}
            TableMode::Quarantined(_) => self.watch.step("table quarantined"),
            TableMode::Held(_) => self.watch.step("table held"),
        })
        .await
    }

    async fn notices(
        &self,
        receiver: &str,
        after: Option<&NoticeId>,
        limit: usize,
    ) -> Result<Vec<Notice>, Fault> {
        self.watch.ledger.notices(receiver, after, limit).await
    }

    async fn take_notices(&self, receiver: &str, told: &[NoticeId]) -> Result<(), Fault> {
        self.watch.ledger.take_notices(receiver, told).await
    }

    async fn submitted_since(&self, since: Instant) -> Result<Vec<Submitted>, Fault> {
        self.watch.ledger.submitted_since(since).await
    }

    async fn shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, Fault> {
        self.step("shape", table.to_string(), self.watch.ledger.shape(table), |_| {}).await
    }

    async fn grow_shape(&self, table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<bool, Fault> {
        let about = format!("{table}: {} after {known}", entries.len());
        self.step("grow_shape", about, self.watch.ledger.grow_shape(table, known, entries), |_| {}).await
    }

    async fn keep_usage(&self, usage: &KeptUsage) -> Result<(), Fault> {
        let about = usage.writer.clone();
        self.step("keep_usage", about, self.watch.ledger.keep_usage(usage), |_| {}).await
    }

    async fn usage(&self, since: Day) -> Result<Vec<KeptUsage>, Fault> {
        self.step("usage", String::new(), self.watch.ledger.usage(since), |_| {}).await
    }

    async fn forget_usage(&self, before: Day) -> Result<u64, Fault> {
        self.step("forget_usage", String::new(), self.watch.ledger.forget_usage(before), |_| {}).await
    }

    async fn close(&self) -> Result<(), Fault> {
        // The next process opens it again.
        Ok(())
    }
}
