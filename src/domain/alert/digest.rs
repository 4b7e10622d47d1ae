//! When a message is sent and what it gathers: `step(now, event) → effects`.
//!
//! Alerts of one kind and table that come within `GATHER` are one message; after it the same kind and table are quiet for
//! `QUIET`, and what comes meanwhile is counted and told by the next message. One message is on its way at a time: while
//! the webhook hangs, counts grow and memory does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::{self, EXAMPLES_MAX, Told};
use super::{Alert, AlertKind};
use crate::domain::ids::TableId;

/// How long a message waits for more of its kind and table.
pub const GATHER: Duration = Duration::from_secs(30);
/// How long a kind and table are quiet after a message.
pub const QUIET: Duration = Duration::from_secs(300);
/// How long nothing is sent after the webhook failed.
pub const PAUSE: Duration = Duration::from_secs(60);
/// Kinds and tables that are kept apart; those beyond share one group a kind.
pub const GROUPS_MAX: usize = 512;
/// When more tables than this are due with one kind, one message tells of all of them: a project's quota concerns
/// every table at once.
pub const TABLES_APART_MAX: usize = 3;

/// What happened. Times are durations since the process's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something is to be told.
    Raised(Alert),
    /// So many alerts were dropped before they came here.
    Dropped(u64),
    /// Time has passed.
    Tick,
    /// The webhook took the message that was on its way.
    Sent,
    /// It did not, after all tries: its content is told later.
    Failed,
    /// The process ends: everything is due now, and a message that fails is not tried again.
    Closing,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Send this now; answer with `Sent` or `Failed`.
    pub send: Option<Message>,
    /// Tick no later than this, unless something happens before.
    pub wake: Option<Duration>,
}

/// A message, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it tells of.
    pub kind: AlertKind,
    /// How many alerts it gathers.
    pub count: u64,
    /// Its text, in Slack's markup.
    pub text: String,
}

/// A kind, and a table or (`None`) all those beyond the bound.
type Key = (AlertKind, Option<TableId>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// When the first of them came.
    pub(super) first: Duration,
    pub(super) count: u64,
    pub(super) examples: Vec<Alert>,
}

impl Pending {
    /// Adds what came later.
    fn add(&mut self, later: Self) {
        self.first = self.first.min(later.first);
        self.count = self.count.saturating_add(later.count);
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(later.examples.into_iter().take(room));
    }
}

#[derive(Clone, Debug, Default)]
struct Group {
    pending: Option<Pending>,
    quiet_until: Duration,
}

impl Group {
    fn due(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| (pending.first + GATHER).max(self.quiet_until))
    }

    fn add(&mut self, earlier: Option<Pending>, later: Option<Pending>) {
        for pending in [earlier, later].into_iter().flatten() {
            match &mut self.pending {
                Some(mine) => mine.add(pending),
                None => self.pending = Some(pending),
            }
        }
    }
}

/// What is on its way, to be told again if it does not arrive.
#[derive(Clone, Debug)]
struct Flight {
    content: Vec<(Key, Pending)>,
    dropped: u64,
}

/// The gathering of alerts.
#[derive(Debug, Default)]
pub struct Digest {
    groups: BTreeMap<Key, Group>,
    flight: Option<Flight>,
    paused_until: Duration,
    dropped: u64,
    closing: bool,
    /// The webhook failed while closing: no more is tried.
    given_up: bool,
}

impl Digest {
    /// Takes an event in at `now`, and answers what to do.
    pub fn step(&mut self, now: Duration, event: Event) -> Effects {
        match event {
            Event::Raised(alert) => self.raise(now, alert),
            Event::Dropped(count) => self.dropped = self.dropped.saturating_add(count),
            Event::Tick => {}
            Event::Sent => self.flight = None,
            Event::Failed => self.put_back(now),
            Event::Closing => self.closing = true,
        }
        self.groups.retain(|_, group| group.pending.is_some() || group.quiet_until > now);
        let send = self.next_message(now);
        Effects { send, wake: self.wake() }
    }

