//! What is done to the ledger every hour: its epoch rises (Invariant I-7), and what is over for longer than the horizon is
//! forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::membership::{Opened, raise};
use crate::actors::world::World;
use crate::config::types::Config;
use crate::domain::fault::FaultKind;
use crate::telemetry::events;
use crate::warehouse::stamps::Stamps;

/// How often.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Batches and files of a table that are forgotten in one step, steps in an hour, and the wait between them: whoever loads
/// goes first.
const EXPIRED_AT_ONCE: usize = 100;
const STEPS_MAX: usize = 1_000;
const BETWEEN: Duration = Duration::from_secs(1);

/// Ends with the process, or when it is dropped.
pub struct Upkeep(AbortHandle);

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn start(
    config: Config,
    ledger: Arc<Opened>,
    stamps: Arc<dyn Stamps>,
    world: Arc<World>,
) -> Upkeep {
    // On the actors' thread, where it has little to do: it waits for others.
    let task = tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            match raise(&config, &ledger, &*stamps).await {
                Ok(()) => {}
                // Another ledger has the datasets by now: what this one does not know would be loaded twice.
                Err(fault) if fault.kind == FaultKind::AccessDenied => world.fail(fault.chain()),
                Err(fault) => events::LedgerFailed { step: "identity", fault: &fault }.emit(),
            }
            expire(&config, &ledger, &world).await;
        }
    });
    Upkeep(task.abort_handle())
}

async fn expire(config: &Config, ledger: &Opened, world: &World) {
    let before = world.ports.clock.now().minus(config.horizon);
    let mut sum = 0;
    for _ in 0..STEPS_MAX {
        let expired = ledger.ledger().expire(before, EXPIRED_AT_ONCE).await;
        // What others forgot too.
        if let Err(fault) = world.learn_what_is_forgotten().await {
            events::LedgerFailed { step: "forgotten_before", fault: &fault }.emit();
        }
        match expired {
            Ok(0) => break,
            Ok(expired) => sum += expired,
            Err(fault) => {
                events::LedgerFailed { step: "expire", fault: &fault }.emit();
                break;
            }
        }
        tokio::time::sleep(BETWEEN).await;
    }
    if sum > 0 {
        events::LedgerExpired { expired: sum, before: &before }.emit();
    }
}
