//! The Parquet object that one batch becomes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::plan::ColumnPlan;
use crate::domain::summary::CommitSpan;
use crate::domain::treatment::ChangedValues;

/// A finished Parquet file in the spool directory. Dropping it deletes the file.
#[derive(Debug)]
pub struct Body {
    path: PathBuf,
    size_bytes: u64,
    rows: u64,
    plan: ColumnPlan,
    changed: Vec<ChangedValues>,
    commits: BTreeMap<usize, CommitSpan>,
}

impl Body {
    /// Takes over a finished spool file with the columns of `plan`, then lineage.
    pub fn new(path: PathBuf, size_bytes: u64, rows: u64, plan: ColumnPlan) -> Self {
        Self { path, size_bytes, rows, plan, changed: Vec::new(), commits: BTreeMap::new() }
    }

    /// The same body, of which it is told which values are not as they were.
    pub(super) fn with_changed(mut self, changed: Vec<ChangedValues>) -> Self {
        self.changed = changed;
        self
    }

    /// The same body, of which it is told when the changes in each file were committed.
    pub(super) fn with_commits(mut self, commits: BTreeMap<usize, CommitSpan>) -> Self {
        self.commits = commits;
        self
    }

    /// The commit times in the change files, by their places in the batch; files without any are left out.
    pub fn commits(&self) -> &BTreeMap<usize, CommitSpan> {
        &self.commits
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its columns, without lineage.
    pub fn plan(&self) -> &ColumnPlan {
        &self.plan
    }

    /// How many values of which columns are not as they were at the source.
    pub fn changed(&self) -> &[ChangedValues] {
        &self.changed
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A file that stays is removed when the process next starts; there is nothing better to do here.
        let _ = std::fs::remove_file(&self.path);
    }
}
