//! Who is wedged: something is due, and it neither answers nor moves on.
//!
//! Every child of the tree, and every task that waits for an edge on behalf of one, is looked at once in
//! `LOOK_INTERVAL` and shows a `Reading`: what it is doing, and a number that changes whenever what it has waited for
//! longest has come. Some waits may last (a window, a backoff, credit): they are declared, and nobody is ended for
//! them. Whoever is at work and shows the same reading for as long as its patience is wedged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::TableId;
use super::instant::Instant;

/// How often everybody is looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a child may take to answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The least patience. Longer than any adapter lets one call go on (BigQuery 120 s; S3 three tries of 40 s; SQS 45 s), and
/// short enough that five in a row spend a table's budget (`restart::MEMORY`).
pub const WEDGED_AFTER_MIN: Duration = Duration::from_secs(135);
/// Another table counts as waiting for the same edge from here on.
const COMPANY_AFTER: Duration = Duration::from_secs(60);
/// The most that may pass between two looks for all of it to count: while the process stood still, nobody could move.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(2 * LOOK_INTERVAL.as_secs());

/// How long a child or task of a table with this window may show the same reading: two windows, and the least patience.
pub fn patience(window: Duration) -> Duration {
    window.saturating_mul(2).max(WEDGED_AFTER_MIN)
}

/// Whose answer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// The ledger.
    Ledger,
    /// The object store.
    Bucket,
    /// The warehouse.
    Warehouse,
    /// A queue.
    Queue,
    /// A CPU job.
    Cpu,
    /// Another actor.
    Actor,
}

impl Edge {
    /// Those that all tables share, whose answers are counted.
    pub const SHARED: [Self; 4] = [Self::Ledger, Self::Bucket, Self::Warehouse, Self::Queue];

    /// The edge in a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "the ledger",
            Self::Bucket => "the object store",
            Self::Warehouse => "the warehouse",
            Self::Queue => "the queue",
            Self::Cpu => "a CPU job",
            Self::Actor => "another actor",
        }
    }
}

/// What somebody is doing, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing is due: idle, or one of the waits that may last. Each of them has a bound of its own elsewhere.
    Waiting(&'static str),
    /// An answer of this edge, or a step, is due.
    Working(Edge, &'static str),
}

/// What somebody shows at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Changes whenever what it has waited for longest has come.
    pub progress: u64,
    /// What it is doing.
    pub doing: Doing,
}

impl Reading {
    /// Nothing is due.
    pub const fn idle() -> Self {
        Self { progress: 0, doing: Doing::Waiting("work") }
    }

    /// The oldest of the questions that are out, if any is: since when, to whom, which.
    pub fn of_oldest(question: Option<(Instant, Edge, &'static str)>) -> Self {
        question.map_or(Self::idle(), |(since, edge, what)| Self {
            // When it was asked tells it from those that follow.
            progress: since.micros().unsigned_abs(),
            doing: Doing::Working(edge, what),
        })
    }
}

/// Somebody at a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting<K> {
    /// Who; a child that was started again is somebody else.
    pub key: K,
    /// Whose work it does; `None` for a service to all tables.
    pub table: Option<TableId>,
    /// How long it may show the same.
    pub patience: Duration,
    /// What it shows; `None` when it did not answer.
    pub reading: Option<Reading>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<K> {
    /// End it.
    Wedged {
        /// Who.
        key: K,
        /// Its table.
        table: Option<TableId>,
        /// What it was doing; `None` when it did not answer.
        doing: Option<Doing>,
        /// For how long it has shown the same.
        stalled: Duration,
    },
    /// The edge has answered nobody while several waited for it: no table is to blame, and ending them would not help.
    EdgeSilent {
        /// Which.
        edge: Edge,
        /// For how long, at least.
        stalled: Duration,
        /// How many tables and services wait for it.
        waiting: usize,
    },
}

#[derive(Clone, Debug)]
struct Watched {
    table: Option<TableId>,
    patience: Duration,
    reading: Option<Reading>,
    /// When it first showed that reading, on the watchdog's own time.
    since: Duration,
}

impl Watched {
    fn is_due(&self) -> bool {
        match self.reading.map(|reading| reading.doing) {
            None | Some(Doing::Working(..)) => true,
            Some(Doing::Waiting(_)) => false,
        }
    }