    /// Alerts that no message has told yet, the one on its way included.
    pub fn untold(&self) -> u64 {
        let waiting = self.groups.values().filter_map(|group| group.pending.as_ref());
        let flying = self.flight.iter().flat_map(|flight| flight.content.iter().map(|(_, pending)| pending));
        waiting.chain(flying).map(|pending| pending.count).sum()
    }

    /// While closing: nothing more can be sent.
    pub fn is_finished(&self) -> bool {
        self.closing && self.flight.is_none() && (self.given_up || self.untold() == 0)
    }

    /// Kinds and tables that are remembered.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    fn raise(&mut self, now: Duration, alert: Alert) {
        let mut key = (alert.kind, Some(alert.table.clone()));
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&key) {
            key.1 = None;
        }
        let pending = Pending { first: now, count: 1, examples: vec![alert] };
        self.groups.entry(key).or_default().add(None, Some(pending));
    }

    fn put_back(&mut self, now: Duration) {
        let Some(flight) = self.flight.take() else { return };
        self.dropped = self.dropped.saturating_add(flight.dropped);
        for (key, pending) in flight.content {
            let group = self.groups.entry(key).or_default();
            // What was not told makes nobody quiet.
            group.quiet_until = Duration::ZERO;
            let later = group.pending.take();
            group.add(Some(pending), later);
        }
        self.paused_until = now + PAUSE;
        self.given_up = self.closing;
    }

    fn next_message(&mut self, now: Duration) -> Option<Message> {
        let waits = self.flight.is_some() || self.given_up || (now < self.paused_until && !self.closing);
        if waits {
            return None;
        }
        let closing = self.closing;
        let is_due = |group: &Group| group.due().is_some_and(|due| closing || due <= now);
        let due: Vec<Key> =
            self.groups.iter().filter(|(_, group)| is_due(group)).map(|(key, _)| key.clone()).collect();
        let (kind, _) = due.first()?;
        let mut keys: Vec<Key> = due.iter().filter(|(other, _)| other == kind).cloned().collect();
        if keys.len() <= TABLES_APART_MAX {
            keys.truncate(1);
        }
        self.take(now, *kind, keys)
    }

    fn take(&mut self, now: Duration, kind: AlertKind, keys: Vec<Key>) -> Option<Message> {
        let mut content = Vec::new();
        for key in keys {
            let group = self.groups.get_mut(&key)?;
            group.quiet_until = now + QUIET;
            content.extend(group.pending.take().map(|pending| (key, pending)));
        }
        let mut all: Option<Pending> = None;
        // One example of each table first, then the others.
        let firsts = content.iter().filter_map(|(_, pending)| pending.examples.first());
        let others = content.iter().flat_map(|(_, pending)| pending.examples.iter().skip(1));
        let examples: Vec<Alert> = firsts.chain(others).take(EXAMPLES_MAX).cloned().collect();
        for (_, pending) in &content {
            match &mut all {
                Some(all) => all.add(pending.clone()),
                None => all = Some(pending.clone()),
            }
        }
        let mut all = all?;
        all.examples = examples;
        let dropped = std::mem::take(&mut self.dropped);
        let table = match content.as_slice() {
            [((_, Some(table)), _)] => Some(table.to_string()),
            _ => None,
        };
        let told = Told {
            kind,
            table,
            tables: content.len(),
            more_tables: content.iter().any(|((_, table), _)| table.is_none()),
            pending: &all,
            since_seconds: now.saturating_sub(all.first).as_secs(),
            dropped,
        };
        let message = Message { kind, count: all.count, text: text::write(&told) };
        self.flight = Some(Flight { content, dropped });
        Some(message)
    }

    fn wake(&self) -> Option<Duration> {
        if self.flight.is_some() || self.given_up {
            return None;
        }
        let due = self.groups.values().filter_map(Group::due).min()?;
        Some(if self.closing { Duration::ZERO } else { due.max(self.paused_until) })
    }
}
