//! A batch whose rows go by a stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Performer;
use crate::columns::body::Body;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::delivery::Event;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::job::JobStatus;
use crate::domain::watchdog::Edge;
use crate::flow::pulse;
use crate::telemetry::events;

/// How often a stream is tried to be made for rows with JSON, and the wait between.
const JSON_TRIES: usize = 4;
const JSON_WAIT: Duration = Duration::from_secs(3);

impl Performer {
    /// True where the rows of its table go by streams now.
    pub(super) fn goes_by_streams(&self) -> bool {
        self.setup.carrier.streams(self.world.streams_are_free.load(Ordering::Relaxed))
    }

    /// Makes the stream of the next attempt, if it can go by one. It is there before the ledger names it, and the ledger names it
    /// before anything is in it: what is made and not named is never written to.
    pub(super) async fn open_stream(&self, destination: &Destination) -> Option<Arc<str>> {
        let body = &self.body.as_ref()?.body;
        let mut opened = self.try_to_open(destination, body).await;
        for _ in 1..JSON_TRIES {
            // By a load job its JSON would be text for good: worth another try, which a table that was made just now may need.
            let may_pass = opened
                .as_ref()
                .is_err_and(|fault| matches!(fault.kind, FaultKind::Unavailable | FaultKind::Throttled));
            if !(body.plan().has_json() && may_pass) {
                break;
            }
            pulse::waiting("another try to make a stream", tokio::time::sleep(JSON_WAIT)).await;
            opened = self.try_to_open(destination, body).await;
        }
        match opened {
            Ok(stream) => {
                if stream.is_none() {
                    events::StreamUnfit { table: &self.table }.emit();
                }
                stream
            }
            // Nothing is claimed yet, or the attempt before is known to have failed: a load job is as good, and says what is wrong.
            Err(fault) => {
                events::StreamNotMade { table: &self.table, fault: &fault }.emit();
                None
            }
        }
    }

    async fn try_to_open(&self, destination: &Destination, body: &Body) -> Result<Option<Arc<str>>, Fault> {
        pulse::working(Edge::Warehouse, "making a stream");
        let opened = self.world.ports.warehouse.open_stream(destination, body);
        let opened = self.world.heard(Edge::Warehouse, opened).await;
        self.tell_stream(&opened);
        opened
    }

    pub(super) async fn commit_stream(&mut self, attempt: Attempt) -> Event {
        match self.world.ports.warehouse.commit_stream(&attempt).await {
            Ok(status) => {
                if let JobStatus::Failed { kind, reason } = &status {
                    let (table, job) = (&self.table, &attempt.job_id);
                    events::JobFailed { table, job, kind: *kind, reason }.emit();
                    self.job_failed = Some(*kind);
                }
                Event::Status(status)
            }
            Err(fault) => {
                events::AttemptUnknown {
                    table: &self.table,
                    job: &attempt.job_id,
                    call: "commit",
                    fault: &fault,
                }
                .emit();
                Event::AskFailed
            }
        }
    }
}
