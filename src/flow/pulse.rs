//! The pulse of a task: what it is doing, and that it moves, for the watchdog to read from outside.
//!
//! It travels with the task, so that adapters far below need not know whose work they do: whoever waits for something
//! that may last says so with `waiting`, whoever works in pieces says `moved` after each. Outside of a task that is
//! watched, all of this does nothing.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::watchdog::{Doing, Edge, Reading};

tokio::task_local! {
    static CURRENT: Pulse;
}

/// The pulse of one task.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    progress: AtomicU64,
    doing: Mutex<Doing>,
}

impl Pulse {
    /// The pulse of a task that begins with this.
    pub fn new(doing: Doing) -> Self {
        Self(Arc::new(Inner { progress: AtomicU64::new(0), doing: Mutex::new(doing) }))
    }

    /// Runs the task with this pulse.
    pub async fn of<F: Future>(self, task: F) -> F::Output {
        CURRENT.scope(self, task).await
    }

    /// Runs a blocking job with this pulse.
    pub fn of_job<T>(self, job: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, job)
    }

    /// What the task shows now.
    pub fn read(&self) -> Reading {
        let doing = *self.0.doing.lock().unwrap_or_else(PoisonError::into_inner);
        Reading { progress: self.progress(), doing }
    }

    /// How often it has moved.
    pub fn progress(&self) -> u64 {
        self.0.progress.load(Ordering::Relaxed)
    }

    fn moved(&self) {
        self.0.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers what it did before.
    fn doing(&self, doing: Doing) -> Doing {
        self.moved();
        std::mem::replace(&mut *self.0.doing.lock().unwrap_or_else(PoisonError::into_inner), doing)
    }
}

/// The pulse of the task that runs here.
pub fn current() -> Option<Pulse> {
    CURRENT.try_with(Clone::clone).ok()
}

/// One piece of the work is done.
pub fn moved() {
    // A task that nobody watches has none.
    let _ = CURRENT.try_with(Pulse::moved);
}

/// From here on an answer of `edge`, or a step, is due.
pub fn working(edge: Edge, what: &'static str) {
    let _ = CURRENT.try_with(|pulse| pulse.doing(Doing::Working(edge, what)));
}

/// Waits for something that may last; afterwards goes on with what was done before.
pub async fn waiting<F: Future>(what: &'static str, wait: F) -> F::Output {
    let pulse = current();
    let before = pulse.as_ref().map(|pulse| pulse.doing(Doing::Waiting(what)));
    let outcome = wait.await;
    if let (Some(pulse), Some(before)) = (pulse, before) {
        pulse.doing(before);
    }
    outcome
}

/// How often each edge that all tables share has answered: what tells one lost answer from a silent edge.
#[derive(Debug, Default)]
pub struct Answers([AtomicU64; Edge::SHARED.len()]);

impl Answers {
    /// The edge has answered somebody; a refusal is an answer too.
    pub fn heard(&self, edge: Edge) {
        for (_, count) in Edge::SHARED.iter().zip(&self.0).filter(|(shared, _)| **shared == edge) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> Vec<(Edge, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Edge::SHARED.into_iter().zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_is_shown_while_it_lasts_and_every_step_is_progress() {
        let pulse = Pulse::new(Doing::Waiting("a slot"));
        let shown = pulse.clone();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(pulse.of(async {
            working(Edge::Warehouse, "submitting");
            waiting("credit", released).await.unwrap();
            moved();
            current().unwrap().read()
        }));
        tokio::task::yield_now().await;
        assert_eq!(shown.read(), Reading { progress: 2, doing: Doing::Waiting("credit") });
        release.send(()).unwrap();
        let after = task.await.unwrap();
        assert_eq!(after, Reading { progress: 4, doing: Doing::Working(Edge::Warehouse, "submitting") });
    }

    #[test]
    fn nobody_is_watched_outside_of_a_task() {
        moved();
        working(Edge::Cpu, "x");
        assert!(current().is_none());
    }

    #[test]
    fn answers_are_counted_by_edge() {
        let answers = Answers::default();
        answers.heard(Edge::Bucket);
        answers.heard(Edge::Cpu);
        assert_eq!(answers.counts().iter().filter(|(_, count)| *count > 0).count(), 1);
        assert!(answers.counts().contains(&(Edge::Bucket, 1)));
    }
}
