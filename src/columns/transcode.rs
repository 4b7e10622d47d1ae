//! The files of a batch into one Parquet object: the union of their columns, then lineage.
//!
//! The rows, their order and their values depend on the batch and its files alone (Invariant I-3b): no clock, no
//! chance.

// A failure ends its build: what its size costs is nothing beside it.
#![allow(clippy::result_large_err)]

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::Type as Physical;

use super::body::Body;
use super::chunks::{Way, Weaver};
use super::footer::{Footer, Leaf};
use super::layout::{Layout, Run, groups};
use super::limits::shown;
use super::output::Output;
use super::plan::ColumnPlan;
use super::reading::{Part, Reading, chunk_of};
use super::rules::ColumnRules;
use super::spelling::Spelling;
use super::synthesised::{write_constant, write_files, write_rows};
use super::target::{Target, schema};
use super::treated::{Treated, Treating};
use super::types::ColumnType;
use super::values::{Step, push};
use super::{labels, lineage};
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::lineage::RESCUED;
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
    /// Nothing is wrong with a file, but these columns of the plan are JSON and do not hold all its values exactly: they are to be
    /// text.
    pub inexact: BTreeSet<Arc<str>>,
}

impl From<Fault> for BuildFailure {
    fn from(fault: Fault) -> Self {
        Self { file: None, fault, inexact: BTreeSet::new() }
    }
}

impl BuildFailure {
    /// What is wrong with this file.
    pub(super) fn of_file(file: &FileId, fault: Fault) -> Self {
        Self { file: Some(file.clone()), ..fault.into() }
    }

    fn inexact(columns: BTreeSet<Arc<str>>) -> Self {
        let names: Vec<_> = columns.iter().map(|name| shown(name)).collect();
        let text = format!("JSON does not hold every value exactly of {}", names.join(", "));
        Self { inexact: columns, ..Fault::new(FaultKind::Internal, text).into() }
    }
}

/// Writes all rows of `inputs`, which are the batch's files in the manifest's order, into a Parquet file at `path`,
/// with the columns of `plan` and lineage. On failure nothing stays at `path`; columns of JSON that do not hold all their values
/// exactly are one. `wanted` is asked before every page that is read: once it says no, the work ends.
pub fn build(
    layout: &Layout,
    batch: &Batch,
    plan: &ColumnPlan,
    rules: &ColumnRules,
    inputs: &[Input],
    path: PathBuf,
    wanted: &dyn Fn() -> bool,
) -> Result<Body, BuildFailure> {
    check_inputs(batch, rules, inputs)?;
    let columns = own_columns(plan, inputs)?;
    let targets: Vec<_> = columns.iter().map(|column| column.target).collect();
    let output = Output::create(path, schema(plan, &targets)?)?;
    let mut weaver = Weaver::new(output, Reading::new(inputs.len(), wanted), *layout)?;
    for runs in groups(inputs, layout) {
        for column in &columns {
            if column.name == RESCUED {
                weaver.write_rescued(inputs, &runs)?;
                continue;
            }
            let leaf = |input: usize| column.leaves.get(input).copied().flatten();
            let parts = parts(inputs, &runs, leaf, |leaf, input| way(leaf, input, column, rules))?;
            weaver.write(column.name, column.target.kind == ColumnType::Bool, &parts)?;
        }
        write_lineage(batch, inputs, &runs, &mut weaver)?;
        weaver.output.end_group(runs.iter().map(|run| run.rows).sum())?;
    }
    if !weaver.inexact.is_empty() {
        return Err(BuildFailure::inexact(weaver.inexact));
    }
    let (changed, commits) = (weaver.changes(), std::mem::take(&mut weaver.commits));
    let body = weaver.output.finish(batch.manifest.rows(), plan.clone(), labels::of_batch(batch))?;
    Ok(body.with_changed(changed).with_commits(commits))
}

/// How a file's column becomes one of the body.
fn way<'a>(
    leaf: Leaf,
    input: &Input,
    column: &Column<'_>,
    rules: &'a ColumnRules,
) -> Result<Way<'a>, String> {
    if leaf.treated == Treated::Own {
        let (physical, bytes) = physical(input, leaf);
        return Step::of(leaf.stored, physical, bytes, column.target).map(Way::Own);
    }
    treating(leaf, input, column.target, rules).map(Way::Treated)
}

/// How values that do not stay what they are become those of `target`.
pub(super) fn treating<'a>(
    leaf: Leaf,
    input: &Input,
    target: Target,
    rules: &'a ColumnRules,
) -> Result<Treating<'a>, String> {
    let (physical, bytes) = physical(input, leaf);
    let Leaf { position, stored, treated, .. } = leaf;
    let step = match treated {
        Treated::Own | Treated::Judged { .. } => Step::of(stored, physical, bytes, target)?,
        Treated::Spelled | Treated::Masked(_) => Step::Same,
    };
    let instant = input.footer.column(position).is_some_and(|column| rules.is_instant(column.name()));
    let spelling = Spelling { stored, physical, bytes, instant };
    Ok(Treating { treated, spelling, step, to: target.kind, key: rules.mask_key.as_ref() })
}

/// One of the table's own columns.
struct Column<'a> {
    name: &'a str,
    target: Target,
    /// Where it is in each file, if the file has it.
    leaves: Vec<Option<Leaf>>,
}

