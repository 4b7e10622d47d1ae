//! Work that may not run on the actor thread: CPU-bound jobs, and file system calls that block.
//!
//! Both go to tokio's blocking threads behind a semaphore each: `spawn_blocking` alone is unbounded, and keeps a
//! paused clock still in tests, which a pool of our own would not.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::fault::{Fault, FaultKind};

/// File system and ledger calls that may block at one time.
pub const BLOCKING_CALLS_MAX: usize = 16;

static BLOCKING: Semaphore = Semaphore::const_new(BLOCKING_CALLS_MAX);

/// Runs a call that may block. A panic in it is a `Fault` of kind `Internal`.
pub async fn blocking<T: Send + 'static>(
    what: &'static str,
    job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let permit =
        BLOCKING.acquire().await.map_err(|error| Fault::from_error(FaultKind::Internal, what, error))?;
    spawn(what, permit, job).await
}

/// The pool for CPU-bound jobs.
#[derive(Clone, Debug)]
pub struct CpuPool {
    permits: Arc<Semaphore>,
}

impl CpuPool {
    /// A pool that runs `jobs_max` jobs at one time.
    pub fn new(jobs_max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(jobs_max.max(1))) }
    }

    /// One job less than the machine has cores, and at least one.
    pub fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new(cores.saturating_sub(1))
    }

    /// Runs a CPU-bound job. A panic in it is a `Fault` of kind `Internal`: that job's alone.
    pub async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| Fault::from_error(FaultKind::Internal, what, error))?;
        spawn(what, permit, || Ok(job())).await
    }
}

/// The permit moves into the closure: a blocking job cannot be aborted, so it counts until it ends.
async fn spawn<T: Send + 'static>(
    what: &'static str,
    permit: impl Send + 'static,
    job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    #[allow(clippy::disallowed_methods)]
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        job()
    });
    match task.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(Fault::new(
            FaultKind::Internal,
            format!("{what} panicked: {}", panic_text(error.into_panic())),
        )),
        Err(error) => Err(Fault::from_error(FaultKind::Internal, what, error)),
    }
}

/// What a panic said.
pub fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "no text".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_jobs_own_fault() {
        let pool = CpuPool::new(1);
        let fault = pool.run::<()>("reading x", || panic!("bad page")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Internal);
        assert_eq!(fault.chain(), "reading x panicked: bad page");
        assert_eq!(pool.run("reading y", || 7).await.unwrap(), 7);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_jobs_run_than_the_pool_allows() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pool = CpuPool::new(2);
        let jobs: Vec<_> = (0..20)
            .map(|_| {
                let (pool, running, most) = (pool.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    pool.run("counting", move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await
                })
            })
            .collect();
        for job in jobs {
            job.await.unwrap().unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
    }
}
