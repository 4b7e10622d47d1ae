//! What becomes of the notices of one receiver: which is sent when, what an answer means, when one is given up, and when
//! the ledger is read and told.
//!
//! The ledger has every notice until it was told, so that nothing depends on this memory: of each table it holds the oldest ones,
//! and what it has no room for is read when there is room again. No table's notices wait for another table's: those that a receiver
//! refuses occupy their own table's room, and slow down their own table alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::TableId;
use super::instant::Instant;
use super::notice::{Notice, NoticeId};

mod line;
mod pace;
#[cfg(test)]
mod tests;
mod unread;

use line::{Line, Rank};
use pace::Pace;
use unread::{Place, Unread};

/// Notices of a receiver that are held in memory; the others wait in the ledger. Beyond it each table may have one.
pub const HELD_MAX: usize = 2_000;
/// Of one table.
pub const HELD_OF_TABLE_MAX: usize = 200;
/// Notices that the ledger is asked for at one time.
pub const READ_MAX: usize = 500;
/// Notices on their way to a receiver at one time, of one table one: they come in the order of their loads as far as the
/// receiver takes them.
pub const IN_FLIGHT_MAX: usize = 8;
/// How long told notices are gathered before the ledger hears of them, and how many at most. What was told and not written
/// down when a process dies is told again.
pub const GATHER: Duration = Duration::from_secs(2);
/// See `GATHER`.
pub const GATHERED_MAX: usize = 100;
/// How often the ledger is read for notices that another process, or a crash, has left behind: `READ_MAX` of them, the next ones each
/// time.
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
    /// The ledger's oldest notices behind the place that was asked for, at most `READ_MAX`; fewer: there are no more.
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
    /// Its oldest notices, at most `READ_MAX`.
    Read {
        /// Only those behind this one.
        after: Option<NoticeId>,
    },
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
    /// Of those that are held, how many nothing is in the way of: neither their receiver nor one of their table's notices has
    /// failed. The others can wait for the next start.
    pub fresh: usize,
}

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A notice that is older is given up, counted from the start of the process for those that were there before.
    pub give_up_after: Duration,
    /// Other processes tell notices of the same ledger.
    pub is_shared: bool,
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
    /// When it was asked for the first time.
    began: Option<Instant>,
    lines: BTreeMap<TableId, Line>,
    unread: Unread,
    /// Told or given up, and still in the ledger.
    done: BTreeSet<NoticeId>,
    done_since: Option<Instant>,
    asked: Asked,
    ledger_again: Option<Instant>,
    pace: Pace,
    overdue_told: Option<Instant>,
}

