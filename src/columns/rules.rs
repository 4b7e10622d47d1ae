//! How the columns of a table's files are read: what the mapping says of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::batch::hex;

/// Raised whenever the same file would become other rows than before.
const VERSION: &str = "1";

/// The rules of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRules {
    /// The name of DMS's operation column.
    pub op: Arc<str>,
    /// The name of DMS's timestamp column.
    pub timestamp: Option<Arc<str>>,
    /// The name of the column made of `$AR_H_CHANGE_SEQ`.
    pub sequence: Option<Arc<str>>,
    /// Columns whose values are instants.
    pub instants: BTreeSet<String>,
}

impl ColumnRules {
    /// A hash of the rules: with a manifest it decides every row (Invariants I-2 and I-3b).
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let optional = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned).unwrap_or_default();
        let mut parts = vec![
            VERSION.to_owned(),
            self.op.to_string(),
            optional(&self.timestamp),
            optional(&self.sequence),
        ];
        parts.extend(self.instants.iter().cloned());
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let mut text = hex(&hasher.finalize());
        text.truncate(32);
        text
    }

    /// True when `name` is a column that DMS added and that becomes lineage.
    pub fn is_lineage(&self, name: &str) -> bool {
        let is = |column: &Option<Arc<str>>| column.as_deref() == Some(name);
        *self.op == *name || is(&self.timestamp) || is(&self.sequence)
    }
}
