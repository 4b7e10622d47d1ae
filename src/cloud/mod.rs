//! What the adapters of one cloud share: identity, connection, and the reading of its errors.

use std::time::Duration;

use reqwest::Client;

use crate::domain::fault::{Fault, FaultKind};

pub mod aws;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod google;
pub mod metering;

/// Chooses the one cryptography provider of the process, before the first client is made. Calling it again does
/// nothing.
pub fn install_crypto() {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for addresses that the configuration names. It follows no redirect: what is sent goes there and nowhere else.
pub fn outbound(connect_timeout: Duration, try_timeout: Duration) -> Result<Client, Fault> {
    install_crypto();
    Client::builder()
        .connect_timeout(connect_timeout)
        .timeout(try_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("landbridge/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| {
            Fault::from_error(FaultKind::Internal, "cannot make an HTTP client", error.without_url())
        })
}
