//! The rules of the ledger's conditional transitions: what was read goes in, what is to be written comes out.
//!
//! A ledger reads, asks the rule of the step, and writes what it says in one step that is conditional on what was read.
//! No ledger decides by itself: all keep the invariants of these functions, and the model in the tests plays them.

use std::collections::BTreeSet;

use super::{AttemptOutcome, BatchRecord, BatchState, Mending, Step, Verdict};
use crate::domain::batch::{Attempt, Batch, FILES_PER_BATCH_MAX};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::AttemptNumber;
use crate::domain::instant::Instant;

mod homes;

pub use homes::{Rehoming, rehome};

/// What a rule says of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling<W> {
    /// Write this. The answer is `Step::Done`.
    Write(W),
    /// The step has happened before: nothing is written. The answer is `Step::Done`.
    Already,
    /// What was read excludes the step: nothing is written. The answer is `Step::Refused`.
    Refused,
}

impl<W> Ruling<W> {
    /// The ledger's answer, once what is to be written is written.
    pub fn step(&self) -> Step {
        match self {
            Self::Write(_) | Self::Already => Step::Done,
            Self::Refused => Step::Refused,
        }
    }
}

/// What is asked would break an invariant whatever the ledger holds: a bug of whoever asks, told as `Internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(pub String);

/// What the rule says of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claiming {
    /// Write the batch as open, each of its files as in it, and its first attempt as open. The answer is `Claim::Won`.
    Write,
    /// This very claim has happened: nothing is written. The answer is `Claim::Won`.
    Already,
    /// These files are not free: nothing is written. The answer is `Claim::Lost`.
    Lost(Vec<(FileId, FileState)>),
}

/// Whether `batch` may claim its files. `known` is the ledger's record of a batch of this id, `files` the states of the
/// files in the order of the manifest.
///
/// Invariant I-1: all files are free, or nothing is claimed. Invariant I-2: a batch whose last attempt is not this one
/// is another hand's, since its body may be another, and is not claimed again.
pub fn claim(
    batch: &Batch,
    attempt: Option<&Attempt>,
    known: Option<&BatchRecord>,
    files: &[Option<FileState>],
) -> Result<Claiming, Misuse> {
    let entries = &batch.manifest.entries;
    let distinct: BTreeSet<_> = entries.iter().map(|entry| &entry.file).collect();
    if entries.len() > FILES_PER_BATCH_MAX || distinct.len() != entries.len() || files.len() != entries.len()
    {
        return Err(Misuse(format!("batch {} has {} files, or one twice", batch.id, entries.len())));
    }
    check_attempt(batch, attempt)?;
    if known.is_some_and(|known| known.last_attempt.as_ref().map(|(attempt, _)| attempt) == attempt) {
        return Ok(Claiming::Already);
    }
    let states = entries.iter().zip(files);
    let taken: Vec<_> = states
        .filter(|(_, state)| !is_free(state.as_ref()))
        .filter_map(|(entry, state)| Some((entry.file.clone(), state.clone()?)))
        .collect();
    Ok(if known.is_none() && taken.is_empty() { Claiming::Write } else { Claiming::Lost(taken) })
}

/// True when a batch may claim a file in this state; `None` is a file that the ledger does not know.
pub fn is_free(state: Option<&FileState>) -> bool {
    match state {
        None | Some(FileState::Deferred { .. } | FileState::Vanished { .. }) => true,
        Some(FileState::Claimed { .. } | FileState::Loaded { .. } | FileState::Poison { .. }) => false,
    }
}

/// Rows come into the warehouse by an attempt alone: a batch that has some needs one of its own from the start (I-2).
fn check_attempt(batch: &Batch, attempt: Option<&Attempt>) -> Result<(), Misuse> {
    let ours = attempt.is_none_or(|attempt| attempt.batch == batch.id);
    if ours && (attempt.is_some() || batch.manifest.rows() == 0) {
        return Ok(());
    }
    let rows = batch.manifest.rows();
    Err(Misuse(format!("batch {} of {rows} rows has no attempt of its own", batch.id)))
}

/// What is to be written when an attempt has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing<'a> {
    /// The open attempt that is failed from now on; none when the ledger knew that it had failed.
    pub failed: Option<AttemptNumber>,
    /// The attempt that is open from now on.
    pub next: Option<&'a Attempt>,
}

