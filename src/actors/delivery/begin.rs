//! What a delivery begins with, and in which lane.

use crate::domain::batch::Batch;
use crate::domain::delivery::Part;
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::lane::Lane;
use crate::domain::summary::EventSpan;
use crate::domain::transition::BatchRecord;
use crate::messages::fetcher::Fetched;

/// What a delivery begins with.
pub enum Begin {
    /// Files of a closed window, each with its oldest event as far as one told it, and when all were announced to be written: nothing
    /// is claimed yet.
    Fresh(Vec<(FileId, Fetched, Option<Instant>)>, Option<EventSpan>),
    /// A batch that the ledger holds as open, and what is known of it as a part of a refused one.
    Resumed(Box<BatchRecord>, Part),
}

impl Begin {
    /// The lane of the batch.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Fresh(files, _) => Lane::of_all(files.iter().map(|(file, ..)| file)),
            Self::Resumed(record, _) => lane_of(&record.batch),
        }
    }

    /// When the oldest of its files was written, as far as one was announced with its time; of a batch that is resumed, at the latest
    /// when it was claimed.
    pub fn oldest(&self) -> Option<Instant> {
        match self {
            Self::Fresh(_, events) => events.map(|events| events.oldest),
            Self::Resumed(record, _) => {
                let batch = &record.batch;
                Some(batch.events.map_or(batch.claimed_at, |events| events.oldest))
            }
        }
    }
}

/// The lane of a batch.
pub(super) fn lane_of(batch: &Batch) -> Lane {
    Lane::of_all(batch.manifest.entries.iter().map(|entry| &entry.file))
}
