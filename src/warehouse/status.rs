//! The port to the warehouse's own table of the tables' status. It is no part of the protocol of loads: a row that is lost
//! is written again.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::fault::Fault;
use crate::domain::table_status::TableStatus;

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The dataset of the table.
    pub dataset: Arc<str>,
    /// The job's id, where the warehouse has jobs: who comes second under it writes nothing.
    pub job_id: String,
    /// A row a table.
    pub rows: Vec<TableStatus>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The table has these rows, and no others.
    Now,
    /// A job of this id is there already.
    ByAnother,
}

/// A warehouse that shows the tables' status.
#[async_trait]
pub trait StatusTable: Send + Sync + 'static {
    /// Replaces what is there by the rows, all or nothing.
    async fn write(&self, status: &Status) -> Result<Written, Fault>;
}

/// The rows as lines of JSON.
pub(super) fn lines(status: &Status) -> Result<Vec<u8>, Fault> {
    let mut lines = Vec::new();
    for row in &status.rows {
        serde_json::to_writer(&mut lines, row).map_err(|error| {
            Fault::from_error(
                crate::domain::fault::FaultKind::Internal,
                "cannot write a row of the status",
                error,
            )
        })?;
        lines.push(b'\n');
    }
    Ok(lines)
}
