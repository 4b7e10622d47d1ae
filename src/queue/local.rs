//! A queue in process with the semantics of an SQS standard queue: at least once, roughly in order, invisible for a
//! while after a receive. It keeps nothing on disk: the bucket's rescan and the ledger do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Depth, MESSAGES_PER_CALL_MAX, Message, MessageId, Queue, Receipt};
use crate::domain::fault::{Fault, FaultKind};

/// A message cannot be hidden for longer than this after its receive (SQS: 12 hours).
pub const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 3600);

/// Faults that the queue plays on request.
#[derive(Clone, Debug, Default)]
struct Faults {
    duplicates: usize,
    undeleted: usize,
    failing_receives: VecDeque<FaultKind>,
}

#[derive(Debug)]
struct Stored {
    id: MessageId,
    body: Arc<str>,
    sent_at: Instant,
    receive_count: u32,
    /// While hidden: the receipt, since when it is out, and when it ends.
    hidden: Option<(Receipt, Instant, Instant)>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    messages: BTreeMap<u64, Stored>,
    visible: VecDeque<u64>,
    /// Ends of invisibility, soonest first.
    hidden: BTreeSet<(Instant, u64)>,
    by_receipt: BTreeMap<Receipt, u64>,
    faults: Faults,
}

/// The queue.
#[derive(Debug)]
pub struct LocalQueue {
    name: Arc<str>,
    capacity: usize,
    state: Mutex<State>,
    arrived: Notify,
    left: Notify,
}

impl LocalQueue {
    /// An empty queue that holds at most `capacity` messages.
    pub fn new(name: impl Into<Arc<str>>, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            capacity,
            state: Mutex::default(),
            arrived: Notify::new(),
            left: Notify::new(),
        })
    }

    /// Sends a message, waiting for room.
    pub async fn send(&self, body: String) {
        let body: Arc<str> = body.into();
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.try_send(Arc::clone(&body)) {
                return;
            }
            left.await;
        }
    }

    /// Sends a message if there is room.
    pub fn try_send(&self, body: impl Into<Arc<str>>) -> bool {
        let body = body.into();
        let mut state = self.state();
        if state.messages.len() >= self.capacity {
            return false;
        }
        let copies = if state.faults.duplicates > 0 { 2 } else { 1 };
        state.faults.duplicates = state.faults.duplicates.saturating_sub(1);
        for _ in 0..copies {
            state.add(&self.name, Arc::clone(&body));
        }
        drop(state);
        self.arrived.notify_waiters();
        true
    }

    /// The next `count` messages sent arrive twice, as two messages, like a repeated S3 event.
    pub fn duplicate_next(&self, count: usize) {
        self.state().faults.duplicates += count;
    }

    /// The next `count` deletes succeed, but the message comes back once: SQS warns of that.
    pub fn redeliver_after_delete(&self, count: usize) {
        self.state().faults.undeleted += count;
    }

    /// The next `count` receives fail so.
    pub fn fail_next_receives(&self, count: usize, kind: FaultKind) {
        self.state().faults.failing_receives.extend(std::iter::repeat_n(kind, count));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, receipts: usize) -> Result<(), Fault> {
        if receipts <= MESSAGES_PER_CALL_MAX {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Internal,
            format!("queue {}: {receipts} receipts in one call, ten are allowed", self.name),
        ))
    }
}

impl State {
    fn add(&mut self, queue: &str, body: Arc<str>) {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let id = MessageId(format!("{queue}-{number}").into());
        let sent_at = Instant::now();
        self.messages.insert(number, Stored { id, body, sent_at, receive_count: 0, hidden: None });
        self.visible.push_back(number);
    }

