//! `landbridge demo`: the real tree on the embedded adapters, fed by the generator, checked by the reconciliation.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Tree;
use super::edges::Edges;
use super::run::{first_signal, is_settled, set_up_telemetry, signals};
use crate::bucket::local::announcer::Announcer;
use crate::config::load;
use crate::config::types::{Config, Warehouse};
use crate::demo::progress::{Progress, line};
use crate::demo::reconcile::reconcile;
use crate::demo::record::Record;
use crate::demo::report;
use crate::demo::traffic::{Announce, Traffic};
use crate::demo::world::{CLUSTERS, config};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::QueueId;
use crate::domain::notification::event_body;
use crate::flow::cpu::{CpuPool, blocking};
use crate::telemetry::logging::Target;

/// How often the generator writes what is due.
const STEP: Duration = Duration::from_millis(100);
/// How often progress is shown on a terminal, and elsewhere.
const SHOW: Duration = Duration::from_millis(500);
const SHOW_PLAIN: Duration = Duration::from_secs(5);

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its working directory.
    pub dir: PathBuf,
    /// How long it makes traffic.
    pub seconds: u64,
    /// Rows a second over all tables.
    pub rows_per_second: u64,
    /// The window of every table.
    pub window_seconds: u64,
    /// End with one line of JSON.
    pub json: bool,
}

/// Runs the demo. Exit code 1 when a row is missing or doubled.
pub async fn run(options: Options) -> Result<ExitCode, Fault> {
    let config = prepare(&options.dir, options.window_seconds)?;
    let prometheus = set_up_telemetry(Target::File(&options.dir.join("landbridge.log")), &config.log.filter)?;
    let (mut terminate, mut interrupt) = signals()?;
    let edges = Edges::open(&config).await?;
    let bucket = options.dir.join("bucket");
    let record = Record::open(&options.dir.join("record.jsonl"), &bucket)?;
    let length = Duration::from_secs(options.seconds);
    let now = edges.ports.clock.now();
    let traffic = Traffic::new(record, &bucket, options.rows_per_second as f64, now, length)?;
    let tree = Tree::start(&config, edges.ports.clone(), CpuPool::for_this_machine()).await?;
    let announcers = edges.announce(&config);
    let dir = options.dir.display();
    eprintln!("landbridge demo: 6 clusters, 70 tables, into {dir}; the log is {dir}/landbridge.log");
    let traffic = Arc::new(Mutex::new(Some(traffic)));
    let mut screen = Screen::new(length, prometheus, options.json);
    let ended = tokio::select! {
        result = make_traffic(&edges, &traffic, length) => result,
        () = screen.show_forever(&tree, &traffic) => Ok(()),
        _ = first_signal(&mut terminate, &mut interrupt) => Ok(()),
    };
    ended?;
    screen.draining = true;
    let settled = || announcers.iter().all(is_settled);
    tokio::select! {
        () = tree.until_idle(settled) => {}
        () = screen.show_forever(&tree, &traffic) => {}
        _ = first_signal(&mut terminate, &mut interrupt) => {
            eprintln!("\na second signal: ending at once; start again on the same directory to go on");
            std::process::exit(1);
        }
    }
    screen.show(&tree, &traffic).await;
    screen.end();
    stop(&config, tree, announcers).await;
    let record = traffic.lock().unwrap_or_else(PoisonError::into_inner).take().map(Traffic::into_record);
    let Some(record) = record else {
        return Err(Fault::new(FaultKind::Internal, "the generator's record is gone"));
    };
    conclude(record, &config, options.json).await
}

async fn stop(config: &Config, tree: Tree, announcers: Vec<Announcer>) {
    drop(announcers);
    tree.drain("the demo has ended", config.timing.drain_timeout).await;
}

