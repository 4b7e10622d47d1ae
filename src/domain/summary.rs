//! What the ledger knows of a table at a glance: the durable half of an operator's view.

use serde::{Deserialize, Serialize};

use super::ids::TableId;
use super::instant::Instant;
use super::watermark::Reached;

/// The ledger's figures of one table. Tables of which it knows nothing have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableSummary {
    /// The table.
    pub table: TableId,
    /// Files of batches that were committed on the day that was asked for.
    pub files_of_day: u64,
    /// Their rows.
    pub rows_of_day: u64,
    /// When a batch of the table was last committed.
    pub last_load_at: Option<Instant>,
    /// The newest event time among the files loaded so far, as far as announcements told it.
    pub newest_loaded_event: Option<Instant>,
    /// The oldest event time among files that are deferred or in a batch that is not committed. Where the event time
    /// is not known: when the file was deferred, or claimed.
    pub oldest_pending_event: Option<Instant>,
    /// Files that wait to be taken up later.
    pub deferred: u64,
    /// Files that are never loaded.
    pub poison: u64,
    /// Files whose object was gone.
    pub vanished: u64,
    /// Poison that a person has given up.
    pub discarded: u64,
    /// Of the batches that were loaded with commit times: the newest event, and the latest commit time, of whichever files.
    pub loaded: Option<Reached>,
    /// Everything committed before is in the warehouse, as far as it was announced; as it was last raised.
    pub watermark: Option<Instant>,
}

impl TableSummary {
    /// A table of which nothing is known.
    pub fn empty(table: TableId) -> Self {
        Self {
            table,
            files_of_day: 0,
            rows_of_day: 0,
            last_load_at: None,
            newest_loaded_event: None,
            oldest_pending_event: None,
            deferred: 0,
            poison: 0,
            vanished: 0,
            discarded: 0,
            loaded: None,
            watermark: None,
        }
    }
}

/// The oldest and the newest event time of the announcements of a batch's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventSpan {
    /// The oldest.
    pub oldest: Instant,
    /// The newest.
    pub newest: Instant,
}

impl EventSpan {
    /// The span of these event times; none of none.
    pub fn of(events: impl IntoIterator<Item = Instant>) -> Option<Self> {
        events.into_iter().fold(None, |span, at| Some(Self::widened(span, at)))
    }

    /// The span with one more event time.
    pub fn widened(span: Option<Self>, at: Instant) -> Self {
        span.map_or(Self { oldest: at, newest: at }, |span| Self {
            oldest: span.oldest.min(at),
            newest: span.newest.max(at),
        })
    }
}

/// The first and the last commit time at the source in the change files of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommitSpan {
    /// The first.
    pub oldest: Instant,
    /// The last.
    pub newest: Instant,
}

impl CommitSpan {
    /// The span that holds both.
    pub fn joined(self, other: Self) -> Self {
        Self { oldest: self.oldest.min(other.oldest), newest: self.newest.max(other.newest) }
    }

    /// The span that holds all of these; none of none.
    pub fn of(spans: impl IntoIterator<Item = Self>) -> Option<Self> {
        spans.into_iter().reduce(Self::joined)
    }
}

/// Days since the Unix epoch, in UTC.
pub fn utc_day(at: Instant) -> i64 {
    at.micros().div_euclid(24 * 3_600 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_all_its_events_and_a_day_ends_at_midnight() {
        let at = Instant::from_micros;
        assert_eq!(EventSpan::of([]), None);
        assert_eq!(EventSpan::of([at(5), at(2), at(9)]), Some(EventSpan { oldest: at(2), newest: at(9) }));
        let midnight = 20_415 * 86_400_000_000;
        assert_eq!((utc_day(at(midnight - 1)), utc_day(at(midnight))), (20_414, 20_415));
    }
}
