//! One table's files between announcement and delivery, and its open window: what the batcher decides.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::fault::{FaultKind, Policy};
use super::file::{FileId, FileState};
use super::instant::Instant;
use super::transition::Verdict;
use super::watchdog::{Edge, Reading};

/// Strikes that make a file poison.
pub const STRIKES_MAX: u32 = 3;
/// GETs that must find nothing before a file is vanished.
pub const VANISHED_TRIES: u32 = 3;
/// The first wait before a file is tried again; doubles up to `LONGEST_WAIT`.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait before a file is tried again.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

mod event;
mod lanes;
mod take_up;
mod window;

pub use event::{CloseReason, Effect, Event, Outcome, TableBounds};
pub use lanes::Lanes;
pub use take_up::{Listed, TakeUp, WHEN_SOME};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Then {
    Lookup,
    Fetch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    LookingUp,
    Fetching,
    Waiting { until: Instant, then: Then },
    InWindow { bytes: u64 },
    Closed,
    Delivering,
    Striking,
    Settling,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    phase: Phase,
    /// When it entered the phase.
    since: Instant,
    held_since: Instant,
    announced_at: Instant,
    suspect: bool,
    /// GETs that found nothing, since the last one that found it.
    not_found: u32,
    /// Waits so far: how long the next one is, and nothing else.
    waits: u32,
}

impl Held {
    fn enter(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        self.since = now;
    }