/// Whether attempt `failed` may be written as failed and `next` as the one after it.
///
/// Invariant I-3: only the last attempt can fail, only while the batch's outcome is open, and n+1 follows n alone.
/// Invariant I-2: another attempt under a number that is taken would be another body under the same job id.
pub fn fail_attempt<'a>(
    record: Option<&BatchRecord>,
    failed: AttemptNumber,
    next: Option<&'a Attempt>,
) -> Ruling<Failing<'a>> {
    let Some(record) = record.filter(|record| is_undecided(record.state)) else { return Ruling::Refused };
    let Some((last, outcome)) = &record.last_attempt else { return Ruling::Refused };
    let follows = |next: &Attempt| next.number == failed.next() && next.batch == record.batch.id;
    if !next.is_none_or(follows) {
        return Ruling::Refused;
    }
    match (outcome, next) {
        // The same step again, after a lost answer: attempt n+1 is there already.
        (AttemptOutcome::Open, Some(next)) if last.number == next.number => {
            if last == next {
                Ruling::Already
            } else {
                Ruling::Refused
            }
        }
        (AttemptOutcome::Open, next) if last.number == failed => {
            Ruling::Write(Failing { failed: Some(failed), next })
        }
        (AttemptOutcome::Failed(_), Some(next)) if last.number == failed => {
            Ruling::Write(Failing { failed: None, next: Some(next) })
        }
        (AttemptOutcome::Failed(_), None) if last.number == failed => Ruling::Already,
        (AttemptOutcome::Open | AttemptOutcome::Failed(_) | AttemptOutcome::Succeeded, _) => Ruling::Refused,
    }
}

/// True while the warehouse has the last word on a batch.
fn is_undecided(state: BatchState) -> bool {
    match state {
        BatchState::Open | BatchState::Held => true,
        BatchState::Loaded | BatchState::Abandoned => false,
    }
}

/// What is to be written when a batch is loaded, beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committing {
    /// The attempt that has succeeded; none for a batch of zero rows.
    pub succeeded: Option<AttemptNumber>,
}

/// Whether the batch may be written as loaded.
///
/// Invariant I-3: an attempt that is known to have failed has loaded nothing. Invariant I-2: rows without an attempt
/// cannot have been loaded.
pub fn commit(record: Option<&BatchRecord>) -> Ruling<Committing> {
    let Some(record) = record else { return Ruling::Refused };
    match (record.state, &record.last_attempt) {
        (BatchState::Loaded, _) => Ruling::Already,
        (BatchState::Abandoned, _) => Ruling::Refused,
        (BatchState::Open | BatchState::Held, Some((attempt, AttemptOutcome::Open))) => {
            Ruling::Write(Committing { succeeded: Some(attempt.number) })
        }
        (
            BatchState::Open | BatchState::Held,
            Some((_, AttemptOutcome::Failed(_) | AttemptOutcome::Succeeded)),
        ) => Ruling::Refused,
        (BatchState::Open | BatchState::Held, None) if record.batch.manifest.rows() == 0 => {
            Ruling::Write(Committing { succeeded: None })
        }
        (BatchState::Open | BatchState::Held, None) => Ruling::Refused,
    }
}

/// Whether the batch may be held (`true`) or let go on; the state to write.
pub fn hold(record: Option<&BatchRecord>, held: bool) -> Ruling<BatchState> {
    match (record.map(|record| record.state), held) {
        (Some(BatchState::Open), true) => Ruling::Write(BatchState::Held),
        (Some(BatchState::Held), false) => Ruling::Write(BatchState::Open),
        (Some(BatchState::Open), false) | (Some(BatchState::Held), true) => Ruling::Already,
        (None | Some(BatchState::Loaded | BatchState::Abandoned), _) => Ruling::Refused,
    }
}

/// The state of a file after a verdict; `None` when the verdict does not apply and the file stays as it is.
///
/// What a batch has is the warehouse's matter (I-1), poison stays poison until it is redriven, and a file that is
/// deferred again keeps its place in the order.
pub fn settle(known: Option<&FileState>, verdict: &Verdict, now: Instant) -> Option<FileState> {
    let applies = match (known, verdict) {
        (Some(FileState::Claimed { .. } | FileState::Loaded { .. }), _)
        | (Some(FileState::Poison { .. }), Verdict::Defer | Verdict::Vanish)
        | (Some(FileState::Deferred { .. }), Verdict::Defer) => false,
        (Some(FileState::Poison { .. }), Verdict::Poison(_))
        | (Some(FileState::Deferred { .. }), Verdict::Poison(_) | Verdict::Vanish)
        | (Some(FileState::Vanished { .. }) | None, _) => true,
    };
    applies.then(|| match verdict {
        Verdict::Poison(reason) => FileState::Poison { reason: reason.clone() },
        Verdict::Vanish => FileState::Vanished { at: now },
        Verdict::Defer => FileState::Deferred { since: now },
    })
}

/// The state of a file after a person has seen to it; `None` when it is not poison and stays as it is. That it is the
/// poison that the person saw, the ledger checks by its time.
pub fn mend(known: Option<&FileState>, mending: Mending, now: Instant) -> Option<FileState> {
    match (known, mending) {
        (Some(FileState::Poison { .. }), Mending::Redrive | Mending::SendBack) => {
            Some(FileState::Deferred { since: now })
        }
        (Some(poison @ FileState::Poison { .. }), Mending::Discard) => Some(poison.clone()),
        (
            None
            | Some(
                FileState::Claimed { .. }
                | FileState::Loaded { .. }
                | FileState::Vanished { .. }
                | FileState::Deferred { .. },
            ),
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests;
