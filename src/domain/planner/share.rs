//! How many arrivals each table waits for, so that together they need no more jobs than there are.

use std::time::Duration;

/// A table that wants jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimant {
    /// From arrival to arrival; none of a table that is silent.
    pub(super) gap: Option<Duration>,
    /// Rows in a second, weighed by class.
    pub(super) weight: f64,
    /// Its rows are never made to wait longer.
    pub(super) longest: Duration,
    /// Jobs in a second that its own quota admits.
    pub(super) per_second_max: f64,
}

/// Halvings of the span in which the multiplier is looked for: it is then exact to a millionth.
const HALVINGS: usize = 60;
/// The multiplier's logarithm is looked for between these.
const MULTIPLIER: std::ops::Range<f64> = -30.0..60.0;

/// For each table the number of arrivals that make a window: one for all, where that needs no more than `per_second` jobs.
pub(super) fn shares(claimants: &[Claimant], per_second: f64) -> Vec<usize> {
    let all = |multiplier: f64| claimants.iter().map(move |claimant| claimant.arrivals(multiplier));
    let needed = |multiplier: f64| -> f64 {
        claimants.iter().zip(all(multiplier)).map(|(claimant, arrivals)| claimant.per_second(arrivals)).sum()
    };
    let (mut low, mut high) = (MULTIPLIER.start, MULTIPLIER.end);
    if needed(low.exp()) <= per_second {
        return all(low.exp()).collect();
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if needed(middle.exp()) > per_second { low = middle } else { high = middle }
    }
    all(high.exp()).collect()
}

impl Claimant {
    /// The arrivals that are best for it where a job costs `multiplier`: where n arrivals of a gap g are one job, rows wait up to
    /// (n-1)g, and 1/(ng) jobs are needed a second. What is least is the sum of the waits' squares over all rows, so that
    /// no few rows wait for very long; so cycles are as the cube root of one over the rows.
    fn arrivals(&self, multiplier: f64) -> usize {
        let Some(gap) = self.gap.map(|gap| gap.as_secs_f64()).filter(|gap| *gap > 0.0) else { return 1 };
        let best = (multiplier / self.weight.max(1e-9)).cbrt() / gap;
        let whole = best.round().max(1.0);
        let least = (1.0 / (gap * self.per_second_max.max(1e-9))).ceil().max(1.0);
        let most = (self.longest.as_secs_f64() / gap).floor().max(1.0);
        whole.max(least).min(most) as usize
    }

    fn per_second(&self, arrivals: usize) -> f64 {
        self.gap.map_or(0.0, |gap| 1.0 / (gap.as_secs_f64().max(1e-3) * arrivals as f64))
    }
}
