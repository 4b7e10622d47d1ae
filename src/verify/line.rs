//! What came out for one table of the warehouse, or for all.

use std::collections::BTreeSet;

use crate::domain::audit::{Expected, Finding, FindingKind};
use crate::domain::batch::Destination;
use crate::domain::ids::TableId;
use crate::domain::transition::BatchState;
use crate::warehouse::audit::Survey;

/// One table of the warehouse.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it is; empty for what concerns no table.
    pub destination: Destination,
    /// What is loaded into it: one table, unless a mapping was changed.
    pub tables: BTreeSet<TableId>,
    /// What the warehouse said of it.
    pub survey: Survey,
    /// Loaded files.
    pub files: u64,
    /// Their rows that are there.
    pub rows: u64,
    /// Files whose batch is open, or became known after the rows were counted.
    pub in_flight: u64,
    /// Rows of loaded files that are not there.
    pub missing: u64,
    /// Rows beyond those of their file.
    pub doubled: u64,
    /// Rows that no loaded file accounts for, or with another claim time.
    pub strange: u64,
    /// Changes that DMS has written again, where they were counted. They are rows of their files, and no finding.
    pub repeats: Option<u64>,
    /// Why they could not be.
    pub uncounted: Option<String>,
    /// What contradicts the ledger's invariants.
    pub ledger: u64,
    /// All findings.
    pub findings: u64,
    /// The first of them.
    pub kept: Vec<Finding>,
    kept_max: usize,
}

impl Line {
    /// Nothing yet; keeps at most `kept_max` findings.
    pub(super) fn new(destination: Destination, kept_max: usize) -> Self {
        Self {
            destination,
            tables: BTreeSet::new(),
            survey: Survey::default(),
            files: 0,
            rows: 0,
            in_flight: 0,
            missing: 0,
            doubled: 0,
            strange: 0,
            repeats: None,
            uncounted: None,
            ledger: 0,
            findings: 0,
            kept: Vec::new(),
            kept_max,
        }
    }

    /// `cluster/schema.table`; several with commas.
    pub fn name(&self) -> String {
        if self.tables.is_empty() {
            return "(ledger)".to_owned();
        }
        self.tables.iter().map(TableId::to_string).collect::<Vec<_>>().join(",")
    }

    /// Counts a file of which so many rows are there.
    pub(super) fn count(&mut self, expected: &Expected, present: u64) {
        match expected.state {
            BatchState::Loaded => {
                self.files += 1;
                self.rows += present;
            }
            BatchState::Open | BatchState::Held => self.in_flight += 1,
            BatchState::Abandoned => {}
        }
    }

    /// Counts a finding, and keeps it if it is one of the first.
    pub(super) fn find(&mut self, finding: Finding) {
        self.findings += 1;
        let (count, by) = match finding.kind {
            FindingKind::Missing => (&mut self.missing, finding.rows),
            FindingKind::Doubled => (&mut self.doubled, finding.rows),
            FindingKind::Strange => (&mut self.strange, finding.rows),
            FindingKind::Ledger => (&mut self.ledger, 1),
        };
        *count = count.saturating_add(by);
        if self.kept.len() < self.kept_max {
            self.kept.push(finding);
        }
    }

    /// Adds another's counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.tables.extend(other.tables.iter().cloned());
        self.survey.bytes = self.survey.bytes.saturating_add(other.survey.bytes);
        self.files += other.files;
        self.rows += other.rows;
        self.in_flight += other.in_flight;
        self.missing = self.missing.saturating_add(other.missing);
        self.doubled = self.doubled.saturating_add(other.doubled);
        self.strange = self.strange.saturating_add(other.strange);
        self.repeats = match (self.repeats, other.repeats) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.ledger += other.ledger;
        self.findings += other.findings;
    }
}
