//! What the ledger says of a file against the rows that the warehouse holds of it (Invariant I-6).

use super::batch::{Attempt, Batch, Manifest};
use super::ids::{BatchId, JobId};
use super::instant::Instant;
use super::transition::{AttemptOutcome, BatchState};

pub mod books;
pub mod numbers;
#[cfg(test)]
mod tests;

pub use numbers::{Numbers, Runs};

/// A batch with all that the ledger keeps of it, read in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAccount {
    /// The batch.
    pub batch: Batch,
    /// Its state.
    pub state: BatchState,
    /// Its attempts, by number.
    pub attempts: Vec<(Attempt, AttemptOutcome)>,
    /// Where the ledger has each file of the manifest, in its order.
    pub homes: Vec<FileHome>,
    /// When its state was written.
    pub changed_at: Instant,
}

/// Where the ledger has a file, seen from a batch that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileHome {
    /// In this batch.
    Here,
    /// In another batch.
    Elsewhere,
    /// In no batch: poison, vanished or deferred.
    Loose,
    /// Nowhere: the ledger does not know it.
    Nowhere,
}

/// A file of a batch, as the warehouse should have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `bucket/key@etag`.
    pub file: String,
    /// The batch that carries it.
    pub batch: BatchId,
    /// Its rows: numbers 0 to `rows` - 1.
    pub rows: u64,
    /// The batch's state.
    pub state: BatchState,
    /// `_claimed_at` of every row.
    pub claimed_at: Instant,
    /// The job of the batch's last attempt; none for a batch of zero rows.
    pub job: Option<JobId>,
}

impl BatchAccount {
    /// True when the files of the batch are in it: its state is theirs.
    pub fn is_living(&self) -> bool {
        match self.state {
            BatchState::Open | BatchState::Held | BatchState::Loaded => true,
            BatchState::Abandoned => false,
        }
    }

    /// The job of the last attempt.
    pub fn job(&self) -> Option<&JobId> {
        self.attempts.last().map(|(attempt, _)| &attempt.job_id)
    }

    /// What the warehouse should have of each file.
    pub fn expected(&self) -> impl Iterator<Item = Expected> {
        let Manifest { entries } = &self.batch.manifest;
        entries.iter().map(|entry| Expected {
            file: entry.file.source_file(),
            batch: self.batch.id.clone(),
            rows: entry.rows,
            state: self.state,
            claimed_at: self.batch.claimed_at,
            job: self.job().cloned(),
        })
    }

    /// True when the manifest names a file of this `_source_file`.
    pub fn names(&self, file: &str) -> bool {
        self.batch.manifest.entries.iter().any(|entry| entry.file.source_file() == file)
    }
}

/// The rows that a table of the warehouse holds of one file from one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Their `_source_file`; empty where they have none.
    pub file: String,
    /// Their `_batch_id`; empty where they have none.
    pub batch: String,
    /// How many they are.
    pub rows: u64,
    /// Their `_source_row`.
    pub numbers: Numbers,
    /// The earliest and the latest `_claimed_at`.
    pub claimed: Option<(Instant, Instant)>,
}

impl Found {
    /// Takes in another part of the same file and batch.
    pub fn merge(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.numbers.merge(other.numbers);
        let spans = self.claimed.into_iter().chain(other.claimed);
        self.claimed = spans.reduce(|(from, to), (start, end)| (from.min(start), to.max(end)));
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Rows of a loaded file are not in the warehouse.
    Missing,
    /// Rows of a file are in the warehouse beyond what it has.
    Doubled,
    /// Rows that no loaded file accounts for.
    Strange,
    /// The ledger contradicts itself.
    Ledger,
}

impl FindingKind {
    /// The kind as a program reads it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Strange => "strange",
            Self::Ledger => "ledger",
        }
    }

    /// What a person can do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Missing => {
                "find out who deleted them; bring them back from the warehouse's time travel or a snapshot, or reload the table in DMS"
            }
            Self::Doubled => {
                "find out which job wrote the rows beyond; delete those of a batch that is not the file's, else all but one of each `_source_row`"
            }
            Self::Strange => {
                "find out who wrote them; delete them if nobody wants them. If the ledger came from a backup, keep landbridge stopped until it knows the file"
            }
            Self::Ledger => {
                "stop landbridge, keep ledger and log, and report it; go on with the ledger's backup, never with an empty ledger"
            }
        }
    }
}

