//! What is outside of landbridge: bucket, queue, warehouse, and all that can go wrong there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::FileId;
use landbridge::domain::ids::{BatchId, JobId};
use landbridge::domain::job::JobStatus;

/// A body on its way, or what a job wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upload {
    pub job: JobId,
    /// The label `batch_id`; a job that is not ours has none.
    pub label: Option<BatchId>,
    /// The rows of each file.
    pub rows: Vec<(FileId, u64)>,
}

impl Upload {
    pub fn row_count(&self) -> u64 {
        self.rows.iter().map(|(_, rows)| rows).sum()
    }
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    Running,
    Succeeded,
    Failed(FaultKind),
    /// Nothing was loaded and nothing ever will be.
    Fence,
}

/// A stream of the Storage Write API: the first rows of its batch's manifest, so many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    pub job: JobId,
    pub rows: u64,
    pub sealed: bool,
}

/// The answer to rows for an offset (bigquery.md, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    Appended,
    /// There are rows at the offset, these or others, and no more were taken.
    AlreadyExists,
    OutOfRange,
    Sealed,
}

/// The warehouse: an id can be used once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Warehouse {
    pub jobs: BTreeMap<JobId, (Upload, Job)>,
    /// Uploads that nobody waits for any more and that may still arrive whole.
    pub late: BTreeSet<Upload>,
    /// The streams, by their names.
    pub streams: BTreeMap<Arc<str>, Stream>,
    /// So many rows for the beginning of a stream, which nobody waits for any more and that may still arrive.
    pub late_rows: BTreeSet<(Arc<str>, u64)>,
}

impl Warehouse {
    /// The last byte of an upload arrives; false when its id is taken.
    pub fn land(&mut self, upload: Upload) -> bool {
        let free = !self.jobs.contains_key(&upload.job);
        if free {
            self.jobs.insert(upload.job.clone(), (upload, Job::Running));
        }
        free
    }

    pub fn open_stream(&mut self) -> Arc<str> {
        let name: Arc<str> = format!("s{}", self.streams.len()).into();
        let stream = Stream { job: JobId::from_stored(String::new()), rows: 0, sealed: false };
        self.streams.insert(Arc::clone(&name), stream);
        name
    }

    /// Rows for `offset` arrive.
    pub fn append(&mut self, name: &str, offset: u64, rows: u64) -> Append {
        let stream = self.streams.get_mut(name).unwrap();
        if stream.sealed {
            return Append::Sealed;
        }
        match offset.cmp(&stream.rows) {
            std::cmp::Ordering::Less => Append::AlreadyExists,
            std::cmp::Ordering::Greater => Append::OutOfRange,
            std::cmp::Ordering::Equal => {
                stream.rows += rows;
                Append::Appended
            }
        }
    }

    /// All rows of a sealed stream come into the table; once, however often it is asked.
    pub fn commit_stream(&mut self, name: &str, job: &JobId, label: &BatchId, manifest: &[(FileId, u64)]) {
        let stream = &self.streams[name];
        assert!(stream.sealed, "only sealed streams are committed");
        let mut left = stream.rows;
        let rows = manifest.iter().map(|(file, rows)| {
            let there = left.min(*rows);
            left -= there;
            (file.clone(), there)
        });
        let upload = Upload { job: job.clone(), label: Some(label.clone()), rows: rows.collect() };
        self.jobs.entry(job.clone()).or_insert((upload, Job::Succeeded));
    }

    /// A stream of this attempt is sealed and will never be in the table.
    pub fn is_dead_stream(&self, job: &JobId) -> bool {
        self.streams.values().any(|stream| stream.job == *job && stream.sealed)
    }

    pub fn fence(&mut self, job: &JobId) -> bool {
        let free = !self.jobs.contains_key(job);
        if free {
            let nothing = Upload { job: job.clone(), label: None, rows: Vec::new() };
            self.jobs.insert(job.clone(), (nothing, Job::Fence));
        }
        free
    }

    pub fn status(&self, job: &JobId) -> JobStatus {
        match self.jobs.get(job) {
            None => JobStatus::NotFound,
            Some((_, Job::Running)) => JobStatus::Running,
            Some((_, Job::Fence)) => JobStatus::Fenced,
            Some((_, Job::Failed(kind))) => {
                JobStatus::Failed { kind: *kind, reason: "as the warehouse says".to_owned() }
            }
            Some((upload, Job::Succeeded)) => JobStatus::Succeeded {
                rows: upload.row_count(),
                batch: upload.label.clone(),
                destination_matches: upload.label.is_some(),
            },
        }
    }

    /// What is in the table: each load of each file, with its rows.
    pub fn loads(&self) -> impl Iterator<Item = (&Upload, &FileId, u64)> {
        let done = self.jobs.values().filter(|(_, job)| *job == Job::Succeeded);
        done.flat_map(|(upload, _)| upload.rows.iter().map(move |(file, rows)| (upload, file, *rows)))
    }
}

/// A message, as the queue knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub files: Vec<FileId>,
    pub visible: bool,
    pub deleted: bool,
}

/// The version that each key has; a key that is gone is missing.
pub type Bucket = BTreeMap<Arc<str>, FileId>;
