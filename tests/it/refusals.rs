//! A warehouse that refuses what is in a file, or all of a table's.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::FileState;
use landbridge::domain::transition::Mending;
use landbridge::domain::typed_view::TypedView;
use landbridge::ledger::{Ledger, TableMode};
use landbridge::messages::root::ResumeTable;
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};

use crate::pipeline::{CONFIG, file_id};
use crate::support::{Disk, Edges, Running, paused};

/// Refuses every batch that holds a file of seven rows, as BigQuery refuses a value.
struct Fussy {
    lake: Arc<dyn Warehouse>,
    refused: Mutex<BTreeSet<String>>,
    jobs: AtomicUsize,
    /// The jobs until the culprit was refused alone, and its table was known to take others.
    jobs_until_found: AtomicUsize,
}

impl Fussy {
    fn new(lake: Arc<dyn Warehouse>) -> Self {
        let (jobs, jobs_until_found) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { lake, refused: Mutex::default(), jobs, jobs_until_found }
    }
}

#[async_trait]
impl Warehouse for Fussy {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let jobs = self.jobs.fetch_add(1, Ordering::SeqCst) + 1;
        if body.rows() == 7 || body.rows() == 0 {
            self.jobs_until_found.store(jobs, Ordering::SeqCst);
        }
        if !body.rows().is_multiple_of(5) {
            self.refused.lock().unwrap().insert(attempt.job_id.to_string());
            return Ok(Submission::Accepted);
        }
        self.lake.submit(attempt, body).await
    }
    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        if self.refused.lock().unwrap().contains(attempt.job_id.as_str()) {
            let reason = "cannot read value in column note".to_owned();
            return Ok(JobStatus::Failed { kind: FaultKind::ContentRefused, reason });
        }
        self.lake.ask(attempt).await
    }
    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.lake.fence(attempt).await
    }
    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.lake.columns(destination).await
    }
    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.lake.publish_view(destination, view).await
    }
}

#[test]
fn one_file_that_is_refused_is_found_within_eight_jobs_and_loaded_once_after_a_redrive() {
    for culprit in [0, 21, 63] {
        let mut disk = Disk::new(&["x"]);
        let entries: Vec<_> = (0..64).map(|n| disk.put("x", if n == culprit { 7 } else { 5 })).collect();
        let config = disk.config(CONFIG);
        let file = file_id(&entries[culprit], "x");
        paused(async {
            let mut fussy = None;
            let wrap = |edges: Edges| {
                let warehouse = Arc::clone(fussy.insert(Arc::new(Fussy::new(edges.warehouse))));
                Edges { warehouse, ..edges }
            };
            let running = Running::start(&mut disk, &config, wrap).await;
            running.announce_all(&disk).await;
            running.idle().await;
            let jobs = fussy.unwrap().jobs_until_found.load(Ordering::SeqCst);
            assert!((2..=8).contains(&jobs), "file {culprit}: {jobs} jobs");
            let state = disk.ledger.lookup(std::slice::from_ref(&file)).await.unwrap();
            let is_poison = |state: &_| matches!(state, Some(FileState::Poison { reason }) if reason.contains("column note"));
            assert!(is_poison(&state[0]), "{state:?}");
        });
        let total = disk.reconcile().total;
        assert_eq!((total.rows.missing, total.rows.duplicated, total.files.loaded), (7, 0, 63));
        paused(async {
            let poison = disk.ledger.poison(&file.table, 10).await.unwrap();
            let poison: Vec<_> = poison.into_iter().map(|one| (one.file, one.at)).collect();
            let now = landbridge::domain::instant::Instant::from_micros(i64::MAX / 2);
            assert_eq!(disk.ledger.mend(&poison, Mending::Redrive, now).await.unwrap(), [true]);
            Running::start(&mut disk, &config, |edges| edges).await.idle().await;
        });
        let result = disk.reconcile();
        assert!(result.is_good() && result.total.files.loaded == 64, "{:?}", result.culprits);
    }
}

/// Refuses whatever goes into table `x`, until it is mended.
struct Broken(Arc<dyn Warehouse>, Arc<AtomicBool>);

#[async_trait]
impl Warehouse for Broken {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        if &*attempt.destination.table == "x" && !self.1.load(Ordering::SeqCst) {
            return Ok(Submission::Accepted);
        }
        self.0.submit(attempt, body).await
    }
    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let status = self.0.ask(attempt).await?;
        let mended = self.1.load(Ordering::SeqCst);
        let broken = &*attempt.destination.table == "x" && !mended && status == JobStatus::NotFound;
        let reason = "the table's column note has another type".to_owned();
        Ok(if broken { JobStatus::Failed { kind: FaultKind::ContentRefused, reason } } else { status })
    }
    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.0.fence(attempt).await
    }
    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.0.columns(destination).await
    }
    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.0.publish_view(destination, view).await
    }
}

#[test]
fn a_table_that_refuses_everything_poisons_no_file_and_is_held() {
    let mut disk = Disk::new(&["x", "y"]);
    let entries: Vec<_> = (0..5).map(|_| disk.put("x", 4)).collect();
    disk.put("y", 4);
    // By the time that somebody resumes it, its messages are settled.
    let config = disk.config(&format!("{CONFIG}[timing]\ndefer_after = \"30s\"\n"));
    let mended = Arc::new(AtomicBool::new(false));
    paused(async {
        let wrap = |edges: Edges| Edges {
            warehouse: Arc::new(Broken(edges.warehouse, Arc::clone(&mended))),
            ..edges
        };
        let running = Running::start(&mut disk, &config, wrap).await;
        running.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        let files: Vec<_> = entries.iter().map(|entry| file_id(entry, "x")).collect();
        for state in disk.ledger.lookup(&files).await.unwrap() {
            assert!(!matches!(state, Some(FileState::Poison { .. })), "{state:?}");
        }
        let modes = disk.ledger.modes().await.unwrap();
        assert!(
            matches!(modes.as_slice(), [(_, TableMode::Held(why))] if why.contains("column note")),
            "{modes:?}"
        );
        mended.store(true, Ordering::SeqCst);
        let resume = ResumeTable(Running::table("x"));
        running.tree.root.send(resume).await.unwrap().unwrap();
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 6);
}
