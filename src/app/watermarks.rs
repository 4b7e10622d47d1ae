//! Raises the tables' watermarks, as `domain::watermark` decides, by what is loaded, in hand and open.
//!
//! What is loaded is read first, then what is in hand, then what the ledger has open: a file that moves on in between is seen at
//! its new place. The ledger keeps the marks, so that a restart does not lose them.
//!
//! What a process had in hand when it ended is announced again after `timing.visibility_timeout`: so after a start, and after one of a
//! poller, marks stand still for so long. Where others share the ledger, each says there what it has in hand, and the oldest of all
//! counts. Who ends without a word is believed to hold what it had, until that must have been announced again. What was received
//! since a process spoke is as young as an announcement is on its way: a mark is later by that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::actors::world::World;
use crate::domain::fault::Fault;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::summary::TableSummary;
use crate::domain::watermark::{Hands, Known, Reached, in_other_hands};
use crate::messages::poller::{Held, HeldByTable};
use crate::telemetry::events;

/// How often.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long one actor may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an announcement may be on its way, and what clocks may differ by.
const TRANSIT: Duration = Duration::from_secs(60);
/// How much longer than a message can be hidden a process that is silent is believed to hold what it had.
const SILENCE: Duration = Duration::from_secs(180);

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
    /// This process's name among others on the ledger.
    process: Option<String>,
}

/// The oldest event of each table.
type Oldest = BTreeMap<TableId, Instant>;

impl Looks {
    /// Nothing is remembered. `is_first_start`: no process ever started on this ledger before, so that none has left hidden messages.
    pub fn new(is_first_start: bool) -> Self {
        Self { is_first_start, ..Self::default() }
    }
}

/// Starts looking, every ten seconds.
pub(super) fn start(world: Arc<World>, is_first_start: bool) -> Watermarks {
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
    let (hands, is_all) = in_hand(world, looks.first, now).await;
    // Before the ledger's own: what is claimed since somebody spoke is seen there.
    let others = others(world, looks, hands.as_ref(), now).await?;
    let blocking = world.ports.ledger.blocking().await?;
    let mut raised = Vec::new();
    let empty = BTreeMap::new();
    for (table, summary) in looks.before.as_ref().unwrap_or(&empty) {
        // Nobody knows what is in hand: no mark moves.
        let Some(hands) = hands.as_ref().filter(|_| is_all) else { break };
        let known = Known {
            watermark: summary.watermark,
            loaded: summary.loaded,
            in_ledger: blocking.get(table).copied(),
            in_hand: hands.get(table).copied(),
            in_other_hands: others.as_ref().map(|others| in_other_hands(others, table, now, TRANSIT)),
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

/// What the others on the ledger have said, and this process says to them; none where there are none. One that does not know what it
/// has says nothing: what it said last counts.
async fn others(
    world: &World,
    looks: &mut Looks,
    hands: Option<&Oldest>,
    now: Instant,
) -> Result<Option<Vec<Hands>>, Fault> {
    let (ledger, visibility) = (&world.ports.ledger, world.bounds.intake.visibility);
    let Some(hands) = hands.filter(|_| ledger.has_other_writers()) else {
        return Ok(ledger.has_other_writers().then(Vec::new));
    };
    let name = || format!("{}-{}-{}", std::process::id(), now.micros(), world.spool.display());
    let process = looks.process.get_or_insert_with(name).clone();
    let oldest = hands.iter().map(|(table, at)| (table.clone(), *at)).collect();
    let since = now.minus(visibility.saturating_add(SILENCE));
    ledger.declare_hands(&Hands { process, at: now, oldest }, since).await.map(Some)
}

/// The oldest event of the change files of each table that pollers hold; `None` where one does not answer. And whether that is all: one
/// may be so young that messages of the one before it are still hidden.
async fn in_hand(world: &World, first: Option<Instant>, now: Instant) -> (Option<Oldest>, bool) {
    let pollers = world.directory.pollers();
    if pollers.len() != world.ports.queues.len() {
        return (None, false);
    }
    let (mut oldest, mut is_all) = (Oldest::new(), true);
    for poller in pollers {
        let answer = poller.send(HeldByTable).timeout(ANSWER_TIMEOUT).await;
        let Some(Held { since, tables }) = answer.ok().flatten() else { return (None, false) };
        let hidden = world.bounds.intake.visibility.saturating_add(TRANSIT);
        is_all &= first.is_some_and(|first| since <= first) || since.plus(hidden) <= now;
        for held in tables {
            if let Some(at) = held.oldest_change {
                oldest.entry(held.table).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        }
    }
    (Some(oldest), is_all)
}

fn show(world: &World, summary: &TableSummary) {
    let TableSummary { table, watermark, loaded, .. } = summary;
    if let (true, Some(watermark)) = (world.tables.contains_key(table), watermark) {
        world.watermarks.insert(table.clone(), *watermark);
        let newest = loaded.map_or(*watermark, |Reached { commit, .. }| commit);
        events::WatermarkShown { table, watermark: *watermark, newest }.emit();
    }
}