    fn edge(&self) -> Option<Edge> {
        match self.reading?.doing {
            Doing::Working(edge, _) => Some(edge),
            Doing::Waiting(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    answers: u64,
    at: Duration,
}

/// The machine. `K` tells those that are watched apart.
#[derive(Debug)]
pub struct Watchdog<K> {
    /// Its own time: that during which it looked. Wall time that jumps, and a process that stood still, prove nothing.
    time: Duration,
    looked_at: Option<Instant>,
    watched: BTreeMap<K, Watched>,
    edges: BTreeMap<Edge, Heard>,
}

impl<K: Ord + Clone> Default for Watchdog<K> {
    fn default() -> Self {
        Self { time: Duration::ZERO, looked_at: None, watched: BTreeMap::new(), edges: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Watchdog<K> {
    /// One look: everybody who runs, and how often each shared edge has answered so far. Who was seen before and is not
    /// any more has ended.
    pub fn look(
        &mut self,
        now: Instant,
        sightings: Vec<Sighting<K>>,
        answers: &[(Edge, u64)],
    ) -> Vec<Verdict<K>> {
        let elapsed = self.looked_at.map_or(Duration::ZERO, |at| now.since(at));
        self.looked_at = Some(now);
        self.time = self.time.saturating_add(elapsed.min(LOOK_INTERVAL_MAX));
        for (edge, answers) in answers {
            let heard = self.edges.entry(*edge).or_insert(Heard { answers: *answers, at: self.time });
            if heard.answers != *answers {
                *heard = Heard { answers: *answers, at: self.time };
            }
        }
        let before = std::mem::take(&mut self.watched);
        for Sighting { key, table, patience, reading } in sightings {
            let same = before.get(&key).filter(|watched| watched.reading == reading);
            let since = same.map_or(self.time, |watched| watched.since);
            self.watched.insert(key, Watched { table, patience, reading, since });
        }
        self.verdicts()
    }

    fn verdicts(&mut self) -> Vec<Verdict<K>> {
        let overdue = |watched: &Watched| watched.is_due() && self.stalled(watched) >= watched.patience;
        let overdue: Vec<_> = self.watched.iter().filter(|(_, watched)| overdue(watched)).collect();
        let mut silent: BTreeMap<Edge, (Duration, usize)> = BTreeMap::new();
        for (_, watched) in &overdue {
            if let Some((edge, waiting)) = self.shared_silence(watched) {
                let entry = silent.entry(edge).or_default();
                *entry = (entry.0.max(self.stalled(watched)), entry.1.max(waiting));
            }
        }
        let own = overdue
            .iter()
            .filter(|(_, watched)| watched.edge().is_none_or(|edge| !silent.contains_key(&edge)));
        let mut verdicts: Vec<_> = own
            .map(|(key, watched)| Verdict::Wedged {
                key: (*key).clone(),
                table: watched.table.clone(),
                doing: watched.reading.map(|reading| reading.doing),
                stalled: self.stalled(watched),
            })
            .collect();
        let overdue: Vec<K> = overdue.into_iter().map(|(key, _)| key.clone()).collect();
        // Whoever is seen again all the same has its whole patience again.
        overdue.iter().for_each(|key| drop(self.watched.remove(key)));
        verdicts.extend(silent.into_iter().map(|(edge, (stalled, waiting))| Verdict::EdgeSilent {
            edge,
            stalled,
            waiting,
        }));
        verdicts
    }

    fn stalled(&self, watched: &Watched) -> Duration {
        self.time.saturating_sub(watched.since)
    }

    /// The edge that it waits for, and how many wait for it, when that edge has answered nobody since and others have
    /// waited for a while too.
    fn shared_silence(&self, watched: &Watched) -> Option<(Edge, usize)> {
        let edge = watched.edge()?;
        // An edge whose answers nobody counts is not shared.
        if self.edges.get(&edge)?.at > watched.since {
            return None;
        }
        let wait = |other: &&Watched| other.edge() == Some(edge) && self.stalled(other) >= COMPANY_AFTER;
        let waiting: BTreeSet<_> = self.watched.values().filter(wait).map(|other| &other.table).collect();
        (waiting.len() > 1).then_some((edge, waiting.len()))
    }
}

#[cfg(test)]
mod tests;
