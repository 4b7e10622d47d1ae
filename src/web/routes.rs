//! The status page's routes: the page, its fragment, its assets, its forms.

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderMap, LOCATION, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::access::Denied;
use super::api::status_of;
use super::console::{Action, Refusal};
use super::page;
use super::server::Site;
use crate::domain::ids::TableId;

/// Where the sign-in form goes.
pub(super) const SIGN_IN: &str = "/sign-in";
const SIGN_OUT: &str = "/sign-out";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(show))
        .route("/fragment", web::get().to(fragment))
        .route("/assets/page.css", web::get().to(css))
        .route("/assets/page.js", web::get().to(script))
        .route("/assets/icon.svg", web::get().to(icon))
        .route(SIGN_IN, web::post().to(sign_in))
        .route(SIGN_OUT, web::post().to(sign_out))
        .route("/tables/{cluster}/{schema}/{table}/{action}", web::post().to(act));
}

fn html(status: StatusCode, markup: maud::Markup) -> HttpResponse {
    HttpResponse::build(status).content_type(ContentType::html()).body(markup.into_string())
}

async fn show(site: web::Data<Site>) -> HttpResponse {
    let overview = site.overview().await;
    let status = overview.as_ref().map_or_else(status_of, |_| StatusCode::OK);
    html(status, page::whole(&overview, site.access.needs_token(), None))
}

async fn fragment(site: web::Data<Site>) -> HttpResponse {
    let overview = site.overview().await;
    let status = overview.as_ref().map_or_else(status_of, |_| StatusCode::OK);
    html(status, page::live(&overview))
}

async fn css() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("assets/page.css"))
}

async fn script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(include_str!("assets/page.js"))
}

async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").body(include_str!("assets/icon.svg"))
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
}

async fn sign_in(
    site: web::Data<Site>,
    request: HttpRequest,
    form: Option<web::Form<SignIn>>,
) -> HttpResponse {
    let known = form.is_some_and(|form| site.access.is_token(form.token.trim()));
    if !known {
        return html(StatusCode::UNAUTHORIZED, page::sign_in(true));
    }
    let secure = is_https(request.headers());
    see_other("/", Some(site.access.session_cookie(site.clock.now(), secure)))
}

async fn sign_out(site: web::Data<Site>) -> HttpResponse {
    see_other("/", Some(site.access.ended_cookie()))
}

/// A proxy in front, which is what speaks HTTPS, says so.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https")
}

fn see_other(path: &str, cookie: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((LOCATION, path));
    if let Some(cookie) = cookie {
        response.insert_header((SET_COOKIE, cookie));
    }
    response.finish()
}

/// A button of the page, without its script.
async fn act(site: web::Data<Site>, path: web::Path<(String, String, String, String)>) -> HttpResponse {
    let (cluster, schema, table, action) = path.into_inner();
    let Some(action) = Action::named(&action) else {
        return html(
            StatusCode::NOT_FOUND,
            page::whole(&site.overview().await, site.access.needs_token(), None),
        );
    };
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    match site.act(&id, action).await {
        Ok(acted) => match acted.warning {
            None => see_other("/", None),
            Some(warning) => told(&site, StatusCode::OK, &warning).await,
        },
        Err(Refusal { error, remedy, .. }) => {
            told(&site, StatusCode::CONFLICT, &format!("{error}: {remedy}")).await
        }
    }
}

async fn told(site: &Site, status: StatusCode, text: &str) -> HttpResponse {
    html(status, page::whole(&site.overview().await, site.access.needs_token(), Some(text)))
}

/// The answer to someone who may not ask.
pub(super) fn refuse(path: &str, denied: Denied) -> HttpResponse {
    let (status, error, remedy) = match denied {
        Denied::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "this address answers to loopback names only",
            "open it as 127.0.0.1 or localhost; to reach it by another name, set http.listen and http.admin_token_sha256",
        ),
        Denied::CrossSite => (
            StatusCode::FORBIDDEN,
            "the request was sent by another site",
            "act on landbridge's own page, or by its command line",
        ),
        Denied::Token => (
            StatusCode::UNAUTHORIZED,
            "there is no token, or a wrong one",
            "send `Authorization: Bearer TOKEN`; `landbridge token` makes one",
        ),
    };
    if path == "/" && denied == Denied::Token {
        return html(status, page::sign_in(false));
    }
    HttpResponse::build(status).json(json!({"error": error, "remedy": remedy}))
}
