//! What is left of a quota that counts the last 24 hours, or the last hour.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::instant::Instant;

/// The span that quotas of jobs count.
pub const DAY: Duration = Duration::from_secs(86_400);
/// The grain in which uses are remembered.
const GRAIN: Duration = Duration::from_secs(60);
/// Of a quota, what may be used at one time instead of evenly. A bucket that is refilled evenly by the rest can never give more
/// than the whole within its span.
const BURST: f64 = 0.015;

/// A bucket that is refilled evenly, and the uses of the last span.
#[derive(Clone, Debug)]
pub struct Budget {
    quota: f64,
    span: Duration,
    held: f64,
    at: Instant,
    /// Uses by the minute in which they were, oldest first.
    uses: VecDeque<(Instant, u64)>,
    used: u64,
}

impl Budget {
    /// A bucket half full, of a quota of which nothing is used that is known.
    pub(super) fn new(quota: f64, span: Duration, now: Instant) -> Self {
        Self { quota, span, held: quota * BURST / 2.0, at: now, uses: VecDeque::new(), used: 0 }
    }

    /// The most that it holds.
    pub(super) fn capacity(&self) -> f64 {
        self.quota * BURST
    }

    /// How fast it is refilled.
    pub(super) fn per_second(&self) -> f64 {
        self.quota * (1.0 - BURST) / self.span.as_secs_f64()
    }

    /// What it holds; less than nothing when more was used than was planned.
    pub(super) fn held(&self, now: Instant) -> f64 {
        (self.held + self.per_second() * now.since(self.at).as_secs_f64()).min(self.capacity())
    }

    /// How long it takes until it holds so much.
    pub(super) fn until_held(&self, wanted: f64, now: Instant) -> Duration {
        let lacking = (wanted - self.held(now)).max(0.0);
        Duration::try_from_secs_f64(lacking / self.per_second()).unwrap_or(self.span).min(self.span)
    }

    /// One use. Uses that are told after later ones are counted as of those.
    pub(super) fn take(&mut self, at: Instant) {
        self.spend(at);
        self.count(at);
    }

    /// Takes from what it holds what will be used, or is paid for here.
    pub(super) fn spend(&mut self, at: Instant) {
        self.held = self.held(at) - 1.0;
        self.at = self.at.max(at);
    }

    /// Puts back what was taken for a use that never came.
    pub(super) fn give_back(&mut self, at: Instant) {
        self.held = (self.held(at) + 1.0).min(self.capacity());
        self.at = self.at.max(at);
    }

    /// Counts a use that was paid for.
    pub(super) fn count(&mut self, at: Instant) {
        self.held = self.held(at);
        self.at = self.at.max(at);
        let grain = i64::try_from(GRAIN.as_micros()).unwrap_or(i64::MAX);
        let minute = Instant::from_micros(self.at.micros() - self.at.micros().rem_euclid(grain));
        match self.uses.back_mut() {
            Some((last, uses)) if *last >= minute => *uses += 1,
            Some(_) | None => self.uses.push_back((minute, 1)),
        }
        self.used += 1;
        while let Some((oldest, uses)) = self.uses.front().copied()
            && oldest.plus(self.span + GRAIN) <= self.at
        {
            self.uses.pop_front();
            self.used -= uses;
        }
    }

    /// Uses within the last span, and up to a minute more.
    pub(super) fn used(&self, now: Instant) -> u64 {
        let gone =
            self.uses.iter().take_while(|(at, _)| at.plus(self.span + GRAIN) <= now).map(|(_, uses)| uses);
        self.used - gone.sum::<u64>()
    }
}
