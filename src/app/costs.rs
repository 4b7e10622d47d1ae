//! What it costs, every few minutes: what was counted goes into the ledger, what all processes have done comes out of it, and the month is
//! held against its budget.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::edges::patiently;
use crate::actors::supervision::tell;
use crate::actors::world::World;
use crate::config::types::Cost;
use crate::domain::cost::budget::{OnBudget, Said, Watch};
use crate::domain::cost::report::Report;
use crate::domain::cost::usage::{Day, KEPT_DAYS};
use crate::domain::fault::Fault;
use crate::domain::instant::Instant;
use crate::ledger::Ledger;
use crate::ledger::usage::UsageKeeper;
use crate::messages::planner::{SlowDown, StreamsAreFree};
use crate::telemetry::events;

/// How often. A process that is killed has not counted what it did since.
pub const KEEP_INTERVAL: Duration = Duration::from_secs(300);
/// Of the free bytes, what is used: some are on their way when they are counted.
const FREE_SHARE: f64 = 0.98;
/// The first time: an early report says nothing, and a process that ends at once again writes at its end.
const FIRST: Duration = Duration::from_secs(10);

/// The latest report.
#[derive(Clone, Debug, Default)]
pub struct LatestReport(Arc<Mutex<Option<Arc<Report>>>>);

impl LatestReport {
    /// The report; none before the first.
    pub fn get(&self) -> Option<Arc<Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, report: Arc<Report>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

/// Ends with the process, or when it is dropped.
pub struct Costs(AbortHandle);

impl Drop for Costs {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Counting {
    cost: Cost,
    keeper: Arc<UsageKeeper>,
    latest: LatestReport,
    world: Arc<World>,
    /// None before the first look, which learns from the ledger what was told before this process began.
    watch: Option<Watch>,
}

/// How the month is, before anything is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AtStart {
    /// Streams cost nothing yet.
    pub(super) streams_are_free: bool,
    /// Tables that are not critical are to wait.
    pub(super) is_slowed_down: bool,
}

/// What the ledger says of the month, before the tree starts.
pub(super) async fn at_start(cost: &Cost, ledger: &dyn Ledger, now: Instant) -> Result<AtStart, Fault> {
    let kept = patiently("usage", async || ledger.usage(Report::since(now)).await).await?;
    let report = Report::new(&cost.prices, cost.budget_usd_month, &kept, now);
    let is_over = report.projected_dollars().zip(report.budget).is_some_and(|(projected, budget)| {
        let mut watch = Watch::default();
        watch.step(projected, budget, now);
        watch.has_passed()
    });
    Ok(AtStart {
        streams_are_free: is_free(cost, &report),
        is_slowed_down: is_over && cost.on_budget == OnBudget::SlowDown,
    })
}

fn is_free(cost: &Cost, report: &Report) -> bool {
    report.streamed_gib() < cost.prices.google.streamed_free_gib * FREE_SHARE
}

/// Begins to look at the cost; reports go into `latest`.
pub(super) fn start(cost: Cost, keeper: Arc<UsageKeeper>, latest: LatestReport, world: Arc<World>) -> Costs {
    let mut counting = Counting { cost, keeper, latest, world, watch: None };
    // On the actors' thread, where it has little to do: it waits for others.
    let task = tokio::task::spawn_local(async move {
        tokio::time::sleep(FIRST).await;
        loop {
            if let Err(fault) = counting.look().await {
                events::LedgerFailed { step: "usage", fault: &fault }.emit();
            }
            tokio::time::sleep(until_next(counting.world.ports.clock.now())).await;
        }
    });
    Costs(task.abort_handle())
}

/// At midnight too: what was counted until then is of the day that ends.
fn until_next(now: Instant) -> Duration {
    let midnight = now.until(Day::of(now).minus(-1).begins());
    KEEP_INTERVAL.min(midnight.max(Duration::from_millis(1)))
}

impl Counting {
    async fn look(&mut self) -> Result<(), Fault> {
        let ledger = Arc::clone(&self.world.ports.ledger);
        self.keeper.keep(&*ledger).await?;
        let now = self.world.ports.clock.now();
        let kept = ledger.usage(Report::since(now)).await?;
        let report = Arc::new(Report::new(&self.cost.prices, self.cost.budget_usd_month, &kept, now));
        events::CostShown { report: &report }.emit();
        if self.hold_against_budget(&report, Watch::told_on(&kept)) {
            // At once: whoever begins after this process must not tell it again.
            self.keeper.note_budget_alert();
            self.keeper.keep(&*ledger).await?;
        }
        self.look_at_streams(&report);
        let is_young = self.latest.get().is_none_or(|before| Day::of(before.at) < Day::of(now));
        self.latest.set(report);
        if is_young {
            ledger.forget_usage(Day::of(now).minus(KEPT_DAYS)).await?;
        }
        Ok(())
    }

    /// Tables that go by streams only while these are free go by load jobs from then on, until the month ends.
    fn look_at_streams(&self, report: &Report) {
        let (free_gib, free) = (self.cost.prices.google.streamed_free_gib, is_free(&self.cost, report));
        if self.world.streams_are_free.swap(free, Ordering::Relaxed) != free {
            events::StreamsPriced { report, free, free_gib }.emit();
        }
        if let Some(planner) = self.world.directory.planner() {
            tell(&planner, StreamsAreFree(free));
        }
    }

    /// True when somebody was told that it passes.
    fn hold_against_budget(&mut self, report: &Report, told: Option<Day>) -> bool {
        let (Some(projected), Some(budget)) = (report.projected_dollars(), report.budget) else {
            return false;
        };
        let dearest =
            report.projected.iter().flatten().max_by(|one, other| one.dollars.total_cmp(&other.dollars));
        let dearest = dearest.map_or("nothing", |charge| charge.item.described().0);
        let watch = self.watch.get_or_insert_with(|| Watch::resumed(told, report.at));
        let said = watch.step(projected, budget, report.at);
        match said {
            Said::Passed => events::BudgetPassed { projected, budget, dearest }.emit(),
            Said::Back => {
                events::BudgetKept { projected, budget, remark: "windows are as the quotas admit" }.emit();
            }
            Said::Nothing => {}
        }
        if self.cost.on_budget == OnBudget::SlowDown {
            let is_slowed_down = watch.has_passed();
            self.world.is_slowed_down.store(is_slowed_down, Ordering::Relaxed);
            if let Some(planner) = self.world.directory.planner() {
                tell(&planner, SlowDown(is_slowed_down));
            }
        }
        said == Said::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_ends_what_is_counted_of_a_day() {
        let wait = |text: &str| until_next(Instant::from_rfc3339(text).unwrap());
        assert_eq!(wait("2026-11-27T12:00:00Z"), KEEP_INTERVAL);
        assert_eq!(wait("2026-11-27T23:58:00Z"), Duration::from_secs(120));
        assert_eq!(wait("2026-11-28T00:00:00Z"), KEEP_INTERVAL);
    }
}
