//! Reads of a file of the lake what says where its rows came from.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::columns::lineage::{BATCH_ID, CLAIMED_AT, SOURCE_FILE, SOURCE_ROW};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

/// Rows that are in memory at one time.
const ROWS_AT_ONCE: usize = 8_192;

/// Where one row came from, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage<'a> {
    /// `_source_file`
    pub file: Option<&'a str>,
    /// `_source_row`
    pub row: Option<i64>,
    /// `_batch_id`
    pub batch: Option<&'a str>,
    /// `_claimed_at`
    pub claimed_at: Option<Instant>,
}

/// Calls `visit` on every row of the Parquet file at `path`, in order. Columns that are not there, or of another type,
/// are null.
pub fn each_row(path: &Path, visit: &mut dyn FnMut(Lineage<'_>)) -> Result<(), Fault> {
    let context = || format!("cannot read {}", path.display());
    let damaged = |error| Fault::from_error(FaultKind::Unreadable, context(), error);
    let file = File::open(path).map_err(|error| Fault::from_io(context(), error))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(damaged)?;
    let names = [SOURCE_FILE, SOURCE_ROW, BATCH_ID, CLAIMED_AT];
    let columns = ProjectionMask::columns(builder.parquet_schema(), names);
    let batches = builder.with_projection(columns).with_batch_size(ROWS_AT_ONCE).build().map_err(damaged)?;
    for batch in batches {
        let batch = batch.map_err(|error| Fault::from_error(FaultKind::Unreadable, context(), error))?;
        each_of(&batch, visit);
    }
    Ok(())
}

fn each_of(batch: &RecordBatch, visit: &mut dyn FnMut(Lineage<'_>)) {
    let text = |name| {
        let column = batch.column_by_name(name);
        column.and_then(|column| column.as_any().downcast_ref::<StringArray>())
    };
    let (files, ids) = (text(SOURCE_FILE), text(BATCH_ID));
    let rows = batch.column_by_name(SOURCE_ROW).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let times = batch.column_by_name(CLAIMED_AT);
    let times = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    for index in 0..batch.num_rows() {
        let told = |column: &&StringArray| column.is_valid(index);
        visit(Lineage {
            file: files.filter(told).map(|files| files.value(index)),
            row: rows.filter(|rows| rows.is_valid(index)).map(|rows| rows.value(index)),
            batch: ids.filter(told).map(|ids| ids.value(index)),
            claimed_at: times
                .filter(|times| times.is_valid(index))
                .map(|times| Instant::from_micros(times.value(index))),
        });
    }
}
