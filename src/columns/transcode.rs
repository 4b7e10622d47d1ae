//! The files of a batch into one Parquet object: the union of their columns, then lineage.
//!
//! The rows, their order and their values depend on the batch and its files alone (Invariant I-3b): no clock, no
//! chance.

// A failure ends its build: what its size costs is nothing beside it.
#![allow(clippy::result_large_err)]

use std::path::PathBuf;
use std::sync::Arc;

use super::body::Body;
use super::footer::Footer;
use super::labels;
use super::plan::ColumnPlan;
use super::rows::{FileRows, Frame};
use super::rules::ColumnRules;
use super::spool::Spool;
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

/// One file of a batch, fetched.
#[derive(Clone, Debug)]
pub struct Input {
    /// The file.
    pub file: FileId,
    /// Its bytes.
    pub object: Arc<dyn Object>,
    /// Its footer.
    pub footer: Footer,
}

/// Why a body was not built.
#[derive(Debug)]
pub struct BuildFailure {
    /// The file that is to blame, when one is.
    pub file: Option<FileId>,
    /// What went wrong.
    pub fault: Fault,
}

impl From<Fault> for BuildFailure {
    fn from(fault: Fault) -> Self {
        Self { file: None, fault }
    }
}

/// Writes all rows of `inputs`, which are the batch's files in the manifest's order, into a Parquet file at `path`,
/// with the columns of `plan` and lineage. On failure nothing stays at `path`. `wanted` is asked before every
/// run of rows that is read: once it says no, the work ends.
pub fn build(
    batch: &Batch,
    plan: &ColumnPlan,
    rules: &ColumnRules,
    inputs: &[Input],
    path: PathBuf,
    wanted: &dyn Fn() -> bool,
) -> Result<Body, BuildFailure> {
    check_inputs(batch, rules, inputs)?;
    let frame = Frame::new(batch, plan);
    let mut spool = Spool::create(path, frame.schema(), labels::of_batch(batch))?;
    for input in inputs {
        let mut rows = FileRows::new(&frame, plan, input)?;
        let mut row = 0;
        for group in 0..input.footer.row_groups().len() {
            row = rows.write_group(group, row, &mut spool, wanted)?;
        }
    }
    Ok(spool.finish(batch.manifest.rows(), plan.clone())?)
}

/// The batch's files and their rows must be the inputs' (Invariant I-3b).
fn check_inputs(batch: &Batch, rules: &ColumnRules, inputs: &[Input]) -> Result<(), BuildFailure> {
    let entries = &batch.manifest.entries;
    let other = |text: String| Fault::new(FaultKind::Internal, text);
    if entries.len() != inputs.len() {
        let text = format!("batch {} has {} files, not {}", batch.id, entries.len(), inputs.len());
        return Err(other(text).into());
    }
    for (entry, input) in entries.iter().zip(inputs) {
        if entry.file != input.file {
            let text = format!("batch {} has {} where {} is given", batch.id, entry.file, input.file);
            return Err(other(text).into());
        }
        if input.footer.rules() != rules {
            let text = format!("the mapping changed after the footer of {} was read", input.file);
            return Err(other(text).into());
        }
        if entry.rows != input.footer.rows() {
            let text = format!(
                "{} had {} rows when it was claimed and has {} now",
                input.file,
                entry.rows,
                input.footer.rows()
            );
            return Err(BuildFailure {
                file: Some(input.file.clone()),
                fault: Fault::new(FaultKind::Unreadable, text),
            });
        }
    }
    Ok(())
}
