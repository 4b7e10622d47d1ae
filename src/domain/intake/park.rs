//! The park: files that wait until their table runs, or has room in their lane.

use std::collections::VecDeque;

use super::{Effect, Intake, ItemId, Offer, Phase, lane_of};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::lane::Lane;
use crate::domain::transition::Verdict;

/// Full loads may be one part of so many of the messages that are held, and as many of them may be parked.
const FULL_LOADS_SHARE: usize = 4;

impl Intake {
    /// How many more files of a table's lane may be offered. Full loads of all tables together have a part of the messages
    /// that may be held, so that there is always room to hear of changes.
    fn share(&self, (table, lane): &(TableId, Lane)) -> usize {
        let offered = self.offered.get(&(table.clone(), *lane)).copied().unwrap_or_default();
        let own = self.bounds.files_per_table.saturating_sub(offered);
        match lane {
            Lane::Changes => own,
            Lane::FullLoads => {
                let all = self.offered.iter().filter(|((_, lane), _)| *lane == Lane::FullLoads);
                let all: usize = all.map(|(_, offered)| offered).sum();
                let most = (self.bounds.held_messages_max / FULL_LOADS_SHARE).max(1);
                own.min(most.saturating_sub(all))
            }
        }
    }

    /// Offers parked files of a table's lane as far as its share allows.
    pub(super) fn offer_parked(&mut self, lane: &(TableId, Lane), effects: &mut Vec<Effect>) {
        let share = self.share(lane);
        let Some(queue) = self.parked.get_mut(lane) else {
            return;
        };
        let offered = self.offered.entry(lane.clone()).or_default();
        let mut files = Vec::new();
        while files.len() < share {
            let Some(id) = queue.pop_front() else { break };
            self.parked_files = self.parked_files.saturating_sub(1);
            if let Some(item) = self.items.get_mut(&id) {
                if let Phase::Parked { since } = item.phase {
                    item.parked_since.get_or_insert(since);
                }
                item.phase = Phase::Offered;
                *offered += 1;
                let (file, suspect, event_at) = (item.file.clone(), item.suspect, item.event_at);
                files.push(Offer { item: id, file, suspect, event_at });
            }
        }
        if queue.is_empty() {
            self.parked.remove(lane);
        }
        if !files.is_empty() {
            effects.push(Effect::Offer { table: lane.0.clone(), files });
        }
    }

    pub(super) fn park(&mut self, now: Instant, id: ItemId, effects: &mut Vec<Effect>) {
        self.unoffer(id);
        let Some(item) = self.items.get_mut(&id) else {
            return;
        };
        let since = *item.parked_since.get_or_insert(now);
        item.phase = Phase::Parked { since };
        self.parked.entry(lane_of(&item.file)).or_default().push_back(id);
        self.parked_files += 1;
        self.overflow(now, effects);
    }

    pub(super) fn unoffer(&mut self, id: ItemId) {
        let Some(item) = self.items.get(&id) else { return };
        if item.phase == Phase::Offered
            && let Some(offered) = self.offered.get_mut(&lane_of(&item.file))
        {
            *offered = offered.saturating_sub(1);
        }
    }

    /// Defers the oldest parked files while there are too many.
    pub(super) fn overflow(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while self.parked_files > self.bounds.parked_files_max {
            if !self.defer_parked(now, |_| true, effects) {
                return;
            }
        }
        // A parked file keeps its message: full loads must leave room to hear of changes.
        let held_max = self.bounds.held_messages_max.min(self.bounds.parked_files_max);
        while self.parked_full_loads() > (held_max / FULL_LOADS_SHARE).max(1) {
            if !self.defer_parked(now, |lane| lane == Lane::FullLoads, effects) {
                return;
            }
        }
    }

    fn parked_full_loads(&self) -> usize {
        let full_loads = self.parked.iter().filter(|((_, lane), _)| *lane == Lane::FullLoads);
        full_loads.map(|(_, queue)| queue.len()).sum()
    }

    /// Defers the oldest parked file of the longest queue of such a lane; false where there is none.
    fn defer_parked(
        &mut self,
        now: Instant,
        which: impl Fn(Lane) -> bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let queues = self.parked.iter_mut().filter(|((_, lane), _)| which(*lane));
        let longest = queues.map(|(_, queue)| queue).max_by_key(|queue| queue.len());
        let Some(id) = longest.and_then(VecDeque::pop_front) else { return false };
        self.parked_files = self.parked_files.saturating_sub(1);
        self.defer(now, id, effects);
        true
    }

    pub(super) fn defer(&mut self, now: Instant, id: ItemId, effects: &mut Vec<Effect>) {
        if let Some(item) = self.items.get_mut(&id) {
            item.ask(now, Phase::Settling(Verdict::Defer));
            effects.push(Effect::Settle(id, item.file.clone(), Verdict::Defer));
        }
    }
}
