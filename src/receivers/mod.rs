//! The port to those who are told of loaded batches, and its adapters: a signed webhook, Amazon SNS, Google Pub/Sub.
//!
//! Pub/Sub is spoken to by its one REST call. Publishing a notice is a POST with a bearer token, which `cloud::google` has
//! anyway; the official crate (`google-cloud-pubsub`) would bring a second gRPC client with batching and retries of its own,
//! where the outbox already decides what is sent when, and would add its dependencies to every build. SNS has a query
//! protocol and signatures of AWS's own: there the SDK's client is the cheaper way.

use async_trait::async_trait;

use crate::domain::notice::Notice;
use crate::domain::outbox::Answer;

mod http;
#[cfg(feature = "pubsub")]
pub mod pubsub;
#[cfg(feature = "sns")]
pub mod sns;
pub mod webhook;

/// Who is told of loaded batches.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Tells it once, within a bound, and says what came of it. The problem of an answer holds no secret and no address.
    async fn tell(&self, notice: &Notice) -> Answer;
}

/// What a fault of a cloud means for a notice.
#[cfg(any(feature = "sns", feature = "pubsub"))]
fn judge(fault: &crate::domain::fault::Fault) -> Answer {
    use crate::domain::fault::FaultKind;
    let problem = fault.chain();
    if [FaultKind::Unavailable, FaultKind::Throttled, FaultKind::QuotaExceeded].contains(&fault.kind) {
        return Answer::Unavailable { problem, wait: None };
    }
    Answer::Refused { problem }
}
