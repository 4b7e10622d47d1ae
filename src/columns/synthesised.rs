//! Lineage that is in no file: which file and row, which batch, and when.

use super::layout::Run;
use super::output::header::{PageHeader, PageKind};
use super::output::indices::{write_dictionary, write_runs};
use super::output::pages::{Filling, Press, codec};
use super::output::{Chunk, Output};
use super::transcode::Input;
use super::values::push;
use crate::domain::fault::Fault;

/// Runs whose numbers are a page of their own: shorter ones compress better together, longer ones are more than a page.
const RUN_ROWS: std::ops::RangeInclusive<u64> = 4096..=1 << 17;
/// How many such pages are kept.
const RUNS_KEPT: usize = 16;

/// Writes a column of one value in all rows.
pub(super) fn write_constant(
    press: &mut Press,
    output: &mut Output,
    value: &[u8],
    rows: u64,
) -> Result<(), Fault> {
    let mut chunk = output.begin(codec());
    write_dictionary(press, output, &mut chunk, value, 1)?;
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    write_runs(press, output, &mut chunk, 1, std::iter::once((0, rows)))?;
    output.end(&chunk, Some(0))
}

/// Writes the file of each row.
pub(super) fn write_files(
    press: &mut Press,
    output: &mut Output,
    inputs: &[Input],
    runs: &[Run],
) -> Result<(), Fault> {
    let mut values = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(runs.len());
    let (mut count, mut last) = (0_usize, None);
    for run in runs {
        if last != Some(run.input) {
            let name = inputs.get(run.input).map(|input| input.file.source_file()).unwrap_or_default();
            push(name.as_bytes(), &mut values);
            count += 1;
            last = Some(run.input);
        }
        places.push((count - 1, usize::try_from(run.rows).unwrap_or(usize::MAX)));
    }
    let mut chunk = output.begin(codec());
    write_dictionary(press, output, &mut chunk, &values, count)?;
    write_runs(press, output, &mut chunk, count, places.into_iter())?;
    output.end(&chunk, Some(0))
}

/// Writes the number of each row in its file.
pub(super) fn write_rows(
    press: &mut Press,
    output: &mut Output,
    filling: &mut Filling,
    runs: &[Run],
) -> Result<(), Fault> {
    let mut chunk = output.begin(codec());
    filling.begin(false);
    // Files of one size repeat the same numbers: the pages of long runs are compressed once.
    let mut made: Vec<(Run, Vec<u8>)> = Vec::new();
    for run in runs {
        if !RUN_ROWS.contains(&run.rows) {
            count(press, output, filling, &mut chunk, run)?;
            continue;
        }
        filling.write(press, output, &mut chunk)?;
        let values = usize::try_from(run.rows).unwrap_or(0);
        let header = |stored: &[u8]| PageHeader {
            kind: PageKind::Plain,
            stored_bytes: stored.len(),
            bytes: values * size_of::<u64>(),
            values,
        };
        let alike = |(other, _): &&(Run, Vec<u8>)| other.first_row == run.first_row && other.rows == run.rows;
        if let Some((_, stored)) = made.iter().find(alike) {
            output.page(&mut chunk, header(stored), stored)?;
            continue;
        }
        let page = press.page();
        (run.first_row..run.first_row.saturating_add(run.rows))
            .for_each(|row| page.extend(row.to_le_bytes()));
        let stored = press.pressed()?;
        output.page(&mut chunk, header(stored), stored)?;
        if made.len() < RUNS_KEPT {
            made.push((*run, stored.to_vec()));
        }
    }
    filling.write(press, output, &mut chunk)?;
    output.end(&chunk, Some(0))
}

/// Appends the numbers of a run to the pages that are being filled.
fn count(
    press: &mut Press,
    output: &mut Output,
    filling: &mut Filling,
    chunk: &mut Chunk,
    run: &Run,
) -> Result<(), Fault> {
    /// Numbers that are written at one time.
    const STEP: u64 = 1 << 13;
    let end = run.first_row.saturating_add(run.rows);
    let mut row = run.first_row;
    while row < end {
        let next = row.saturating_add(STEP).min(end);
        (row..next).for_each(|row| filling.values.extend(row.to_le_bytes()));
        filling.levels.push_run(true, usize::try_from(next - row).unwrap_or(0));
        row = next;
        if filling.is_full() {
            filling.write(press, output, chunk)?;
        }
    }
    Ok(())
}