/// One thing that is wrong, named so that a person finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The invariant that is broken (ARCHITECTURE.md).
    pub invariant: &'static str,
    /// The file, `bucket/key@etag`; empty when it is about no single one.
    pub file: String,
    /// The batch; empty when there is none.
    pub batch: String,
    /// The job of the batch's last attempt.
    pub job: Option<JobId>,
    /// How many rows are concerned.
    pub rows: u64,
    /// What is wrong, as a person reads it.
    pub text: String,
}

/// A file of a batch against the rows that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Different rows of the file that are there.
    pub present: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Compares a file with the rows of its batch. While the batch is open its rows may be there or not, all or none; an
/// abandoned batch has none to be missed.
pub fn compare(expected: &Expected, found: Option<&Found>) -> Comparison {
    let present = found.map_or(0, |found| found.numbers.within(expected.rows));
    let held = found.map_or(0, |found| found.rows);
    let (missing, beyond) = (expected.rows - present.min(expected.rows), held.saturating_sub(present));
    let finding = |kind, rows, text| Finding {
        kind,
        invariant: "I-6",
        file: expected.file.clone(),
        batch: expected.batch.to_string(),
        job: expected.job.clone(),
        rows,
        text,
    };
    let mut findings = Vec::new();
    let may_be_absent = match expected.state {
        BatchState::Open | BatchState::Held => held == 0,
        BatchState::Abandoned => true,
        BatchState::Loaded => false,
    };
    let of = expected.rows;
    if missing > 0 && !may_be_absent {
        let text = format!("{missing} of its {of} rows are not in the warehouse");
        findings.push(finding(FindingKind::Missing, missing, text));
    }
    if beyond > 0 {
        let text = format!("the warehouse has {held} rows of it, {beyond} beyond its {of}");
        findings.push(finding(FindingKind::Doubled, beyond, text));
    }
    let claim = (expected.claimed_at, expected.claimed_at);
    if held > 0 && found.and_then(|found| found.claimed) != Some(claim) {
        let text = format!(
            "its rows carry another `_claimed_at` than the batch's {}",
            expected.claimed_at.rfc3339()
        );
        findings.push(finding(FindingKind::Strange, held, text));
    }
    Comparison { present, findings }
}

/// What the ledger knows of the file of rows that no living batch accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in another batch.
    InBatch {
        /// The batch.
        batch: BatchId,
        /// Its state.
        state: BatchState,
    },
    /// It is poison, vanished or deferred, as the label says.
    Loose(String),
    /// It does not know it.
    Unknown,
}

/// Tells of rows whose file the ledger does not have in their batch. `account` is the ledger's of the batch that the
/// rows name.
pub fn stranger(found: &Found, standing: &Standing, account: Option<&BatchAccount>) -> Finding {
    let (kind, file) = match standing {
        Standing::InBatch { batch, state: BatchState::Loaded } => {
            (FindingKind::Doubled, format!("the ledger has the file loaded by batch {batch}"))
        }
        Standing::InBatch { batch, state: BatchState::Open | BatchState::Held | BatchState::Abandoned } => {
            (FindingKind::Strange, format!("the ledger has the file claimed by batch {batch}"))
        }
        Standing::Loose(label) => (FindingKind::Strange, format!("the ledger has the file as {label}")),
        Standing::Unknown if found.file.is_empty() => {
            (FindingKind::Strange, "they name no `_source_file`".to_owned())
        }
        Standing::Unknown => (FindingKind::Strange, "the ledger does not know the file".to_owned()),
    };
    let batch = match account {
        None if found.batch.is_empty() => "they name no `_batch_id`".to_owned(),
        None => "it does not know their batch".to_owned(),
        Some(account) if !account.is_living() => "it gave their batch up".to_owned(),
        Some(account) if !account.names(&found.file) => {
            "their batch does not name the file in its manifest".to_owned()
        }
        Some(BatchAccount { batch, .. }) => format!(
            "their batch goes to {}.{} and was claimed at {}",
            batch.destination.dataset,
            batch.destination.table,
            batch.claimed_at.rfc3339()
        ),
    };
    Finding {
        kind,
        invariant: "I-6",
        file: found.file.clone(),
        batch: found.batch.clone(),
        job: account.and_then(BatchAccount::job).cloned(),
        rows: found.rows,
        text: format!("{} rows are in the warehouse, but {file}, and {batch}", found.rows),
    }
}
