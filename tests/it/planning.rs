//! What the planner counts of the quotas, in a whole tree: every job once, whoever tells of it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::app::project_jobs::Lister;
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::cost::usage::{Day, KeptUsage, Measure, Tally};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::instant::Instant;
use landbridge::domain::planner::{JobKey, ListedJob, Why};
use landbridge::domain::typed_view::TypedView;
use landbridge::ledger::Ledger;
use landbridge::messages::planner::{JobsListed, Strangers};
use landbridge::warehouse::jobs::{LoadJob, LoadJobs, ProjectJobs, Whose};
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};

use crate::support::{Disk, Edges, Running, paused};

/// Quotas are BigQuery's; the rows go into a lake all the same.
const CONFIG: &str = "[warehouse]\nkind = \"bigquery\"\nproject = \"p\"\nlocation = \"EU\"\ncredentials = \"anonymous\"\n\
                      endpoint = \"http://localhost:1\"\n[spool]\npath = \"spool\"\n";

/// Remembers which jobs were submitted, and refuses what is in a file of seven rows.
struct Jobs {
    lake: Arc<dyn Warehouse>,
    submitted: Mutex<Vec<String>>,
}

#[async_trait]
impl Warehouse for Jobs {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        self.submitted.lock().unwrap().push(attempt.job_id.to_string());
        if !body.rows().is_multiple_of(5) {
            return Err(Fault::new(FaultKind::ContentRefused, "cannot read value in column note"));
        }
        self.lake.submit(attempt, body).await
    }
    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
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

/// Tells the planner of jobs, as a list of the project's has them.
async fn list(running: &Running, jobs: &[String]) -> Strangers {
    let at = running.clock.now();
    let jobs = jobs.iter().map(|id| ListedJob { key: JobKey::of_job(id), at, table: None });
    let planner = running.tree.world.directory.planner().expect("there are quotas");
    planner.send(JobsListed(jobs.collect())).await.unwrap().unwrap()
}

/// Attempts are told by their deliveries, or by the ledger after a restart; a load of no rows is in no ledger, and is told once, or listed.
#[test]
fn a_job_is_counted_once_whoever_tells_of_it() {
    let mut disk = Disk::new(&["x"]);
    disk.put("x", 7);
    let config = disk.config(CONFIG);
    let mut jobs = None;
    paused(async {
        let wrap = |edges: Edges| {
            let (lake, submitted) = (edges.warehouse, Mutex::default());
            Edges { warehouse: Arc::clone(jobs.insert(Arc::new(Jobs { lake, submitted }))) as _, ..edges }
        };
        let running = Running::start(&mut disk, &config, wrap).await;
        running.announce_all(&disk).await;
        running.idle().await;
        let submitted = jobs.as_ref().unwrap().submitted.lock().unwrap().clone();
        assert!(submitted.iter().filter(|id| id.ends_with("_probe")).count() == 1, "{submitted:?}");
        assert_eq!(list(&running, &submitted).await, Strangers { new: 0, of_day: 0 });
        assert_eq!(list(&running, &["other".to_owned()]).await, Strangers { new: 1, of_day: 1 });
    });
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.idle().await;
        let submitted = jobs.unwrap().submitted.lock().unwrap().clone();
        // The probe: the ledger has all others.
        assert_eq!(list(&running, &submitted).await, Strangers { new: 1, of_day: 1 });
        assert_eq!(list(&running, &submitted).await, Strangers { new: 0, of_day: 1 });
    });
}

/// A list that answers what is prepared, and notes what it was asked.
#[derive(Default)]
struct Prepared {
    answers: Mutex<VecDeque<Result<LoadJobs, FaultKind>>>,
    asked: Mutex<Vec<(Instant, Whose)>>,
}

#[async_trait]
impl ProjectJobs for Prepared {
    async fn load_jobs(&self, since: Instant, whose: Whose) -> Result<LoadJobs, Fault> {
        self.asked.lock().unwrap().push((since, whose));
        let answer = self.answers.lock().unwrap().pop_front().expect("it was not to be asked");
        answer.map_err(|kind| Fault::new(kind, "no"))
    }
}

