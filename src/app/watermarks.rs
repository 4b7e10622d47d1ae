//! Raises the tables' watermarks, as `domain::watermark` decides, by what is loaded, in hand and open.
//!
//! What is loaded is read first, then what is in hand, then what the ledger has open: a file that moves on in between is seen at
//! its new place. The ledger keeps the marks, so that a restart does not lose them.
//!
//! What a process had in hand when it ended is announced again after `timing.visibility_timeout`: so after a start, and after one of a
//! poller, marks stand still until its queue was seen drained later than that. Where others share the ledger, each says there what it has in
//! hand, and until when it has seen each queue drained; the oldest of all counts. Who ends without a word is believed to hold what it had,
//! until that must have been announced again, and was received. What was received since a process spoke is as young as an announcement is on its
//! way: a mark is later by that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::edges::patiently;
use crate::actors::world::World;
use crate::config::types::{Config, Source};
use crate::domain::drain::known_until;
use crate::domain::fault::Fault;
use crate::domain::ids::{QueueId, TableId};
use crate::domain::instant::Instant;
use crate::domain::summary::TableSummary;
use crate::domain::watermark::{Hands, Known, Reached, UNTOLD, in_other_hands, over_before};
use crate::messages::loader::BatchesInHand;
use crate::messages::poller::{Held, HeldByTable};
use crate::telemetry::events;

/// How often.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long one actor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an announcement may be on its way, and what clocks may differ by.
const TRANSIT: Duration = Duration::from_secs(60);
/// How long a queue keeps a message (SQS: 14 days at the longest): nobody is believed to hold one for longer.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 3_600);

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
    is_first_start: bool,
    /// Where no process was here before, the first look: pollers that were there hold all there is.
    first: Option<Instant>,
    /// What this process has said last to others on the ledger.
    said: Option<Hands>,
}

/// The oldest event of each table.
type Oldest = BTreeMap<TableId, Instant>;

/// What the pollers know.
struct InHand {
    /// The oldest event of the change files of each table that they hold.
    oldest: Oldest,
    /// Of each cluster: what was sent to its queue before is known.
    drained: BTreeMap<Arc<str>, Option<Instant>>,
}

impl Looks {
    /// Nothing is remembered. `is_first_start`: no process ever started on this ledger before, so that none has left hidden messages.
    pub fn new(is_first_start: bool) -> Self {
        Self { is_first_start, ..Self::default() }
    }
}

/// The queue that announces each cluster's files. Clusters that share one share its poller, which has the name of the first.
pub(super) fn queue_of(config: &Config) -> BTreeMap<Arc<str>, QueueId> {
    let mut by_url: BTreeMap<&str, QueueId> = BTreeMap::new();
    let queues = config.mappings.iter().map(|mapping| {
        let (cluster, own) = (&mapping.route.cluster, QueueId(Arc::clone(&mapping.route.cluster)));
        let id = match &mapping.source {
            Source::Directory(_) => own,
            Source::S3 { queue } => by_url.entry(queue).or_insert(own).clone(),
        };
        (Arc::clone(cluster), id)
    });
    queues.collect()
}

/// Tells others on the ledger of this process before it receives anything, and learns of them.
pub(super) async fn introduce(world: &World) -> Result<(), Fault> {
    if !world.ports.ledger.has_other_writers() {
        return Ok(());
    }
    let nothing = nothing_known(world);
    let others = async || world.ports.ledger.declare_hands(&nothing, Instant::from_micros(0)).await;
    let others = patiently("declare_hands", others).await?;
    world.was_heard();
    world.peers.send_replace(others);
    Ok(())
}

/// What is said where nothing is known yet.
fn nothing_known(world: &World) -> Hands {
    let drained = world.queue_of.keys().map(|cluster| (Arc::clone(cluster), None)).collect();
    let process = world.process.clone();
    let hides_for_seconds = world.bounds.intake.visibility.as_secs();
    let at = world.ports.clock.now();
    Hands { process, at, drained: Some(drained), hides_for_seconds, ..Hands::default() }
}

