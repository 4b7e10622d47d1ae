//! Mistakes on purpose, put between landbridge and its edges. The simulation must find each of them, and so must the model,
//! which makes them in its own way.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Batch, Destination};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{BatchId, JobId};
use landbridge::domain::typed_view::TypedView;
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ledger::{Tamper, Untampered};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// Every submission has an id of its own.
    FreshIds,
    /// A commit is answered before it is done, and the message deleted on its strength.
    DeleteBeforeCommit,
    /// A job that is not found counts as failed, so attempt n+1 follows.
    NextAttemptOnNotFound,
    /// A file that is claimed or deferred counts as loaded.
    KnownIsLoaded,
    /// A batch is abandoned without its id being fenced.
    AbandonedUnfenced,
    /// A file is known by its key alone.
    KeyAlone,
    /// A body that is submitted again lacks a row, and the warehouse's count is not looked at.
    ShortRebuild,
    /// A job is adopted whatever its label and its destination.
    AdoptedUnlabelled,
    /// Rows that a stream says it has count as appended, and its rows are not counted.
    ExistsIsSuccess,
    /// The rows of a stream are counted while it still takes more.
    CountedUnsealed,
    /// A process that begins takes up the batches of those that live.
    TakesUpTheLiving,
}

impl Mistake {
    pub const ALL: [Self; 8] = [
        Self::FreshIds,
        Self::DeleteBeforeCommit,
        Self::NextAttemptOnNotFound,
        Self::KnownIsLoaded,
        Self::AbandonedUnfenced,
        Self::KeyAlone,
        Self::ShortRebuild,
        Self::AdoptedUnlabelled,
    ];

    /// Those that can be made with streams alone.
    pub const OF_STREAMS: [Self; 3] = [Self::ExistsIsSuccess, Self::CountedUnsealed, Self::TakesUpTheLiving];
}

/// What one seed runs with: a mistake, or none.
pub struct Mistaken {
    mistake: Option<Mistake>,
    tamper: Arc<dyn Tamper>,
    known: Arc<Known>,
}

/// What a mistake knows, over all processes.
#[derive(Default)]
struct Known {
    submissions: AtomicU64,
    /// Submissions of each job id, and the rows that they should have had.
    submitted: Mutex<BTreeMap<JobId, (u64, u64)>>,
}

impl Mistaken {
    pub fn not_at_all() -> Self {
        Self { mistake: None, tamper: Arc::new(Untampered), known: Arc::default() }
    }

    pub fn by(mistake: Mistake) -> Self {
        let tamper: Arc<dyn Tamper> = match mistake {
            Mistake::DeleteBeforeCommit => Arc::new(LateCommits),
            Mistake::KnownIsLoaded => Arc::new(KnownIsLoaded),
            Mistake::KeyAlone => Arc::new(KeyAlone::default()),
            Mistake::FreshIds
            | Mistake::NextAttemptOnNotFound
            | Mistake::AbandonedUnfenced
            | Mistake::ShortRebuild
            | Mistake::AdoptedUnlabelled
            | Mistake::ExistsIsSuccess
            | Mistake::CountedUnsealed
            | Mistake::TakesUpTheLiving => Arc::new(Untampered),
        };
        Self { mistake: Some(mistake), tamper, known: Arc::default() }
    }

    pub fn is_mistaken(&self) -> bool {
        self.mistake.is_some()
    }

    pub fn tamper(&self) -> Arc<dyn Tamper> {
        Arc::clone(&self.tamper)
    }

    /// Puts the mistake before the warehouse of one process.
    pub fn warehouse(&self, inner: Arc<dyn Warehouse>) -> Arc<dyn Warehouse> {
        let Some(mistake) = self.mistake else { return inner };
        let known = Arc::clone(&self.known);
        Arc::new(WrongWarehouse { inner, mistake, known, fresh: Mutex::default() })
    }
}

struct LateCommits;

impl Tamper for LateCommits {
    fn commits_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }
}

struct KnownIsLoaded;

impl Tamper for KnownIsLoaded {
    fn looked_up(&self, _: &[FileId], states: &mut [Option<FileState>]) {
        for state in states {
            let batch = match state {
                Some(FileState::Claimed { batch, .. }) => batch.clone(),
                Some(FileState::Deferred { .. }) => BatchId::from_stored("none"),
                Some(FileState::Loaded { .. } | FileState::Poison { .. } | FileState::Vanished { .. })
                | None => continue,
            };
            *state = Some(FileState::Loaded { batch });
        }
    }
}

