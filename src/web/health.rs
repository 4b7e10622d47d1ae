//! `GET /health/live`, `/health/ready`, `/metrics`: served from a thread of its own, so that they answer when the
//! actors do not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::domain::fault::Fault;
use crate::telemetry::process;

/// The process is dead when its actors have not moved for this long.
pub const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(30);

/// What the health pages know.
#[derive(Debug)]
pub struct HealthState {
    started: tokio::time::Instant,
    /// Milliseconds after `started` at which the actors last moved.
    beat_ms: AtomicU64,
    ready: AtomicBool,
    reason: Mutex<String>,
}

impl HealthState {
    /// Not ready yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: tokio::time::Instant::now(),
            beat_ms: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            reason: Mutex::new("starting".to_owned()),
        })
    }

    /// The actors move.
    pub fn beat(&self) {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(since, Ordering::Relaxed);
    }

    /// Ready, or not for this reason.
    pub fn set_ready(&self, not_ready_because: Option<&str>) {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *reason = not_ready_because.unwrap_or_default().to_owned();
        self.ready.store(not_ready_because.is_none(), Ordering::Release);
    }

    fn heartbeat_age(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.beat_ms.load(Ordering::Relaxed)))
    }
}

struct Pages {
    health: Arc<HealthState>,
    metrics: PrometheusHandle,
}

/// Serves the pages. Signals stay with the caller. Answers the server and the address that it is bound to.
pub fn serve(
    listen: SocketAddr,
    health: Arc<HealthState>,
    metrics: PrometheusHandle,
) -> Result<(Server, SocketAddr), Fault> {
    let pages = web::Data::new(Pages { health, metrics });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(pages.clone())
            .route("/health/live", web::get().to(live))
            .route("/health/ready", web::get().to(ready))
            .route("/metrics", web::get().to(render))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(listen)
    .map_err(|error| {
        Fault::from_io(
            format!("cannot listen on {listen} (http.listen); is another landbridge running?"),
            error,
        )
    })?;
    let bound = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), bound))
}

async fn live(pages: web::Data<Pages>) -> HttpResponse {
    let age = pages.health.heartbeat_age();
    if age > HEARTBEAT_AGE_MAX {
        let body = format!("{{\"status\":\"wedged\",\"heartbeat_age_seconds\":{}}}\n", age.as_secs());
        return HttpResponse::ServiceUnavailable().content_type("application/json").body(body);
    }
    HttpResponse::Ok().content_type("application/json").body("{\"status\":\"live\"}\n")
}

async fn ready(pages: web::Data<Pages>) -> HttpResponse {
    if pages.health.ready.load(Ordering::Acquire) {
        return HttpResponse::Ok().content_type("application/json").body("{\"status\":\"ready\"}\n");
    }
    let reason = pages.health.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let body = serde_json::json!({"status": "not ready", "reason": reason});
    HttpResponse::ServiceUnavailable().content_type("application/json").body(format!("{body}\n"))
}

async fn render(pages: web::Data<Pages>) -> HttpResponse {
    process::observe();
    pages.metrics.run_upkeep();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(pages.metrics.render())
}
