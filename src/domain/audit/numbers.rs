//! The numbers of a file's rows as they were found.

use serde::{Deserialize, Serialize};

/// Runs of consecutive numbers that are gathered before they are put in order.
const LOOSE_RUNS_MAX: usize = 4_096;

/// Which rows of a file were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Numbers {
    /// As a query counts them.
    Counted {
        /// How many different numbers.
        distinct: u64,
        /// The least of them.
        least: i64,
        /// The greatest.
        most: i64,
    },
    /// As they were read.
    Read(Runs),
}

impl Numbers {
    /// How many of the numbers 0 to `rows` - 1 there are. Where they were counted and some lie outside, the most that
    /// there can be: what is missing and what is beyond are then the least that is wrong.
    pub fn within(&self, rows: u64) -> u64 {
        match self {
            Self::Counted { distinct, least, most } => {
                let beyond = u64::try_from(*most).is_ok_and(|most| most >= rows);
                distinct.saturating_sub(u64::from(*least < 0) + u64::from(beyond)).min(rows)
            }
            Self::Read(runs) => runs.within(rows),
        }
    }

    /// Takes in those of another part of the same file.
    pub(super) fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Read(runs), Self::Read(more)) => runs.merge(more),
            // A query groups by itself and answers each file once.
            (Self::Counted { distinct, least, most }, Self::Counted { distinct: d, least: l, most: m }) => {
                (*distinct, *least, *most) = ((*distinct).max(d), (*least).min(l), (*most).max(m));
            }
            (Self::Counted { .. }, Self::Read(_)) | (Self::Read(_), Self::Counted { .. }) => {}
        }
    }
}

/// Numbers as runs of consecutive ones: a file that is read in order is one run, whatever its length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runs(Vec<(i64, i64)>);

impl Runs {
    /// Adds a number, in any order, any number of times.
    pub fn add(&mut self, number: i64) {
        match self.0.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => self.0.push((number, number)),
        }
        if self.0.len() > LOOSE_RUNS_MAX && self.0.len().is_power_of_two() {
            self.put_in_order();
        }
    }

    /// In ascending order, none touching the next.
    pub fn in_order(mut self) -> Self {
        self.put_in_order();
        self
    }

    fn put_in_order(&mut self) {
        self.0.sort_unstable();
        let mut ordered: Vec<(i64, i64)> = Vec::with_capacity(self.0.len().min(LOOSE_RUNS_MAX));
        for (first, last) in self.0.drain(..) {
            match ordered.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => ordered.push((first, last)),
            }
        }
        self.0 = ordered;
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.put_in_order();
    }

    /// How many of the numbers 0 to `rows` - 1 there are. The runs must be in order.
    fn within(&self, rows: u64) -> u64 {
        let end = i64::try_from(rows).unwrap_or(i64::MAX);
        let lengths = self.0.iter().map(|(first, last)| {
            let length = (*last).min(end - 1).saturating_sub((*first).max(0)).saturating_add(1);
            u64::try_from(length).unwrap_or(0)
        });
        lengths.sum()
    }
}
