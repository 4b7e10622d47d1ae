//! Who may ask what: the token, the browser's session, and what keeps other sites out.
//!
//! - On a loopback address nothing but this machine can connect, so no token is needed there. A browser on this machine
//!   can be made to connect by any site that it visits, so the `Host` must name loopback (a name that was rebound to
//!   127.0.0.1 does not), and a POST must come from our own page.
//! - Anywhere else a token is needed: `Authorization: Bearer`, or the session cookie of someone who signed in with it.
//!
//! Health, metrics and the page's assets are open: they tell no secret, and probes carry no token.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, ORIGIN};

use super::token::{Hash, hash, parse, random, same, sign};
use crate::domain::batch::hex;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

/// How long a browser stays signed in; a restart of landbridge ends it too.
pub const SESSION: Duration = Duration::from_secs(12 * 3600);

/// What is refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The `Host` header names something that is not this machine.
    Host,
    /// Another site sent a request that changes something.
    CrossSite,
    /// There is no token, or a wrong one.
    Token,
}

impl Denied {
    /// Its name as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::CrossSite => "cross_site",
            Self::Token => "token",
        }
    }
}

/// What is open to all.
pub fn is_open(path: &str) -> bool {
    path.starts_with("/health/") || path == "/metrics" || path.starts_with("/assets/")
}

/// The rules of one server.
pub struct Access {
    token: Option<Hash>,
    loopback: bool,
    /// Of this process alone: a cookie does not hold the token, and is worth nothing after a restart.
    session_key: Hash,
    cookie: String,
}

impl Access {
    /// The rules for `listen`, with the SHA-256 of the token in hexadecimal digits. An address that is not loopback is
    /// refused without one.
    pub fn new(listen: SocketAddr, token_sha256: Option<&str>) -> Result<Self, Fault> {
        let cannot =
            |text: &str| Fault::new(FaultKind::AccessDenied, format!("cannot listen on {listen}: {text}"));
        let loopback = listen.ip().to_canonical().is_loopback();
        let token = match token_sha256 {
            Some(text) => Some(
                parse(text).ok_or_else(|| cannot("http.admin_token_sha256 is no SHA-256 in hexadecimal"))?,
            ),
            None if loopback => None,
            None => {
                return Err(cannot(
                    "it can be reached from other machines and needs http.admin_token_sha256",
                ));
            }
        };
        // Cookies are shared by all ports of a host: two landbridges must not sign each other's readers out.
        let cookie = format!("landbridge_{}", listen.port());
        Ok(Self { token, loopback, session_key: random()?, cookie })
    }

    /// True when a token is asked for.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Where a request comes from: the right host, and no other site.
    pub fn admit_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denied> {
        if self.loopback && !text(headers, HOST.as_str()).is_some_and(is_loopback_host) {
            return Err(Denied::Host);
        }
        let reads = *method == Method::GET || *method == Method::HEAD;
        if reads || is_same_site(headers) { Ok(()) } else { Err(Denied::CrossSite) }
    }

    /// Who a request comes from: someone with the token, or who signed in with it.
    pub fn admit_person(&self, headers: &HeaderMap, now: Instant) -> Result<(), Denied> {
        if self.token.is_none() {
            return Ok(());
        }
        let bearer = text(headers, AUTHORIZATION.as_str())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| self.is_token(token.trim()));
        if bearer || self.has_session(headers, now) { Ok(()) } else { Err(Denied::Token) }
    }

    /// True for the token.
    pub fn is_token(&self, token: &str) -> bool {
        self.token.is_some_and(|known| same(&known, &hash(token.as_bytes())))
    }

    /// The cookie of someone who signed in at `now`. `secure` when the browser came over HTTPS.
    pub fn session_cookie(&self, now: Instant, secure: bool) -> String {
        let ends = now.plus(SESSION).micros();
        let value = format!("{ends}.{}", hex(&self.signature(ends)));
        self.cookie_of(&value, SESSION.as_secs(), secure)
    }

    /// The cookie that ends a session.
    pub fn ended_cookie(&self) -> String {
        self.cookie_of("", 0, false)
    }

    fn cookie_of(&self, value: &str, seconds: u64, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", self.cookie)
    }

    fn signature(&self, ends: i64) -> Hash {
        let mut signed = ends.to_be_bytes().to_vec();
        signed.extend(self.token.unwrap_or_default());
        sign(&self.session_key, &signed)
    }

    fn has_session(&self, headers: &HeaderMap, now: Instant) -> bool {
        let cookies = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok());
        cookies.flat_map(|line| line.split(';')).any(|cookie| {
            let Some((name, value)) = cookie.trim().split_once('=') else { return false };
            let Some((ends, signature)) = value.split_once('.') else { return false };
            let (Ok(ends), Some(signature)) = (ends.parse::<i64>(), parse(signature)) else { return false };
            name == self.cookie && now.micros() < ends && same(&self.signature(ends), &signature)
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// True when `host` (with or without a port) names this machine's loopback: no other name can, however it resolves.
fn is_loopback_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').unwrap_or_default(),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let digits = port.strip_prefix(':').unwrap_or_default();
    let is_port = port.is_empty() || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    is_port
        && (name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback()))
}