/// The columns of the plan, and where they are. Invariant I-3b: none of a file's own columns is left out.
fn own_columns<'a>(plan: &'a ColumnPlan, inputs: &[Input]) -> Result<Vec<Column<'a>>, BuildFailure> {
    let mut leaves: Vec<Vec<Option<Leaf>>> = vec![Vec::with_capacity(inputs.len()); plan.columns().len()];
    for input in inputs {
        let parts = input.footer.columns();
        let names = input.footer.places().iter().map(|(name, _)| &**name);
        let rescued = names.clone().filter(|name| *name == RESCUED).count();
        let by_name: HashMap<&str, Leaf> = names.zip(parts.own.iter().copied()).collect();
        // They all go into one column.
        let mut placed = rescued.saturating_sub(1);
        for ((name, _), leaves) in plan.columns().iter().zip(&mut leaves) {
            let leaf = by_name.get(&**name).copied();
            placed += usize::from(leaf.is_some());
            leaves.push(leaf);
        }
        if placed != parts.own.len() {
            let text =
                format!("the batch's plan lacks {} columns of {}", parts.own.len() - placed, input.file);
            let fault = Fault::new(FaultKind::Internal, text);
            return Err(BuildFailure::of_file(&input.file, fault));
        }
    }
    let columns = plan.columns().iter().zip(leaves).map(|((name, kind), leaves)| {
        let own = |leaf: &Option<Leaf>| leaf.is_none_or(|leaf| leaf.treated == Treated::Own);
        let stored = inputs.iter().zip(&leaves).filter_map(|(input, leaf)| {
            let leaf = (*leaf)?;
            let (physical, bytes) = physical(input, leaf);
            Some((leaf.stored, physical, bytes))
        });
        // What becomes another value anywhere is stored as its type is.
        let target = if leaves.iter().all(own) { Target::of_files(*kind, stored) } else { Target::of(*kind) };
        Column { name, target, leaves }
    });
    Ok(columns.collect())
}

/// The physical type of a column, and the bytes of each value where that is fixed.
fn physical(input: &Input, leaf: Leaf) -> (Physical, usize) {
    let Some(column) = input.footer.column(leaf.position) else { return (Physical::BYTE_ARRAY, 0) };
    (column.physical_type(), usize::try_from(column.type_length()).unwrap_or(0))
}

/// The chunks of a column in these row groups, and the way of each.
fn parts<'a, 'b>(
    inputs: &'a [Input],
    runs: &[Run],
    leaf: impl Fn(usize) -> Option<Leaf>,
    way: impl Fn(Leaf, &Input) -> Result<Way<'b>, String>,
) -> Result<Vec<(Part<'a>, Way<'b>)>, BuildFailure> {
    let part = |run: &Run| {
        let input =
            inputs.get(run.input).ok_or_else(|| Fault::new(FaultKind::Internal, "a run of no file"))?;
        let Some(leaf) = leaf(run.input) else {
            let part = Part { input, place: run.input, rows: run.rows, chunk: None, lob_bytes: None };
            return Ok((part, Way::Own(Step::Same)));
        };
        let chunk = Some(chunk_of(input, run.group, leaf.position)?);
        let way = way(leaf, input).map_err(|text| Fault::new(FaultKind::Internal, text))?;
        let lob_bytes = leaf.lob_bytes.filter(|_| physical(input, leaf).0 == Physical::BYTE_ARRAY);
        Ok((Part { input, place: run.input, rows: run.rows, chunk, lob_bytes }, way))
    };
    runs.iter().map(part).collect()
}

fn write_lineage(
    batch: &Batch,
    inputs: &[Input],
    runs: &[Run],
    weaver: &mut Weaver<'_>,
) -> Result<(), BuildFailure> {
    let footer = |input: usize| inputs.get(input).map(|input| input.footer.columns());
    let ops = parts(inputs, runs, |input| footer(input)?.op, |_, _| Ok(Way::Own(Step::Text)))?;
    let ops: Vec<_> = ops.into_iter().map(|(part, _)| part).collect();
    weaver.write_operations(lineage::OP, &ops)?;
    let times =
        parts(inputs, runs, |input| footer(input)?.timestamp, |leaf, _| Ok(Way::CommitTime(leaf.stored)))?;
    weaver.write(lineage::COMMITTED_AT, false, &times)?;
    let sequences = parts(inputs, runs, |input| footer(input)?.sequence, |_, _| Ok(Way::Sequence))?;
    weaver.write(lineage::CHANGE_SEQ, false, &sequences)?;
    let rows = runs.iter().map(|run| run.rows).sum();
    let Weaver { output, press, filling, .. } = weaver;
    write_files(press, output, inputs, runs)?;
    write_rows(press, output, filling, runs)?;
    let mut id = Vec::new();
    push(batch.id.as_str().as_bytes(), &mut id);
    write_constant(press, output, &id, rows)?;
    write_constant(press, output, &batch.claimed_at.micros().to_le_bytes(), rows)?;
    Ok(())
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
            return Err(BuildFailure::of_file(&input.file, Fault::new(FaultKind::Unreadable, text)));
        }
    }
    Ok(())
}