/// Starts looking, every ten seconds. `is_first_start`: see [`Looks::new`].
pub fn start(world: Arc<World>, is_first_start: bool) -> Watermarks {
    let task = tokio::spawn(async move {
        let mut looks = Looks::new(is_first_start);
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
        looks.before = Some(summaries(world, now).await?);
        looks.first = looks.is_first_start.then_some(now);
    }
    let frontiers: BTreeMap<_, _> =
        world.frontiers.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect();
    let hands = in_hand(world, looks.first, now).await;
    // Before the ledger's own: what is claimed since somebody spoke is seen there.
    let others = others(world, looks, hands.as_ref(), now).await?;
    let blocking = world.ports.ledger.blocking().await?;
    let visibility = world.bounds.intake.visibility;
    let mut raised = Vec::new();
    let empty = BTreeMap::new();
    world.behind.retain(|table, _| hands.is_some() && world.tables.contains_key(table));
    for (table, summary) in looks.before.as_ref().unwrap_or(&empty) {
        // Nobody knows what is in hand: no mark moves.
        let Some(hands) = &hands else { break };
        let drained = hands.drained.get(&table.cluster).copied().flatten();
        let known = Known {
            watermark: summary.watermark,
            loaded: summary.loaded,
            in_ledger: blocking.get(table).copied(),
            in_hand: hands.oldest.get(table).copied(),
            in_other_hands: others
                .as_ref()
                .map(|others| in_other_hands(others, table, now, TRANSIT, (drained, visibility))),
            in_queue: Some(drained.unwrap_or(UNTOLD)),
        };
        if let (true, Some(behind)) = (world.tables.contains_key(table), known.behind()) {
            world.behind.insert(table.clone(), behind);
        }
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

/// What the others on the ledger have said, and this process says to them; none where there are none. One that does not know what it
/// has says what it said last: what it has received since was sent after it saw the queue drained.
async fn others(
    world: &World,
    looks: &mut Looks,
    hands: Option<&InHand>,
    now: Instant,
) -> Result<Option<Vec<Hands>>, Fault> {
    let ledger = &world.ports.ledger;
    if !ledger.has_other_writers() {
        return Ok(None);
    }
    let mut own = Hands { at: now, ..looks.said.take().unwrap_or_else(|| nothing_known(world)) };
    if let Some(hands) = hands {
        own.oldest = hands.oldest.iter().map(|(table, at)| (table.clone(), *at)).collect();
        own.drained = Some(hands.drained.iter().map(|(cluster, at)| (Arc::clone(cluster), *at)).collect());
    }
    if let Some(loader) = world.directory.loader() {
        let answer = loader.send(BatchesInHand).timeout(ANSWER_TIMEOUT).await;
        own.batches = answer.ok().flatten().unwrap_or(own.batches);
    }
    // What the silent had is announced again by then, and received since.
    let drained = hands.and_then(|hands| hands.drained.values().copied().min().flatten());
    let visibility = world.bounds.intake.visibility;
    let since = drained.map(|drained| over_before(&world.peers.borrow(), drained.min(now), visibility));
    let since = since.unwrap_or(Instant::from_micros(0));
    let others = ledger.declare_hands(&own, since.max(now.minus(RETENTION))).await;
    looks.said = Some(own);
    let others = others?;
    world.was_heard();
    world.peers.send_replace(others.clone());
    Ok(Some(others))
}

/// What the pollers know; `None` where one does not answer. One may be so young that messages of the one before it are still hidden.
async fn in_hand(world: &World, first: Option<Instant>, now: Instant) -> Option<InHand> {
    let pollers = world.directory.pollers();
    if pollers.len() != world.ports.queues.len() {
        return None;
    }
    let (mut oldest, mut queues) = (Oldest::new(), BTreeMap::new());
    let hidden = world.bounds.intake.visibility.saturating_add(TRANSIT);
    for poller in pollers {
        let answer = poller.send(HeldByTable).timeout(ANSWER_TIMEOUT).await;
        let Held { queue, since, drained, tables } = answer.ok().flatten()?;
        let is_first = first.is_some_and(|first| since <= first);
        // A clock that was set back since has not seen the future.
        let drained = drained.map(|drained| drained.min(now));
        queues.insert(queue, known_until(drained, since, hidden, is_first));
        for held in tables {
            if let Some(at) = held.oldest_change {
                oldest.entry(held.table).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        }
    }
    let of =
        |(cluster, queue): (&Arc<str>, &QueueId)| (Arc::clone(cluster), queues.get(queue).copied().flatten());
    Some(InHand { oldest, drained: world.queue_of.iter().map(of).collect() })
}

fn show(world: &World, summary: &TableSummary) {
    let TableSummary { table, watermark, loaded, .. } = summary;
    if let (true, Some(watermark)) = (world.tables.contains_key(table), watermark) {
        world.watermarks.insert(table.clone(), *watermark);
        let newest = loaded.map_or(*watermark, |Reached { commit, .. }| commit);
        events::WatermarkShown { table, watermark: *watermark, newest }.emit();
    }
}
