//! Writes the tables' status into the warehouse, once in each slot of time, where the planner grants it.
//!
//! Loads come first: nothing here holds anything that they need, and a failure is told, counted and tried again in the next slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::console::TreeConsole;
use crate::actors::world::World;
use crate::config::types::StatusTable as Settings;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::table_status::{TABLE, TableStatus, job_id, slot};
use crate::messages::planner::GrantStatus;
use crate::telemetry::events::{StatusPutOff, StatusUnwritten, StatusWritten};
use crate::warehouse::status::{Status, StatusTable, Written};
use crate::web::console::{Console, TableView, name_of};

/// How often it is looked whether something is due, and asked again whether it is granted.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long the planner may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Ends with the process, or when it is dropped.
pub struct StatusWriter(AbortHandle);

impl Drop for StatusWriter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who writes, and where.
pub(super) struct Writer {
    pub(super) settings: Settings,
    pub(super) ledger: String,
    pub(super) table: Arc<dyn StatusTable>,
    pub(super) console: Arc<TreeConsole>,
    pub(super) world: Arc<World>,
}

impl Writer {
    /// Starts writing.
    pub(super) fn start(self) -> StatusWriter {
        let task = tokio::spawn(async move {
            let mut done = None;
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                let slot = slot(self.world.ports.clock.now(), self.settings.every);
                if done != Some(slot) && self.is_granted(slot).await {
                    self.write(slot).await;
                    done = Some(slot);
                }
            }
        });
        StatusWriter(task.abort_handle())
    }

    /// A warehouse without quotas has no planner.
    async fn is_granted(&self, slot: Instant) -> bool {
        if self.world.quotas.is_none() {
            return true;
        }
        let Some(planner) = self.world.directory.planner() else { return false };
        let granted = planner
            .send(GrantStatus { job: self.job_id(slot) })
            .timeout(ANSWER_TIMEOUT)
            .await
            .unwrap_or(false);
        if !granted {
            StatusPutOff.emit();
        }
        granted
    }

    fn job_id(&self, slot: Instant) -> String {
        job_id(&self.settings.dataset, &self.ledger, slot)
    }

    async fn write(&self, slot: Instant) {
        let overview = match self.console.overview().await {
            Ok(overview) => overview,
            Err(refusal) => return StatusUnwritten { error: &refusal.error, remedy: &refusal.remedy }.emit(),
        };
        let rows = overview.tables.iter().map(|view| self.row(view, overview.at));
        let status = Status {
            dataset: Arc::clone(&self.settings.dataset),
            job_id: self.job_id(slot),
            rows: rows.collect(),
        };
        match self.table.write(&status).await {
            Ok(written) => {
                let by_another = written == Written::ByAnother;
                StatusWritten { dataset: &status.dataset, table: TABLE, rows: status.rows.len(), by_another }
                    .emit();
            }
            Err(fault) => {
                StatusUnwritten { error: &fault.chain(), remedy: fault.kind.remedy() }.emit();
            }
        }
    }

    fn row(&self, view: &TableView, now: Instant) -> TableStatus {
        let id = TableId {
            cluster: Arc::clone(&view.cluster),
            schema: Arc::clone(&view.schema),
            table: Arc::clone(&view.table),
        };
        let destination =
            self.world.tables.get(&id).map(|setup| setup.destination.clone()).unwrap_or_default();
        TableStatus {
            cluster: id.cluster,
            source_table: format!("{}.{}", id.schema, id.table),
            dataset: destination.dataset,
            table: destination.table,
            watermark: view.commits.watermark.map(Instant::rfc3339),
            last_commit_at: view.commits.last_at.map(Instant::rfc3339),
            last_loaded_at: view.last_load_at.map(Instant::rfc3339),
            rows_today: view.rows_today,
            files_today: view.files_today,
            files_waiting: view.pending.files(),
            files_poison: view.poison,
            files_lost: view.vanished.saturating_add(view.discarded),
            mode: name_of(&view.mode),
            lag_seconds: view.commits.watermark.map(|at| now.since(at).as_secs_f64()),
            written_at: now.rfc3339(),
        }
    }
}
