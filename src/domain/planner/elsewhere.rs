//! What others use of the same quotas: other processes on this ledger, which plan as this one does, and whoever else loads into
//! the project.
//!
//! Every planner counts what all use, and of others it learns late: from the ledger within half a minute, from the warehouse's list within
//! minutes. So each holds its part of the bucket alone, and hands out its part of the refill: what others do not use, but never
//! less than an equal part. All that are busy have equal parts then, and one that is alone in having something to load has all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Budget, ListedJob, Planner, Submitted};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

/// Over what time it is looked how much other processes use, and others who load into the project: these are heard of less often.
pub(super) const PEERS_SPAN: Duration = Duration::from_secs(900);
pub(super) const STRANGERS_SPAN: Duration = Duration::from_secs(3_600);

impl Planner {
    /// So many processes plan on this ledger at present, this one among them.
    pub fn members(&mut self, members: u32, now: Instant) {
        let members = members.max(1);
        if std::mem::replace(&mut self.members, members) == members {
            return;
        }
        self.project.among(members, now);
        self.streams.among(members, now);
        self.tables.values_mut().for_each(|table| table.budget.among(members, now));
        // Of which lane the attempts of others are nobody tells: each has its part for itself.
        self.full_loads.resize(self.quotas.full_loads() / f64::from(members), now);
        self.shared_at = None;
    }

    /// How many plan on this ledger, as far as is known.
    pub fn member_count(&self) -> u32 {
        self.members
    }

    /// Attempts that other processes on this ledger have begun, of which it is learned only now.
    pub fn attempted_by_peers(&mut self, attempts: &[Submitted], now: Instant) {
        let streamed = |one: &&Submitted| self.streams(&one.table, one.carrier);
        let (streams, jobs): (Vec<_>, Vec<_>) = attempts.iter().partition(streamed);
        let times = |of: &[&Submitted]| of.iter().map(|one| one.at).collect::<Vec<_>>();
        self.streams.take_late(&times(&streams), now);
        self.project.take_late(&times(&jobs), now);
        self.peers.take_late(&times(&jobs), now);
        self.take_of_tables(jobs.iter().map(|one| (&one.table, one.at)), now);
    }

    /// Load jobs that are no attempts of this ledger, of which it is learned only now.
    pub fn listed(&mut self, jobs: &[ListedJob], now: Instant) {
        let all: Vec<_> = jobs.iter().map(|job| job.at).collect();
        self.project.take_late(&all, now);
        self.strangers.take_late(&all, now);
        self.foreign.take_late(&all, now);
        self.take_of_tables(jobs.iter().filter_map(|job| Some((job.table.as_ref()?, job.at))), now);
    }

    fn take_of_tables<'a>(&mut self, jobs: impl Iterator<Item = (&'a TableId, Instant)>, now: Instant) {
        let mut of: BTreeMap<&TableId, Vec<Instant>> = BTreeMap::new();
        jobs.for_each(|(table, at)| of.entry(table).or_default().push(at));
        for (table, times) in of {
            if let Some(table) = self.tables.get_mut(table) {
                table.budget.take_late(&times, now);
            }
        }
    }

    /// Jobs of the last 24 hours that are no attempts of this ledger.
    pub fn used_by_strangers(&self, now: Instant) -> u64 {
        self.foreign.used(now)
    }

    /// Jobs in a second that this planner may hand out, with nothing saved and nothing lacking.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let rate = |budget: &Budget, span: Duration| budget.used(now) as f64 / span.as_secs_f64();
        let ours = (self.project.per_second() - rate(&self.strangers, STRANGERS_SPAN)).max(0.0);
        let members = f64::from(self.members);
        (ours / members).max(ours - rate(&self.peers, PEERS_SPAN))
    }
}

#[cfg(test)]
mod tests;
