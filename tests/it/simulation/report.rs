//! Runs seeds on all cores and tells what came of them, in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::kinds::{Fired, Kind};
use super::mistakes::Mistaken;
use super::run::{Outcome, run};
use super::time::seconds;

/// Lines of breaches that are shown of one seed.
const SHOWN: usize = 8;
/// A line of progress after so many seeds.
const PROGRESS: u64 = 500;

/// The sum of many seeds.
#[derive(Default)]
pub struct Total {
    pub seeds: u64,
    files: u64,
    pub fired: Fired,
    steps: BTreeMap<&'static str, u64>,
    /// Crashes and other faults of the seed that had fewest.
    fewest: Option<(u64, u64)>,
    rested_after: Duration,
    pub failed: Vec<u64>,
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.files += outcome.files as u64;
        self.fired.add(&outcome.fired);
        for (name, count) in &outcome.steps {
            *self.steps.entry(name).or_default() += count;
        }
        let (crashes, others) = outcome.fired.crashes_and_others();
        let (fewest_crashes, fewest_others) = self.fewest.unwrap_or((crashes, others));
        self.fewest = Some((crashes.min(fewest_crashes), others.min(fewest_others)));
        self.rested_after = self.rested_after.max(outcome.rested_after);
        if !outcome.breaches.is_empty() {
            self.failed.push(outcome.seed);
        }
    }

    /// Crashes, and other faults, of the seeds that had fewest.
    pub fn fewest(&self) -> (u64, u64) {
        self.fewest.unwrap_or_default()
    }

    fn print(&self, took: Duration) {
        println!("\n{:<62} {:>10}", "fault", "fired");
        for kind in Kind::ALL {
            println!("{:<62} {:>10}", kind.label(), self.fired.of(*kind));
        }
        println!("\n{:<62} {:>10}", "what landbridge did", "times");
        for (name, count) in &self.steps {
            println!("{name:<62} {count:>10}");
        }
        let rate = self.seeds as f64 / took.as_secs_f64();
        let (crashes, others) = self.fewest();
        println!(
            "\n{} seeds, {} files, {:.1} s, {rate:.1} seeds/s; at least {crashes} crashes and {others} other faults a \
             seed; at rest at most {} virtual seconds after the last fault",
            self.seeds,
            self.files,
            took.as_secs_f64(),
            self.rested_after.as_secs(),
        );
        println!("{} seeds with a breach: {:?}", self.failed.len(), self.failed);
    }
}

/// Panics on purpose say nothing; all others do.
pub fn quieten_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload_as_str().unwrap_or_default();
            if !text.starts_with("on purpose") {
                loud(panic);
            }
        }));
    });
}

/// Runs all seeds.
pub fn run_seeds(seeds: Range<u64>) -> Total {
    quieten_panics();
    let started = tokio::time::Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(seeds.start);
    let mut total = Total::default();
    std::thread::scope(|scope| {
        let (sender, outcomes) = channel();
        for _ in 0..cores {
            let (sender, next, end) = (sender.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end || sender.send(run(seed, &Mistaken::not_at_all())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<u64, Outcome> = BTreeMap::new();
        let mut due = seeds.start;
        for outcome in outcomes {
            early.insert(outcome.seed, outcome);
            while let Some(outcome) = early.remove(&due) {
                total.add(&outcome);
                tell(&outcome);
                due += 1;
                if total.seeds.is_multiple_of(PROGRESS) {
                    let (took, failed) = (started.elapsed().as_secs(), total.failed.len());
                    println!("{} seeds, {failed} with a breach, {took} s", total.seeds);
                }
            }
        }
    });
    total.print(started.elapsed());
    total
}

/// Tells what went wrong in a seed, and how to see it again.
fn tell(outcome: &Outcome) {
    if std::env::var_os("SIMULATION_LOG").is_some() {
        for (at, text) in &outcome.log {
            println!("{:10.3} {text}", seconds(*at));
        }
    }
    if outcome.breaches.is_empty() {
        return;
    }
    println!("seed {}: {} breaches", outcome.seed, outcome.breaches.len());
    for breach in outcome.breaches.iter().take(SHOWN) {
        println!("  {breach}");
    }
    let (seed, next) = (outcome.seed, outcome.seed + 1);
    println!("  again: make sim SEEDS={seed}..{next}   (with SIMULATION_LOG=1 every call is shown)");
}
