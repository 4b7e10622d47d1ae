//! A file: its identity, and the state that the ledger keeps of it (Invariant I-1).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{BatchId, TableId};
use super::instant::Instant;

/// The identity of a file (ARCHITECTURE.md): not the key alone, since DMS writes `LOAD00000001` again with
/// other content, and not the version id, since a listing does not show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The source table.
    pub table: TableId,
    /// The bucket's name.
    pub bucket: Arc<str>,
    /// The object's key, decoded.
    pub key: Arc<str>,
    /// The ETag without quotes, an opaque text.
    pub etag: Arc<str>,
    /// The object's size in bytes, as announced.
    pub size_bytes: u64,
}

impl FileId {
    /// `bucket/key@etag`, the text of the `_source_file` column (Invariant I-6).
    pub fn source_file(&self) -> String {
        format!("{}/{}@{}", self.bucket, self.key, self.etag)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}@{}", self.bucket, self.key, self.etag)
    }
}

/// The state of a file that the ledger knows. A file that belongs to a batch has the batch's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FileState {
    /// In a batch whose outcome is open: only the warehouse decides now.
    Claimed {
        /// The batch.
        batch: BatchId,
        /// True when the batch is held: it waits for a person, and its messages may be settled (I-4).
        held: bool,
    },
    /// Its rows are in the warehouse. Final.
    Loaded {
        /// The batch that carried it.
        batch: BatchId,
    },
    /// Refused for good, with the reason. Final until redriven.
    Poison {
        /// Why, as an operator reads it.
        reason: String,
    },
    /// The object was gone or replaced when it was to be read. Final until announced again.
    Vanished {
        /// When the last GET failed: an announcement received later fetches it again.
        at: Instant,
    },
    /// Known, unclaimed, and to be taken up later, oldest first.
    Deferred {
        /// When it was written down.
        since: Instant,
    },
}

impl FileState {
    /// True when a message that announces the file may be deleted (Invariant I-4).
    pub fn is_final(&self) -> bool {
        match self {
            Self::Claimed { held, .. } => *held,
            Self::Loaded { .. } | Self::Poison { .. } | Self::Vanished { .. } | Self::Deferred { .. } => true,
        }
    }

    /// The state as a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Claimed { .. } => "claimed",
            Self::Loaded { .. } => "loaded",
            Self::Poison { .. } => "poison",
            Self::Vanished { .. } => "vanished",
            Self::Deferred { .. } => "deferred",
        }
    }
}
