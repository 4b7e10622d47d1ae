//! What becomes of the notices of one receiver: which is sent when, what an answer means, when one is given up, and when
//! the ledger is read and told.
//!
//! The ledger has every notice until it was told, so that nothing depends on this memory: it holds the oldest ones, and what
//! it has no room for is read when there is room again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::TableId;
use super::instant::Instant;
use super::notice::{Notice, NoticeId};

mod pace;

#[cfg(test)]
mod tests;

use pace::Pace;

/// Notices of a receiver that are held in memory; the others wait in the ledger.
pub const HELD_MAX: usize = 2_000;
/// Notices on their way to a receiver at one time, of one table one: they come in the order of their loads as far as the
/// receiver takes them.
pub const IN_FLIGHT_MAX: usize = 8;
/// How long told notices are gathered before the ledger hears of them, and how many at most. What was told and not written
/// down when a process dies is told again.
pub const GATHER: Duration = Duration::from_secs(2);
/// See `GATHER`.
pub const GATHERED_MAX: usize = 100;
/// How often the ledger is read for notices that another process, or a crash, has left behind.
pub const READ_INTERVAL: Duration = Duration::from_secs(30);
/// How old a notice of another process is before it counts as left behind. Clocks may differ by less: where they differ by
/// more, a notice may be told twice, or later.
pub const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(20);
/// How long the oldest notice may wait before somebody is told, and how often again.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(600);
/// See `OVERDUE_AFTER`.
pub const OVERDUE_AGAIN: Duration = Duration::from_secs(3_600);
/// The wait after a ledger step that failed.
const LEDGER_AGAIN: Duration = Duration::from_secs(5);

/// What the receiver made of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Taken,
    /// It cannot be heard, or says that it takes nothing now; it may have asked for a wait.
    Unavailable {
        /// What happened, in words without a secret.
        problem: String,
        /// The wait that it asked for.
        wait: Option<Duration>,
    },
    /// It failed on this notice; others may go.
    Failed {
        /// What happened.
        problem: String,
    },
    /// It says that it does not want this notice as it is. Tried again all the same: a key or an address may be mended.
    Refused {
        /// What happened.
        problem: String,
    },
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A batch was committed here.
    Committed(Notice),
    /// A notice that was sent was answered.
    Answered(NoticeId, Answer),
    /// The ledger's oldest notices, at most as many as were asked for.
    Read(Vec<Notice>),
    /// The ledger has taken out what was told.
    TakenOut,
    /// The ledger did not answer.
    LedgerFailed,
    /// Time has passed.
    Tick,
}

/// What the ledger is asked; one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Its oldest notices, at most `HELD_MAX`.
    Read,
    /// To take out what was told or given up.
    Take(Vec<NoticeId>),
}

/// Somebody must be told that a receiver does not take notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The table of the oldest notice.
    pub table: TableId,
    /// For how long it has waited.
    pub age: Duration,
    /// How many are held.
    pub waiting: usize,
    /// What the receiver answered last.
    pub problem: String,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Notices to send now.
    pub send: Vec<Notice>,
    /// What to ask of the ledger.
    pub ask: Option<Ask>,
    /// Notices that are never told, with what was answered last.
    pub given_up: Vec<(Notice, String)>,
    /// Somebody must be told.
    pub overdue: Option<Overdue>,
    /// When to look again at the latest.
    pub wake: Option<Instant>,
}

/// What is shown of a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Notices that are held and not told.
    pub waiting: usize,
    /// There are more in the ledger than are held.
    pub more: bool,
    /// When the oldest of them was loaded.
    pub oldest: Option<Instant>,
    /// Since when it has taken none, and what it answered last; none while it takes them.
    pub failing: Option<(Instant, String)>,
    /// Told ones that the ledger has not taken out yet.
    pub unwritten: usize,
}

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A notice that is older is given up.
    pub give_up_after: Duration,
    /// Other processes tell notices of the same ledger.
    pub is_shared: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    notice: Notice,
    tries: u32,
    not_before: Option<Instant>,
    problem: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Read,
    Take(Vec<NoticeId>),
}

