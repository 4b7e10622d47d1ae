//! The open window and the closed ones that wait for the table's share of the loader; and what time brings.

use super::event::{CloseReason, Effect};
use super::{Closed, Phase, Table, Then};
use crate::domain::instant::Instant;
use crate::domain::transition::Verdict;

impl Table {
    pub(super) fn close(&mut self, now: Instant, reason: CloseReason) {
        let Some(window) = self.window.take() else { return };
        for file in &window.files {
            if let Some(held) = self.files.get_mut(file) {
                held.enter(now, Phase::Closed);
            }
        }
        self.closed.push_back(Closed { at: now, reason, bytes: window.bytes, files: window.files });
    }

    /// Takes the windows that waited behind `first`, as far as they fit into one batch with it: a table that falls behind gets
    /// larger batches.
    fn follow(&mut self, first: &mut Closed) {
        let may_be_joined = |closed: &Closed| match closed.reason {
            CloseReason::Suspect | CloseReason::Schema => false,
            CloseReason::Age
            | CloseReason::Bytes
            | CloseReason::Files
            | CloseReason::Pressure
            | CloseReason::Flush
            | CloseReason::Shutdown => true,
        };
        while may_be_joined(first)
            && let Some(next) = self.closed.front()
            && may_be_joined(next)
            && first.files.len() + next.files.len() <= self.bounds.files_max
            && first.bytes.saturating_add(next.bytes) <= self.bounds.bytes_max
            && let Some(next) = self.closed.pop_front()
        {
            first.files.extend(next.files);
            first.bytes = first.bytes.saturating_add(next.bytes);
        }
    }

    /// Hands over closed windows as far as the table's share of the loader allows.
    pub(super) fn deliver(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while self.in_flight < self.bounds.loads_max {
            let Some(mut closed) = self.closed.pop_front() else {
                return;
            };
            self.follow(&mut closed);
            for file in &closed.files {
                if let Some(held) = self.files.get_mut(file) {
                    held.enter(now, Phase::Delivering);
                }
            }
            self.in_flight += 1;
            effects.push(Effect::Deliver(closed.files, closed.reason));
        }
    }

    pub(super) fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.window.as_ref().is_some_and(|window| now >= window.opened_at.plus(window.age)) {
            self.close(now, CloseReason::Age);
        }
        while self.closed.front().is_some_and(|closed| now >= closed.at.plus(self.bounds.defer_after)) {
            for file in self.closed.pop_front().map(|closed| closed.files).unwrap_or_default() {
                self.settle(now, file, Verdict::Defer, effects);
            }
        }
        for (file, held) in &mut self.files {
            let Phase::Waiting { until, then } = held.phase else {
                continue;
            };
            if now < until {
                continue;
            }
            match then {
                Then::Lookup => {
                    held.enter(now, Phase::LookingUp);
                    effects.push(Effect::Lookup(file.clone()));
                }
                Then::Fetch => {
                    held.enter(now, Phase::Fetching);
                    effects.push(Effect::Fetch(file.clone()));
                }
            }
        }
    }
}
