//! What stands before the ledger: loaded files in memory, since most announcements of a file that is known are repeats of
//! loaded ones; and copies of poison files for the dead-letter queues.
//!
//! The memory holds *loaded* only (Invariant I-4): that state is the one that never changes again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dashmap::DashMap;

use super::stored::file_key;
use super::usage::UsageKeeper;
use super::{Claim, DeferredFile, Home, Ledger, Mending, PoisonFile, SharedLedger, Step, TableMode, Verdict};
use crate::domain::batch::{Attempt, Batch};
use crate::domain::cost::usage::{Day, KeptUsage};
use crate::domain::dead_letter::PoisonCopy;
use crate::domain::fault::{Fault, LOADED_BEFORE, MAY_BE_LOADED};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};
use crate::domain::planner::Submitted;
use crate::domain::shape::ShapeEntry;
use crate::domain::summary::TableSummary;
use crate::domain::transition::BatchRecord;
use crate::domain::watermark::Hands;

/// Where copies of poison files go.
#[async_trait]
pub trait PoisonCopies: Send + Sync + 'static {
    /// Sends the copies, within the bound that a queue has for it. What cannot be sent is told: the ledger has the files all the same.
    async fn send(&self, copies: Vec<PoisonCopy>);
}

type Generation = DashMap<[u8; 16], BatchId>;

/// Two generations of loaded files: when the young one is full, the old one is forgotten. Bounded by `capacity`.
pub struct LoadedFront {
    generations: [Generation; 2],
    /// Which generation is young.
    second_is_young: AtomicBool,
    half: usize,
}

impl LoadedFront {
    /// Remembers at most `capacity` files.
    pub fn new(capacity: usize) -> Self {
        let generations = [DashMap::new(), DashMap::new()];
        Self { generations, second_is_young: AtomicBool::new(false), half: (capacity / 2).max(1) }
    }

    /// Remembers that `batch` has loaded the file.
    pub fn insert(&self, file: &FileId, batch: &BatchId) {
        self.insert_key(file_key(file), batch);
    }

    fn insert_key(&self, key: [u8; 16], batch: &BatchId) {
        let (young, old) = self.by_age();
        if young.len() >= self.half {
            old.clear();
            self.second_is_young.fetch_xor(true, Ordering::AcqRel);
            old.insert(key, batch.clone());
            return;
        }
        young.insert(key, batch.clone());
    }

    /// The batch that has loaded the file, if that is remembered.
    pub fn get(&self, file: &FileId) -> Option<BatchId> {
        let key = file_key(file);
        self.generations.iter().find_map(|generation| generation.get(&key).map(|batch| batch.clone()))
    }

    /// How many files are remembered.
    pub fn len(&self) -> usize {
        self.generations.iter().map(DashMap::len).sum()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn by_age(&self) -> (&Generation, &Generation) {
        let [first, second] = &self.generations;
        if self.second_is_young.load(Ordering::Acquire) { (second, first) } else { (first, second) }
    }
}

/// A ledger with a front before it.
pub struct FrontedLedger {
    inner: SharedLedger,
    front: LoadedFront,
    /// Files of batches that this process has claimed and not yet committed: as many as deliveries are in flight.
    claimed: DashMap<BatchId, Vec<[u8; 16]>>,
    copies: Option<Arc<dyn PoisonCopies>>,
    usage: Option<Arc<UsageKeeper>>,
}

impl FrontedLedger {
    /// Puts a front of `capacity` files before `inner`.
    pub fn new(inner: SharedLedger, capacity: usize) -> Self {
        Self { inner, front: LoadedFront::new(capacity), claimed: DashMap::new(), copies: None, usage: None }
    }

    /// Sends copies of files that become poison.
    pub fn with_copies(self, copies: Arc<dyn PoisonCopies>) -> Self {
        Self { copies: Some(copies), ..self }
    }

    /// Keeps what was counted, before it closes.
    pub fn with_usage(self, usage: Arc<UsageKeeper>) -> Self {
        Self { usage: Some(usage), ..self }
    }

    /// After the step: a process that dies in between sends none, and the ledger has the file all the same.
    async fn copy<'a>(&self, poison: impl Iterator<Item = (&'a FileId, &'a String)>, since: Instant) {
        let Some(copies) = &self.copies else { return };
        let of = |(file, reason): (&FileId, &String)| PoisonCopy {
            file: file.clone(),
            reason: reason.clone(),
            since,
        };
        // A redrive in the console is of all that is there: what has its rows, or may have them, is not.
        let may_be_there = |reason: &str| reason.contains(LOADED_BEFORE) || reason.contains(MAY_BE_LOADED);
        let poison = poison.filter(|(_, reason)| !may_be_there(reason));
        let poison: Vec<_> = poison.map(of).collect();
        if !poison.is_empty() {
            copies.send(poison).await;
        }
    }
}

