//! A queue with the semantics of an SQS standard queue, and its whims. It outlives processes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::domain::clock::Clock;
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileId;
use landbridge::domain::instant::Instant;
use landbridge::queue::{Depth, MESSAGES_PER_CALL_MAX, Message, MessageId, Queue, Receipt};
use tokio::sync::Notify;

use super::chance::Chance;
use super::kinds::Kind;
use super::ledger::Watch;
use super::process::{Call, Edge, Process};

struct Stored {
    body: Arc<str>,
    /// What it announces, as the simulation knows.
    files: Vec<FileId>,
    sent_at: Instant,
    visible_at: Instant,
    receipt: Option<Receipt>,
    receives: u32,
}

/// The queue.
#[derive(Default)]
pub struct SimulatedQueue {
    messages: Mutex<BTreeMap<u64, Stored>>,
    sent: Mutex<u64>,
    arrived: Notify,
}

impl SimulatedQueue {
    /// Sends a message that announces `files`, visible from `visible_at` on.
    pub fn send(&self, body: &str, files: Vec<FileId>, now: Instant, visible_at: Instant) {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            *sent += 1;
            *sent
        };
        let stored =
            Stored { body: body.into(), files, sent_at: now, visible_at, receipt: None, receives: 0 };
        self.messages.lock().unwrap().insert(number, stored);
        self.arrived.notify_waiters();
    }

    /// Messages that were not deleted.
    pub fn len(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// Takes visible messages; else says when the next one is visible.
    fn take(
        &self,
        max: usize,
        visibility: Duration,
        now: Instant,
        chance: &Chance,
    ) -> Result<Vec<Message>, Option<Instant>> {
        let mut messages = self.messages.lock().unwrap();
        let mut ready: Vec<u64> = Vec::new();
        let mut next: Option<Instant> = None;
        for (number, stored) in messages.iter() {
            if stored.visible_at <= now {
                ready.push(*number);
            } else {
                next = Some(next.map_or(stored.visible_at, |next| next.min(stored.visible_at)));
            }
        }
        if ready.is_empty() {
            return Err(next);
        }
        if ready.len() > 1 && chance.strikes(Kind::Reordered, 1_500) {
            for place in (1..ready.len()).rev() {
                ready.swap(place, chance.index(place + 1));
            }
        }
        ready.truncate(max.min(MESSAGES_PER_CALL_MAX));
        let in_hand: Vec<u64> = messages
            .iter()
            .filter(|(number, stored)| stored.receipt.is_some() && !ready.contains(number))
            .map(|(number, _)| *number)
            .collect();
        if ready.len() < max && !in_hand.is_empty() && chance.strikes(Kind::RedeliveredInHand, 250) {
            ready.push(chance.pick(&in_hand));
        }
        ready.truncate(MESSAGES_PER_CALL_MAX);
        let mut taken = Vec::new();
        for number in ready {
            let Some(stored) = messages.get_mut(&number) else { continue };
            stored.receives += 1;
            stored.visible_at = now.plus(visibility);
            let receipt = Receipt(format!("{number}#{}", stored.receives).into());
            stored.receipt = Some(receipt.clone());
            let (id, body) = (MessageId(number.to_string().into()), Arc::clone(&stored.body));
            let age = Some(now.since(stored.sent_at));
            taken.push(Message { id, receipt, body, receive_count: stored.receives, age });
        }
        Ok(taken)
    }

    fn number_of(receipt: &Receipt) -> u64 {
        receipt.0.split('#').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// What the message of a receipt announces.
    fn files_of(&self, receipt: &Receipt) -> Vec<FileId> {
        let messages = self.messages.lock().unwrap();
        messages.get(&Self::number_of(receipt)).map(|stored| stored.files.clone()).unwrap_or_default()
    }

    /// Deletes; a stale receipt deletes nothing, and nobody is told. False when the receipt is said to be lost.
    fn delete(&self, receipt: &Receipt, now: Instant, chance: &Chance) -> bool {
        if chance.strikes(Kind::ReceiptLost, 150) {
            return false;
        }
        let mut messages = self.messages.lock().unwrap();
        let number = Self::number_of(receipt);
        let Some(stored) = messages.get_mut(&number) else { return true };
        if stored.receipt.as_ref() != Some(receipt) {
            return true;
        }
        if chance.strikes(Kind::RedeliveredAfterDelete, 150) {
            let later = chance.duration(Duration::from_millis(10), Duration::from_secs(120));
            stored.visible_at = now.plus(later);
            stored.receipt = None;
            return true;
        }
        messages.remove(&number);
        true
    }

    /// Changes the visibility; false when the receipt is lost.
    fn change(&self, receipt: &Receipt, visibility: Duration, now: Instant, chance: &Chance) -> bool {
        let mut messages = self.messages.lock().unwrap();
        let Some(stored) = messages.get_mut(&Self::number_of(receipt)) else { return false };
        if stored.receipt.as_ref() != Some(receipt) || stored.visible_at <= now {
            return false;
        }
        if chance.strikes(Kind::ExtendFailed, 200) {
            stored.visible_at = now;
            return false;
        }
        stored.visible_at = now.plus(visibility);
        true
    }
}

/// The queue of one process, which also checks Invariant I-4: whenever a message is deleted, each of its files must be
/// final.
pub struct QueuePort {
    pub queue: Arc<SimulatedQueue>,
    pub process: Arc<Process>,
    pub watch: Arc<Watch>,
}

impl QueuePort {
    fn call(name: &'static str, about: String, before: (Kind, u32), after: (Kind, u32)) -> Call {
        Call { edge: Edge::Queue, name, about, before, after }
    }
}

#[async_trait]
impl Queue for QueuePort {
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault> {
        let (queue, wall, chance) = (&self.queue, &self.process.wall, &self.process.chance);
        let work = async {
            let deadline = wall.now().plus(wait);
            loop {
                let arrived = queue.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                let now = wall.now();
                let next = match queue.take(max, visibility, now, chance) {
                    Ok(taken) => return Ok(taken),
                    Err(_) if now >= deadline => return Ok(Vec::new()),
                    Err(next) => next.map_or(deadline, |next| next.min(deadline)),
                };
                tokio::select! {
                    biased;
                    () = arrived => {}
                    () = wall.sleep_until(next) => {}
                }
            }
        };
        let call =
            Self::call("receive", String::new(), (Kind::ReceiveFailed, 120), (Kind::ReceiveAnswerLost, 100));
        self.process.call(call, work).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Fault> {
        let work = async {
            for receipt in receipts {
                self.watch.check_deleted(receipt, &self.queue.files_of(receipt));
            }
            let (now, chance) = (self.process.wall.now(), &self.process.chance);
            let kept = receipts.iter().filter(|receipt| !self.queue.delete(receipt, now, chance));
            Ok(kept.cloned().collect())
        };
        let about = receipts.iter().map(|receipt| &*receipt.0).collect::<Vec<_>>().join(" ");
        let call = Self::call("delete", about, (Kind::DeleteFailed, 120), (Kind::DeleteFailed, 80));
        self.process.call(call, work).await
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Receipt>, Fault> {
        let work = async {
            let (now, chance) = (self.process.wall.now(), &self.process.chance);
            let lost = receipts.iter().filter(|receipt| !self.queue.change(receipt, visibility, now, chance));
            Ok(lost.cloned().collect())
        };
        let about = receipts.iter().map(|receipt| &*receipt.0).collect::<Vec<_>>().join(" ");
        let call = Self::call("extend", about, (Kind::ExtendFailed, 150), (Kind::ExtendFailed, 80));
        self.process.call(call, work).await
    }

    async fn send_dead_letter(&self, _: &str, _: &str) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        let now = self.process.wall.now();
        let messages = self.queue.messages.lock().unwrap();
        let visible = messages.values().filter(|stored| stored.visible_at <= now);
        let oldest = visible.clone().map(|stored| stored.sent_at).min();
        let visible = visible.count();
        Ok(Depth {
            visible: visible as u64,
            in_flight: (messages.len() - visible) as u64,
            oldest_age: oldest.map_or(Duration::ZERO, |at| now.since(at)),
        })
    }
}