    /// Makes messages visible again whose time is over; answers when the next one is.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some((until, number)) = self.hidden.first().copied() {
            if until > now {
                return Some(until);
            }
            self.hidden.remove(&(until, number));
            // The receipt stays known: deleting with it after expiry still works until the next delivery, as in SQS.
            if let Some(stored) = self.messages.get_mut(&number) {
                stored.hidden = stored.hidden.take().map(|(receipt, since, _)| (receipt, since, now));
                self.visible.push_back(number);
            }
        }
        None
    }

    fn take(&mut self, max: usize, visibility: Duration, now: Instant) -> Vec<Message> {
        let mut taken = Vec::new();
        while taken.len() < max.min(MESSAGES_PER_CALL_MAX) {
            let Some(number) = self.visible.pop_front() else { break };
            let Some(stored) = self.messages.get_mut(&number) else { continue };
            stored.receive_count = stored.receive_count.saturating_add(1);
            let receipt = Receipt(format!("{}#{}", stored.id.0, stored.receive_count).into());
            if let Some((old, _, _)) = stored.hidden.take() {
                self.by_receipt.remove(&old);
            }
            let until = now + visibility.min(VISIBILITY_MAX);
            stored.hidden = Some((receipt.clone(), now, until));
            self.hidden.insert((until, number));
            self.by_receipt.insert(receipt.clone(), number);
            let (id, body) = (stored.id.clone(), Arc::clone(&stored.body));
            let age = Some(now.saturating_duration_since(stored.sent_at));
            taken.push(Message { id, receipt, body, receive_count: stored.receive_count, age });
        }
        taken
    }

    fn delete(&mut self, receipt: &Receipt) -> bool {
        // A stale receipt "succeeds" and deletes nothing, as in SQS.
        let Some(number) = self.by_receipt.remove(receipt) else { return false };
        let Some(stored) = self.messages.remove(&number) else { return false };
        if let Some((_, _, until)) = stored.hidden
            && !self.hidden.remove(&(until, number))
        {
            // It was visible again already: the rare case that is worth a walk.
            self.visible.retain(|visible| *visible != number);
        }
        if self.faults.undeleted > 0 {
            self.faults.undeleted -= 1;
            self.messages.insert(number, Stored { hidden: None, ..stored });
            self.visible.push_back(number);
            return false;
        }
        true
    }

    fn change(&mut self, receipt: &Receipt, visibility: Duration, now: Instant) -> bool {
        let Some(number) = self.by_receipt.get(receipt).copied() else { return false };
        let Some(stored) = self.messages.get_mut(&number) else { return false };
        let Some((_, since, until)) = stored.hidden.clone() else { return false };
        let new = now + visibility;
        if until <= now || new > since + VISIBILITY_MAX || !self.hidden.remove(&(until, number)) {
            return false;
        }
        stored.hidden = Some((receipt.clone(), since, new));
        self.hidden.insert((new, number));
        true
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault> {
        let deadline = Instant::now() + wait;
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let next = {
                let mut state = self.state();
                if let Some(kind) = state.faults.failing_receives.pop_front() {
                    return Err(Fault::new(kind, format!("queue {}: receive failed on request", self.name)));
                }
                let now = Instant::now();
                let next = state.expire(now);
                let taken = state.take(max, visibility, now);
                if !taken.is_empty() || now >= deadline {
                    return Ok(taken);
                }
                next.map_or(deadline, |next| next.min(deadline))
            };
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Fault> {
        self.check(receipts.len())?;
        let mut state = self.state();
        for receipt in receipts {
            state.delete(receipt);
        }
        drop(state);
        self.left.notify_waiters();
        self.arrived.notify_waiters();
        Ok(Vec::new())
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Receipt>, Fault> {
        self.check(receipts.len())?;
        let now = Instant::now();
        let mut state = self.state();
        let lost =
            receipts.iter().filter(|receipt| !state.change(receipt, visibility, now)).cloned().collect();
        drop(state);
        self.arrived.notify_waiters();
        Ok(lost)
    }

    /// A directory has no dead-letter queue: the ledger keeps what would be there.
    async fn send_dead_letter(&self, _: &str, _: &str) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        let now = Instant::now();
        let mut state = self.state();
        state.expire(now);
        let oldest = state.visible.front().and_then(|number| state.messages.get(number));
        Ok(Depth {
            visible: state.visible.len() as u64,
            in_flight: state.hidden.len() as u64,
            oldest_age: oldest.map_or(Duration::ZERO, |stored| now - stored.sent_at),
        })
    }
}

#[cfg(test)]
mod tests;
