//! The port to a queue with the semantics of an SQS standard queue, and its adapters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::fault::Fault;

pub mod local;
pub mod sqs;

/// The most messages one call may receive, delete or extend (SQS: 10).
pub const MESSAGES_PER_CALL_MAX: usize = 10;

/// The identity of a message: the same in each of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Arc<str>);

/// The handle of one delivery of one message; a later delivery makes it stale.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub Arc<str>);

/// A message as it was delivered.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its identity.
    pub id: MessageId,
    /// The handle of this delivery.
    pub receipt: Receipt,
    /// Its text.
    pub body: Arc<str>,
    /// How many times it has been delivered, this time included.
    pub receive_count: u32,
    /// How long ago it was sent, as far as the queue says.
    pub age: Option<Duration>,
}

/// How many messages a queue holds, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting to be received.
    pub visible: u64,
    /// Received, not yet deleted.
    pub in_flight: u64,
    /// Age of the oldest waiting message.
    pub oldest_age: Duration,
}

/// An SQS standard queue: at least once, in no order, invisible for a while after a receive.
///
/// `Ok` of `delete` does not promise that the message never comes back (the service does not either).
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Waits up to `wait` for up to ten messages; each stays invisible for `visibility`. An empty answer is no error. After an error some may
    /// be invisible that nobody has.
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault>;

    /// Deletes up to ten messages; answers the receipts that could not be deleted (stale, say).
    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Fault>;

    /// Makes up to ten messages invisible for `visibility` from now (zero: visible at once); answers the receipts that
    /// are lost.
    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Receipt>, Fault>;

    /// Sends a message to the queue's dead-letter queue, with the reason why it is there; false when it has none.
    /// Ten seconds at most.
    async fn send_dead_letter(&self, body: &str, reason: &str) -> Result<bool, Fault>;

    /// How many messages the queue holds.
    async fn depth(&self) -> Result<Depth, Fault>;
}