#[derive(Default)]
struct KeyAlone(Mutex<BTreeMap<Arc<str>, BatchId>>);

impl Tamper for KeyAlone {
    fn claimed(&self, batch: &Batch) {
        let keys = batch.manifest.entries.iter().map(|entry| Arc::clone(&entry.file.key));
        self.0.lock().unwrap().extend(keys.map(|key| (key, batch.id.clone())));
    }

    fn looked_up(&self, files: &[FileId], states: &mut [Option<FileState>]) {
        let claimed = self.0.lock().unwrap();
        for (file, state) in files.iter().zip(states).filter(|(_, state)| state.is_none()) {
            *state = claimed.get(&file.key).map(|batch| FileState::Loaded { batch: batch.clone() });
        }
    }
}

struct WrongWarehouse {
    inner: Arc<dyn Warehouse>,
    mistake: Mistake,
    known: Arc<Known>,
    /// The last fresh id that this process took for each job id.
    fresh: Mutex<BTreeMap<JobId, JobId>>,
}

impl WrongWarehouse {
    /// The attempt under the id that was last taken for it.
    fn renamed(&self, attempt: &Attempt) -> Attempt {
        let fresh = self.fresh.lock().unwrap().get(&attempt.job_id).cloned();
        Attempt { job_id: fresh.unwrap_or_else(|| attempt.job_id.clone()), ..attempt.clone() }
    }
}

#[async_trait]
impl Warehouse for WrongWarehouse {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let number = self.known.submissions.fetch_add(1, Ordering::SeqCst);
        let before = {
            let mut submitted = self.known.submitted.lock().unwrap();
            let entry = submitted.entry(attempt.job_id.clone()).or_insert((0, body.rows()));
            entry.0 += 1;
            entry.0 - 1
        };
        if self.mistake == Mistake::FreshIds {
            let fresh = JobId::from_stored(format!("{}_{number}", attempt.job_id));
            self.fresh.lock().unwrap().insert(attempt.job_id.clone(), fresh);
        }
        if self.mistake == Mistake::ShortRebuild && before > 0 && body.rows() > 1 {
            return self.inner.submit(attempt, &without_the_last_row(body)).await;
        }
        self.inner.submit(&self.renamed(attempt), body).await
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let status = self.inner.ask(&self.renamed(attempt)).await?;
        Ok(match (self.mistake, status) {
            (Mistake::NextAttemptOnNotFound, JobStatus::NotFound) => {
                JobStatus::Failed { kind: FaultKind::Unavailable, reason: "not found".to_owned() }
            }
            (Mistake::ShortRebuild, JobStatus::Succeeded { batch, destination_matches, .. }) => {
                let submitted = self.known.submitted.lock().unwrap();
                let rows = submitted.get(&attempt.job_id).map_or(0, |(_, rows)| *rows);
                JobStatus::Succeeded { rows, batch, destination_matches }
            }
            (Mistake::AdoptedUnlabelled, JobStatus::Succeeded { rows, .. }) => {
                JobStatus::Succeeded { rows, batch: Some(attempt.batch.clone()), destination_matches: true }
            }
            (_, status) => status,
        })
    }

    async fn open_stream(&self, destination: &Destination, body: &Body) -> Result<Option<Arc<str>>, Fault> {
        self.inner.open_stream(destination, body).await
    }

    async fn commit_stream(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        self.inner.commit_stream(attempt).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        if self.mistake == Mistake::AbandonedUnfenced {
            return Ok(FenceAnswer::Accepted);
        }
        self.inner.fence(&self.renamed(attempt)).await
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.inner.columns(destination).await
    }

    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.inner.publish_view(destination, view).await
    }
}

/// The same body, short of a row.
fn without_the_last_row(body: &Body) -> Body {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(body.path()).unwrap());
    let batches: Vec<_> = reader.unwrap().build().unwrap().map(|batch| batch.unwrap()).collect();
    let path = body.path().with_extension("short");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batches[0].schema(), None).unwrap();
    let (last, others) = batches.split_last().unwrap();
    others.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.write(&last.slice(0, last.num_rows() - 1)).unwrap();
    writer.close().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    Body::new(path, size, body.rows() - 1, body.plan().clone())
}
