//! The key-values in the footer of a Parquet file that landbridge wrote: which batch it is, and for where.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::lineage;
use super::plan::ColumnPlan;
use super::target;
use super::types::ColumnType;
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::shape::Existing;

/// The batch.
pub const BATCH_ID: &str = "landbridge.batch_id";
/// The manifest's hash.
pub const MANIFEST_HASH: &str = "landbridge.manifest_hash";
/// The destination's dataset.
pub const DATASET: &str = "landbridge.dataset";
/// The destination's table.
pub const TABLE: &str = "landbridge.table";
/// The rows of the batch.
pub const ROWS: &str = "landbridge.rows";
/// The job id that the file fences; only a fence has it.
pub const FENCE: &str = "landbridge.fence";

/// Who writes landbridge's Parquet files, as their footers say.
pub(super) const CREATED_BY: &str = "landbridge";

/// What the footer of a file of landbridge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Rows in the file.
    pub rows: u64,
    /// The key-values.
    pub values: BTreeMap<String, String>,
}

/// The labels of a batch's body.
pub(super) fn of_batch(batch: &Batch) -> Vec<KeyValue> {
    let label = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    vec![
        label(BATCH_ID, batch.id.to_string()),
        label(MANIFEST_HASH, batch.manifest.hash()),
        label(DATASET, batch.destination.dataset.to_string()),
        label(TABLE, batch.destination.table.to_string()),
        label(ROWS, batch.manifest.rows().to_string()),
    ]
}

/// Reads the labels of the file that `file` is open on; `path` is for the error.
pub fn read(file: &File, path: &Path) -> Result<Labels, Fault> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(file)
        .map_err(|error| unavailable("read the footer of", path, error))?;
    let metadata = metadata.file_metadata();
    let rows =
        u64::try_from(metadata.num_rows()).map_err(|error| unavailable("read the footer of", path, error))?;
    let pairs = metadata.key_value_metadata().into_iter().flatten();
    let values = pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect();
    Ok(Labels { rows, values })
}

/// The table's own columns in the file that `file` is open on, landbridge's left out; `None` for a type that landbridge
/// does not write. `path` is for the error.
pub fn columns(file: &File, path: &Path) -> Result<Vec<Existing>, Fault> {
    let failed = |error| unavailable("read the footer of", path, error);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).map_err(failed)?;
    let schema = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None).map_err(failed)?;
    let own = schema.fields().iter().filter(|field| !lineage::is_reserved(field.name()));
    Ok(own.map(|field| (field.name().as_str().into(), ColumnType::of_arrow(field.data_type()))).collect())
}

/// Writes into `file` a Parquet file of no rows, with the lineage columns and these labels.
pub fn write_empty(file: &mut File, path: &Path, labels: &[(&str, &str)]) -> Result<(), Fault> {
    let labels =
        labels.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned())).collect();
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(Some(labels))
        .build();
    let schema = target::schema(&ColumnPlan::empty(), &[])?.root_schema_ptr();
    SerializedFileWriter::new(file, schema, Arc::new(properties))
        .and_then(SerializedFileWriter::close)
        .map(|_| ())
        .map_err(|error: ParquetError| unavailable("write", path, error))
}

fn unavailable(deed: &str, path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::from_error(FaultKind::Unavailable, format!("cannot {deed} {}", path.display()), error)
}
