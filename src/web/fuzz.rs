//! Requests to the admin API and the status page, whatever they hold, through all that is served: nobody gets in who may
//! not, no other site acts, and nothing that a request names becomes markup.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::body::MessageBody;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use async_trait::async_trait;

use super::access::{Access, is_open};
use super::console::{
    Acted, Action, Chosen, Console, Mended, Overview, Pending, PoisonView, Refusal, RefusalKind, TableView,
    WindowView,
};
use super::health::HealthState;
use super::server::{Site, configure, guard};
use super::token::hash_text;
use crate::domain::clock::Clock;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::shape::{Shape, ShapeEntry};
use crate::domain::transition::{Mending, TableMode};
use crate::fuzz::Choices;

const TOKEN: &str = "5d41402abc4b2a76b9719d911017c592";
const NOW: Instant = Instant::from_micros(1_763_856_000_000_000);
/// What would be markup, were it not escaped.
const MARKUP: &str = "<fz>";

struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        NOW
    }
}

/// Two tables, and how often something was done to them.
#[derive(Default)]
struct Tree {
    acts: AtomicUsize,
}

impl Tree {
    fn table(name: &str) -> TableView {
        TableView {
            name: format!("a/s.{name}"),
            cluster: "a".into(),
            schema: "s".into(),
            table: name.into(),
            destination: format!("d.{name}"),
            mode: TableMode::Running,
            reason: None,
            late: false,
            late_after_seconds: 180,
            watermark: None,
            freshness_seconds: None,
            window: WindowView { seconds: 60.0, why: "fixed" },
            pending: Pending::default(),
            rows_today: 0,
            files_today: 0,
            last_load_at: None,
            poison: 0,
            vanished: 0,
            discarded: 0,
            commits: crate::web::console::CommitsView::default(),
            last_error: None,
        }
    }
}

#[async_trait]
impl Console for Tree {
    async fn overview(&self) -> Result<Arc<Overview>, Refusal> {
        Ok(Arc::new(Overview {
            at: NOW,
            tables: vec![Self::table("t"), Self::table(MARKUP)],
            receivers: Vec::new(),
            cost: None,
        }))
    }

    async fn act(&self, table: &TableId, action: Action) -> Result<Acted, Refusal> {
        self.acts.fetch_add(1, Ordering::Relaxed);
        if action == Action::Flush {
            let (error, remedy) = (format!("{table} {MARKUP}"), MARKUP.to_owned());
            return Err(Refusal { kind: RefusalKind::NoAnswer, error, remedy });
        }
        Ok(Acted { table: Self::table(&table.table), warning: Some(MARKUP.to_owned()) })
    }

    async fn poison(&self, _: &TableId) -> Result<Vec<PoisonView>, Refusal> {
        let (file, reason) = (MARKUP.to_owned(), MARKUP.to_owned());
        Ok(vec![PoisonView { file, size_bytes: 1, reason, poison_since: NOW, discarded: false }])
    }

    async fn shape(&self, _: &TableId) -> Result<Shape, Refusal> {
        let change = crate::domain::shape::Change::Added;
        let (kind, name) = (crate::domain::column_type::ColumnType::Int64, MARKUP);
        let (source, target) = (name.into(), name.into());
        Ok(Shape::new([ShapeEntry { source, kind, target, target_kind: kind, change, at: NOW, file: None }]))
    }

    async fn cost(&self) -> Result<super::cost::CostView, Refusal> {
        let (error, remedy) = (MARKUP.to_owned(), MARKUP.to_owned());
        Err(Refusal { kind: RefusalKind::NoAnswer, error, remedy })
    }

    async fn mend(&self, _: &TableId, chosen: Chosen, _: Mending) -> Result<Mended, Refusal> {
        self.acts.fetch_add(1, Ordering::Relaxed);
        let files = match chosen {
            Chosen::All => 1,
            Chosen::Named(files) => files.len(),
        };
        Ok(Mended { files, warning: Some(MARKUP.to_owned()) })
    }
}

struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

