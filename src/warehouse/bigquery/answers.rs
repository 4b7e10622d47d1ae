//! Foreign errors as faults: the client's, and those of our own calls.

use gcp_bigquery_client::error::{BQError, NestedResponseError};
use serde::Deserialize;

use super::reasons::classify;
use crate::domain::fault::{Fault, FaultKind};

/// Of an answer that is no JSON, this much is shown.
const SHOWN_LETTERS: usize = 200;
/// Of an error's answer, this much is read.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// An error answer of the REST API, read leniently: Google's front ends leave fields out.
#[derive(Debug, Deserialize)]
struct ErrorAnswer {
    error: ErrorBody,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<ErrorEntry>,
}

#[derive(Debug, Deserialize)]
struct ErrorEntry {
    reason: Option<String>,
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The service's reason, when it gave one.
    pub(super) reason: Option<String>,
    /// Its words.
    pub(super) message: String,
}

impl Refusal {
    /// Reads the body of an answer that is no success.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorAnswer>(body) {
            Ok(ErrorAnswer { error }) => Self {
                status,
                reason: error.errors.into_iter().find_map(|entry| entry.reason),
                message: error.message,
            },
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let shown: String = text.chars().take(SHOWN_LETTERS).collect();
                let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
                Self { status, reason: None, message: format!("no BigQuery answer: {shown}") }
            }
        }
    }

    fn of_client(error: &NestedResponseError) -> Self {
        Self {
            status: u16::try_from(error.code).unwrap_or_default(),
            reason: error.errors.iter().find_map(|entry| entry.get("reason").cloned()),
            message: error.message.clone(),
        }
    }

    /// An object of this id exists already.
    pub(super) fn is_duplicate(&self) -> bool {
        self.status == 409
    }

    /// As a fault.
    pub(super) fn fault(self, context: impl Into<String>) -> Fault {
        let kind = classify(self.status, self.reason.as_deref());
        let reason = self.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        Fault::from_error(kind, context, format!("{}{reason}: {}", self.status, self.message))
    }
}

/// What became of a call through the client that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service said no.
    Refused(Refusal),
    /// An answer came that the client could not read: its status is lost, and is to be asked for again.
    Unreadable(String),
    /// No answer, or no token.
    Fault(Fault),
}

impl Failure {
    pub(super) fn of(context: &str, error: BQError) -> Self {
        match error {
            BQError::ResponseError { error } => Self::Refused(Refusal::of_client(&error.error)),
            BQError::RequestError(error) if error.is_decode() => Self::Unreadable(chain(&error)),
            BQError::RequestError(error) => Self::Fault(transport(context, error)),
            // What `cloud::google` says of its token.
            BQError::InvalidApplicationDefaultCredentialsAuthenticator(error) => {
                let kind = if error.kind() == std::io::ErrorKind::PermissionDenied {
                    FaultKind::AccessDenied
                } else {
                    FaultKind::Unavailable
                };
                Self::Fault(Fault::from_error(kind, context, error))
            }
            other @ (BQError::InvalidServiceAccountKey(_)
            | BQError::InvalidServiceAccountAuthenticator(_)
            | BQError::InvalidInstalledFlowAuthenticator(_)
            | BQError::InvalidAuthorizedUserAuthenticator(_)
            | BQError::AuthError(_)
            | BQError::YupAuthError(_)
            | BQError::NoToken
            | BQError::NoDataAvailable
            | BQError::InvalidColumnIndex { .. }
            | BQError::InvalidColumnName { .. }
            | BQError::InvalidColumnType { .. }
            | BQError::SerializationError(_)
            | BQError::TonicTransportError(_)
            | BQError::TonicInvalidMetadataValueError(_)
            | BQError::TonicStatusError(_)
            | BQError::SemaphorePermitError(_)
            | BQError::TokioTaskError(_)
            | BQError::ConnectionPoolError(_)) => {
                Self::Fault(Fault::from_error(FaultKind::Unavailable, context, other))
            }
        }
    }

    /// The service says that it is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == 404)
    }

    /// The service says that it exists already.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_duplicate())
    }

    /// The service, or the way to it, may do better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        let kind = match self {
            Self::Refused(refusal) => classify(refusal.status, refusal.reason.as_deref()),
            Self::Unreadable(_) => FaultKind::Unavailable,
            Self::Fault(fault) => fault.kind,
        };
        matches!(kind, FaultKind::Unavailable | FaultKind::Throttled)
    }

    /// As a fault, where there is nothing that could be asked again.
    pub(super) fn fault(self, context: &str) -> Fault {
        match self {
            Self::Refused(refusal) => refusal.fault(context),
            Self::Unreadable(text) => Fault::from_error(FaultKind::Unavailable, context, text),
            Self::Fault(fault) => fault,
        }
    }
}

/// A call that got no answer. Addresses are left out: that of an upload session lets anyone write into it.
pub(super) fn transport(context: impl Into<String>, error: reqwest::Error) -> Fault {
    Fault::from_error(FaultKind::Unavailable, context, error.without_url())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_whatever_is_left_out() {
        let whole = br#"{"error":{"code":403,"message":"Quota exceeded","errors":[{"message":"m","domain":"global","reason":"quotaExceeded"}],"status":"X"}}"#;
        let refusal = Refusal::read(403, whole);
        assert_eq!(refusal.reason.as_deref(), Some("quotaExceeded"));
        assert_eq!(refusal.fault("cannot load").chain(), "cannot load: 403 quotaExceeded: Quota exceeded");
        let short =
            Refusal::read(401, br#"{"error":{"code":401,"message":"no","status":"UNAUTHENTICATED"}}"#);
        assert_eq!(short.clone().fault("x").kind, FaultKind::AccessDenied);
        assert_eq!((short.reason, short.message.as_str()), (None, "no"));
        let page = Refusal::read(502, b"<html>\n<b>Bad Gateway</b></html>");
        assert_eq!(
            page.fault("cannot load").chain(),
            "cannot load: 502: no BigQuery answer: <html> <b>Bad Gateway</b></html>"
        );
    }
}