/// True when the browser says that our own page sent it, or when no browser did. Browsers let no page forge these two.
fn is_same_site(headers: &HeaderMap) -> bool {
    let fetch = headers.get_all("sec-fetch-site").all(|site| site == "same-origin");
    let origin = headers.get(ORIGIN).is_none_or(|origin| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        authority.is_some() && authority == text(headers, HOST.as_str())
    });
    fetch && origin
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn access(listen: &str, token: Option<&str>) -> Access {
        let hash = token.map(super::super::token::hash_text);
        Access::new(listen.parse().unwrap(), hash.as_deref()).unwrap()
    }

    const NOW: Instant = Instant::from_micros(1_000_000);

    #[test]
    fn only_loopback_names_are_answered_on_loopback() {
        let access = access("127.0.0.1:80", None);
        let host = |host: &str| access.admit_origin(&Method::GET, &headers(&[("host", host)]));
        for good in ["localhost", "LOCALHOST:9464", "127.0.0.1:8080", "127.9.9.9", "[::1]:9464", "[::1]"] {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost:80@evil.example",
            "127.0.0.1:",
            "[::1]x",
            "localhost.evil.example:9464",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "[::2]",
        ] {
            assert_eq!(host(bad), Err(Denied::Host), "{bad}");
        }
        assert_eq!(access.admit_origin(&Method::GET, &headers(&[])), Err(Denied::Host));
    }

    #[test]
    fn only_our_own_page_may_change_something() {
        let access = access("127.0.0.1:80", None);
        let post = |pairs: &[(&'static str, &str)]| {
            let pairs: Vec<_> = [("host", "localhost:80")].into_iter().chain(pairs.iter().copied()).collect();
            access.admit_origin(&Method::POST, &headers(&pairs))
        };
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:80"), ("sec-fetch-site", "same-origin")]), Ok(()));
        for bad in ["cross-site", "same-site", "none"] {
            assert_eq!(post(&[("sec-fetch-site", bad)]), Err(Denied::CrossSite), "{bad}");
            let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", bad)];
            assert_eq!(post(&twice), Err(Denied::CrossSite), "{bad}");
        }
        for bad in ["http://evil.example", "http://localhost:81", "null", "http://localhost:80.evil.example"]
        {
            assert_eq!(post(&[("origin", bad)]), Err(Denied::CrossSite), "{bad}");
        }
        let delete = headers(&[("host", "localhost"), ("origin", "http://evil.example")]);
        assert_eq!(access.admit_origin(&Method::DELETE, &delete), Err(Denied::CrossSite));
    }

    #[test]
    fn other_addresses_need_the_token_or_a_session() {
        assert!(Access::new("0.0.0.0:80".parse().unwrap(), None).is_err());
        assert!(Access::new("127.0.0.1:80".parse().unwrap(), Some("no hash")).is_err());
        let access = access("0.0.0.0:80", Some("secret"));
        let person = |name, value: &str| access.admit_person(&headers(&[(name, value)]), NOW);
        assert_eq!(access.admit_person(&headers(&[]), NOW), Err(Denied::Token));
        assert_eq!(person("authorization", "Bearer secret"), Ok(()));
        assert_eq!(person("authorization", "bearer  secret "), Ok(()));
        for bad in ["Bearer Secret", "Bearer ", "secret", "Basic secret"] {
            assert_eq!(person("authorization", bad), Err(Denied::Token), "{bad}");
        }
        let cookie = access.session_cookie(NOW, true);
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Strict; Secure") && !cookie.contains("secret"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(person("cookie", &format!("other=1.2; {cookie}")), Ok(()));
        let later = NOW.plus(SESSION);
        assert_eq!(access.admit_person(&headers(&[("cookie", cookie)]), later), Err(Denied::Token));
        let longer = cookie.replace("landbridge_80=", "landbridge_80=9");
        assert_eq!(person("cookie", &longer), Err(Denied::Token));
        let restarted = super::tests::access("0.0.0.0:80", Some("secret"));
        assert_eq!(restarted.admit_person(&headers(&[("cookie", cookie)]), NOW), Err(Denied::Token));
    }

    #[test]
    fn probes_and_assets_are_open_and_nothing_else_is() {
        for open in ["/health/live", "/metrics", "/assets/page.css"] {
            assert!(is_open(open), "{open}");
        }
        for closed in ["/", "/fragment", "/api/v1/tables", "/metricsx", "/healthy"] {
            assert!(!is_open(closed), "{closed}");
        }
    }
}
