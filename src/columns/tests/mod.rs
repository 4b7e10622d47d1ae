//! Files written value by value, built into a body, and read back by an independent reader.

mod arbitrary;
mod faults;
mod foreign;
mod genuine;
mod hostile;
mod json;
mod lineage;
mod shapes;
mod treated;
mod types;
mod ways;

use std::fs::File;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;
use tempfile::TempDir;

use super::body::Body;
use super::footer::{Footer, read_footer};
pub(super) use super::fuzz::oracle::exact_texts;
use super::layout::Layout;
use super::plan::ColumnPlan;
use super::rules::{ColumnRules, types};
use super::transcode::{BuildFailure, Input, build};
pub(super) use super::written::{Cells, Memory, PLAIN, Style, file, styles, texts};
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;
use crate::domain::source_type::SourceType;

pub(super) const CLAIMED_AT: i64 = 1_763_856_000_123_456;

pub(super) fn rules() -> ColumnRules {
    ColumnRules {
        op: "Op".into(),
        timestamp: Some("ts".into()),
        sequence: Some("seq".into()),
        instants: ["moment".to_owned()].into(),
        types: types([("Flags", &bit(8)), ("flag", &bit(1)), ("born", &SourceType::Timestamp { digits: 3 })]),
        ..ColumnRules::default()
    }
}

fn bit(width: u8) -> SourceType {
    SourceType::Bit { width }
}

pub(super) fn file_id(number: usize) -> FileId {
    FileId {
        table: TableId::new("game-a", "casino", "bets"),
        bucket: "cdc".into(),
        key: format!("dms/casino/bets/{number}.parquet").into(),
        etag: format!("etag{number}").into(),
        size_bytes: 1,
    }
}

pub(super) fn footer(bytes: &Bytes) -> Result<Footer, Fault> {
    read_footer(&file_id(0), Arc::new(Memory(bytes.clone())), &rules())
}

pub(super) fn inputs(files: &[Bytes]) -> Result<Vec<Input>, Fault> {
    inputs_by(&rules(), files)
}

pub(super) fn inputs_by(rules: &ColumnRules, files: &[Bytes]) -> Result<Vec<Input>, Fault> {
    let input = |(number, bytes): (usize, &Bytes)| {
        let object: Arc<dyn Object> = Arc::new(Memory(bytes.clone()));
        Ok(Input {
            file: file_id(number),
            footer: read_footer(&file_id(number), Arc::clone(&object), rules)?,
            object,
        })
    };
    files.iter().enumerate().map(input).collect()
}

pub(super) fn batch_of(inputs: &[Input]) -> Batch {
    let entries =
        inputs.iter().map(|input| ManifestEntry { file: input.file.clone(), rows: input.footer.rows() });
    let manifest = Manifest { entries: entries.collect() };
    let destination = Destination {
        project: "".into(),
        location: "".into(),
        dataset: "game_a".into(),
        table: "bets".into(),
    };
    let table = TableId::new("game-a", "casino", "bets");
    Batch::plan(table, destination, Instant::from_micros(CLAIMED_AT), None, manifest)
}

pub(super) fn plan_of(inputs: &[Input]) -> ColumnPlan {
    inputs.iter().fold(ColumnPlan::empty(), |plan, input| plan.unify(input.footer.plan()).unwrap())
}

/// A body that was built, and what another reader finds in it.
pub(super) struct Built {
    pub(super) body: Body,
    pub(super) rows: RecordBatch,
    pub(super) metadata: Arc<ParquetMetaData>,
    folder: TempDir,
}

pub(super) fn try_build(inputs: &[Input], wanted: &dyn Fn() -> bool) -> Result<Built, Box<BuildFailure>> {
    try_build_as(&Layout::DEFAULT, inputs, wanted)
}

pub(super) fn try_build_as(
    layout: &Layout,
    inputs: &[Input],
    wanted: &dyn Fn() -> bool,
) -> Result<Built, Box<BuildFailure>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.parquet");
    let batch = batch_of(inputs);
    let plan = match ColumnPlan::of_places(inputs.iter().map(|input| input.footer.places())) {
        Ok(plan) => plan,
        Err(_) => plan_of(inputs),
    };
    let rules = inputs.first().map_or_else(rules, |input| input.footer.rules().clone());
    let built = build(layout, &batch, &plan, &rules, inputs, path.clone(), wanted);
    let body = built.map_err(|failure| {
        assert!(!path.exists(), "a failed build leaves its file");
        Box::new(failure)
    })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let (schema, metadata) = (Arc::clone(reader.schema()), Arc::clone(reader.metadata()));
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    Ok(Built { body, rows: concat_batches(&schema, &batches).unwrap(), metadata, folder })
}

pub(super) fn built(files: &[Bytes]) -> Built {
    let inputs = inputs(files).unwrap_or_else(|fault| panic!("{}", fault.chain()));
    try_build(&inputs, &|| true).unwrap_or_else(|failure| panic!("{}", failure.fault.chain()))
}

impl Built {
    /// The values of a column as exact texts.
    pub(super) fn column(&self, name: &str) -> Vec<Option<String>> {
        let array = self.rows.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
        exact_texts(array)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let schema = self.rows.schema();
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    pub(super) fn kind(&self, name: &str) -> DataType {
        self.rows.schema().field_with_name(name).unwrap().data_type().clone()
    }
}

/// Texts, as `Built::column` gives them.
pub(super) fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

/// `values`, over and over.
pub(super) fn times(values: Vec<Option<String>>, count: usize) -> Vec<Option<String>> {
    let length = values.len() * count;
    values.into_iter().cycle().take(length).collect()
}
