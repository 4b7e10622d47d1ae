//! What the mapping says of a table's columns, beyond what the files say themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::batch::hex;

/// Raised whenever the same file would become other rows than before.
const VERSION: &str = "1";

/// The names of DMS's own columns, and which of the table's columns are instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRules {
    /// The operation column; DMS always calls it `Op`.
    pub op: Arc<str>,
    /// The column of the commit time (`TimestampColumnName`), if the task writes one.
    pub timestamp: Option<Arc<str>>,
    /// The column made of `$AR_H_CHANGE_SEQ`, if the task writes one.
    pub sequence: Option<Arc<str>>,
    /// Columns whose values are moments in UTC (MySQL TIMESTAMP) and not what a wall clock showed (MySQL DATETIME).
    /// The file cannot tell them apart.
    pub instants: BTreeSet<String>,
}

impl ColumnRules {
    /// A hash of the rules: with a manifest it decides every row (Invariants I-2 and I-3b).
    pub fn hash(&self) -> String {
        let optional = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
        let mut parts = vec![
            VERSION.to_owned(),
            self.op.to_string(),
            optional(&self.timestamp),
            optional(&self.sequence),
        ];
        parts.extend(self.instants.iter().cloned());
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let mut text = hex(&hasher.finalize());
        text.truncate(32);
        text
    }
}
