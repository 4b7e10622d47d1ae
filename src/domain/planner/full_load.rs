//! Jobs for full loads: a share of their own, and what changes leave. They never take a job that changes need.

use std::time::Duration;

use super::{Carrier, Planner};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

/// Where the project's bucket holds more than this share of what it can hold, nothing of changes waits for jobs: they are shared out by
/// what it holds above its half.
const SPARE_ABOVE: f64 = 0.75;

/// A job that a full load may use, and of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Of the budget of full loads.
    Own,
    /// Of what changes do not need.
    Spare,
}

impl Planner {
    /// Takes a job for a batch of full loads, of their own budget or of what changes do not need. Else says how long to wait.
    pub fn full_load(&mut self, now: Instant) -> Result<Granted, Duration> {
        if self.refused_until(now).is_none() {
            if self.full_loads.held(now) >= 1.0 {
                self.full_loads.spend(now);
                return Ok(Granted::Own);
            }
            if self.project.held(now) > self.project.capacity() * SPARE_ABOVE {
                self.project.spend(now);
                return Ok(Granted::Spare);
            }
        }
        let refused = self.refused_until(now).map_or(Duration::ZERO, |until| now.until(until));
        Err(self.full_loads.until_held(1.0, now).max(refused))
    }

    /// A job that was granted was not used.
    pub fn full_load_unused(&mut self, granted: Granted, now: Instant) {
        match granted {
            Granted::Own => self.full_loads.give_back(now),
            Granted::Spare => self.project.give_back(now),
        }
    }

    /// An attempt of a batch of full loads was begun. One that was granted before has its job; any other is of their budget, too: a further one,
    /// one of a part of a batch, one that was to go by a stream.
    pub fn attempted_full_load(
        &mut self,
        table: &TableId,
        carrier: Option<Carrier>,
        is_granted: bool,
        at: Instant,
    ) {
        if carrier == Some(Carrier::StorageWrite) {
            return self.attempted(table, carrier, at);
        }
        if !is_granted {
            self.full_loads.spend(at);
        }
        self.project.count(at);
        if let Some(table) = self.tables.get_mut(table) {
            table.budget.take(at);
        }
    }
}
