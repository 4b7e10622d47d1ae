//! Copies of poison files in the dead-letter queues of their clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;

use crate::domain::dead_letter::PoisonCopy;
use crate::domain::fault::{Fault, FaultKind};
use crate::ledger::front::PoisonCopies;
use crate::queue::Queue;
use crate::telemetry::events;

/// The queues by cluster; of a cluster that has none, nothing is sent.
pub(super) struct DeadLetterQueues(pub(super) BTreeMap<Arc<str>, Arc<dyn Queue>>);

#[async_trait]
impl PoisonCopies for DeadLetterQueues {
    async fn send(&self, copies: Vec<PoisonCopy>) {
        // At most as many at once as a batch has files.
        let mut sends = JoinSet::new();
        for copy in copies {
            if let Some(queue) = self.0.get(&copy.file.table.cluster) {
                sends.spawn(send(Arc::clone(queue), copy));
            }
        }
        sends.join_all().await;
    }
}

async fn send(queue: Arc<dyn Queue>, copy: PoisonCopy) {
    let sent = async {
        let body = copy.body().map_err(|error| {
            Fault::from_error(FaultKind::Internal, format!("cannot write the copy of {}", copy.file), error)
        })?;
        queue.send_dead_letter(&body, &copy.reason).await
    };
    let (table, file) = (&copy.file.table, &copy.file);
    match sent.await {
        Ok(true) => events::PoisonCopied { table, file }.emit(),
        Ok(false) => {}
        Err(fault) => events::PoisonNotCopied { table, file, fault: &fault }.emit(),
    }
}
