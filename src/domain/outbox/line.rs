//! The notices of one table that wait for one receiver: they go in the order of their loads, one at a time.

use std::collections::BTreeMap;

use super::pace::{self, Pace};
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};

#[derive(Clone, Debug)]
struct Waiting {
    notice: Notice,
    /// How often it was refused, or failed.
    tries: u32,
    /// It was sent since this process began.
    is_tried: bool,
    not_before: Option<Instant>,
    problem: String,
}

/// Which line is served first: the one of whose notices the fewest were answered in vain, and of those that of the oldest
/// notice.
pub(super) type Rank = (u32, u32, NoticeId);

/// The line of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<NoticeId, Waiting>,
    in_flight: Option<Waiting>,
    /// Of what was refused, or failed: other tables need not wait for it.
    pace: Pace,
    /// Answers since the last that took one.
    in_vain: u32,
}

impl Line {
    /// Notices that are held.
    pub(super) fn held(&self) -> usize {
        self.waiting.len().saturating_add(usize::from(self.in_flight.is_some()))
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn knows(&self, id: &NoticeId) -> bool {
        self.waiting.contains_key(id) || self.in_flight.as_ref().is_some_and(|one| one.notice.id == *id)
    }

    /// The last that is held before `id`.
    pub(super) fn last_before(&self, id: &NoticeId) -> Option<NoticeId> {
        let waiting = self.waiting.range(..id).next_back().map(|(other, _)| other);
        let in_flight = self.in_flight.as_ref().map(|one| &one.notice.id).filter(|other| *other < id);
        waiting.max(in_flight).cloned()
    }

    /// When the oldest was loaded.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let in_flight = self.in_flight.as_ref().map(|one| one.notice.id.loaded_at);
        self.waiting.keys().next().map(|id| id.loaded_at).into_iter().chain(in_flight).min()
    }

    /// The oldest that waits: when it was loaded, and what was answered last to it, else to its table.
    pub(super) fn complaint(&self) -> Option<(Instant, Option<String>)> {
        let (id, oldest) = self.waiting.first_key_value()?;
        let own = Some(oldest.problem.clone()).filter(|problem| !problem.is_empty());
        Some((id.loaded_at, own.or_else(|| self.pace.failing().map(|(_, problem)| problem))))
    }

    /// Those that nothing is known to be in the way of.
    pub(super) fn fresh(&self) -> usize {
        if self.in_vain == 0 { self.held() } else { 0 }
    }

    pub(super) fn push(&mut self, notice: Notice) {
        let id = notice.id.clone();
        let waiting = Waiting { notice, tries: 0, is_tried: false, not_before: None, problem: String::new() };
        self.waiting.insert(id, waiting);
    }

    /// Which one may go now: the oldest, those that failed behind the others.
    pub(super) fn next(&self, now: Instant) -> Option<Rank> {
        if self.in_flight.is_some() || self.pace.at_once(now) == 0 {
            return None;
        }
        let may_go = |(_, one): &(&NoticeId, &Waiting)| one.not_before.is_none_or(|at| at <= now);
        let next = self.waiting.iter().filter(may_go).min_by_key(|(_, one)| one.tries);
        next.map(|(id, one)| (self.in_vain, one.tries, id.clone()))
    }

    /// It goes.
    pub(super) fn send(&mut self, id: &NoticeId) -> Option<Notice> {
        let mut one = self.waiting.remove(id)?;
        one.is_tried = true;
        let notice = one.notice.clone();
        self.in_flight = Some(one);
        Some(notice)
    }

    /// It was taken. True when it was on its way.
    pub(super) fn took(&mut self, id: &NoticeId) -> bool {
        let took = self.in_flight.take_if(|one| one.notice.id == *id).is_some();
        if took {
            self.pace.took();
            self.in_vain = 0;
        }
        took
    }

    /// The receiver could not take anything. True when the notice was on its way.
    pub(super) fn unheard(&mut self, id: &NoticeId, problem: &str) -> bool {
        self.back(id, problem, |_| ())
    }

    /// The receiver did not take this one, or failed on it. True when the notice was on its way.
    pub(super) fn refused(&mut self, now: Instant, jitter: f64, id: &NoticeId, problem: &str) -> bool {
        let was = self.back(id, problem, |one| {
            one.tries = one.tries.saturating_add(1);
            one.not_before = Some(now.plus(pace::of_a_notice(one.tries, jitter)));
        });
        if was {
            self.pace.failed(now, jitter, None, problem);
        }
        was
    }

    fn back(&mut self, id: &NoticeId, problem: &str, change: impl FnOnce(&mut Waiting)) -> bool {
        let Some(mut one) = self.in_flight.take_if(|one| one.notice.id == *id) else { return false };
        problem.clone_into(&mut one.problem);
        change(&mut one);
        self.in_vain = self.in_vain.saturating_add(1);
        self.waiting.insert(id.clone(), one);
        true
    }

    /// Takes those out that are given up, with what was answered last: loaded at `before` at the latest, and tried by this process.
    /// `in_vain` is the problem of a receiver that has taken nothing for so long that it need not be tried with each.
    pub(super) fn give_up(&mut self, before: Instant, in_vain: Option<&str>) -> Vec<(Notice, String)> {
        let old = self.waiting.iter().take_while(|(id, _)| id.loaded_at <= before);
        let old = old.filter(|(_, one)| one.is_tried || in_vain.is_some());
        let given_up: Vec<_> = old.map(|(id, _)| id.clone()).collect();
        let taken = given_up.iter().filter_map(|id| self.waiting.remove(id));
        let told = |one: Waiting| {
            let problem = if one.is_tried { one.problem } else { in_vain.unwrap_or_default().to_owned() };
            (one.notice, problem)
        };
        taken.map(told).collect()
    }

    /// When something may be due without anything else happening.
    pub(super) fn moments(&self) -> impl Iterator<Item = Instant> {
        let waits = self.waiting.values().filter_map(|one| one.not_before);
        let free = self.in_flight.is_none() && !self.waiting.is_empty();
        waits.chain(self.pace.resumes_at()).filter(move |_| free)
    }
}
