//! What the adapters of one cloud share: identity, connection, and the reading of its errors.

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
