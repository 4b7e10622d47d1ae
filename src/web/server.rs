//! The server: its routes, and what every answer carries.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::access::{Access, is_open};
use super::console::ConsoleSlot;
use super::health::HealthState;
use super::{api, health, routes};
use crate::domain::clock::Clock;
use crate::domain::fault::Fault;

/// The longest body that a request may have: the sign-in form's.
const BODY_BYTES_MAX: usize = 4096;

/// On every answer: nothing from elsewhere, no framing, no sniffing, no copy kept.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// What the handlers share.
pub(super) struct Site {
    pub(super) health: Arc<HealthState>,
    pub(super) metrics: PrometheusHandle,
    pub(super) access: Access,
    pub(super) console: ConsoleSlot,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is served.
pub struct Parts {
    /// Live and ready.
    pub health: Arc<HealthState>,
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// Who may ask what.
    pub access: Access,
    /// The tree, once it runs.
    pub console: ConsoleSlot,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

/// Serves the pages from a thread of its own. Signals stay with the caller. Answers the server and the address that it
/// is bound to.
pub fn serve(listen: SocketAddr, parts: Parts) -> Result<(Server, SocketAddr), Fault> {
    let Parts { health, metrics, access, console, clock } = parts;
    let site = web::Data::new(Site { health, metrics, access, console, clock });
    let server =
        HttpServer::new(move || App::new().app_data(site.clone()).wrap(from_fn(guard)).configure(configure))
            .workers(1)
            .disable_signals()
            .shutdown_timeout(1)
            .bind(listen)
            .map_err(|error| {
                let text = format!("cannot listen on {listen} (http.listen); is another landbridge running?");
                Fault::from_io(text, error)
            })?;
    let bound = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), bound))
}

/// Everything that is served.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
        .app_data(web::FormConfig::default().limit(BODY_BYTES_MAX))
        .configure(health::routes)
        .configure(api::routes)
        .configure(routes::routes);
}

/// Before every handler: the right host and no other site; someone with the token, where one is needed.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let refusal = request.app_data::<web::Data<Site>>().and_then(|site| {
        // Probes and scrapers name a machine as they like; what they read tells no secret.
        if is_open(request.path()) {
            return None;
        }
        let (headers, now) = (request.headers(), site.clock.now());
        let admitted = site.access.admit_origin(request.method(), headers).and_then(|()| {
            let signs_in = request.path() == routes::SIGN_IN;
            if signs_in { Ok(()) } else { site.access.admit_person(headers, now) }
        });
        admitted.err().map(|denied| routes::refuse(request.path(), denied))
    });
    let mut response = match refusal {
        Some(refusal) => request.into_response(refusal).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(response)
}
