//! How long each stage of a batch took, from the commit at the source to the ledger's word that it is loaded.

use tokio::time::Instant as Clock;

use crate::domain::batch::Batch;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::telemetry::events;

/// When a file was where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Its event, as far as an announcement told it.
    pub(super) event: Option<Instant>,
    /// When the bucket says that the object was written.
    pub(super) written: Option<Instant>,
    /// When it was open, and its footer read.
    pub(super) fetched: Instant,
}

/// When each stage began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stages {
    begun_at: Instant,
    begun: Clock,
    built: Option<Clock>,
    submitted: Option<Clock>,
}

impl Stages {
    pub(super) fn begin(now: Instant) -> Self {
        Self { begun_at: now, begun: Clock::now(), built: None, submitted: None }
    }

    /// Since the delivery began.
    pub(super) fn took(&self) -> std::time::Duration {
        self.begun.elapsed()
    }

    pub(super) fn built(&mut self) {
        self.built = Some(Clock::now());
    }

    pub(super) fn submitted(&mut self) {
        self.submitted = Some(Clock::now());
    }

    /// Tells them of a batch that is loaded, as far as this process has gone through them. `arrivals` are its files', where it was
    /// built of files that were fetched for it.
    pub(super) fn tell(&self, table: &TableId, batch: &Batch, arrivals: &[Arrival]) {
        let told = |stage, seconds| events::StageTook { table, stage, seconds }.emit();
        for (stage, seconds) in before(batch, arrivals, self.begun_at) {
            told(stage, seconds);
        }
        let mut since = self.begun;
        for (stage, at) in [("building", self.built), ("submitting", self.submitted)] {
            if let Some(at) = at {
                told(stage, at.duration_since(since).as_secs_f64());
                since = at;
            }
        }
        told("loading", since.elapsed().as_secs_f64());
    }
}

/// The stages before a delivery began, of the file with the oldest event. Each goes from the last moment that is known to its own, so
/// that together they are the whole time: what is not known is a part of the next.
fn before(batch: &Batch, arrivals: &[Arrival], begun: Instant) -> Vec<(&'static str, f64)> {
    let oldest = arrivals.iter().min_by_key(|arrival| arrival.event.unwrap_or(arrival.fetched));
    let announced = batch.events.map(|events| events.oldest);
    let moments = [
        ("writing", oldest.and_then(|oldest| oldest.written)),
        ("announcing", oldest.and_then(|oldest| oldest.event).or(announced)),
        ("fetching", oldest.map(|oldest| oldest.fetched)),
        ("waiting", Some(begun)),
    ];
    let mut last = batch.commits.map(|commits| commits.oldest);
    let mut stages = Vec::new();
    for (stage, at) in moments {
        let Some(at) = at else { continue };
        if let Some(last) = last {
            stages.push((stage, at.since(last).as_secs_f64()));
        }
        // Clocks differ: what was before what it follows took no time.
        last = Some(last.map_or(at, |last| last.max(at)));
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::{Destination, Manifest};
    use crate::domain::summary::{CommitSpan, EventSpan};

    const fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn batch(commits: Option<i64>, event: Option<i64>) -> Batch {
        let (table, manifest) = (TableId::new("a", "s", "t"), Manifest { entries: Vec::new() });
        let mut batch = Batch::plan(table, Destination::default(), at(100), None, manifest);
        batch.events = EventSpan::of(event.map(at));
        batch.commits = commits.map(|oldest| CommitSpan { oldest: at(oldest), newest: at(90) });
        batch
    }

    #[test]
    fn the_stages_are_the_whole_time() {
        let arrival = |event: Option<i64>, written: Option<i64>, fetched| Arrival {
            event: event.map(at),
            written: written.map(at),
            fetched: at(fetched),
        };
        let all = [arrival(Some(63), Some(61), 66), arrival(Some(50), Some(48), 55)];
        let stages = before(&batch(Some(10), Some(50)), &all, at(80));
        assert_eq!(stages, [("writing", 38.0), ("announcing", 2.0), ("fetching", 5.0), ("waiting", 25.0)]);
        // A bucket that does not tell, and a clock that is ahead.
        let stages = before(&batch(Some(10), Some(50)), &[arrival(Some(50), None, 45)], at(80));
        assert_eq!(stages, [("announcing", 40.0), ("fetching", 0.0), ("waiting", 30.0)]);
        // Without commit times it begins with the object; after a restart, with what the ledger knows.
        let stages = before(&batch(None, Some(50)), &all, at(80));
        assert_eq!(stages, [("announcing", 2.0), ("fetching", 5.0), ("waiting", 25.0)]);
        assert_eq!(
            before(&batch(Some(10), Some(50)), &[], at(80)),
            [("announcing", 40.0), ("waiting", 30.0)]
        );
        assert_eq!(before(&batch(None, None), &[], at(80)), []);
    }
}
