//! What time brings: deletes, extensions, second tries, deferrals.

use std::sync::Arc;

use super::{Effect, Intake, MESSAGES_PER_CALL, Phase, RECEIPT_AGE_MAX};
use crate::domain::instant::Instant;

impl Intake {
    pub(super) fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while !self.to_delete.is_empty() {
            self.delete(now, effects);
        }
        self.extend(now, effects);
        self.resume_waiting(now, effects);
        self.defer_overdue(now, effects);
        let lanes: Vec<_> = self.parked.keys().cloned().collect();
        for lane in lanes {
            self.offer_parked(&lane, effects);
        }
    }

    fn extend(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let half = self.bounds.visibility / 2;
        let mut due = Vec::new();
        for (message, held) in &mut self.messages {
            let young = now.since(held.received_at) < RECEIPT_AGE_MAX;
            if !held.deleting && young && now.since(held.extended_at) >= half {
                held.extended_at = now;
                due.push((*message, Arc::clone(&held.receipt)));
            }
        }
        effects.extend(due.chunks(MESSAGES_PER_CALL).map(|chunk| Effect::Extend(chunk.to_vec())));
    }

    fn resume_waiting(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due: Vec<_> = self
            .items
            .iter()
            .filter_map(|(id, item)| match &item.phase {
                Phase::Waiting { until, verdict } if now >= *until => Some((*id, verdict.clone())),
                Phase::Waiting { .. }
                | Phase::Offered
                | Phase::Parked { .. }
                | Phase::Settling(_)
                | Phase::Striking => None,
            })
            .collect();
        for (id, verdict) in due {
            match verdict {
                None => self.park(now, id, effects),
                Some(verdict) => {
                    if let Some(item) = self.items.get_mut(&id) {
                        item.ask(now, Phase::Settling(verdict.clone()));
                        effects.push(Effect::Settle(id, item.file.clone(), verdict));
                    }
                }
            }
        }
    }

    fn defer_overdue(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut overdue = Vec::new();
        for queue in self.parked.values_mut() {
            queue.retain(|id| {
                let since = self.items.get(id).and_then(|item| item.parked_since);
                let late = since.is_some_and(|since| now.since(since) >= self.bounds.defer_after);
                if late {
                    overdue.push(*id);
                }
                !late
            });
        }
        self.parked.retain(|_, queue| !queue.is_empty());
        self.parked_files = self.parked_files.saturating_sub(overdue.len());
        for id in overdue {
            self.defer(now, id, effects);
        }
    }
}
