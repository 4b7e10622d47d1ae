//! A warehouse that refuses what is in a file, or all of a table's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::columns::body::Body;
use landbridge::domain::batch::Attempt;
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::FileState;
use landbridge::ledger::{Ledger, TableMode};
use landbridge::messages::root::ResumeTable;
use landbridge::warehouse::{FenceAnswer, JobStatus, Submission, Warehouse};

use crate::pipeline::{CONFIG, file_id};
use crate::support::{Disk, Edges, Running, paused};

/// Refuses every batch that holds a file of seven rows, as BigQuery refuses a value.
struct Fussy(Arc<dyn Warehouse>, std::sync::Mutex<std::collections::BTreeSet<String>>);

#[async_trait]
impl Warehouse for Fussy {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        if !body.rows().is_multiple_of(5) {
            self.1.lock().unwrap().insert(attempt.job_id.to_string());
            return Ok(Submission::Accepted);
        }
        self.0.submit(attempt, body).await
    }
    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        if self.1.lock().unwrap().contains(attempt.job_id.as_str()) {
            let reason = "cannot read value in column note".to_owned();
            return Ok(JobStatus::Failed { kind: FaultKind::ContentRefused, reason });
        }
        self.0.ask(attempt).await
    }
    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        self.0.fence(attempt).await
    }
}

#[test]
fn a_file_that_the_warehouse_refuses_is_found_by_halving_and_is_poison_alone() {
    let mut disk = Disk::new(&["x"]);
    let entries: Vec<_> = (0..8).map(|n| disk.put("x", if n == 5 { 7 } else { 5 })).collect();
    let config = disk.config(CONFIG);
    paused(async {
        let wrap =
            |edges: Edges| Edges { warehouse: Arc::new(Fussy(edges.warehouse, Default::default())), ..edges };
        let running = Running::start(&mut disk, &config, wrap).await;
        running.announce_all(&disk).await;
        running.idle().await;
    });
    let result = disk.reconcile();
    assert_eq!(
        (result.total.rows.missing, result.total.rows.duplicated, result.total.files.loaded),
        (7, 0, 7)
    );
    let state = paused(async { disk.ledger.lookup(&[file_id(&entries[5], "x")]).await.unwrap() });
    assert!(
        matches!(&state[0], Some(FileState::Poison { reason }) if reason.contains("column note")),
        "{state:?}"
    );
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
