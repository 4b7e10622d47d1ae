//! Google: who landbridge is there, as bearer tokens that are renewed before they expire.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gcp_bigquery_client::auth::Authenticator;
use gcp_bigquery_client::error::BQError;
use google_cloud_auth::credentials::service_account::{self, AccessSpecifier};
use google_cloud_auth::credentials::{self, AccessTokenCredentials, Credentials, anonymous};

use crate::config::secret::Secret;
use crate::config::types::GoogleCredentials;
use crate::domain::cost::usage::Measure;
use crate::domain::fault::{Fault, FaultKind};
use crate::flow::meter::Meter;
use crate::flow::pace::Pace;
use crate::flow::pulse;

/// What landbridge may do, at most; the roles of the account say the rest.
const BIGQUERY: &str = "https://www.googleapis.com/auth/bigquery";
/// The same of whoever publishes.
pub const PUBSUB: &str = "https://www.googleapis.com/auth/pubsub";
/// How long a token may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// An account at Google.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `None`: anonymous.
    credentials: Option<AccessTokenCredentials>,
    meter: Arc<Meter>,
    pace: Option<Arc<Pace>>,
}

impl Identity {
    /// Reads what `source` names. Nothing is asked of Google yet.
    pub fn new(source: &GoogleCredentials) -> Result<Self, Fault> {
        Self::with_scope(source, BIGQUERY)
    }

    /// The same, for another service.
    pub fn with_scope(source: &GoogleCredentials, scope: &str) -> Result<Self, Fault> {
        super::install_crypto();
        let credentials = match source {
            GoogleCredentials::Anonymous => None,
            GoogleCredentials::Default => Some(
                credentials::Builder::default()
                    .with_scopes([scope])
                    .build_access_token_credentials()
                    .map_err(|error| refused("cannot use the application default credentials", error))?,
            ),
            GoogleCredentials::File(path) => Some(from_key_file(path, scope)?),
        };
        Ok(Self { credentials, meter: Arc::default(), pace: None })
    }

    /// Counts the calls that are made as it.
    pub fn metered(self, meter: &Arc<Meter>) -> Self {
        Self { meter: Arc::clone(meter), ..self }
    }

    /// Calls that are made as it wait for their turn.
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace: Some(Arc::new(pace)), ..self }
    }

    /// The same account, for a client of Google's own.
    pub fn credentials(&self) -> Credentials {
        match &self.credentials {
            Some(credentials) => credentials.clone().into(),
            None => anonymous::Builder::new().build(),
        }
    }

    /// A token for the next call; `None` when nobody is to be named.
    pub async fn token(&self) -> Result<Option<Secret>, Fault> {
        if let Some(pace) = &self.pace {
            pace.turn().await?;
        }
        // Every call begins here, so that one after the other is seen to move on.
        pulse::moved();
        self.meter.add(Measure::GoogleCalls, 1);
        let Some(credentials) = &self.credentials else { return Ok(None) };
        let answer = tokio::time::timeout(TOKEN_TIMEOUT, credentials.access_token()).await;
        pulse::moved();
        match answer {
            Ok(Ok(token)) => Ok(Some(Secret::new(token.token))),
            Ok(Err(error)) if error.is_transient() => {
                Err(Fault::from_error(FaultKind::Unavailable, "cannot get a token from Google", error))
            }
            Ok(Err(error)) => Err(refused("cannot get a token from Google", error)),
            Err(_) => {
                let text = format!("no token came from Google within {} s", TOKEN_TIMEOUT.as_secs());
                Err(Fault::new(FaultKind::Unavailable, text))
            }
        }
    }
}

fn refused(context: impl Into<String>, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::from_error(FaultKind::AccessDenied, context, error)
}

fn from_key_file(path: &Path, scope: &str) -> Result<AccessTokenCredentials, Fault> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| refused(format!("cannot read the service account's key file {shown}"), error))?;
    from_key(&shown.to_string(), &text, scope)
}

/// The account that the key file `shown` names, with this text.
pub(super) fn from_key(shown: &str, text: &str, scope: &str) -> Result<AccessTokenCredentials, Fault> {
    // Of what is in the file nothing but its type may be shown.
    let not_a_key = |what: &str| Fault::new(FaultKind::AccessDenied, format!("{shown} {what}"));
    let key: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        not_a_key(&format!("is no JSON (line {}, column {})", error.line(), error.column()))
    })?;
    match key.get("type").and_then(serde_json::Value::as_str) {
        Some("service_account") => {}
        Some(kind) => {
            let kind: String =
                kind.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect();
            return Err(not_a_key(&format!(
                "is of the type {kind}, not service_account; name it in GOOGLE_APPLICATION_CREDENTIALS and use `default`"
            )));
        }
        None => return Err(not_a_key("has no `type`: it is no key file")),
    }
    service_account::Builder::new(key)
        .with_access_specifier(AccessSpecifier::from_scopes([scope]))
        .build_access_token_credentials()
        .map_err(|_| not_a_key("is no complete key of a service account"))
}

/// As the BigQuery client wants it. A refused token is told by the kind of the I/O error.
#[async_trait]
impl Authenticator for Identity {
    async fn access_token(&self) -> Result<String, BQError> {
        match self.token().await {
            // The client always sends a bearer token; a stand-in takes any.
            Ok(token) => Ok(token.map_or_else(|| "anonymous".to_owned(), |token| token.expose().to_owned())),
            Err(fault) => {
                let kind = if fault.kind == FaultKind::AccessDenied {
                    std::io::ErrorKind::PermissionDenied
                } else {
                    std::io::ErrorKind::TimedOut
                };
                let error = std::io::Error::new(kind, fault.chain());
                Err(BQError::InvalidApplicationDefaultCredentialsAuthenticator(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_file(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        std::fs::write(&path, text).unwrap();
        let fault = Identity::new(&GoogleCredentials::File(path)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::AccessDenied);
        fault.chain()
    }

    #[test]
    fn a_key_file_that_is_none_is_refused_without_showing_it() {
        let cases = [
            ("{ hunter2", "is no JSON"),
            ("{\"private_key\": \"hunter2\"}", "has no `type`"),
            ("{\"type\": \"external_account\", \"x\": \"hunter2\"}", "GOOGLE_APPLICATION_CREDENTIALS"),
            ("{\"type\": \"service_account\", \"private_key\": \"hunter2\"}", "no complete key"),
        ];
        for (text, expected) in cases {
            let told = key_file(text);
            assert!(told.contains(expected) && !told.contains("hunter2"), "{told}");
        }
    }

    #[tokio::test]
    async fn nobody_has_no_token() {
        let identity = Identity::new(&GoogleCredentials::Anonymous).unwrap();
        assert_eq!(identity.token().await.unwrap(), None);
        assert_eq!(identity.access_token().await.unwrap(), "anonymous");
    }
}
