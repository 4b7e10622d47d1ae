//! The rule of re-homing: all files of a failed batch move at once.

use sha2::{Digest, Sha256};

use super::{Misuse, Ruling, check_attempt};
use crate::domain::batch::{Batch, hex};
use crate::domain::file::FileId;
use crate::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Home};

/// What is to be written when a batch is abandoned: each home of `homes` (a batch with its files and its first attempt
/// as a claim writes them), the batch as abandoned, and a mark beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehoming {
    /// A hash over the homes (64 hexadecimal digits), by which the same re-homing is known again whatever became of its
    /// files since.
    pub mark: String,
}

/// Whether the batch may be abandoned and its files moved to `homes`. `mark` is what the ledger keeps beside an
/// abandoned batch.
///
/// Invariant I-3: only after the last attempt is known to have failed. Invariant I-1: the homes hold exactly the
/// batch's files, each once.
pub fn rehome(
    record: Option<&BatchRecord>,
    mark: Option<&str>,
    homes: &[Home],
) -> Result<Ruling<Rehoming>, Misuse> {
    let Some(record) = record else { return Ok(Ruling::Refused) };
    match (record.state, &record.last_attempt) {
        // Without a mark it was abandoned by a version that kept none, and long ago.
        (BatchState::Abandoned, _) if mark.is_none_or(|mark| mark == mark_of(homes)) => Ok(Ruling::Already),
        (BatchState::Abandoned | BatchState::Loaded, _) => Ok(Ruling::Refused),
        (BatchState::Open | BatchState::Held, Some((_, AttemptOutcome::Failed(_))))
            if covers(&record.batch, homes) =>
        {
            for home in homes {
                match home {
                    Home::Batch { batch, attempt } => check_attempt(batch, attempt.as_ref())?,
                    Home::Poison(..) | Home::Vanished(_) | Home::Deferred(_) => {}
                }
            }
            Ok(Ruling::Write(Rehoming { mark: mark_of(homes) }))
        }
        (
            BatchState::Open | BatchState::Held,
            None | Some((_, AttemptOutcome::Open | AttemptOutcome::Failed(_) | AttemptOutcome::Succeeded)),
        ) => Ok(Ruling::Refused),
    }
}

/// True when the homes hold exactly the batch's files, each once.
fn covers(batch: &Batch, homes: &[Home]) -> bool {
    let mut housed: Vec<&FileId> = Vec::new();
    for home in homes {
        match home {
            Home::Batch { batch, .. } => {
                housed.extend(batch.manifest.entries.iter().map(|entry| &entry.file))
            }
            Home::Poison(file, _) | Home::Vanished(file) | Home::Deferred(file) => housed.push(file),
        }
    }
    housed.sort();
    let mut files: Vec<_> = batch.manifest.entries.iter().map(|entry| &entry.file).collect();
    files.sort();
    housed == files
}

fn mark_of(homes: &[Home]) -> String {
    let mut hasher = Sha256::new();
    let mut add = |parts: &[&str]| {
        for part in parts {
            // Length-prefixed, so that no two lists can share a byte string.
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
    };
    for home in homes {
        match home {
            // A batch's id is a hash of its manifest, destination and parent.
            Home::Batch { batch, attempt } => {
                let attempt = attempt.as_ref();
                let job_id = attempt.map_or("", |attempt| attempt.job_id.as_str());
                add(&["batch", batch.id.as_str(), job_id, attempt.map_or("", |attempt| &attempt.plan_hash)]);
            }
            Home::Poison(file, reason) => add(&["poison", &identity(file), reason]),
            Home::Vanished(file) => add(&["vanished", &identity(file)]),
            Home::Deferred(file) => add(&["deferred", &identity(file)]),
        }
    }
    hex(&hasher.finalize())
}

fn identity(file: &FileId) -> String {
    format!("{}|{}|{}", file.table, file.source_file(), file.size_bytes)
}