    /// The question to the ledger that is out about the file.
    fn asked(&self) -> Option<(Instant, Edge, &'static str)> {
        let what = match self.phase {
            Phase::LookingUp => "looking a file up",
            Phase::Striking => "writing a strike down",
            Phase::Settling => "writing a verdict down",
            // Fetchers and deliveries are watched themselves; the others wait for what may last.
            Phase::Fetching
            | Phase::Delivering
            | Phase::Waiting { .. }
            | Phase::InWindow { .. }
            | Phase::Closed => return None,
        };
        Some((self.since, Edge::Ledger, what))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Window {
    opened_at: Instant,
    /// It closes at this age.
    age: Duration,
    /// And at so many files.
    files_max: usize,
    bytes: u64,
    files: Vec<FileId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Closed {
    at: Instant,
    reason: CloseReason,
    bytes: u64,
    files: Vec<FileId>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    bounds: TableBounds,
    /// Of the next window, where the planner has said so: its age, and its files.
    planned: Option<(Duration, usize)>,
    files: BTreeMap<FileId, Held>,
    window: Option<Window>,
    closed: VecDeque<Closed>,
    in_flight: usize,
}

impl Table {
    /// A table with nothing in hand.
    pub fn new(bounds: TableBounds) -> Self {
        Self {
            bounds,
            planned: None,
            files: BTreeMap::new(),
            window: None,
            closed: VecDeque::new(),
            in_flight: 0,
        }
    }

    /// Files in hand.
    pub fn in_hand(&self) -> usize {
        self.files.len()
    }

    /// True when the file is in hand.
    pub fn holds(&self, file: &FileId) -> bool {
        self.files.contains_key(file)
    }

    /// Files in the open window.
    pub fn window_files(&self) -> usize {
        self.window.as_ref().map_or(0, |window| window.files.len())
    }

    /// The files in the open window, in their order.
    pub fn window(&self) -> &[FileId] {
        self.window.as_ref().map_or(&[], |window| &window.files)
    }

    /// Files on their way into the window: being looked up, fetched or struck.
    pub fn arriving(&self) -> usize {
        let arriving = |held: &&Held| match held.phase {
            Phase::LookingUp | Phase::Fetching | Phase::Striking | Phase::Settling => true,
            Phase::Waiting { .. } | Phase::InWindow { .. } | Phase::Closed | Phase::Delivering => false,
        };
        self.files.values().filter(arriving).count()
    }

    /// Files that wait to be tried or asked about again.
    pub fn waiting(&self) -> usize {
        let is_waiting = |held: &&Held| matches!(held.phase, Phase::Waiting { .. });
        self.files.values().filter(is_waiting).count()
    }

    /// What the watchdog is shown: the question that has waited for longest.
    pub fn reading(&self) -> Reading {
        Reading::of_oldest(self.asked())
    }

    /// The question to the ledger that has been out for longest.
    fn asked(&self) -> Option<(Instant, Edge, &'static str)> {
        self.files.values().filter_map(Held::asked).min_by_key(|(since, _, _)| *since)
    }

    /// The same table as if no file had waited yet, nor been long in its phase: the next wait of each is as long as its
    /// first.
    pub fn rested(mut self) -> Self {
        self.files.values_mut().for_each(|held| (held.waits, held.since) = (0, held.held_since));
        self
    }

    /// When `Tick` is next due.
    pub fn next_wake(&self) -> Option<Instant> {
        let waits = self.files.values().filter_map(|held| match held.phase {
            Phase::Waiting { until, .. } => Some(until),
            Phase::LookingUp
            | Phase::Fetching
            | Phase::InWindow { .. }
            | Phase::Closed
            | Phase::Delivering
            | Phase::Striking
            | Phase::Settling => None,
        });
        let age = self.window.as_ref().map(|window| window.opened_at.plus(window.age));
        let stale = self.closed.front().map(|closed| closed.at.plus(self.bounds.defer_after));
        waits.chain(age).chain(stale).min()
    }

    /// Takes what happened and says what to do.
    pub fn step(&mut self, now: Instant, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Announced { file, suspect } => self.announced(now, file, suspect, &mut effects),
            Event::LookedUp { file, state } => self.looked_up(now, file, state, &mut effects),
            Event::Fetched { file, bytes } => self.fetched(now, file, bytes, &mut effects),
            Event::Failed { file, kind, reason } => self.failed(now, file, kind, reason, &mut effects),
            Event::Struck { file, strikes, reason } => {
                if strikes >= STRIKES_MAX {
                    self.settle(now, file, Verdict::Poison(reason), &mut effects);
                } else {
                    self.wait(now, &file, Then::Fetch);
                }
            }
            Event::Settled { file, state } => match Outcome::of(&state) {
                Some(outcome) => self.release(file, outcome, true, &mut effects),
                None => self.wait(now, &file, Then::Lookup),
            },
            Event::LedgerFailed { file } => self.wait(now, &file, Then::Lookup),
            Event::DeliveryEnded => self.in_flight = self.in_flight.saturating_sub(1),
            Event::Finished { file, outcome } => self.release(file, outcome, true, &mut effects),
            Event::Returned { file, suspect } => {
                match self.files.get_mut(&file) {
                    Some(held) => {
                        held.suspect |= suspect;
                        // Else it has come back already and is on its way again.
                        if held.phase == Phase::Delivering {
                            self.wait(now, &file, Then::Lookup);
                        }
                    }
                    None => self.announced(now, file, suspect, &mut effects),
                }
            }
            Event::EndedElsewhere { file, suspect } => match self.files.get_mut(&file) {
                Some(held) => {
                    held.suspect |= suspect;
                    // Whatever else is under way with it comes to its own end.
                    if let Phase::Waiting { .. } = held.phase {
                        held.enter(now, Phase::LookingUp);
                        effects.push(Effect::Lookup(file));
                    }
                }
                None => self.announced(now, file, suspect, &mut effects),
            },
            Event::Planned { age, files } => self.planned = Some((age, files)),
            Event::Flush(reason) => self.close(now, reason),
            Event::Tick => self.tick(now, &mut effects),
        }
        self.deliver(now, &mut effects);
        effects
    }

    fn announced(&mut self, now: Instant, file: FileId, suspect: bool, effects: &mut Vec<Effect>) {
        if let Some(held) = self.files.get_mut(&file) {
            // It is in hand: whoever announced it again waits for the same outcome.
            held.announced_at = now;
            held.suspect |= suspect;
            return;
        }
        let held = Held {
            phase: Phase::LookingUp,
            since: now,
            held_since: now,
            announced_at: now,
            suspect,
            not_found: 0,
            waits: 0,
        };
        self.files.insert(file.clone(), held);
        effects.push(Effect::Lookup(file));
    }

    fn looked_up(&mut self, now: Instant, file: FileId, state: Option<FileState>, effects: &mut Vec<Effect>) {
        let Some(held) = self.files.get_mut(&file) else {
            return;
        };
        let fetch = match &state {
            None | Some(FileState::Deferred { .. }) => true,
            // An announcement received after the last failed GET fetches again.
            Some(FileState::Vanished { at }) => held.announced_at > *at,
            Some(FileState::Claimed { .. } | FileState::Loaded { .. } | FileState::Poison { .. }) => false,
        };
        if fetch {
            held.enter(now, Phase::Fetching);
            effects.push(Effect::Fetch(file));
            return;
        }
        match state.as_ref().and_then(Outcome::of) {
            Some(outcome) => self.release(file, outcome, false, effects),
            // Claimed by an open batch, of this process or another: ask again later.
            None => self.wait(now, &file, Then::Lookup),
        }
    }

    fn fetched(&mut self, now: Instant, file: FileId, bytes: u64, effects: &mut Vec<Effect>) {
        let Some(held) = self.files.get_mut(&file) else {
            return;
        };
        if held.phase != Phase::Fetching {
            return;
        }
        held.enter(now, Phase::InWindow { bytes });
        held.not_found = 0;
        if held.suspect {
            held.enter(now, Phase::Closed);
            let reason = CloseReason::Suspect;
            self.closed.push_back(Closed { at: now, reason, bytes, files: vec![file] });
            self.deliver(now, effects);
            return;
        }
        let (age, files_max) = self.planned.unwrap_or((self.bounds.window, self.bounds.files_max));
        let files_max = files_max.min(self.bounds.files_max);
        let open = || Window { opened_at: now, age, files_max, bytes: 0, files: Vec::new() };
        let window = self.window.get_or_insert_with(open);
        window.bytes = window.bytes.saturating_add(bytes);
        window.files.push(file);
        if window.files.len() >= window.files_max {
            self.close(now, CloseReason::Files);
        } else if window.bytes >= self.bounds.bytes_max {
            self.close(now, CloseReason::Bytes);
        }
    }

    fn failed(
        &mut self,
        now: Instant,
        file: FileId,
        kind: FaultKind,
        reason: String,
        effects: &mut Vec<Effect>,
    ) {
        let Some(held) = self.files.get_mut(&file) else {
            return;
        };
        let overdue = now.since(held.held_since) >= self.bounds.defer_after;
        let policy = kind.policy();
        held.not_found = held.not_found.saturating_add(u32::from(policy == Policy::Vanish));
        match policy {
            Policy::Vanish if held.not_found >= VANISHED_TRIES => {
                self.settle(now, file, Verdict::Vanish, effects);
            }
            Policy::Strike => {
                held.enter(now, Phase::Striking);
                effects.push(Effect::Strike(file, reason));
            }
            Policy::Poison => self.settle(now, file, Verdict::Poison(reason), effects),
            Policy::Retry | Policy::HoldTable | Policy::StopProcess if overdue => {
                self.settle(now, file, Verdict::Defer, effects);
            }
            Policy::Retry | Policy::Vanish | Policy::HoldTable | Policy::StopProcess => {
                self.wait(now, &file, Then::Fetch);
            }
        }
    }

    fn settle(&mut self, now: Instant, file: FileId, verdict: Verdict, effects: &mut Vec<Effect>) {
        if let Some(held) = self.files.get_mut(&file) {
            held.enter(now, Phase::Settling);
            effects.push(Effect::Settle(file, verdict));
        }
    }

    fn release(&mut self, file: FileId, outcome: Outcome, fresh: bool, effects: &mut Vec<Effect>) {
        match self.files.remove(&file).map(|held| held.phase) {
            Some(Phase::InWindow { bytes }) => {
                if let Some(window) = &mut self.window {
                    window.bytes = window.bytes.saturating_sub(bytes);
                    window.files.retain(|other| *other != file);
                }
                self.window.take_if(|window| window.files.is_empty());
            }
            Some(Phase::Closed) => {
                self.closed.iter_mut().for_each(|closed| closed.files.retain(|other| *other != file));
                self.closed.retain(|closed| !closed.files.is_empty());
            }
            Some(
                Phase::LookingUp
                | Phase::Fetching
                | Phase::Waiting { .. }
                | Phase::Delivering
                | Phase::Striking
                | Phase::Settling,
            )
            | None => {}
        }
        effects.push(Effect::Release { file, outcome, fresh });
    }

    fn wait(&mut self, now: Instant, file: &FileId, then: Then) {
        if let Some(held) = self.files.get_mut(file) {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(held.waits.min(16))).min(LONGEST_WAIT);
            held.waits = held.waits.saturating_add(1);
            held.enter(now, Phase::Waiting { until: now.plus(wait), then });
        }
    }
}

#[cfg(test)]
mod tests;