#[async_trait]
impl Ledger for FrontedLedger {
    async fn lookup(&self, files: &[FileId]) -> Result<Vec<Option<FileState>>, Fault> {
        let mut states: Vec<_> =
            files.iter().map(|file| self.front.get(file).map(|batch| FileState::Loaded { batch })).collect();
        let unknown: Vec<_> = files
            .iter()
            .zip(&states)
            .filter(|(_, state)| state.is_none())
            .map(|(file, _)| file.clone())
            .collect();
        if unknown.is_empty() {
            return Ok(states);
        }
        let mut answers = self.inner.lookup(&unknown).await?.into_iter();
        for (file, state) in files.iter().zip(&mut states).filter(|(_, state)| state.is_none()) {
            *state = answers.next().flatten();
            if let Some(FileState::Loaded { batch }) = state {
                self.front.insert(file, batch);
            }
        }
        Ok(states)
    }

    async fn claim(&self, batch: &Batch, attempt: Option<&Attempt>, now: Instant) -> Result<Claim, Fault> {
        let claim = self.inner.claim(batch, attempt, now).await?;
        if claim == Claim::Won {
            let keys = batch.manifest.entries.iter().map(|entry| file_key(&entry.file)).collect();
            self.claimed.insert(batch.id.clone(), keys);
        }
        Ok(claim)
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
        let step = self.inner.commit_telling(batch, notices, now).await?;
        if let Some((batch, keys)) = self.claimed.remove(batch)
            && step == Step::Done
        {
            keys.into_iter().for_each(|key| self.front.insert_key(key, &batch));
        }
        Ok(step)
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

    async fn rehome(&self, batch: &BatchId, homes: &[Home], now: Instant) -> Result<Step, Fault> {
        self.claimed.remove(batch);
        let poison = homes.iter().filter_map(|home| match home {
            Home::Poison(file, reason) => Some((file, reason)),
            Home::Batch { .. } | Home::Vanished(_) | Home::Deferred(_) => None,
        });
        let step = self.inner.rehome(batch, homes, now).await?;
        if step == Step::Done {
            self.copy(poison, now).await;
        }
        Ok(step)
    }

    async fn hold(&self, batch: &BatchId, held: bool, now: Instant) -> Result<Step, Fault> {
        self.claimed.remove(batch);
        self.inner.hold(batch, held, now).await
    }

    async fn open_batches(&self, table: Option<&TableId>, limit: usize) -> Result<Vec<BatchRecord>, Fault> {
        self.inner.open_batches(table, limit).await
    }

    async fn batch(&self, batch: &BatchId) -> Result<Option<BatchRecord>, Fault> {
        self.inner.batch(batch).await
    }

    async fn settle(&self, files: &[(FileId, Verdict)], now: Instant) -> Result<Vec<FileState>, Fault> {
        let states = self.inner.settle(files, now).await?;
        let poison =
            files.iter().zip(&states).filter_map(|((file, verdict), state)| match (verdict, state) {
                (Verdict::Poison(reason), FileState::Poison { .. }) => Some((file, reason)),
                (Verdict::Poison(_) | Verdict::Vanish | Verdict::Defer, _) => None,
            });
        self.copy(poison, now).await;
        Ok(states)
    }

    async fn deferred(&self, table: &TableId, limit: usize) -> Result<Vec<DeferredFile>, Fault> {
        self.inner.deferred(table, limit).await
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
        self.inner.declare_hands(own, since).await
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

    fn has_other_writers(&self) -> bool {
        self.inner.has_other_writers()
    }

    async fn close(&self) -> Result<(), Fault> {
        let kept = match &self.usage {
            Some(usage) => usage.keep(&*self.inner).await,
            None => Ok(()),
        };
        self.inner.close().await.and(kept)
    }
}

impl FrontedLedger {
    /// A shared ledger of `inner` behind a front.
    pub fn shared(inner: SharedLedger, capacity: usize) -> SharedLedger {
        Arc::new(Self::new(inner, capacity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: usize) -> FileId {
        let table = TableId::new("a", "s", "t");
        FileId { table, bucket: "b".into(), key: number.to_string().into(), etag: "e".into(), size_bytes: 1 }
    }

    #[test]
    fn the_front_forgets_the_oldest_and_never_grows_beyond_its_capacity() {
        let front = LoadedFront::new(100);
        for number in 0..1_000 {
            front.insert(&file(number), &BatchId::from_stored(number.to_string()));
            assert!(front.len() <= 100, "{}", front.len());
            assert_eq!(front.get(&file(number)), Some(BatchId::from_stored(number.to_string())));
        }
        assert_eq!(front.get(&file(0)), None);
        assert!(front.get(&file(960)).is_some());
    }
}
