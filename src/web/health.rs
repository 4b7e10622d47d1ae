//! `GET /health/live`, `/health/ready`, `/metrics`: served from a thread of its own, so that they answer when the
//! actors do not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::{HttpResponse, web};

use super::server::Site;
use crate::telemetry::process;

/// The process is dead when its actors have not moved for this long: something spins or blocks on their thread, which the
/// watchdog, that runs there too, cannot end. Whoever probes the page starts the process anew.
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

    /// For how long the actors have not moved, when that is too long.
    fn wedged_for(&self) -> Option<Duration> {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        Some(self.started.elapsed().saturating_sub(beat)).filter(|age| *age > HEARTBEAT_AGE_MAX)
    }
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/health/live", web::get().to(live))
        .route("/health/ready", web::get().to(ready))
        .route("/metrics", web::get().to(render));
}

async fn live(pages: web::Data<Site>) -> HttpResponse {
    if let Some(age) = pages.health.wedged_for() {
        let body = format!("{{\"status\":\"wedged\",\"heartbeat_age_seconds\":{}}}\n", age.as_secs());
        return HttpResponse::ServiceUnavailable().content_type("application/json").body(body);
    }
    HttpResponse::Ok().content_type("application/json").body("{\"status\":\"live\"}\n")
}

async fn ready(pages: web::Data<Site>) -> HttpResponse {
    if pages.health.ready.load(Ordering::Acquire) {
        return HttpResponse::Ok().content_type("application/json").body("{\"status\":\"ready\"}\n");
    }
    let reason = pages.health.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let body = serde_json::json!({"status": "not ready", "reason": reason});
    HttpResponse::ServiceUnavailable().content_type("application/json").body(format!("{body}\n"))
}

async fn render(pages: web::Data<Site>) -> HttpResponse {
    process::observe();
    pages.metrics.run_upkeep();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(pages.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn actors_that_do_not_move_are_told_after_their_bound_and_not_before() {
        let health = HealthState::new();
        tokio::time::advance(HEARTBEAT_AGE_MAX).await;
        assert!(health.wedged_for().is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(health.wedged_for().is_some_and(|age| age > HEARTBEAT_AGE_MAX));
        health.beat();
        assert!(health.wedged_for().is_none());
    }
}
