//! Rows by streams of the Storage Write API, over real gRPC, and kills between each two of its calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use landbridge::demo::rows::{Column, Values};

use super::cloud::{ADDED, Cluster, Emulators, World};
use super::process::Process;
use crate::support::http::{Answer, Server};

/// A visibility timeout as short as may be: what a killed process has received comes again.
pub const SHORT: &str = "[timing]\nvisibility_timeout = \"30s\"\n";

/// Where a process is killed: before the stand-in does what it is asked, or after it was done and before the answer.
const POINTS: [&str; 8] = [
    "append/before",
    "append/after",
    "finalize/before",
    "finalize/after",
    "commit/before",
    "commit/after",
    "create/after",
    "create/before",
];
/// Kills of the suite; `STREAM_KILLS=50` makes more.
const KILLS: usize = 8;

async fn streamed(tables: usize) -> World {
    let mut world = World::new(1, tables).await;
    world.streamed = true;
    world
}

async fn attempts(process: &Process, labels: &str) -> f64 {
    process.metric("landbridge_attempts_total", labels).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_by_streams_arrive_whole_and_need_no_load_job() {
    let world = streamed(2).await;
    let process = Process::start(&world.configure("")).await;
    let cluster = &world.clusters[0];
    for rows in [400, 1, 25] {
        world.put(cluster, "t0", rows).await;
        world.put(cluster, "t1", rows).await;
    }
    process.until_files("loaded", 6).await;
    assert_eq!(world.must_be_equal(&[]), 2 * 426);
    let jobs = reqwest::get(format!(
        "{}/bigquery/v2/projects/test-project/jobs?projection=full&maxResults=1000",
        Emulators::get().bigquery
    ));
    let jobs = jobs.await.unwrap().text().await.unwrap();
    assert!(!jobs.contains(&format!("lb_{}", cluster.dataset)), "a load job was submitted");
    assert_eq!(attempts(&process, "state=\"failed\"").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_comes_later_goes_by_a_stream_too() {
    let world = streamed(1).await;
    let process = Process::start(&world.configure("")).await;
    let cluster = &world.clusters[0];
    world.put(cluster, "t0", 10).await;
    process.until_files("loaded", 1).await;
    world.put_bytes(&cluster.bucket, &world.key("t0"), world.file(10, &[ADDED])).await;
    process.until_files("loaded", 2).await;
    world.put(cluster, "t0", 10).await;
    process.until_files("loaded", 3).await;
    assert_eq!(world.must_be_equal(&[]), 30);
}

/// Texts of 9 MiB.
const LARGE: Column = Column { name: "large", values: Values::Hex(9 << 20), nulls: 0 };

/// Asks at each gate whether this is where the process is to be killed.
struct Killer {
    /// Answers as long as it is there.
    _server: Server,
    /// The point of the next kill, and who is killed there.
    next: Arc<Mutex<Option<(&'static str, Process)>>>,
}

impl Killer {
    async fn of(cluster: &Cluster) -> Self {
        let next: Arc<Mutex<Option<(&'static str, Process)>>> = Arc::default();
        let seen = Arc::clone(&next);
        let server = Server::start(move |request| {
            let mut next = seen.lock().unwrap();
            if let Some((_, process)) = next.take_if(|(point, _)| request.target.ends_with(*point)) {
                // The call goes on when the process is gone.
                process.kill();
            }
            Answer::Reply(200, Vec::new(), Vec::new())
        })
        .await;
        std::fs::write(Emulators::get().gates.join(&cluster.dataset), &server.url).unwrap();
        Self { _server: server, next }
    }

    /// The process is to be killed at this point: said before there is anything to be done, for a quiet table waits for nothing.
    fn kill_at(&self, point: &'static str, process: Process) {
        *self.next.lock().unwrap() = Some((point, process));
    }

    /// True when the process was killed within this time.
    async fn killed_within(&self, wait: Duration) -> bool {
        let started = tokio::time::Instant::now();
        while self.next.lock().unwrap().is_some() {
            if started.elapsed() > wait {
                return false;
            }
            // What is awaited is a call of another process.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// What the process that is to be killed has logged.
    fn log(&self) -> String {
        self.next.lock().unwrap().as_ref().map(|(_, process)| process.log()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_calls_loses_and_doubles_nothing() {
    let kills = std::env::var("STREAM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let world = streamed(1).await;
    let cluster = &world.clusters[0];
    let (config, killer) = (world.configure(SHORT), Killer::of(cluster).await);
    let mut points: VecDeque<_> = POINTS.iter().cycle().take(kills).collect();
    let mut rows = 0;
    while let Some(point) = points.pop_front() {
        killer.kill_at(point, Process::start(&config).await);
        // A batch whose stream could not be made in time goes by a load job and comes to no point: the next file's may.
        let mut files = 0;
        loop {
            let count = 3 + rows as usize % 40;
            world.put(cluster, "t0", count).await;
            rows += count as u64;
            if killer.killed_within(Duration::from_secs(30)).await {
                break;
            }
            files += 1;
            assert!(files < 10, "no call came to {point}:\n{}", killer.log());
        }
    }
    let process = Process::start(&config).await;
    process.until("every row is there", || async { world.loaded_rows().await >= rows }).await;
    process.until("no message is left", || async { world.waiting(cluster).await == 0 }).await;
    assert_eq!(world.must_be_equal(&[]), rows);
    println!("{kills} kills, {rows} rows: lost 0, doubled 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_stream_takes_goes_by_a_load_job() {
    let world = streamed(1).await;
    let process = Process::start(&world.configure("")).await;
    let cluster = &world.clusters[0];
    world.put_bytes(&cluster.bucket, &world.key("t0"), world.file(3, &[LARGE])).await;
    process.until_files("loaded", 1).await;
    assert!(process.log().contains("too large for a stream"), "{}", process.log());
    assert_eq!(world.loaded_rows().await, 3);
}
