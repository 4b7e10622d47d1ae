//! A few slots, of which each that becomes free goes to whoever has waited for the longest at the source.
//!
//! A semaphore serves who asked first. After an outage of ours, or of the warehouse, that is whoever's window closed first, and
//! not whose changes are the oldest.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::domain::by_age::ByAge;
use crate::domain::instant::Instant;

/// The slots.
#[derive(Debug)]
pub struct Slots(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: ByAge<oneshot::Sender<Slot>>,
}

/// A slot. Dropping it gives it to the next.
#[derive(Debug)]
pub struct Slot(Option<Arc<Slots>>);

impl Slots {
    /// So many, at least one.
    pub fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: slots.max(1), waiting: ByAge::default() })))
    }

    /// Waits for a slot, for what has changes from `oldest` on.
    pub async fn take(self: &Arc<Self>, oldest: Instant) -> Slot {
        let waits = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(free) = state.free.checked_sub(1) {
                state.free = free;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                state.waiting.push(oldest, sender);
                Some(receiver)
            }
        };
        let Some(waits) = waits else { return Slot(Some(Arc::clone(self))) };
        // The slots know every sender until one was sent to it.
        waits.await.unwrap_or(Slot(None))
    }

    fn give(self: Arc<Self>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(next) = state.waiting.pop() {
            match next.send(Slot(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // It does not wait any more; the slot is still in hand here.
                Err(mut slot) => slot.0 = None,
            }
        }
        state.free = state.free.saturating_add(1);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.0.take() {
            slots.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    /// Whether it has its slot by now.
    async fn has(task: &mut tokio::task::JoinHandle<Slot>) -> Option<Slot> {
        // The clock stands still: it goes on only when no task has anything to do.
        tokio::time::timeout(Duration::from_secs(1), task).await.ok().map(Result::unwrap)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_becomes_free_goes_to_the_oldest() {
        let slots = Slots::new(1);
        let first = slots.take(at(9)).await;
        let waiting: Vec<_> = [5, 3, 7]
            .into_iter()
            .map(|age| {
                let slots = Arc::clone(&slots);
                tokio::spawn(async move { slots.take(at(age)).await })
            })
            .collect();
        let [mut five, mut three, mut seven] = waiting.try_into().unwrap();
        tokio::task::yield_now().await;
        assert!(has(&mut three).await.is_none());
        drop(first);
        let slot = has(&mut three).await.unwrap();
        assert!(has(&mut five).await.is_none());
        assert!(has(&mut seven).await.is_none());
        drop(slot);
        let slot = has(&mut five).await.unwrap();
        assert!(has(&mut seven).await.is_none());
        drop(slot);
        assert!(has(&mut seven).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_keeps_no_slot() {
        let slots = Slots::new(1);
        let first = slots.take(at(9)).await;
        let (one, two) = (Arc::clone(&slots), Arc::clone(&slots));
        let before = tokio::spawn(async move { one.take(at(1)).await });
        let mut after = tokio::spawn(async move { two.take(at(2)).await });
        tokio::task::yield_now().await;
        before.abort();
        tokio::task::yield_now().await;
        drop(first);
        let slot = has(&mut after).await.unwrap();
        // Given, and never taken into hand: it goes on all the same.
        let three = Arc::clone(&slots);
        let taken = tokio::spawn(async move { three.take(at(3)).await });
        tokio::task::yield_now().await;
        drop(slot);
        taken.abort();
        tokio::task::yield_now().await;
        drop(slots.take(at(4)).await);
        drop(slots.take(at(5)).await);
    }
}