/// The notices of one receiver.
#[derive(Clone, Debug)]
pub struct Outbox {
    rules: Rules,
    waiting: BTreeMap<NoticeId, Waiting>,
    in_flight: BTreeMap<NoticeId, Waiting>,
    /// Told or given up, and still in the ledger.
    done: BTreeSet<NoticeId>,
    done_since: Option<Instant>,
    asked: Asked,
    ledger_again: Option<Instant>,
    read_at: Option<Instant>,
    /// The ledger has more than is held.
    more: bool,
    /// One was not held since the ledger was asked last.
    missed: bool,
    pace: Pace,
    overdue_told: Option<Instant>,
}

impl Outbox {
    /// An outbox that has to read the ledger first.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            done: BTreeSet::new(),
            done_since: None,
            asked: Asked::Nothing,
            ledger_again: None,
            read_at: None,
            more: false,
            missed: false,
            pace: Pace::default(),
            overdue_told: None,
        }
    }

    /// One step. `jitter` from 0 to 1 spreads the waits.
    pub fn step(&mut self, now: Instant, jitter: f64, event: Event) -> Effects {
        match event {
            Event::Committed(notice) => self.take_in(notice),
            Event::Answered(id, answer) => self.answered(now, jitter, &id, answer),
            Event::Read(notices) => self.read(now, notices),
            Event::TakenOut => {
                if let Asked::Take(taken) = std::mem::replace(&mut self.asked, Asked::Nothing) {
                    self.done.retain(|id| !taken.contains(id));
                    self.done_since = (!self.done.is_empty()).then_some(now);
                }
            }
            Event::LedgerFailed => {
                self.asked = Asked::Nothing;
                self.ledger_again = Some(now.plus(LEDGER_AGAIN));
            }
            Event::Tick => {}
        }
        let mut effects = Effects { given_up: self.give_up(now), ..Effects::default() };
        effects.send = self.send(now);
        effects.ask = self.ask(now);
        effects.overdue = self.overdue(now);
        effects.wake = self.wake(now);
        effects
    }

    /// What is shown.
    pub fn shown(&self) -> Shown {
        let oldest = self.waiting.keys().chain(self.in_flight.keys()).map(|id| id.loaded_at).min();
        Shown {
            waiting: self.waiting.len().saturating_add(self.in_flight.len()),
            more: self.more,
            oldest,
            failing: self.pace.failing(),
            unwritten: self.done.len(),
        }
    }

    fn knows(&self, id: &NoticeId) -> bool {
        self.waiting.contains_key(id) || self.in_flight.contains_key(id) || self.done.contains(id)
    }

    /// Holds the notice if there is room; else it waits in the ledger.
    fn take_in(&mut self, notice: Notice) {
        if self.knows(&notice.id) {
            return;
        }
        if self.waiting.len() >= HELD_MAX || self.more {
            // Older ones are in the ledger, perhaps, and come first.
            (self.more, self.missed) = (true, true);
            return;
        }
        let id = notice.id.clone();
        self.waiting.insert(id, Waiting { notice, tries: 0, not_before: None, problem: String::new() });
    }

    fn read(&mut self, now: Instant, notices: Vec<Notice>) {
        self.asked = Asked::Nothing;
        self.read_at = Some(now);
        // Committed since, or younger than what was answered.
        let has_more = self.missed || notices.len() >= HELD_MAX;
        self.more = false;
        let rules = self.rules;
        let is_left =
            |notice: &Notice| !rules.is_shared || now.since(notice.id.loaded_at) >= LEFT_BEHIND_AFTER;
        notices.into_iter().filter(is_left).for_each(|notice| self.take_in(notice));
        self.more |= has_more;
    }

    fn answered(&mut self, now: Instant, jitter: f64, id: &NoticeId, answer: Answer) {
        let Some(mut waiting) = self.in_flight.remove(id) else { return };
        match answer {
            Answer::Taken => {
                self.pace.took();
                self.overdue_told = None;
                self.finish(now, id);
                return;
            }
            Answer::Unavailable { problem, wait } => {
                self.pace.failed(now, jitter, wait, &problem);
                waiting.problem = problem;
            }
            Answer::Failed { problem } | Answer::Refused { problem } => {
                self.pace.failed(now, jitter, None, &problem);
                waiting.tries = waiting.tries.saturating_add(1);
                waiting.not_before = Some(now.plus(pace::of_a_notice(waiting.tries, jitter)));
                waiting.problem = problem;
            }
        }
        self.waiting.insert(id.clone(), waiting);
    }

    /// It is told or given up: the ledger is to take it out.
    fn finish(&mut self, now: Instant, id: &NoticeId) {
        self.done.insert(id.clone());
        self.done_since = self.done_since.or(Some(now));
    }

    fn give_up(&mut self, now: Instant) -> Vec<(Notice, String)> {
        let mut given_up = Vec::new();
        while let Some(oldest) = self.waiting.first_entry() {
            if now.since(oldest.key().loaded_at) < self.rules.give_up_after {
                break;
            }
            let (id, waiting) = oldest.remove_entry();
            given_up.push((waiting.notice, waiting.problem));
            self.finish(now, &id);
        }
        given_up
    }

    /// Those that may go now: oldest first, those that failed behind the others, of each table one.
    fn send(&mut self, now: Instant) -> Vec<Notice> {
        let mut send = Vec::new();
        // What is told and cannot be taken out is bounded, too.
        while self.in_flight.len() < self.pace.at_once(now) && self.done.len() < HELD_MAX {
            let is_free = |waiting: &&Waiting| {
                waiting.not_before.is_none_or(|at| at <= now)
                    && self.in_flight.values().all(|other| other.notice.table != waiting.notice.table)
            };
            let next = self.waiting.values().filter(is_free).min_by_key(|waiting| waiting.tries);
            let Some(id) = next.map(|waiting| waiting.notice.id.clone()) else { break };
            let Some(waiting) = self.waiting.remove(&id) else { break };
            send.push(waiting.notice.clone());
            self.in_flight.insert(id, waiting);
        }
        send
    }

    fn ask(&mut self, now: Instant) -> Option<Ask> {
        if self.asked != Asked::Nothing || self.ledger_again.is_some_and(|at| at > now) {
            return None;
        }
        self.ledger_again = None;
        let gathered = self.done_since.is_some_and(|since| now.since(since) >= GATHER);
        // Before anything is read, so that what is read again is not told again.
        if !self.done.is_empty() && (gathered || self.done.len() >= GATHERED_MAX) {
            let take: Vec<_> = self.done.iter().take(GATHERED_MAX).cloned().collect();
            self.asked = Asked::Take(take.clone());
            return Some(Ask::Take(take));
        }
        let has_room = self.waiting.len() < HELD_MAX / 2;
        let is_hungry = self.more && self.done.is_empty() && self.waiting.is_empty();
        let interval = if is_hungry { GATHER } else { READ_INTERVAL };
        if has_room && self.read_at.is_none_or(|at| now.since(at) >= interval) {
            (self.asked, self.missed) = (Asked::Read, false);
            return Some(Ask::Read);
        }
        None
    }

    fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let oldest = self.waiting.values().next()?;
        let age = now.since(oldest.notice.id.loaded_at);
        let told = self.overdue_told.is_some_and(|at| now.since(at) < OVERDUE_AGAIN);
        // One that was never tried waits for others, which tell.
        let problem = Some(&oldest.problem).filter(|problem| !problem.is_empty());
        let problem = problem.cloned().or_else(|| self.pace.failing().map(|(_, problem)| problem))?;
        if told || age < OVERDUE_AFTER {
            return None;
        }
        self.overdue_told = Some(now);
        let waiting = self.waiting.len().saturating_add(self.in_flight.len());
        Some(Overdue { table: oldest.notice.table.clone(), age, waiting, problem })
    }

    /// The next moment at which something may be due without anything else happening.
    fn wake(&self, now: Instant) -> Option<Instant> {
        let mut moments: Vec<_> =
            self.read_at.into_iter().flat_map(|at| [at.plus(GATHER), at.plus(READ_INTERVAL)]).collect();
        moments.extend(self.done_since.map(|since| since.plus(GATHER)));
        if self.in_flight.len() < IN_FLIGHT_MAX {
            moments.extend(self.pace.resumes_at());
            moments.extend(self.waiting.values().filter_map(|waiting| waiting.not_before));
        }
        let oldest = self.waiting.keys().next().map(|id| id.loaded_at);
        moments.extend(oldest.map(|at| at.plus(self.rules.give_up_after)));
        let later = moments.into_iter().filter(|at| *at > now).min();
        later.into_iter().chain(self.ledger_again.filter(|at| *at > now)).min()
    }
}
