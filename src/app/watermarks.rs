//! Raises the tables' watermarks, as `domain::watermark` decides, by what is loaded, in hand and open.
//!
//! What is loaded is read first, then what is in hand, then what the ledger has open: a file that moves on in between is seen at
//! its new place. The ledger keeps the marks, so that a restart does not lose them.
//!
//! What only other processes have in hand, or had when they ended, the ledger does not say. A file stays in hand for at most
//! `timing.defer_after`; then it is in the ledger, or, if its process is gone, announced again after
//! `timing.visibility_timeout`. So after a start, and after one of a poller, marks stand still for the second time; and where
//! others share the ledger, nothing is vouched for that is younger than both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::actors::world::World;
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::summary::TableSummary;
use crate::domain::watermark::{Known, Reached};
use crate::messages::poller::{Held, HeldByTable};
use crate::telemetry::events;

/// How often.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long one actor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an announcement may be on its way, and what clocks may differ by.
const TRANSIT: Duration = Duration::from_secs(60);

/// Ends with the process, or when it is dropped.
pub struct Watermarks(AbortHandle);

impl Drop for Watermarks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Looks {
    before: Option<BTreeMap<TableId, TableSummary>>,
    /// Where the ledger was empty at the first look: no process was here before, and pollers older than this hold all there is.
    first: Option<Instant>,
}

/// Starts looking, every ten seconds.
pub(super) fn start(world: Arc<World>) -> Watermarks {
    let task = tokio::spawn(async move {
        let mut looks = Looks::default();
        loop {
            if let Err(fault) = look(&world, &mut looks).await {
                events::LedgerFailed { step: "watermarks", fault: &fault }.emit();
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    });
    Watermarks(task.abort_handle())
}

/// One look at all tables.
pub async fn look(world: &World, looks: &mut Looks) -> Result<(), Fault> {
    let now = world.ports.clock.now();
    if looks.before.is_none() {
        let summaries = summaries(world, now).await?;
        looks.first = summaries.is_empty().then_some(now);
        looks.before = Some(summaries);
    }
    let frontiers: BTreeMap<_, _> =
        world.frontiers.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect();
    let hands = in_hand(world, looks.first, now).await;
    let blocking = world.ports.ledger.blocking().await?;
    let intake = &world.bounds.intake;
    let others = world.ports.ledger.has_other_writers();
    let longest = intake.defer_after.saturating_add(intake.visibility).saturating_add(TRANSIT);
    let mut raised = Vec::new();
    let empty = BTreeMap::new();
    for (table, summary) in looks.before.as_ref().unwrap_or(&empty) {
        // Nobody knows what is in hand: no mark moves.
        let Some(hands) = &hands else { break };
        let known = Known {
            watermark: summary.watermark,
            loaded: summary.loaded,
            in_ledger: blocking.get(table).copied(),
            in_hand: hands.get(table).copied(),
            in_other_hands: others.then(|| now.minus(longest)),
        };
        let mark = known.mark(frontiers.get(table).unwrap_or(&Default::default()));
        if mark > summary.watermark {
            raised.extend(mark.map(|mark| (table.clone(), mark)));
        }
    }
    world.ports.ledger.raise_watermarks(&raised).await?;
    for (table, mark) in raised {
        if let Some(mut frontier) = world.frontiers.get_mut(&table) {
            frontier.passed(mark);
        }
    }
    let after = summaries(world, now).await?;
    after.values().for_each(|summary| show(world, summary));
    looks.before = Some(after);
    Ok(())
}

async fn summaries(world: &World, now: Instant) -> Result<BTreeMap<TableId, TableSummary>, Fault> {
    let summaries = world.ports.ledger.summary(now).await?;
    Ok(summaries.into_iter().map(|summary| (summary.table.clone(), summary)).collect())
}

/// The oldest event of the change files of each table that pollers hold. `None` where not all of them can tell: one does not answer,
/// or is so young that messages of the one before it may still be hidden.
async fn in_hand(world: &World, first: Option<Instant>, now: Instant) -> Option<BTreeMap<TableId, Instant>> {
    let pollers = world.directory.pollers();
    if pollers.len() != world.ports.queues.len() {
        return None;
    }
    let mut oldest: BTreeMap<TableId, Instant> = BTreeMap::new();
    for poller in pollers {
        let Held { since, tables } = poller.send(HeldByTable).timeout(ANSWER_TIMEOUT).await.ok().flatten()?;
        let hidden = world.bounds.intake.visibility.saturating_add(TRANSIT);
        if first.is_none_or(|first| since > first) && since.plus(hidden) > now {
            return None;
        }
        for held in tables {
            if let Some(at) = held.oldest_change {
                oldest.entry(held.table).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        }
    }
    Some(oldest)
}

fn show(world: &World, summary: &TableSummary) {
    let TableSummary { table, watermark, loaded, .. } = summary;
    if let (true, Some(watermark)) = (world.tables.contains_key(table), watermark) {
        let newest = loaded.map_or(*watermark, |Reached { commit, .. }| commit);
        events::WatermarkShown { table, watermark: *watermark, newest }.emit();
    }
}
