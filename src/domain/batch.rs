//! A batch: manifest, destination, identity, and the job id of each attempt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::FileId;
use super::ids::{AttemptNumber, BatchId, JobId, TableId};
use super::instant::Instant;
use super::summary::{CommitSpan, EventSpan};

/// The most files one batch may hold: a claim is one DynamoDB transaction of at most 100 items (architecture,
/// section 3).
pub const FILES_PER_BATCH_MAX: usize = 90;

/// What the ids of all load jobs of landbridge into this dataset begin with.
pub fn job_prefix(dataset: &str) -> String {
    format!("lb_{}_", admitted(dataset))
}

/// One file of a manifest, with the number of rows that its footer states.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The file.
    pub file: FileId,
    /// Rows in the file.
    pub rows: u64,
}

/// The ordered files of a batch. The rows under a job id are a pure function of it (Invariant I-3b).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    /// The files, in the order in which their rows are written.
    pub entries: Vec<ManifestEntry>,
}

impl Manifest {
    /// Rows of all files together.
    pub fn rows(&self) -> u64 {
        self.entries.iter().map(|entry| entry.rows).sum()
    }

    /// A hash over identities and row counts, in order: 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for entry in &self.entries {
            let file = &entry.file;
            let size = file.size_bytes.to_string();
            let rows = entry.rows.to_string();
            let table = file.table.to_string();
            // Length-prefixed, so that no two manifests can share a byte string.
            for part in [&table, &*file.bucket, &*file.key, &*file.etag, &size, &rows] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hex(&hasher.finalize())
    }
}

/// Where the rows go.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// Cloud project; empty for the lake.
    pub project: Arc<str>,
    /// Cloud location (`EU`, `asia-northeast3`); empty for the lake.
    pub location: Arc<str>,
    /// Dataset.
    pub dataset: Arc<str>,
    /// Table within the dataset.
    pub table: Arc<str>,
}

/// A batch as it is claimed: everything but its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Its identity, stored and never computed again.
    pub id: BatchId,
    /// The source table.
    pub table: TableId,
    /// Where its rows go; every later question uses this, never today's configuration (Invariant I-2).
    pub destination: Destination,
    /// The claim time: `_claimed_at` of every row, in every attempt.
    pub claimed_at: Instant,
    /// The batch whose files these are, when it was re-homed.
    pub parent: Option<BatchId>,
    /// The files.
    pub manifest: Manifest,
    /// The event times of its files' announcements, as far as they are known; no part of its identity.
    pub events: Option<EventSpan>,
    /// The commit times in its change files, as far as they have any; no part of its identity.
    #[serde(default)]
    pub commits: Option<CommitSpan>,
    /// From which event time on it stands in the watermark's way, where that is earlier than its events tell: of a file that was deferred,
    /// or of one of the batch that it is a part of, nobody knows how old it is. No part of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_from: Option<Instant>,
}

impl Batch {
    /// Plans a batch: gives it its id.
    pub fn plan(
        table: TableId,
        destination: Destination,
        claimed_at: Instant,
        parent: Option<BatchId>,
        manifest: Manifest,
    ) -> Self {
        let id = batch_id(&manifest, &destination, claimed_at, parent.as_ref());
        let (events, commits, blocks_from) = (None, None, None);
        Self { id, table, destination, claimed_at, parent, manifest, events, commits, blocks_from }
    }

    /// The batch as a part of `parent`: what is known of its files is what is known of all of that one's.
    pub fn part_of(self, parent: &Self) -> Self {
        let (events, commits, blocks_from) = (parent.events, parent.commits, parent.blocks_from);
        Self { events, commits, blocks_from, ..self }
    }

    /// The batch that stands in the way from `from` on, whatever its events tell.
    pub fn blocking_from(self, from: Option<Instant>) -> Self {
        let told = self.events.map(|events| events.oldest);
        let blocks_from = from.filter(|from| told.is_some_and(|told| *from < told));
        Self { blocks_from, ..self }
    }

