//! The watermark of a table: everything that was committed at the source before it is in the warehouse, as far as it was
//! announced.
//!
//! DMS writes the change files of a table in the order of their commits. So a loaded file vouches for its commit times where no
//! older file is missing: where its event is before that of every file that is announced and not in the warehouse. Those are in
//! hand, claimed, held, deferred, or poison that nobody has given up; and any that may still be in the queue: that was sent there after it was
//! seen drained last (`domain::drain`). What has vanished or was discarded is a loss that is
//! counted, and stands in nobody's way. Full loads have no commit times: they have no part in it.
//!
//! The mark never goes back. A file that is announced after others with later events are loaded cannot be foreseen.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::batch::{Batch, ManifestEntry};
use super::file::FileId;
use super::ids::{BatchId, TableId};
use super::instant::Instant;
use super::route::{FileKind, file_kind};

/// The event time of a file of which none is known: it may be older than any other.
pub const UNTOLD: Instant = Instant::from_micros(0);

/// What is on its way is usually not older.
const USUAL: Duration = Duration::from_secs(60);
/// Loaded files whose turn has not come, of one table.
const AHEAD_MAX: usize = 512;

/// True unless the file is of a full load, whose rows say when DMS has copied them and not when they were committed.
pub fn is_change(file: &FileId) -> bool {
    file_kind(file.key.rsplit('/').next().unwrap_or_default()) != Some(FileKind::FullLoad)
}

/// From which event time on a batch stands in the way while it is not loaded; `None` where all its files are of a full load.
/// `deferred` gives, of those files that were deferred before, their event times as far as they are known; the others'
/// are in the batch.
pub fn blocks_from(batch: &Batch, deferred: impl Fn(&FileId) -> Option<Option<Instant>>) -> Option<Instant> {
    let announced = batch.events.map(|events| events.oldest);
    let event = |entry: &ManifestEntry| deferred(&entry.file).unwrap_or(announced).unwrap_or(UNTOLD);
    let changes = batch.manifest.entries.iter().filter(|entry| is_change(&entry.file));
    // The files of a batch share the oldest event that was announced with them, and what was handed down to it.
    let shared = announced.into_iter().chain(batch.blocks_from).min();
    changes.map(event).min().map(|oldest| shared.map_or(oldest, |shared| shared.min(oldest)))
}

/// The event time that a file of a batch which is given up takes along: it is not older than the oldest of the batch. None where nobody
/// knows.
pub fn handed_down(parent: &Batch, file: &FileId) -> Option<Instant> {
    let oldest = parent.events.map(|events| events.oldest);
    if !is_change(file) {
        return oldest;
    }
    let from = oldest.map(|oldest| parent.blocks_from.map_or(oldest, |from| from.min(oldest)));
    from.filter(|from| *from != UNTOLD)
}

/// A loaded file: what it vouches for once nothing older is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reached {
    /// Its event.
    pub event: Instant,
    /// The latest commit time in it.
    pub commit: Instant,
}

impl Reached {
    /// What a file with this event and this latest commit time vouches for. Nothing is committed after its file was written: a
    /// time that says so, by a clock or a value that is wrong, is taken as the event's.
    pub fn of(event: Instant, commit: Instant) -> Self {
        Self { event, commit: commit.min(event) }
    }
}

/// Loaded files whose turn has not come, by their events. A process keeps those that it has loaded itself: what is lost with it
/// only makes the mark late, until nothing stands in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    ahead: Vec<Reached>,
}

impl Frontier {
    /// A file is loaded.
    pub fn loaded(&mut self, file: Reached) {
        let place = self.ahead.partition_point(|known| *known < file);
        self.ahead.insert(place, file);
        if self.ahead.len() > AHEAD_MAX {
            // Two become one whose turn comes with the later of them: nothing is vouched for too early.
            let pairs = self.ahead.chunks(2).filter_map(|pair| pair.iter().copied().reduce(joined));
            self.ahead = pairs.collect();
        }
    }