async fn conclude(record: Record, config: &Config, json: bool) -> Result<ExitCode, Fault> {
    let path = match &config.warehouse {
        Warehouse::Lake { path } => path.clone(),
        Warehouse::BigQuery(_) => {
            return Err(Fault::new(FaultKind::SchemaConflict, "the demo can only reconcile a lake"));
        }
    };
    let result = blocking("reconciling", move || reconcile(&record, &path)).await?;
    if json {
        eprint!("{}", report::text(&result));
        println!("{}", report::json(&result));
    } else {
        print!("{}", report::text(&result));
    }
    Ok(if result.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the working directory and its configuration.
fn prepare(dir: &Path, window_seconds: u64) -> Result<Config, Fault> {
    for cluster in CLUSTERS {
        let folder = dir.join("bucket").join(cluster);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Fault::from_io(format!("cannot create {}", folder.display()), error))?;
    }
    let path = dir.join("landbridge.toml");
    std::fs::write(&path, config(window_seconds))
        .map_err(|error| Fault::from_io(format!("cannot write {}", path.display()), error))?;
    load(&path, std::env::vars()).map_err(|errors| {
        Fault::from_error(FaultKind::SchemaConflict, "the demo's configuration is wrong", errors)
    })
}

type SharedTraffic = Arc<Mutex<Option<Traffic>>>;

/// Writes what is due until the time is over, and announces by hand what the directory cannot.
async fn make_traffic(edges: &Edges, traffic: &SharedTraffic, length: Duration) -> Result<(), Fault> {
    let end = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < end {
        let (now, traffic) = (edges.ports.clock.now(), Arc::clone(traffic));
        let announce = blocking("making traffic", move || {
            let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.as_mut().map_or(Ok(Vec::new()), |traffic| traffic.step(now))
        })
        .await?;
        for Announce(entry) in announce {
            if let Some(queue) = edges.queues.get(&QueueId(entry.cluster.as_str().into())) {
                let body = event_body(
                    &entry.cluster,
                    &entry.key,
                    entry.size_bytes,
                    &entry.etag,
                    entry.at,
                    entry.number,
                );
                queue.send(body).await;
            }
        }
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}

/// Where progress is shown.
struct Screen {
    started: tokio::time::Instant,
    length: Duration,
    prometheus: metrics_exporter_prometheus::PrometheusHandle,
    live: bool,
    draining: bool,
    quiet: bool,
}

impl Screen {
    fn new(length: Duration, prometheus: metrics_exporter_prometheus::PrometheusHandle, quiet: bool) -> Self {
        let (started, live) = (tokio::time::Instant::now(), std::io::stderr().is_terminal());
        Self { started, length, prometheus, live, draining: false, quiet }
    }

    async fn show_forever(&self, tree: &Tree, traffic: &SharedTraffic) {
        loop {
            tokio::time::sleep(if self.live { SHOW } else { SHOW_PLAIN }).await;
            self.show(tree, traffic).await;
        }
    }

    async fn show(&self, tree: &Tree, traffic: &SharedTraffic) {
        if self.quiet && !self.live {
            return;
        }
        let holding = tree.holding().await;
        // A step of the generator holds the lock for milliseconds; a line that is skipped is no loss.
        let written = traffic.try_lock().ok().and_then(|traffic| traffic.as_ref().map(Traffic::written));
        let Some(written) = written else { return };
        let (rows_loaded, batches_loaded) = self.loaded();
        let progress = Progress {
            elapsed: self.started.elapsed(),
            length: self.length,
            written,
            rows_loaded,
            batches_loaded,
            pending: holding.waiting_messages + holding.held_messages as u64,
            draining: self.draining,
        };
        let mut screen = std::io::stderr();
        let shown = if self.live { format!("\r\x1b[2K{}", line(&progress)) } else { line(&progress) + "\n" };
        let _ = screen.write_all(shown.as_bytes()).and_then(|()| screen.flush());
    }

    /// Rows and batches loaded, from the metrics: good enough for a progress line, never for the reconciliation.
    fn loaded(&self) -> (u64, u64) {
        let sum = |prefix: &str| {
            let text = self.prometheus.render();
            let values = text
                .lines()
                .filter(|line| line.starts_with(prefix))
                .filter_map(|line| line.rsplit(' ').next());
            values.filter_map(|value| value.parse::<u64>().ok()).sum()
        };
        (sum("landbridge_rows_total{"), sum("landbridge_batch_files_count{"))
    }

    fn end(&self) {
        if self.live {
            eprintln!();
        }
    }
}
