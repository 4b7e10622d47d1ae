//! Work that may not run on the actor thread: CPU-bound jobs, and file system calls that block.
//!
//! Both go to tokio's blocking threads behind a semaphore each: `spawn_blocking` alone is unbounded, and keeps a
//! paused clock still in tests, which a pool of our own would not. A job runs with the pulse of whoever waits for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};

use super::pulse::{self, Pulse};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::watchdog::{Doing, Edge};

/// File system and ledger calls that may block at one time.
pub const BLOCKING_CALLS_MAX: usize = 16;
/// A CPU job that has not moved for this long is given up. Shorter than the watchdog's patience: the file that it reads
/// is to blame, and not the table.
pub const JOB_PATIENCE: Duration = Duration::from_secs(110);
/// CPU jobs that were given up and still run: so many the process bears.
pub const GIVEN_UP_MAX: usize = 8;
/// Looks at a CPU job within its patience.
const LOOKS: u32 = 20;

static BLOCKING: Semaphore = Semaphore::const_new(BLOCKING_CALLS_MAX);

/// Runs a call that may block. A panic in it is a `Fault` of kind `Internal`.
pub async fn blocking<T: Send + 'static>(
    what: &'static str,
    job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let permit =
        BLOCKING.acquire().await.map_err(|error| Fault::from_error(FaultKind::Internal, what, error))?;
    let pulse = pulse::current();
    ended(what, spawn(pulse, permit, job).await)?
}

/// The pool for CPU-bound jobs.
#[derive(Clone, Debug)]
pub struct CpuPool {
    permits: Arc<Semaphore>,
    patience: Duration,
    given_up: Arc<AtomicUsize>,
}

/// The place of a job in the pool. It counts until the job ends, whoever waits for it, or until the job is given up.
#[derive(Debug)]
struct Place {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    given_up: Arc<AtomicUsize>,
}

impl Place {
    fn give_up(&self) {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.given_up.fetch_add(usize::from(permit.is_some()), Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = self.permit.get_mut().unwrap_or_else(PoisonError::into_inner).is_none();
        self.given_up.fetch_sub(usize::from(gone), Ordering::Relaxed);
    }
}

impl CpuPool {
    /// A pool that runs `jobs_max` jobs at one time.
    pub fn new(jobs_max: usize) -> Self {
        Self::with_patience(jobs_max, JOB_PATIENCE)
    }

    /// A pool that gives jobs up which have not moved for `patience`.
    pub fn with_patience(jobs_max: usize, patience: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(jobs_max.max(1)));
        Self { permits, patience, given_up: Arc::default() }
    }

    /// One job less than the machine has cores, and at least one.
    pub fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self::new(cores.saturating_sub(1))
    }

    /// Jobs that were given up and still run.
    pub fn given_up(&self) -> usize {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Runs a CPU-bound job. A panic in it is a `Fault` of kind `Internal`: that job's alone. So is a job that does not
    /// move (`pulse::moved`) for as long as the pool's patience: a thread cannot be aborted, so it is left behind, and its
    /// place goes to the next job.
    pub async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = pulse::waiting("a CPU slot", Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|error| Fault::from_error(FaultKind::Internal, what, error))?;
        pulse::working(Edge::Cpu, what);
        let pulse = pulse::current().unwrap_or_else(|| Pulse::new(Doing::Working(Edge::Cpu, what)));
        let place =
            Arc::new(Place { permit: Mutex::new(Some(permit)), given_up: Arc::clone(&self.given_up) });
        let mut task = spawn(Some(pulse.clone()), Arc::clone(&place), job);
        let (mut progress, mut looks) = (pulse.progress(), 0);
        while looks < LOOKS {
            if let Ok(result) = tokio::time::timeout(self.patience / LOOKS, &mut task).await {
                return ended(what, result);
            }
            let moved = std::mem::replace(&mut progress, pulse.progress()) != progress;
            looks = if moved { 0 } else { looks + 1 };
        }
        place.give_up();
        let text = format!(
            "{what} has not moved for {} s and was given up; its thread is left behind",
            self.patience.as_secs()
        );
        Err(Fault::new(FaultKind::Internal, text))
    }
}

/// What stands for a place moves into the closure: a blocking job cannot be aborted, so it counts until it ends.
fn spawn<T: Send + 'static>(
    pulse: Option<Pulse>,
    place: impl Send + 'static,
    job: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    #[allow(clippy::disallowed_methods)]
    tokio::task::spawn_blocking(move || {
        let _place = place;
        match pulse {
            Some(pulse) => pulse.of_job(job),
            None => job(),
        }
    })
}

fn ended<T>(what: &'static str, result: Result<T, JoinError>) -> Result<T, Fault> {
    result.map_err(|error| match error.try_into_panic() {
        Ok(payload) => Fault::new(FaultKind::Internal, format!("{what} panicked: {}", panic_text(payload))),
        Err(error) => Fault::from_error(FaultKind::Internal, what, error),
    })
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

    #[tokio::test]
    async fn a_job_that_does_not_move_is_given_up_and_its_place_goes_to_the_next() {
        let pool = CpuPool::with_patience(1, Duration::from_millis(100));
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let stuck = move || {
            released.recv().unwrap();
            ended.send(()).unwrap();
        };
        let fault = pool.run("reading x", stuck).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Internal);
        assert!(fault.context.starts_with("reading x has not moved"), "{fault}");
        assert_eq!((pool.given_up(), pool.permits.available_permits()), (1, 1));
        assert_eq!(pool.run("reading y", || 7).await.unwrap(), 7);
        release.send(()).unwrap();
        has_ended.await.unwrap();
        // The place is dropped after the job.
        while pool.given_up() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_slow_job_that_moves_is_left_alone() {
        let pool = CpuPool::with_patience(1, Duration::from_millis(200));
        let (tick, ticks) = std::sync::mpsc::channel::<()>();
        let job = pool.run("reading x", move || {
            while ticks.recv().is_ok() {
                pulse::moved();
            }
            7
        });
        let ticking = async {
            for _ in 0..40 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                tick.send(()).unwrap();
            }
            drop(tick);
        };
        assert_eq!(tokio::join!(job, ticking).0.unwrap(), 7);
    }
}