    /// The latest commit time of the files whose turn has come.
    fn vouched(&self, barrier: Option<Instant>) -> Option<Instant> {
        let turn = |file: &&Reached| barrier.is_none_or(|barrier| file.event < barrier);
        self.ahead.iter().filter(turn).map(|file| file.commit).max()
    }

    /// Forgets what a mark at `watermark` has covered.
    pub fn passed(&mut self, watermark: Instant) {
        self.ahead.retain(|file| file.commit > watermark);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ahead.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ahead.is_empty()
    }
}

fn joined(one: Reached, other: Reached) -> Reached {
    Reached { event: one.event.max(other.event), commit: one.commit.max(other.commit) }
}

/// What a process has said that it has in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hands {
    /// A name that no other process has, nor had.
    pub process: String,
    /// When it said so.
    pub at: Instant,
    /// The oldest event of each table's change files. A list, for keys that are no texts.
    pub oldest: Vec<(TableId, Instant)>,
    /// Of each cluster whose queue it receives from: what was sent there before was received and is known, to whomever it is; none where
    /// that was not seen yet. Versions that do not look at it say nothing at all.
    #[serde(default)]
    pub drained: Option<Vec<(Arc<str>, Option<Instant>)>>,
    /// The batches that it delivers, or will.
    #[serde(default)]
    pub batches: Vec<BatchId>,
    /// For how long what it receives is hidden from others (`timing.visibility_timeout`).
    #[serde(default)]
    pub hides_for_seconds: u64,
}

/// A process that has said nothing for so long is taken to be gone: more than four times it should have.
const LIVES_FOR: Duration = Duration::from_secs(45);
/// One that could not say anything to the others for so long neither receives nor keeps hidden what it has, so that this comes to them.
pub const UNHEARD_AFTER: Duration = Duration::from_secs(60);
/// How much longer than a message can be hidden a process that is silent is believed to hold what it had: more than `UNHEARD_AFTER` and the
/// longest wait of a call that had begun.
const SILENCE: Duration = Duration::from_secs(180);

/// Those of these processes that have spoken lately.
pub fn living(others: &[Hands], now: Instant) -> impl Iterator<Item = &Hands> {
    others.iter().filter(move |hands| now.since(hands.at) < LIVES_FOR)
}

impl Hands {
    /// How long after its last word what it had has come to others again: what is hidden by it, or by one that hides for `hides_for`.
    fn comes_again_after(&self, hides_for: Duration) -> Duration {
        hides_for.max(Duration::from_secs(self.hides_for_seconds)).saturating_add(SILENCE)
    }

    /// From which event time on a file of the table may be in its hand. Since it has spoken it has received what was sent to the queue after
    /// that was drained last, and written as long before as an announcement is on its way.
    fn may_have(&self, table: &TableId, transit: Duration) -> Option<Instant> {
        let held = self.oldest.iter().filter(|(held, _)| held == table).map(|(_, at)| *at);
        let drained = match &self.drained {
            None => Some(UNTOLD),
            // Of a queue that it does not receive from it gets nothing.
            Some(drained) => drained
                .iter()
                .filter(|(cluster, _)| *cluster == table.cluster)
                .map(|(_, at)| at.map_or(UNTOLD, |at| at.minus(transit)))
                .min(),
        };
        held.chain(drained).min()
    }
}

/// The time before which no statement of others counts any more, where the queues of all clusters were seen `drained`.
pub fn over_before(others: &[Hands], drained: Instant, hides_for: Duration) -> Instant {
    let own = Hands::default().comes_again_after(hides_for);
    drained.minus(others.iter().map(|hands| hands.comes_again_after(hides_for)).fold(own, Duration::max))
}

