//! Credit: a bounded amount of memory or disk, taken as a guard that travels with what occupies it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pulse;

/// Credit is counted in units of this many bytes, so that a semaphore's permits reach 4 TiB.
const UNIT_BYTES: u64 = 1024;

/// What open objects hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreditKind {
    /// Memory.
    Memory,
    /// Disk for fetched objects.
    Objects,
}

impl CreditKind {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Objects => "objects",
        }
    }
}

/// A pool of credit.
#[derive(Clone, Debug)]
pub struct CreditPool {
    permits: Arc<Semaphore>,
    units: u32,
    waiting: Arc<AtomicUsize>,
    waiting_units: Arc<AtomicU64>,
}

/// Credit that was taken; dropping it gives it back.
#[derive(Debug)]
pub struct Credit {
    _permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Credit {
    /// How many bytes it stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl CreditPool {
    /// A pool of `limit_bytes`.
    pub fn new(limit_bytes: u64) -> Self {
        let units = u32::try_from(limit_bytes / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        let permits = Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { permits, units, waiting: Arc::default(), waiting_units: Arc::default() }
    }

    /// Takes credit for `bytes` if it is there now. More than the whole pool counts as the whole pool: one thing may
    /// be larger than all credit, and then travels alone.
    pub fn try_take(&self, bytes: u64) -> Option<Credit> {
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(self.units_of(bytes)).ok()?;
        Some(Credit { _permit: Some(permit), bytes })
    }

    /// Waits for credit for `bytes`, first come first served.
    pub async fn take(&self, bytes: u64) -> Credit {
        let _waiting = Waiting::begin(self, self.units_of(bytes));
        // The semaphore is never closed; without a permit the credit is merely not counted.
        let permit = Arc::clone(&self.permits).acquire_many_owned(self.units_of(bytes));
        let permit = pulse::waiting("credit", permit).await.ok();
        Credit { _permit: permit, bytes }
    }

    /// The whole pool in bytes.
    pub fn limit_bytes(&self) -> u64 {
        u64::from(self.units) * UNIT_BYTES
    }

    /// What is free now, in bytes.
    pub fn available_bytes(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT_BYTES
    }

    /// How many wait for credit now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// What is waited for now, in bytes, what is already set aside for who waits first among them.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_units.load(Ordering::Relaxed) * UNIT_BYTES
    }

    fn units_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, self.units)
    }
}

struct Waiting<'a> {
    pool: &'a CreditPool,
    units: u64,
}

impl<'a> Waiting<'a> {
    fn begin(pool: &'a CreditPool, units: u32) -> Self {
        let units = u64::from(units);
        pool.waiting.fetch_add(1, Ordering::Relaxed);
        pool.waiting_units.fetch_add(units, Ordering::Relaxed);
        Self { pool, units }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pool.waiting.fetch_sub(1, Ordering::Relaxed);
        self.pool.waiting_units.fetch_sub(self.units, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn credit_comes_back_when_its_guard_is_dropped() {
        let pool = CreditPool::new(10 * 1024);
        let credit = pool.try_take(8 * 1024).unwrap();
        assert_eq!(pool.available_bytes(), 2 * 1024);
        assert!(pool.try_take(4 * 1024).is_none());
        drop(credit);
        assert_eq!(pool.available_bytes(), 10 * 1024);
    }

    #[tokio::test]
    async fn a_thing_larger_than_the_pool_waits_for_all_of_it_and_passes() {
        let pool = CreditPool::new(4 * 1024);
        let small = pool.try_take(1).unwrap();
        let large = tokio::spawn({
            let pool = pool.clone();
            async move { pool.take(1 << 40).await.bytes() }
        });
        tokio::task::yield_now().await;
        assert_eq!((pool.waiting(), pool.waiting_bytes()), (1, 4 * 1024));
        assert!(!large.is_finished());
        drop(small);
        assert_eq!(large.await.unwrap(), 1 << 40);
        assert_eq!((pool.waiting(), pool.waiting_bytes(), pool.available_bytes()), (0, 0, 4 * 1024));
    }
}
