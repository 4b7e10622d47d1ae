//! One row a table of what an operator or an analyst wants to know, for the warehouse's own table of it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use sha2::{Digest, Sha256};

use super::batch::hex;
use super::instant::Instant;

/// The name of the table.
pub const TABLE: &str = "table_status";

/// A row. Times are RFC 3339 in UTC, as BigQuery reads a TIMESTAMP from JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableStatus {
    /// The cluster.
    pub cluster: Arc<str>,
    /// `schema.table` at the source.
    pub source_table: String,
    /// The destination's dataset.
    pub dataset: Arc<str>,
    /// The destination's table.
    pub table: Arc<str>,
    /// Everything committed at the source before is in the table, as far as it was announced.
    pub watermark: Option<String>,
    /// The latest commit time in what is loaded.
    pub last_commit_at: Option<String>,
    /// When something was loaded last.
    pub last_loaded_at: Option<String>,
    /// Rows loaded since midnight UTC.
    pub rows_today: u64,
    /// Files loaded since midnight UTC.
    pub files_today: u64,
    /// Files that are announced and not loaded.
    pub files_waiting: u64,
    /// Files that are never loaded, as they are.
    pub files_poison: u64,
    /// Files that are lost to the table: gone before they were read, or given up by a person.
    pub files_lost: u64,
    /// `running`, `paused`, `held` or `quarantined`.
    pub mode: &'static str,
    /// From the watermark until `written_at`, in seconds.
    pub lag_seconds: Option<f64>,
    /// When this was so.
    pub written_at: String,
}

/// Its columns and their types in BigQuery, in their order.
pub const COLUMNS: [(&str, &str); 15] = [
    ("cluster", "STRING"),
    ("source_table", "STRING"),
    ("dataset", "STRING"),
    ("table", "STRING"),
    ("watermark", "TIMESTAMP"),
    ("last_commit_at", "TIMESTAMP"),
    ("last_loaded_at", "TIMESTAMP"),
    ("rows_today", "INTEGER"),
    ("files_today", "INTEGER"),
    ("files_waiting", "INTEGER"),
    ("files_poison", "INTEGER"),
    ("files_lost", "INTEGER"),
    ("mode", "STRING"),
    ("lag_seconds", "FLOAT"),
    ("written_at", "TIMESTAMP"),
];

/// The slot of time that `now` is in: of all processes only one writes in it.
pub fn slot(now: Instant, every: Duration) -> Instant {
    let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
    Instant::from_micros(now.micros() - now.micros().rem_euclid(every))
}

/// The job that writes in a slot: one id for all processes on one ledger, and other ids for another's. It does not begin as loads' do.
pub fn job_id(dataset: &str, ledger: &str, slot: Instant) -> String {
    let mut hasher = Sha256::new();
    for part in [ledger, dataset] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hash = hex(&hasher.finalize());
    hash.truncate(16);
    format!("landbridge_status_{}_{hash}", slot.compact())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_job_of_each_ledger() {
        let every = Duration::from_secs(300);
        let at = |seconds: i64| Instant::from_micros(1_763_856_000_000_000 + seconds * 1_000_000);
        assert_eq!(slot(at(299), every), at(0));
        assert_eq!(slot(at(300), every), at(300));
        let id = job_id("landbridge", "ledger", slot(at(299), every));
        assert_eq!(id, job_id("landbridge", "ledger", slot(at(1), every)));
        assert_ne!(id, job_id("landbridge", "other", at(0)));
        assert_ne!(id, job_id("landbridge", "ledger", at(300)));
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !id.starts_with("lb_"), "{id}");
    }

    #[test]
    fn a_row_has_the_columns_of_the_table() {
        let row = TableStatus {
            cluster: "a".into(),
            source_table: "s.t".into(),
            dataset: "d".into(),
            table: "t".into(),
            watermark: None,
            last_commit_at: None,
            last_loaded_at: None,
            rows_today: 0,
            files_today: 0,
            files_waiting: 0,
            files_poison: 0,
            files_lost: 0,
            mode: "running",
            lag_seconds: None,
            written_at: Instant::from_micros(0).rfc3339(),
        };
        let row = serde_json::to_value(&row).unwrap();
        let names: std::collections::BTreeSet<_> =
            row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, COLUMNS.iter().map(|(name, _)| *name).collect());
    }
}