/// From which event time on a file of the table may be in the hand of one of these, or of one that has not said anything yet. This process saw the
/// queue of the table's cluster `drained`, and hides what it receives for `hides_for`; an announcement is on its way for `transit` at most.
pub fn in_other_hands(
    others: &[Hands],
    table: &TableId,
    now: Instant,
    transit: Duration,
    (drained, hides_for): (Option<Instant>, Duration),
) -> Instant {
    let came_again = |hands: &Hands| {
        drained.is_some_and(|drained| hands.at < drained.minus(hands.comes_again_after(hides_for)))
    };
    let said =
        others.iter().filter(|hands| !came_again(hands)).filter_map(|hands| hands.may_have(table, transit));
    said.chain([now.minus(transit)]).min().unwrap_or(UNTOLD)
}

/// What a watermark waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behind {
    /// A file that the ledger has and the warehouse has not.
    Ledger,
    /// A file in this process's hand.
    Hand,
    /// A file that another process has, or may have.
    OtherHand,
    /// A file that may be in the queue.
    Queue,
}

impl Behind {
    /// Its name in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Hand => "hand",
            Self::OtherHand => "other_hand",
            Self::Queue => "queue",
        }
    }

    /// Why a mark stands still that waits for this from an event time on, in words for people; none where that is what is usual: younger
    /// than a minute.
    pub fn told(self, from: Instant, now: Instant) -> Option<String> {
        if now.since(from) < USUAL {
            return None;
        }
        let known = (from != UNTOLD).then(|| from.rfc3339());
        Some(match (self, known) {
            (Self::Ledger, Some(at)) => format!("a file of {at} is not loaded"),
            (Self::Ledger, None) => "a file that is not loaded may be of any time".to_owned(),
            (Self::Hand, Some(at)) => format!("a file of {at} is in hand"),
            (Self::Hand, None) => "a file in hand may be of any time".to_owned(),
            (Self::OtherHand, Some(at)) => format!("another process may have a file of {at}"),
            (Self::OtherHand, None) => "another process has not seen the queue drained yet".to_owned(),
            (Self::Queue, Some(at)) => format!("queue not drained since {at}"),
            (Self::Queue, None) => "queue not seen drained since the start, or of its poller".to_owned(),
        })
    }
}

/// What is known of a table. `loaded` and the frontier were read first, then what is in hand, then what the ledger has open: what
/// moves on in between is seen at its new place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The mark so far.
    pub watermark: Option<Instant>,
    /// All that is loaded, as one: the newest event and the latest commit time.
    pub loaded: Option<Reached>,
    /// The oldest event of what the ledger has and the warehouse has not.
    pub in_ledger: Option<Instant>,
    /// The oldest event of what this process has in hand.
    pub in_hand: Option<Instant>,
    /// The same of what other processes have, or may have; none where there is no other.
    pub in_other_hands: Option<Instant>,
    /// From which event time on a file may be in the queue: until when that was seen drained; `UNTOLD` where it was not. None where the table has
    /// no queue.
    pub in_queue: Option<Instant>,
}

impl Known {
    /// From which event time on something is missing, or may be.
    pub fn barrier(&self) -> Option<Instant> {
        self.behind().map(|(at, _)| at)
    }

    /// The same, with what that is.
    pub fn behind(&self) -> Option<(Instant, Behind)> {
        let all = [
            (self.in_ledger, Behind::Ledger),
            (self.in_hand, Behind::Hand),
            (self.in_other_hands, Behind::OtherHand),
            (self.in_queue, Behind::Queue),
        ];
        all.into_iter().filter_map(|(at, what)| Some((at?, what))).min()
    }

    /// The mark now; never earlier than it was. None where no file with commit times was loaded.
    pub fn mark(&self, frontier: &Frontier) -> Option<Instant> {
        let barrier = self.barrier();
        let all = self.loaded.filter(|all| barrier.is_none_or(|barrier| all.event < barrier));
        let candidates = [self.watermark, all.map(|all| all.commit), frontier.vouched(barrier)];
        candidates.into_iter().flatten().max()
    }
}

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod tests;