    /// The job id of attempt `number`: `lb_{dataset}_{table}_{yyyymmddThhmmss}_{hash}_{attempt}`, a pure function of
    /// batch and number, in the letters that BigQuery admits.
    pub fn job_id(&self, number: AttemptNumber) -> JobId {
        let prefix = job_prefix(&self.destination.dataset);
        let table = admitted(&self.destination.table);
        JobId::from_stored(format!("{prefix}{table}_{}_{}_{number}", self.claimed_at.compact(), self.id))
    }

    /// Attempt `number` of this batch, with the hash of the column plan its body is built by.
    pub fn attempt(&self, number: AttemptNumber, plan_hash: impl Into<Arc<str>>) -> Attempt {
        Attempt {
            batch: self.id.clone(),
            number,
            job_id: self.job_id(number),
            destination: self.destination.clone(),
            claimed_at: self.claimed_at,
            manifest_hash: self.manifest.hash().into(),
            plan_hash: plan_hash.into(),
            stream: None,
        }
    }
}

/// One attempt to load a batch: what the warehouse is asked to do and asked about (Invariant I-2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The batch.
    pub batch: BatchId,
    /// Its number, from 1.
    pub number: AttemptNumber,
    /// The warehouse's job id.
    pub job_id: JobId,
    /// Where the rows go.
    pub destination: Destination,
    /// The batch's claim time.
    pub claimed_at: Instant,
    /// Hash of the manifest.
    pub manifest_hash: Arc<str>,
    /// Hash of the column plan (names, types).
    pub plan_hash: Arc<str>,
    /// The stream of the Storage Write API by which its rows go, which was made for this attempt alone
    /// (`projects/P/datasets/D/tables/T/streams/S`); none where they go by a load job.
    pub stream: Option<Arc<str>>,
}

impl Attempt {
    /// The same attempt, whose rows go by `stream`.
    pub fn through(mut self, stream: Option<Arc<str>>) -> Self {
        self.stream = stream;
        self
    }
}

/// The identity of a batch: the first 32 hexadecimal digits of a SHA-256 over manifest, destination, claim time in
/// microseconds and parent.
pub fn batch_id(
    manifest: &Manifest,
    destination: &Destination,
    claimed_at: Instant,
    parent: Option<&BatchId>,
) -> BatchId {
    let mut hasher = Sha256::new();
    let claimed = claimed_at.micros().to_string();
    let manifest_hash = manifest.hash();
    let parts = [
        manifest_hash.as_str(),
        &destination.project,
        &destination.location,
        &destination.dataset,
        &destination.table,
        &claimed,
        parent.map_or("", BatchId::as_str),
    ];
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = hex(&hasher.finalize());
    text.truncate(32);
    BatchId::from_stored(text)
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `name` with every letter that a BigQuery job id does not admit replaced, and cut to 128 letters: uniqueness comes
/// from the batch's hash, the name is for people.
fn admitted(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(key: &str, claimed_micros: i64, parent: Option<BatchId>) -> Batch {
        let table = TableId::new("game-a", "casino", "bets");
        let file = FileId {
            table: table.clone(),
            bucket: "b".into(),
            key: key.into(),
            etag: "e".into(),
            size_bytes: 7,
        };
        let destination = Destination {
            project: "".into(),
            location: "".into(),
            dataset: "game_a".into(),
            table: "béts".into(),
        };
        let manifest = Manifest { entries: vec![ManifestEntry { file, rows: 3 }] };
        Batch::plan(table, destination, Instant::from_micros(claimed_micros), parent, manifest)
    }

    #[test]
    fn job_id_admits_only_what_bigquery_admits() {
        let id = batch("k", 1_763_856_000_000_001, None).job_id(AttemptNumber(2));
        assert!(id.as_str().starts_with("lb_game_a_b-ts_20251123T000000_"), "{id}");
        assert!(id.as_str().ends_with("_2"));
        assert!(id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    }

    #[test]
    fn identity_depends_on_files_time_and_parent() {
        let one = batch("k", 1, None);
        assert_eq!(one.id, batch("k", 1, None).id);
        assert_ne!(one.id, batch("k", 2, None).id);
        assert_ne!(one.id, batch("l", 1, None).id);
        assert_ne!(one.id, batch("k", 1, Some(one.id.clone())).id);
    }
}
