//! What is left of a quota that counts the last 24 hours, or the last hour.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::instant::Instant;

/// The span that quotas of jobs count.
pub const DAY: Duration = Duration::from_secs(86_400);
/// The grain in which uses are remembered.
const GRAIN: Duration = Duration::from_secs(60);
/// Of a quota, what may be used at one time instead of evenly. A bucket that is refilled evenly by the rest can never give more
/// than the whole within its span.
const BURST: f64 = 0.015;

/// What was used in one minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// What the quota counts.
    used: u64,
    /// What the bucket gave for it: less, where somebody else's bucket paid.
    spent: f64,
}

/// A bucket that is refilled evenly, and the uses of the last span.
#[derive(Clone, Debug)]
pub struct Budget {
    quota: f64,
    span: Duration,
    /// Buckets of this quota that hear of each other's uses late.
    members: u32,
    held: f64,
    at: Instant,
    /// Uses by the minute in which they were.
    uses: BTreeMap<Instant, Minute>,
    used: u64,
    /// What it held before the first of them, and when.
    before: (f64, Instant),
}

impl Budget {
    /// A bucket half full, of a quota of which nothing is used that is known.
    pub(super) fn new(quota: f64, span: Duration, now: Instant) -> Self {
        let held = quota * BURST / 2.0;
        let uses = BTreeMap::new();
        Self { quota, span, members: 1, held, at: now, uses, used: 0, before: (held, now) }
    }

    /// There are so many buckets of this quota, each of which counts what all use, the others' uses late: each holds its part, so
    /// that what all hold can still be used at one time.
    pub(super) fn among(&mut self, members: u32, now: Instant) {
        self.held = self.held(now);
        self.at = self.at.max(now);
        self.members = members.max(1);
    }

    /// There is another quota from now on.
    pub(super) fn resize(&mut self, quota: f64, now: Instant) {
        self.held = self.held(now);
        self.at = self.at.max(now);
        self.quota = quota;
    }

    /// The most that it holds; never less than one use.
    pub(super) fn capacity(&self) -> f64 {
        (self.quota * BURST / f64::from(self.members)).max(1.0)
    }

    /// How fast it is refilled.
    pub(super) fn per_second(&self) -> f64 {
        self.quota * (1.0 - BURST) / self.span.as_secs_f64()
    }

    /// What it holds; less than nothing when more was used than was planned.
    pub(super) fn held(&self, now: Instant) -> f64 {
        self.refilled(self.held, self.at, now)
    }

    fn refilled(&self, held: f64, from: Instant, until: Instant) -> f64 {
        (held + self.per_second() * until.since(from).as_secs_f64()).min(self.capacity())
    }

    /// How long it takes until it holds so much.
    pub(super) fn until_held(&self, wanted: f64, now: Instant) -> Duration {
        let lacking = (wanted - self.held(now)).max(0.0);
        Duration::try_from_secs_f64(lacking / self.per_second()).unwrap_or(self.span).min(self.span)
    }

    /// One use. One that is told after later ones is counted as of those.
    pub(super) fn take(&mut self, at: Instant) {
        self.spend(at);
        self.count(at);
    }

    /// Takes from what it holds what will be used, or is paid for here.
    pub(super) fn spend(&mut self, at: Instant) {
        self.held = self.held(at) - 1.0;
        self.at = self.at.max(at);
        self.minute(self.at).spent += 1.0;
        self.forget();
    }

    /// Puts back what was taken for a use that never came.
    pub(super) fn give_back(&mut self, at: Instant) {
        self.held = (self.held(at) + 1.0).min(self.capacity());
        self.at = self.at.max(at);
        self.minute(self.at).spent -= 1.0;
    }

    /// Counts a use that was paid for.
    pub(super) fn count(&mut self, at: Instant) {
        self.held = self.held(at);
        self.at = self.at.max(at);
        self.minute(self.at).used += 1;
        self.used += 1;
        self.forget();
    }

    /// Uses of which it is learned only now: it holds from now on what it would hold if it had known. One before all that is remembered
    /// is left out.
    pub(super) fn take_late(&mut self, uses: &[Instant], now: Instant) {
        let now = self.at.max(now);
        for at in uses.iter().map(|at| (*at).min(now)) {
            if at >= self.before.1 && at.plus(self.span) > now {
                let minute = self.minute(at);
                minute.used += 1;
                minute.spent += 1.0;
                self.used += 1;
            }
        }
        let (mut held, mut from) = self.before;
        for (at, minute) in &self.uses {
            (held, from) = self.after(*at, *minute, (held, from), now);
        }
        self.held = self.refilled(held, from, now);
        self.at = now;
        self.forget();
    }

    /// What it holds at the end of a minute, and when that is; when in it something was used is not remembered.
    fn after(&self, at: Instant, minute: Minute, before: (f64, Instant), now: Instant) -> (f64, Instant) {
        let (held, from) = before;
        let end = at.plus(GRAIN).min(now).max(from);
        (self.refilled(held, from, end) - minute.spent, end)
    }

    fn minute(&mut self, at: Instant) -> &mut Minute {
        let grain = i64::try_from(GRAIN.as_micros()).unwrap_or(i64::MAX);
        self.uses.entry(Instant::from_micros(at.micros() - at.micros().rem_euclid(grain))).or_default()
    }

    fn forget(&mut self) {
        while let Some(oldest) = self.uses.first_entry()
            && oldest.key().plus(self.span + GRAIN) <= self.at
        {
            let (at, minute) = oldest.remove_entry();
            self.before = self.after(at, minute, self.before, self.at);
            self.used -= minute.used;
        }
    }

    /// Uses within the last span, and up to a minute more.
    pub(super) fn used(&self, now: Instant) -> u64 {
        let gone = self.uses.iter().take_while(|(at, _)| at.plus(self.span + GRAIN) <= now);
        self.used - gone.map(|(_, minute)| minute.used).sum::<u64>()
    }
}
