//! How long each stage of a batch took, from S3's event to the ledger's word that it is loaded.

use tokio::time::Instant as Clock;

use crate::domain::batch::Batch;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::telemetry::events;

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

    /// Tells them of a batch that is loaded, as far as this process has gone through them.
    pub(super) fn tell(&self, table: &TableId, batch: &Batch) {
        let told = |stage, seconds| events::StageTook { table, stage, seconds }.emit();
        if let Some(span) = batch.events {
            told("waiting", self.begun_at.since(span.oldest).as_secs_f64());
        }
        if let Some(built) = self.built {
            told("building", built.duration_since(self.begun).as_secs_f64());
            if let Some(submitted) = self.submitted {
                told("submitting", submitted.duration_since(built).as_secs_f64());
            }
        }
        if let Some(submitted) = self.submitted {
            told("loading", submitted.elapsed().as_secs_f64());
        }
    }
}