/// The bytes choose a server and a request.
pub(crate) fn request(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let needs_token = choices.flag();
    let listen = if needs_token { "0.0.0.0:80" } else { "127.0.0.1:80" };
    let hash = hash_text(TOKEN);
    let access = Access::new(listen.parse().unwrap(), needs_token.then_some(hash.as_str())).unwrap();
    let cookie = access.session_cookie(NOW, false);
    let cookie = cookie.split(';').next().unwrap();
    let request = chosen(&mut choices, cookie);
    let may = request.headers.iter().any(|(name, value)| {
        let value = String::from_utf8_lossy(value);
        (*name == "authorization" && value.contains(TOKEN)) || (*name == "cookie" && value.contains(cookie))
    });
    let tree = Arc::new(Tree::default());
    let Some((status, kind, body)) = answer(access, Arc::clone(&tree), &request) else { return };
    let acts = tree.acts.load(Ordering::Relaxed);
    let told = || format!("{} {} {:?}: {status}", request.method, request.path, request.headers);
    assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{}", told());
    assert!(acts == 0 || request.method == Method::POST, "{}", told());
    let open = request.path.split(['?', '#']).next().is_some_and(is_open);
    if needs_token && !may && !open && request.path != "/sign-in" {
        assert!(!status.is_success() && acts == 0, "{}", told());
    }
    let headers = |wanted: &'static str| request.headers.iter().filter(move |(name, _)| *name == wanted);
    if !needs_token && !open && status.is_success() {
        let host = headers("host").next().map(|(_, host)| String::from_utf8_lossy(host).into_owned());
        assert!(host.as_deref().is_some_and(is_loopback), "{}", told());
    }
    if acts > 0 {
        assert!(headers("sec-fetch-site").all(|(_, site)| site == b"same-origin"), "{}", told());
        let (origin, host) = (headers("origin").next(), headers("host").next());
        if let Some((_, origin)) = origin {
            let authority = host.map(|(_, host)| [b"://", &host[..]].concat());
            assert!(authority.is_some_and(|authority| origin.ends_with(&authority)), "{}", told());
        }
    }
    let is_page = kind.starts_with("text/html");
    assert!(!is_page || !String::from_utf8_lossy(&body).contains(MARKUP), "{}", told());
    assert!(kind != "application/json" || serde_json::from_slice::<serde_json::Value>(&body).is_ok());
}

/// Another reading of a host than ours.
fn is_loopback(host: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(&format!("http://{host}/")) else { return false };
    let name = url.host_str().unwrap_or_default();
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn chosen(choices: &mut Choices<'_>, cookie: &str) -> Request {
    let methods = [Method::GET, Method::POST, Method::HEAD, Method::DELETE, Method::PUT, Method::OPTIONS];
    let method = choices.pick(&methods).clone();
    let segment = |choices: &mut Choices<'_>| match choices.below(4) {
        0 => "t".to_owned(),
        1 => "%3Cfz%3E".to_owned(),
        2 => choices.pick(&["pause", "resume", "flush"]).to_string(),
        _ => percent_encoding::utf8_percent_encode(&choices.text(12), percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
    };
    let path = match choices.below(6) {
        0 => choices.text(40),
        1 => (*choices.pick(&[
            "/",
            "/fragment",
            "/sign-in",
            "/sign-out",
            "/metrics",
            "/health/live",
            "/assets/page.css",
        ]))
        .to_owned(),
        2 => format!("/api/v1/tables/a/s/{}", segment(choices)),
        3 => format!("/api/v1/tables/a/s/{}/{}", segment(choices), segment(choices)),
        4 => format!("/tables/a/s/{}/{}", segment(choices), segment(choices)),
        _ => format!("/api/v1/{}/{}", segment(choices), segment(choices)),
    };
    let mut headers = Vec::new();
    for _ in 0..choices.below(6) {
        let name = *choices.pick(&[
            "host",
            "origin",
            "sec-fetch-site",
            "cookie",
            "authorization",
            "content-type",
            "x-forwarded-proto",
        ]);
        let plain = match (name, choices.below(3)) {
            ("host", 1) => "localhost:80".to_owned(),
            ("origin", 1) => "http://localhost:80".to_owned(),
            ("sec-fetch-site", 1) => "same-origin".to_owned(),
            ("cookie", 1) => cookie.to_owned(),
            ("authorization", 1) => format!("Bearer {TOKEN}"),
            ("content-type", 1) => "application/x-www-form-urlencoded".to_owned(),
            (_, 2) => format!("{}{cookie}{}", choices.text(4), choices.text(4)),
            _ => String::new(),
        };
        let value = if plain.is_empty() { choices.bytes(60) } else { plain.into_bytes() };
        headers.push((name, value));
    }
    let body = if choices.flag() { format!("token={TOKEN}").into_bytes() } else { choices.rest().to_vec() };
    Request { method, path, headers, body }
}

/// The answer's status, kind and body; nothing when no server is given such a request.
fn answer(access: Access, console: Arc<Tree>, request: &Request) -> Option<(StatusCode, String, Vec<u8>)> {
    let uri = Uri::try_from(request.path.as_str()).ok()?;
    let mut test = TestRequest::with_uri(&uri.to_string()).method(request.method.clone());
    for (name, value) in &request.headers {
        test = test.append_header((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?));
    }
    let slot: super::console::ConsoleSlot = Arc::new(OnceLock::new());
    slot.set(console as Arc<dyn Console>).ok()?;
    let site = web::Data::new(Site {
        health: HealthState::new(),
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        access,
        console: slot,
        clock: Arc::new(Still),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let app = init_service(App::new().app_data(site).wrap(from_fn(guard)).configure(configure)).await;
        let response = call_service(&app, test.set_payload(request.body.clone()).to_request()).await;
        let status = response.status();
        assert!(response.headers().contains_key("content-security-policy"));
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = response.into_body().try_into_bytes().unwrap_or_default();
        Some((status, kind, body.to_vec()))
    })
}
