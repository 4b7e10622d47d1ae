//! The one generator of a seed, what it has drawn, and the log of what happened.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::kinds::{Fired, Kind};

/// Chances are given in parts of this.
const WHOLE: u32 = 10_000;

/// Everything that is drawn comes from here, so that a seed is one run.
pub struct Chance {
    inner: Mutex<Inner>,
}

struct Inner {
    random: SmallRng,
    /// No faults any more.
    quiet: bool,
    /// How much more often than usual a seed draws each kind: many seeds leave a kind out, some draw little else.
    weights: Vec<u32>,
    fired: Fired,
    log: Vec<(i64, String)>,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let weights = Kind::ALL.iter().map(|_| [0, 1, 1, 2, 4][random.random_range(0..5_usize)]).collect();
        let inner = Inner { random, quiet: false, weights, fired: Fired::default(), log: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    /// Draws whether a fault happens now, `chance` in 10,000 times, and counts it when it does.
    pub fn strikes(&self, kind: Kind, chance: u32) -> bool {
        let strikes = self.draws(kind, chance);
        if strikes {
            self.count(kind);
        }
        strikes
    }

    /// The same without counting: it is counted when it has its effect.
    pub fn draws(&self, kind: Kind, chance: u32) -> bool {
        let mut inner = self.inner.lock().unwrap();
        if inner.quiet {
            return false;
        }
        let weighted = chance * inner.weights[kind as usize];
        inner.random.random_range(0..WHOLE) < weighted
    }

    /// A fault has happened.
    pub fn count(&self, kind: Kind) {
        self.inner.lock().unwrap().fired.count(kind);
    }

    pub fn fired(&self) -> Fired {
        self.inner.lock().unwrap().fired.clone()
    }

    /// From here on nothing goes wrong any more.
    pub fn become_quiet(&self) {
        self.inner.lock().unwrap().quiet = true;
    }

    pub fn is_quiet(&self) -> bool {
        self.inner.lock().unwrap().quiet
    }

    /// `chance` in 10,000, whatever the seed's weights and however quiet it is.
    pub fn flips(&self, chance: u32) -> bool {
        self.between(0..u64::from(WHOLE)) < u64::from(chance)
    }

    pub fn between(&self, range: Range<u64>) -> u64 {
        self.inner.lock().unwrap().random.random_range(range)
    }

    pub fn index(&self, len: usize) -> usize {
        usize::try_from(self.between(0..len.max(1) as u64)).unwrap()
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// A duration of whole milliseconds, each of its orders of magnitude as likely as another.
    pub fn duration(&self, from: Duration, to: Duration) -> Duration {
        let (low, high) = (from.as_secs_f64().max(0.001).ln(), to.as_secs_f64().ln());
        let drawn = self.inner.lock().unwrap().random.random_range(low..high).exp();
        Duration::from_millis((drawn * 1_000.0) as u64)
    }

    /// Writes down what happened, and when.
    pub fn log(&self, at_micros: i64, text: String) {
        self.inner.lock().unwrap().log.push((at_micros, text));
    }

    pub fn take_log(&self) -> Vec<(i64, String)> {
        std::mem::take(&mut self.inner.lock().unwrap().log)
    }
}