impl Outbox {
    /// An outbox that has to read the ledger first.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            began: None,
            lines: BTreeMap::new(),
            unread: Unread::default(),
            done: BTreeSet::new(),
            done_since: None,
            asked: Asked::Nothing,
            ledger_again: None,
            pace: Pace::default(),
            overdue_told: None,
        }
    }

    /// One step. `jitter` from 0 to 1 spreads the waits.
    pub fn step(&mut self, now: Instant, jitter: f64, event: Event) -> Effects {
        self.began.get_or_insert(now);
        match event {
            Event::Committed(notice) => self.committed(notice),
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
                self.unread.failed();
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
        let failing = self.pace.failing();
        let fresh = if failing.is_some() { 0 } else { self.lines.values().map(Line::fresh).sum() };
        Shown {
            waiting: self.held(),
            more: self.unread.is_some(),
            oldest: self.lines.values().filter_map(Line::oldest).min(),
            failing,
            unwritten: self.done.len(),
            fresh,
        }
    }

    fn held(&self) -> usize {
        self.lines.values().map(Line::held).sum()
    }

    fn is_known(&self, notice: &Notice) -> bool {
        self.done.contains(&notice.id)
            || self.lines.get(&notice.table).is_some_and(|line| line.knows(&notice.id))
    }

    /// Whether one more of the table can be held, beside so many; each table has room for one.
    fn has_room(&self, table: &TableId, most: usize) -> bool {
        let of_table = self.lines.get(table).map_or(0, Line::held);
        of_table == 0 || of_table < most && self.held() < HELD_MAX
    }

    /// Holds the notice if it is the next of its table and there is room; else it waits in the ledger.
    fn committed(&mut self, notice: Notice) {
        if self.is_known(&notice) {
            return;
        }
        if self.unread.is_next(&notice.table) && self.has_room(&notice.table, HELD_OF_TABLE_MAX) {
            self.lines.entry(notice.table.clone()).or_default().push(notice);
        } else {
            let last = self.lines.get(&notice.table).and_then(|line| line.last_before(&notice.id));
            self.unread.miss(&notice.table, last);
        }
    }

    fn read(&mut self, now: Instant, notices: Vec<Notice>) {
        self.asked = Asked::Nothing;
        let is_shared = self.rules.is_shared;
        let is_young = |notice: &Notice| is_shared && now.since(notice.id.loaded_at) < LEFT_BEHIND_AFTER;
        let mut unread = std::mem::take(&mut self.unread);
        unread.read(now, notices, is_young, |notice, is_next| {
            let is_known = self.is_known(&notice);
            let takes = !is_known && is_next && self.has_room(&notice.table, HELD_OF_TABLE_MAX);
            if takes {
                self.lines.entry(notice.table.clone()).or_default().push(notice);
            }
            is_known || takes
        });
        self.unread = unread;
    }

    fn answered(&mut self, now: Instant, jitter: f64, id: &NoticeId, answer: Answer) {
        for line in self.lines.values_mut() {
            let was_sent = match &answer {
                Answer::Taken => line.took(id),
                Answer::Unavailable { problem, .. } => line.unheard(id, problem),
                Answer::Failed { problem } | Answer::Refused { problem } => {
                    line.refused(now, jitter, id, problem)
                }
            };
            if !was_sent {
                continue;
            }
            match answer {
                Answer::Taken => {
                    self.pace.took();
                    self.finish(now, id);
                }
                Answer::Unavailable { problem, wait } => self.pace.failed(now, jitter, wait, &problem),
                Answer::Failed { problem } | Answer::Refused { problem } => self.pace.noted(now, &problem),
            }
            break;
        }
        self.lines.retain(|_, line| line.held() > 0);
    }

    /// It is told or given up: the ledger is to take it out.
    fn finish(&mut self, now: Instant, id: &NoticeId) {
        self.done.insert(id.clone());
        self.done_since = self.done_since.or(Some(now));
    }

    /// What is too old. What waited while no process ran has as long from the start on, and is tried first.
    fn give_up(&mut self, now: Instant) -> Vec<(Notice, String)> {
        let patience = self.rules.give_up_after;
        if self.began.is_none_or(|began| now.since(began) < patience) {
            return Vec::new();
        }
        let in_vain = self.pace.failing().filter(|(since, _)| now.since(*since) >= patience);
        let in_vain = in_vain.as_ref().map(|(_, problem)| problem.as_str());
        let of_line = |line: &mut Line| line.give_up(now.minus(patience), in_vain);
        let given_up: Vec<_> = self.lines.values_mut().flat_map(of_line).collect();
        given_up.iter().for_each(|(notice, _)| self.finish(now, &notice.id));
        self.lines.retain(|_, line| line.held() > 0);
        given_up
    }

    /// Those that may go now, of each table one.
    fn send(&mut self, now: Instant) -> Vec<Notice> {
        let (mut send, mut in_flight) = (Vec::new(), self.in_flight());
        // What is told and cannot be taken out is bounded, too.
        while in_flight < self.pace.at_once(now) && self.done.len() < HELD_MAX {
            let ranks = self.lines.iter().filter_map(|(table, line)| Some((line.next(now)?, table.clone())));
            let Some(((_, _, id), table)): Option<(Rank, _)> = ranks.min() else { break };
            let Some(notice) = self.lines.get_mut(&table).and_then(|line| line.send(&id)) else { break };
            send.push(notice);
            in_flight = in_flight.saturating_add(1);
        }
        send
    }

    fn in_flight(&self) -> usize {
        self.lines.values().filter(|line| line.is_in_flight()).count()
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
        let mut unread = std::mem::take(&mut self.unread);
        let after = unread.ask(now, |table| self.has_room(table, HELD_OF_TABLE_MAX / 2));
        self.unread = unread;
        self.asked = if after.is_some() { Asked::Read } else { Asked::Nothing };
        after.map(|after: Place| Ask::Read { after })
    }

    fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let complaints =
            self.lines.iter().filter_map(|(table, line)| Some((line.complaint()?, table.clone())));
        let ((oldest, problem), table) = complaints.min_by_key(|((oldest, _), _)| *oldest)?;
        let age = now.since(oldest);
        if age < OVERDUE_AFTER {
            self.overdue_told = None;
            return None;
        }
        // One that was never tried waits for others, which tell.
        let problem = problem.or_else(|| self.pace.failing().map(|(_, problem)| problem))?;
        if self.overdue_told.is_some_and(|at| now.since(at) < OVERDUE_AGAIN) {
            return None;
        }
        self.overdue_told = Some(now);
        Some(Overdue { table, age, waiting: self.held(), problem })
    }

    /// The next moment at which something may be due without anything else happening.
    fn wake(&self, now: Instant) -> Option<Instant> {
        let mut moments: Vec<_> = self.unread.moments().collect();
        moments.extend(self.done_since.map(|since| since.plus(GATHER)));
        if self.in_flight() < IN_FLIGHT_MAX {
            moments.extend(self.pace.resumes_at());
            moments.extend(self.lines.values().flat_map(Line::moments));
        }
        let oldest = self.lines.values().filter_map(Line::oldest).min();
        moments.extend(oldest.max(self.began).map(|at| at.plus(self.rules.give_up_after)));
        moments.into_iter().chain(self.ledger_again).filter(|at| *at > now).min()
    }
}
