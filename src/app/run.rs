//! `landbridge run`: the process around the tree. Owns the signals.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::SystemClock;
use super::Tree;
use super::console::TreeConsole;
use super::costs::LatestReport;
use super::edges::Edges;
use crate::alerts::Alerting;
use crate::bucket::local::announcer::Announcer;
use crate::config::types::{Config, LogFormat};
use crate::domain::fault::Fault;
use crate::flow::cpu::CpuPool;
use crate::telemetry::logging::Target;
use crate::telemetry::{events, install_recorder, logging};
use crate::web::access::Access;
use crate::web::console::ConsoleSlot;
use crate::web::health::HealthState;
use crate::web::server::{Parts, serve};

/// How often the actor thread shows that it moves, and credit is observed.
const BEAT: Duration = Duration::from_secs(1);
/// Threads for sockets and timers; actors run on the main thread, decoding on blocking threads.
const WORKER_THREADS: usize = 2;

/// Runs an actix system with its tokio workers beside the actor thread, and `main` on it.
pub fn system<T>(main: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("landbridge-io")
        .enable_all()
        .build()?;
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    Ok(system.block_on(main))
}

/// Sets up log, metrics and panic hook.
pub fn set_up_telemetry(
    target: Target<'_>,
    filter: &str,
) -> Result<metrics_exporter_prometheus::PrometheusHandle, Fault> {
    logging::init(target, filter).map_err(|error| Fault::from_io("cannot open the log", error))?;
    logging::install_panic_hook();
    install_recorder().map_err(|error| {
        Fault::from_error(
            crate::domain::fault::FaultKind::Internal,
            "cannot install the metrics recorder",
            error,
        )
    })
}

/// Waits for the first SIGTERM or SIGINT; answers its name.
pub async fn first_signal(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// The two signals that end a run.
pub fn signals() -> Result<(Signal, Signal), Fault> {
    let listen = |kind| signal(kind).map_err(|error| Fault::from_io("cannot listen for signals", error));
    Ok((listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?))
}

/// Runs until SIGTERM, or until all announced files are final. Exit code 0 after a drain that left nothing behind it
/// could have finished; 1 when the process could not go on.
pub async fn run(config: Config, until_idle: bool) -> Result<ExitCode, Fault> {
    let target = if config.log.format == LogFormat::Json { Target::Json } else { Target::Text };
    let prometheus = set_up_telemetry(target, &config.log.filter)?;
    let (mut terminate, mut interrupt) = signals()?;
    let health = HealthState::new();
    let console = ConsoleSlot::default();
    let server = start_server(&config, &health, prometheus, &console)?;
    let alerting = Alerting::start(config.alerts.webhook_url.as_ref())?;
    let started = async {
        let edges = Edges::open(&config).await?;
        let tree = Tree::start(&config, edges.ports.clone(), CpuPool::for_this_machine()).await?;
        Ok::<_, Fault>((edges, tree))
    };
    let (edges, tree) = tokio::select! {
        started = started => started?,
        signal = first_signal(&mut terminate, &mut interrupt) => {
            tracing::info!(signal, "ending before the start was done");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let latest = LatestReport::default();
    let own = TreeConsole::new(Arc::clone(&tree.world), tree.root.clone()).with_costs(latest.clone());
    let own = Arc::new(own);
    // Nobody else fills it.
    let _ = console.set(Arc::clone(&own) as _);
    let announcers = edges.announce(&config);
    edges.look_at_queues();
    let _upkeep = edges.keep_up(&config, &tree.world);
    let _how_far = edges.tell_how_far(&config, &tree.world, &own).await?;
    let _jobs = edges.list_jobs(&config, &tree.world);
    let _costs = edges.look_at_costs(&config, &latest, &tree.world);
    let beats = beat(&tree, &health);
    health.set_ready(None);
    let input_ended = || announcers.iter().all(is_settled);
    let mut failed = tree.fatal.clone();
    let cause = tokio::select! {
        signal = first_signal(&mut terminate, &mut interrupt) => Cause::Signal(signal),
        () = tree.until_idle(input_ended), if until_idle => Cause::Idle,
        reason = fatal(&mut failed) => Cause::Fatal(reason),
    };
    health.set_ready(Some("draining"));
    drop(announcers);
    let (name, code) = match &cause {
        Cause::Signal(signal) => (*signal, ExitCode::SUCCESS),
        Cause::Idle => ("idle", ExitCode::SUCCESS),
        Cause::Fatal(reason) => {
            events::Failed { reason }.emit();
            ("fatal", ExitCode::FAILURE)
        }
    };
    let code = tokio::select! {
        _ = tree.drain(name, config.timing.drain_timeout) => code,
        signal = first_signal(&mut terminate, &mut interrupt) => {
            // Safe, because a kill at any moment is: the ledger and the queue know where to go on.
            tracing::warn!(signal, "a second signal: ending at once");
            std::process::exit(1);
        }
    };
    drop(beats);
    if let Some(alerting) = alerting {
        alerting.finish().await;
    }
    if let Some(server) = server {
        server.stop(false).await;
    }
    if matches!(cause, Cause::Fatal(_)) {
        // What could be ended in order has been. A thread that never ends would keep the process from ending, and nobody
        // would start it again.
        std::process::exit(1);
    }
    Ok(code)
}

/// Serves pages, admin API, health and metrics, where the configuration wants them served.
pub(super) fn start_server(
    config: &Config,
    health: &Arc<HealthState>,
    metrics: PrometheusHandle,
    console: &ConsoleSlot,
) -> Result<Option<ServerHandle>, Fault> {
    let Some(listen) = config.http.listen else { return Ok(None) };
    let parts = Parts {
        health: Arc::clone(health),
        metrics,
        access: Access::new(listen, config.http.admin_token_sha256.as_deref())?,
        console: Arc::clone(console),
        clock: Arc::new(SystemClock),
    };
    let (server, bound) = serve(listen, parts)?;
    tracing::info!(%bound, page = %format!("http://{bound}/"), "serving the status page, /api/v1, /health and /metrics");
    let handle = server.handle();
    tokio::spawn(server);
    Ok(Some(handle))
}

enum Cause {
    Signal(&'static str),
    Idle,
    Fatal(String),
}

/// A directory that was listed whole, with nothing left for another look.
pub(super) fn is_settled(announcer: &Announcer) -> bool {
    let progress = announcer.progress();
    progress.scans > 0 && !progress.pending
}

async fn fatal(fatal: &mut tokio::sync::watch::Receiver<Option<String>>) -> String {
    loop {
        if let Some(reason) = fatal.borrow_and_update().clone() {
            return reason;
        }
        if fatal.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Shows once a second, from the actor thread, that it moves.
pub fn beat(tree: &Tree, health: &Arc<HealthState>) -> crate::actors::supervision::AbortOnDrop {
    let (world, root, fatal) = (Arc::clone(&tree.world), tree.root.clone(), tree.fatal.clone());
    let (tree, health) = (Tree { world, root, fatal }, Arc::clone(health));
    let task = actix::spawn(async move {
        loop {
            health.beat();
            tree.observe_credit();
            tokio::time::sleep(BEAT).await;
        }
    });
    crate::actors::supervision::AbortOnDrop(task.abort_handle())
}
