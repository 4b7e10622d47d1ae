//! One file's row groups, as rows of the batch's schema.

// A failure ends its build: what its size costs is nothing beside it.
#![allow(clippy::result_large_err)]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::file::metadata::RowGroupMetaData;

use super::commit_time;
use super::footer::Leaf;
use super::limits::{decoded_bytes_max, shown};
use super::lineage;
use super::pages::{Group, ROWS_IN_HAND_MAX};
use super::plan::ColumnPlan;
use super::source::Source;
use super::spool::Spool;
use super::stored::Stored;
use super::transcode::{BuildFailure, Input};
use super::types::ColumnType;
use super::values::{Refusal, carry, moments};
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};

/// By how much fewer rows are taken at a time when their pages take too much.
const FEWER: usize = 16;

/// What all files of a batch share: the schema, and the lineage values of every row.
pub(super) struct Frame {
    schema: SchemaRef,
    /// As long as the longest run of rows; shorter runs are slices of it.
    keys: Int32Array,
    batch_id: ArrayRef,
    claimed_at: ArrayRef,
}

impl Frame {
    pub(super) fn new(batch: &Batch, plan: &ColumnPlan) -> Self {
        let own = plan.columns().iter().map(|(name, kind)| Field::new(&**name, kind.arrow(), true));
        let fields: Vec<_> = own.chain(lineage::fields()).collect();
        let keys = Int32Array::from(vec![0; ROWS_IN_HAND_MAX]);
        let claimed_at = TimestampMicrosecondArray::from(vec![batch.claimed_at.micros(); ROWS_IN_HAND_MAX]);
        Self {
            schema: Arc::new(Schema::new(fields)),
            batch_id: repeated(&keys, batch.id.as_str()),
            claimed_at: Arc::new(claimed_at.with_timezone("UTC")),
            keys,
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// The same text in every row.
fn repeated(keys: &Int32Array, text: &str) -> ArrayRef {
    let values = Arc::new(StringArray::from(vec![text]));
    Arc::new(DictionaryArray::<Int32Type>::new(keys.clone(), values))
}

/// Reads one file of a batch.
pub(super) struct FileRows<'a> {
    frame: &'a Frame,
    input: &'a Input,
    /// The batch's columns, with their place in this file if it has them.
    columns: Vec<(&'a str, ColumnType, Option<Leaf>)>,
    source_file: ArrayRef,
    /// Bytes of its values so far.
    decoded_bytes: u64,
}

impl<'a> FileRows<'a> {
    pub(super) fn new(
        frame: &'a Frame,
        plan: &'a ColumnPlan,
        input: &'a Input,
    ) -> Result<Self, BuildFailure> {
        let parts = input.footer.columns();
        let place = |name: &str| {
            let mut found = parts.plan.columns().iter().zip(&parts.own);
            found.find(|((own, _), _)| **own == *name).map(|(_, leaf)| *leaf)
        };
        let columns: Vec<_> =
            plan.columns().iter().map(|(name, kind)| (&**name, *kind, place(name))).collect();
        let placed = columns.iter().filter(|(_, _, leaf)| leaf.is_some()).count();
        if placed != parts.own.len() {
            let text =
                format!("the batch's plan lacks {} columns of {}", parts.own.len() - placed, input.file);
            return Err(blame(input, Fault::new(FaultKind::Internal, text)));
        }
        let source_file = repeated(&frame.keys, &input.file.source_file());
        Ok(Self { frame, input, columns, source_file, decoded_bytes: 0 })
    }

    /// Writes row group `index`, whose first row has the number `first_row` in its file; gives the number after its
    /// last.
    pub(super) fn write_group(
        &mut self,
        index: usize,
        first_row: i64,
        spool: &mut Spool,
        wanted: &dyn Fn() -> bool,
    ) -> Result<i64, BuildFailure> {
        let footer = &self.input.footer;
        let stated = footer.row_groups().get(index).map_or(0, RowGroupMetaData::num_rows);
        if stated <= 0 {
            return Ok(first_row);
        }
        let source = Source::new(&self.input.object);
        let faulty = |error: ArrowError| blame(self.input, source.fault(&self.input.file, error));
        let group = Group::open(source.clone(), Arc::clone(footer.metadata()), index)
            .map_err(|error| faulty(error.into()))?;
        let (mut row, mut rows_max) = (first_row, group.rows_in_hand());
        loop {
            let read =
                ParquetRecordBatchReader::try_new_with_row_groups(footer.levels(), &group, rows_max, None);
            let error = match read.map_err(ArrowError::from) {
                Ok(reader) => self.write_rows(reader, &group, first_row, &mut row, spool, wanted)?,
                Err(error) => Some(error),
            };
            match error {
                None => break,
                // Large values stand together: on from where it was, in smaller steps.
                Some(_) if group.budget().is_exceeded() && rows_max > 1 => {
                    rows_max = (rows_max / FEWER).max(1);
                    group.budget().restart();
                }
                Some(error) => return Err(blame(self.input, source.fault(&self.input.file, error))),
            }
        }
        if row - first_row == stated {
            return Ok(row);
        }
        let text = format!(
            "row group {index} of {} has {} rows and not {stated}, as its footer says",
            self.input.file,
            row - first_row
        );
        Err(blame(self.input, Fault::new(FaultKind::Unreadable, text)))
    }

    /// Writes the rows of a group from number `row` on, which moves with them. Gives the reader's error, if it has one.
    fn write_rows(
        &mut self,
        reader: ParquetRecordBatchReader,
        group: &Group,
        first_row: i64,
        row: &mut i64,
        spool: &mut Spool,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<ArrowError>, BuildFailure> {
        let mut end = first_row;
        for read in reader {
            if !wanted() {
                return Err(Fault::new(FaultKind::Internal, "nobody waits for the body any more").into());
            }
            let read = match read {
                Ok(read) => read,
                Err(error) => return Ok(Some(error)),
            };
            group.budget().reset();
            end = end.saturating_add(i64::try_from(read.num_rows()).unwrap_or(i64::MAX));
            let fresh = usize::try_from(end.saturating_sub(*row)).unwrap_or(0).min(read.num_rows());
            if fresh == 0 {
                continue;
            }
            self.count_decoded(&read)?;
            let read = read.slice(read.num_rows() - fresh, fresh);
            let rows = self.frame_rows(&read, *row).map_err(|fault| blame(self.input, fault))?;
            spool.write(&rows)?;
            *row = end;
        }
        Ok(None)
    }

    /// Ends a file that becomes too much.
    fn count_decoded(&mut self, read: &RecordBatch) -> Result<(), BuildFailure> {
        self.decoded_bytes = self.decoded_bytes.saturating_add(read.get_array_memory_size() as u64);
        let most = decoded_bytes_max(self.input.object.size_bytes());
        if self.decoded_bytes <= most {
            return Ok(());
        }
        let text =
            format!("{} becomes more than {most} bytes of values, too many for its size", self.input.file);
        Err(blame(self.input, Fault::new(FaultKind::Unreadable, text)))
    }

    /// The rows as the batch has them, lineage added.
    fn frame_rows(&self, read: &RecordBatch, first_row: i64) -> Result<RecordBatch, Fault> {
        let unreadable = |name: &str, text: Refusal| {
            let text = format!("cannot carry column {} of {}: {text}", shown(name), self.input.file);
            Fault::new(FaultKind::Unreadable, text)
        };
        let rows = read.num_rows();
        let mut arrays = Vec::with_capacity(self.frame.schema.fields().len());
        for (name, kind, leaf) in &self.columns {
            let Some(leaf) = leaf else {
                arrays.push(new_null_array(&kind.arrow(), rows));
                continue;
            };
            let carried = column(read, *leaf).and_then(|array| carry(array, leaf.stored, *kind));
            arrays.push(carried.map_err(|text| unreadable(name, text))?);
        }
        let parts = self.input.footer.columns();
        let ops = nonempty(read, parts.op).map_err(|text| unreadable(lineage::OP, text))?;
        self.check_operations(&ops)?;
        arrays.push(ops);
        let times = commit_times(read, parts.timestamp);
        arrays.push(times.map_err(|text| unreadable(lineage::COMMITTED_AT, text))?);
        let sequence = nonempty(read, parts.sequence);
        arrays.push(sequence.map_err(|text| unreadable(lineage::CHANGE_SEQ, text))?);
        arrays.push(self.source_file.slice(0, rows));
        let last_row = first_row.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
        arrays.push(Arc::new(Int64Array::from_iter_values(first_row..last_row)));
        arrays.push(self.frame.batch_id.slice(0, rows));
        arrays.push(self.frame.claimed_at.slice(0, rows));
        RecordBatch::try_new(self.frame.schema(), arrays).map_err(|error| {
            let text = format!("rows of {} do not fit their schema", self.input.file);
            Fault::from_error(FaultKind::Internal, text, error)
        })
    }

    /// Anything but I, U, D or nothing means that the operation column is one of the table itself.
    fn check_operations(&self, ops: &ArrayRef) -> Result<(), Fault> {
        let mut given = ops.as_string::<i32>().iter().flatten();
        match given.find(|op| !matches!(*op, "I" | "U" | "D")) {
            None => Ok(()),
            Some(op) => Err(Fault::new(
                FaultKind::SchemaConflict,
                format!(
                    "{} gives the operation {:?}, which DMS does not know: the mapping names a column of the table",
                    self.input.file,
                    shown(op)
                ),
            )),
        }
    }
}

fn blame(input: &Input, fault: Fault) -> BuildFailure {
    BuildFailure { file: Some(input.file.clone()), fault }
}

fn column(read: &RecordBatch, leaf: Leaf) -> Result<&ArrayRef, Refusal> {
    read.columns().get(leaf.position).ok_or_else(|| format!("the reader gave no column {}", leaf.position))
}

/// A column of text in which an empty text is no text.
fn nonempty(read: &RecordBatch, leaf: Option<Leaf>) -> Result<ArrayRef, Refusal> {
    let Some(leaf) = leaf else {
        return Ok(new_null_array(&ColumnType::String.arrow(), read.num_rows()));
    };
    let array = column(read, leaf)?;
    let texts = array
        .as_string_opt::<i32>()
        .ok_or_else(|| format!("the reader gave {} as text", array.data_type()))?;
    if !texts.iter().any(|text| text == Some("")) {
        return Ok(Arc::clone(array));
    }
    let kept = texts.iter().map(|text| text.filter(|text| !text.is_empty()));
    Ok(Arc::new(kept.collect::<StringArray>()))
}

/// DMS's commit times; null where there is none that can be read.
fn commit_times(read: &RecordBatch, leaf: Option<Leaf>) -> Result<ArrayRef, Refusal> {
    let Some(leaf) = leaf else {
        return Ok(new_null_array(&lineage::instant(), read.num_rows()));
    };
    let array = column(read, leaf)?;
    let times = match leaf.stored {
        Stored::Millis | Stored::Micros => moments(array, leaf.stored)?,
        Stored::Text
        | Stored::Signed
        | Stored::Unsigned32 { .. }
        | Stored::Unsigned64
        | Stored::Decimal { .. }
        | Stored::Bytes
        | Stored::Bool
        | Stored::Float
        | Stored::Days
        | Stored::TimeMillis
        | Stored::TimeMicros => array
            .as_string_opt::<i32>()
            .ok_or_else(|| format!("the reader gave {} as text", array.data_type()))?
            .iter()
            .map(|text| commit_time::parse(text?.as_bytes()))
            .collect(),
    };
    Ok(Arc::new(times.with_timezone("UTC")))
}
