//! The messages of one queue between receive and delete: what the poller decides.
//!
//! Each file of a message is an item. An item is offered to its table's batcher, parked while that table does not run
//! or has enough in hand, and deferred when it was parked for too long. A message is deleted only when each of its
//! items is final (Invariant I-4).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::file::FileId;
use super::ids::TableId;
use super::instant::Instant;
use super::lane::Lane;
use super::table::STRIKES_MAX;
use super::transition::Verdict;
use super::watchdog::{Edge, Reading};
use super::watermark::is_change;

/// A message is not extended beyond this age: SQS ends a receipt after 12 hours.
pub const RECEIPT_AGE_MAX: Duration = Duration::from_secs(11 * 3600);
/// The wait before a failed ledger call about an item is repeated.
pub const LEDGER_WAIT: Duration = Duration::from_secs(5);
/// Messages in one delete or extend call (SQS: 10).
const MESSAGES_PER_CALL: usize = 10;

mod event;
mod held;
mod park;
mod tick;

pub use event::{Abandoned, Announced, Arrived, Content, Effect, Event, IntakeBounds, ItemId, Offer, Plan};
use held::{Held, Item, Phase};

/// The table and the lane of a file.
fn lane_of(file: &FileId) -> (TableId, Lane) {
    (file.table.clone(), Lane::of(file))
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intake {
    bounds: IntakeBounds,
    next: u64,
    messages: BTreeMap<u64, Held>,
    by_id: BTreeMap<Arc<str>, u64>,
    items: BTreeMap<ItemId, Item>,
    offered: BTreeMap<(TableId, Lane), usize>,
    parked: BTreeMap<(TableId, Lane), VecDeque<ItemId>>,
    parked_files: usize,
    to_delete: Vec<u64>,
}

impl Intake {
    /// A queue of which nothing is held.
    pub fn new(bounds: IntakeBounds) -> Self {
        Self {
            bounds,
            next: 0,
            messages: BTreeMap::new(),
            by_id: BTreeMap::new(),
            items: BTreeMap::new(),
            offered: BTreeMap::new(),
            parked: BTreeMap::new(),
            parked_files: 0,
            to_delete: Vec::new(),
        }
    }

    /// Messages held, those being deleted included.
    pub fn held_messages(&self) -> usize {
        self.messages.len()
    }

    /// How many more messages may be received.
    pub fn room(&self) -> usize {
        self.bounds.held_messages_max.saturating_sub(self.messages.len())
    }

    /// Files parked.
    pub fn parked_files(&self) -> usize {
        self.parked_files
    }

    /// Each table's files that are not final: how many are parked, the oldest event time of all of them, and of its change files.
    pub fn by_table(&self) -> Vec<(TableId, usize, Instant, Option<Instant>)> {
        let mut oldest: BTreeMap<&TableId, (Instant, Option<Instant>)> = BTreeMap::new();
        for item in self.items.values() {
            let at = item.event_at;
            let (all, changes) = oldest.entry(&item.file.table).or_insert((at, None));
            *all = at.min(*all);
            if is_change(&item.file) {
                *changes = Some(changes.map_or(at, |known| known.min(at)));
            }
        }
        let parked = |table: &TableId| {
            let lane = |lane| self.parked.get(&(table.clone(), lane)).map_or(0, VecDeque::len);
            Lane::ALL.map(lane).iter().sum()
        };
        oldest.into_iter().map(|(table, (at, change))| (table.clone(), parked(table), at, change)).collect()
    }

    /// The event time of a file that is not final.
    pub fn event_at(&self, item: ItemId) -> Option<Instant> {
        self.items.get(&item).map(|item| item.event_at)
    }

    /// The receipts of all held messages, for a release at the end.
    pub fn receipts(&self) -> Vec<Arc<str>> {
        self.messages.values().map(|held| Arc::clone(&held.receipt)).collect()
    }

    /// What the watchdog is shown: the question that has waited for longest.
    pub fn reading(&self) -> Reading {
        let of_messages = self.messages.values().filter_map(|held| held.asked);
        let of_items = self.items.values().filter_map(Item::asked);
        Reading::of_oldest(of_messages.chain(of_items).min_by_key(|(since, _, _)| *since))
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Received(messages) => self.received(now, messages, &mut effects),
            Event::LeaseSettled(item) => self.finish(item, &mut effects),
            Event::LeaseAbandoned(item, how) => self.abandoned(now, item, how, &mut effects),
            Event::OfferRefused(item) => self.park(now, item, &mut effects),
            Event::TableOpened(table) => {
                for lane in Lane::ALL {
                    self.offer_parked(&(table.clone(), lane), &mut effects);
                }
            }
            Event::VerdictWritten(item, state) if state.is_final() => self.finish(item, &mut effects),
            // An open batch of another hand has it: its table will join it.
            Event::VerdictWritten(item, _) => self.wait(now, item, None),
            Event::Struck(item, strikes) => self.struck(now, item, strikes, &mut effects),
            Event::LedgerFailed(item) => self.ledger_failed(now, item),
            Event::Done(message) => self.close(message),
            Event::Undone(message) => self.forget(message),
            Event::Deleted(messages) => messages.into_iter().for_each(|message| self.forget(message)),
            Event::DeleteFailed(messages) => {
                for message in messages {
                    if let Some(held) = self.messages.get_mut(&message) {
                        held.deleting = false;
                        held.asked = None;
                        self.to_delete.push(message);
                    }
                }
            }
            Event::Tick => self.tick(now, &mut effects),
        }
        while self.to_delete.len() >= MESSAGES_PER_CALL {
            self.delete(now, &mut effects);
        }
        effects
    }

    fn received(&mut self, now: Instant, messages: Vec<Arrived>, effects: &mut Vec<Effect>) {
        let mut offers: BTreeMap<(TableId, Lane), Vec<ItemId>> = BTreeMap::new();
        for arrived in messages {
            if let Some(held) = self.by_id.get(&arrived.id).and_then(|number| self.messages.get_mut(number)) {
                // A redelivery of what is in hand: the newest receipt is the one that deletes.
                held.receipt = arrived.receipt;
                held.extended_at = now;
                continue;
            }
            let message = self.next;
            self.next = self.next.saturating_add(1);
            self.by_id.insert(Arc::clone(&arrived.id), message);
            let mut held = Held {
                id: arrived.id,
                receipt: arrived.receipt,
                received_at: now,
                extended_at: now,
                open: 0,
                deleting: false,
                asked: None,
            };
            match arrived.content {
                Content::Unparsable { body, reason } => {
                    held.open = 1;
                    held.asked = Some((now, Edge::Ledger, "putting a dead letter aside"));
                    effects.push(Effect::DeadLetter { message, body, reason });
                }
                Content::Redrive(copy) => {
                    held.open = 1;
                    held.asked = Some((now, Edge::Ledger, "redriving a poison file"));
                    effects.push(Effect::Redrive { message, copy });
                }
                Content::Files(files) => {
                    held.open = files.len();
                    for (index, Announced { file, plan, event_at }) in files.into_iter().enumerate() {
                        let id = ItemId { message, index };
                        let phase = match plan {
                            Plan::Offer => {
                                offers.entry(lane_of(&file)).or_default().push(id);
                                Phase::Parked { since: now }
                            }
                            Plan::Settle(verdict) => {
                                effects.push(Effect::Settle(id, file.clone(), verdict.clone()));
                                Phase::Settling(verdict)
                            }
                        };
                        let (suspect, parked_since, asked_at) = (false, None, now);
                        self.items
                            .insert(id, Item { file, suspect, event_at, parked_since, phase, asked_at });
                    }
                }
            }
            if held.open == 0 {
                self.to_delete.push(message);
            }
            self.messages.insert(message, held);
        }
        for (lane, items) in offers {
            self.parked_files += items.len();
            self.parked.entry(lane.clone()).or_default().extend(items);
            self.offer_parked(&lane, effects);
        }
        self.overflow(now, effects);
    }

    fn abandoned(&mut self, now: Instant, id: ItemId, how: Abandoned, effects: &mut Vec<Effect>) {
        match how {
            Abandoned::Innocent => {
                // It was taken and came back: its time in the park starts anew.
                if let Some(item) = self.items.get_mut(&id) {
                    item.parked_since = None;
                }
                self.park(now, id, effects);
            }
            Abandoned::Suspect => {
                if let Some(item) = self.items.get_mut(&id) {
                    item.suspect = true;
                    item.parked_since = None;
                }
                self.park(now, id, effects);
            }
            Abandoned::Blamed => {
                self.unoffer(id);
                if let Some(item) = self.items.get_mut(&id) {
                    item.suspect = true;
                    item.ask(now, Phase::Striking);
                    effects.push(Effect::Strike(id, item.file.clone()));
                }
            }
        }
    }

    fn struck(&mut self, now: Instant, id: ItemId, strikes: u32, effects: &mut Vec<Effect>) {
        if strikes < STRIKES_MAX {
            self.park(now, id, effects);
            return;
        }
        let verdict = Verdict::Poison(format!("it was in hand in {strikes} crashes"));
        if let Some(item) = self.items.get_mut(&id) {
            item.ask(now, Phase::Settling(verdict.clone()));
            effects.push(Effect::Settle(id, item.file.clone(), verdict));
        }
    }

    fn ledger_failed(&mut self, now: Instant, id: ItemId) {
        let verdict = self.items.get(&id).and_then(|item| match &item.phase {
            Phase::Settling(verdict) => Some(verdict.clone()),
            Phase::Offered | Phase::Parked { .. } | Phase::Waiting { .. } | Phase::Striking => None,
        });
        self.wait(now, id, verdict);
    }

    fn wait(&mut self, now: Instant, id: ItemId, verdict: Option<Verdict>) {
        self.unoffer(id);
        if let Some(item) = self.items.get_mut(&id) {
            // It was on its way: its time in the park starts anew.
            item.parked_since = None;
            item.phase = Phase::Waiting { until: now.plus(LEDGER_WAIT), verdict };
        }
    }

    /// An item is final; its message too when it was the last.
    fn finish(&mut self, id: ItemId, effects: &mut Vec<Effect>) {
        self.unoffer(id);
        let Some(item) = self.items.remove(&id) else {
            return;
        };
        self.close(id.message);
        self.offer_parked(&lane_of(&item.file), effects);
    }

    fn close(&mut self, message: u64) {
        let Some(held) = self.messages.get_mut(&message) else {
            return;
        };
        held.asked = None;
        held.open = held.open.saturating_sub(1);
        if held.open == 0 {
            self.to_delete.push(message);
        }
    }

    fn forget(&mut self, message: u64) {
        if let Some(held) = self.messages.remove(&message) {
            self.by_id.remove(&held.id);
        }
    }

    fn delete(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let count = self.to_delete.len().min(MESSAGES_PER_CALL);
        let mut batch = Vec::new();
        for message in self.to_delete.drain(..count) {
            if let Some(held) = self.messages.get_mut(&message) {
                held.deleting = true;
                held.asked = Some((now, Edge::Queue, "deleting messages"));
                batch.push((message, Arc::clone(&held.receipt)));
            }
        }
        if !batch.is_empty() {
            effects.push(Effect::Delete(batch));
        }
    }
}

#[cfg(test)]
mod tests;
