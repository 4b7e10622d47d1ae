//! The receivers of a configuration, reached by their adapters.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::types::{Config, Way};
use crate::domain::clock::Clock;
use crate::domain::fault::Fault;
use crate::receivers::Receiver;
use crate::receivers::webhook::Webhook;

/// Receivers by their names.
pub type Receivers = BTreeMap<Arc<str>, Arc<dyn Receiver>>;

/// All of them. Nothing is asked of any yet.
pub async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Receivers, Fault> {
    let mut receivers = Receivers::new();
    for receiver in &config.receivers {
        receivers.insert(Arc::clone(&receiver.name), one(config, &receiver.way, clock).await?);
    }
    Ok(receivers)
}

async fn one(config: &Config, way: &Way, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Receiver>, Fault> {
    match way {
        Way::Webhook { url, keys } => Ok(Arc::new(Webhook::new(url, keys.clone(), Arc::clone(clock))?)),
        Way::Sns { topic, region } => sns(config, topic, region).await,
        Way::PubSub { topic, endpoint } => pubsub(config, topic, endpoint.as_deref(), clock),
    }
}

#[cfg(feature = "sns")]
async fn sns(config: &Config, topic: &Arc<str>, region: &str) -> Result<Arc<dyn Receiver>, Fault> {
    let sdk = crate::cloud::aws::connect(&config.aws, Some(region)).await;
    Ok(Arc::new(crate::receivers::sns::Topic::new(&sdk, Arc::clone(topic))))
}

#[cfg(feature = "pubsub")]
fn pubsub(
    config: &Config,
    topic: &str,
    endpoint: Option<&str>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Receiver>, Fault> {
    use crate::config::types::{GoogleCredentials, Warehouse};
    use crate::receivers::pubsub::Topic;

    let credentials = match &config.warehouse {
        Warehouse::BigQuery(settings) => &settings.credentials,
        Warehouse::Lake { .. } => &GoogleCredentials::Default,
    };
    Ok(Arc::new(Topic::new(topic, endpoint, credentials, Arc::clone(clock))?))
}

#[cfg(not(feature = "sns"))]
#[allow(clippy::unused_async)]
async fn sns(_: &Config, topic: &Arc<str>, _: &str) -> Result<Arc<dyn Receiver>, Fault> {
    Err(unbuilt(topic))
}

#[cfg(not(feature = "pubsub"))]
fn pubsub(_: &Config, topic: &str, _: Option<&str>, _: &Arc<dyn Clock>) -> Result<Arc<dyn Receiver>, Fault> {
    Err(unbuilt(topic))
}

/// The configuration does not admit such a receiver.
#[cfg(not(all(feature = "sns", feature = "pubsub")))]
fn unbuilt(topic: &str) -> Fault {
    use crate::domain::fault::FaultKind;
    Fault::new(FaultKind::Internal, format!("this landbridge was built without a way to {topic}"))
}