fn listed(now: Instant, jobs: &[(&str, &str)]) -> Result<LoadJobs, FaultKind> {
    let job = |(id, table): &(&str, &str)| LoadJob {
        id: (*id).to_owned(),
        made_at: now.minus(Duration::from_secs(60)),
        into: Some(("game_a".to_owned(), (*table).to_owned())),
    };
    Ok(LoadJobs { jobs: jobs.iter().map(job).collect(), hidden: 0, is_whole: true })
}

#[test]
fn a_list_that_fails_changes_nothing_and_one_that_is_not_allowed_shows_what_is_landbridges() {
    let mut disk = Disk::new(&["x"]);
    let config = disk.config(CONFIG);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.idle().await;
        let (world, now) = (Arc::clone(&running.tree.world), || running.clock.now());
        let prepared = Arc::new(Prepared::default());
        let mut lister = Lister::new(Arc::clone(&prepared) as _, Arc::clone(&world));
        let answer = |answer| prepared.answers.lock().unwrap().push_back(answer);
        let asked = || prepared.asked.lock().unwrap().drain(..).collect::<Vec<_>>();
        let day = Duration::from_secs(86_400);

        // Nobody answers: all of the day is asked for again.
        answer(Err(FaultKind::Unavailable));
        assert!(lister.list().await);
        answer(listed(now(), &[("a", "x"), ("b", "other")]));
        assert!(lister.list().await);
        let first = now();
        assert_eq!(asked(), [(first.minus(day), Whose::Everybodys); 2]);
        assert_eq!(list(&running, &["a".to_owned()]).await, Strangers { new: 0, of_day: 2 });
        assert_eq!(world.strangers.lock().unwrap().iter().filter(|job| job.table.is_some()).count(), 1);

        // What failed is asked for the next time, with what was there before.
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        answer(Err(FaultKind::Throttled));
        lister.list().await;
        answer(Err(FaultKind::AccessDenied));
        answer(listed(now(), &[("a", "x"), ("c", "x")]));
        lister.list().await;
        let since = first.minus(Duration::from_secs(600));
        let wanted = [Whose::Everybodys, Whose::Everybodys, Whose::Own].map(|whose| (since, whose));
        assert_eq!(asked(), wanted);
        assert_eq!(list(&running, &[]).await.of_day, 3);
        // Not allowed once, it is not tried again.
        answer(listed(now(), &[]));
        lister.list().await;
        assert_eq!(asked().len(), 1);
    });
}

fn usage(day: Day, measure: Measure, amount: u64) -> KeptUsage {
    let mut tally = Tally::default();
    tally.shared.add(measure, amount);
    KeptUsage { day, writer: format!("w{}", measure.name()), from: day.begins(), tally }
}

/// Before anything is planned it is known that the free bytes are used up and the month costs too much.
#[test]
fn a_tree_that_starts_knows_how_the_month_is() {
    for (streamed_gib, seconds, free, slow) in [(1, 3_600, true, false), (3_000, 86_400, false, true)] {
        let mut disk = Disk::new(&["x"]);
        let config =
            disk.config(&format!("{CONFIG}[cost]\nbudget_usd_month = 20\non_budget = \"slow_down\"\n"));
        paused(async {
            let day = Day::of(Instant::from_micros(1_763_856_000_000_000)).minus(1);
            for kept in [
                usage(day, Measure::StreamedBytes, streamed_gib << 30),
                usage(day, Measure::RunSeconds, seconds),
            ] {
                disk.ledger.keep_usage(&kept).await.unwrap();
            }
            let running = Running::start(&mut disk, &config, |edges| edges).await;
            let world = &running.tree.world;
            assert_eq!(world.streams_are_free.load(Ordering::Relaxed), free);
            assert_eq!(world.is_slowed_down.load(Ordering::Relaxed), slow);
            running.idle().await;
            let (window, _) = *world.windows.get(&Running::table("x")).unwrap();
            assert_eq!(window.why == Why::CostBudget, slow, "{window:?}");
        });
    }
}
