//! A file's footer: its rows and its columns, read once and used again when the file is transcoded.

use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::lineage;
use super::plan::ColumnPlan;
use super::reader::ObjectReader;
use super::rules::ColumnRules;
use super::types::ColumnType;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

/// The smallest Parquet file: magic, empty footer, its length, magic.
const PARQUET_BYTES_MIN: u64 = 12;

/// A parsed footer. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Footer {
    metadata: ArrowReaderMetadata,
    rows: u64,
    plan: Arc<ColumnPlan>,
}

impl Footer {
    /// Rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The table's own columns.
    pub fn plan(&self) -> &ColumnPlan {
        &self.plan
    }

    /// What the Parquet reader needs to go on from here.
    pub fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }
}

/// Reads the footer of `file`. Damaged or no Parquet: `Unreadable`. A column type that is not carried:
/// `UnsupportedType`. Column names that cannot stand beside each other: `SchemaConflict`.
pub fn read_footer(file: &FileId, object: Arc<dyn Object>, rules: &ColumnRules) -> Result<Footer, Fault> {
    let unreadable = |text: String| Fault::new(FaultKind::Unreadable, format!("{file}: {text}"));
    let size = object.size_bytes();
    if size < PARQUET_BYTES_MIN {
        return Err(unreadable(format!("{size} bytes are no Parquet file")));
    }
    let head = object.read(0, 4)?;
    if head.as_ref() != b"PAR1" {
        return Err(unreadable("it does not begin as a Parquet file does".to_owned()));
    }
    let reader = ObjectReader::new(object);
    // DMS writes no ARROW:schema; where another writer did, the physical and converted types decide all the same.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&reader, options)
        .map_err(|error| reader.fault(format!("{file}: its Parquet footer cannot be read"), error))?;
    let plan = plan_of(file, &metadata, rules)?;
    let file_metadata = metadata.metadata().file_metadata();
    let rows = u64::try_from(file_metadata.num_rows())
        .map_err(|_| unreadable("it states a negative row count".into()))?;
    let in_groups: i64 = metadata.metadata().row_groups().iter().map(|group| group.num_rows()).sum();
    if in_groups != file_metadata.num_rows() {
        return Err(unreadable(format!("its footer states {rows} rows, its row groups {in_groups}")));
    }
    Ok(Footer { metadata, rows, plan: Arc::new(plan) })
}

fn plan_of(file: &FileId, metadata: &ArrowReaderMetadata, rules: &ColumnRules) -> Result<ColumnPlan, Fault> {
    let conflict = |text: String| Fault::new(FaultKind::SchemaConflict, format!("{file}: {text}"));
    let schema = metadata.parquet_schema();
    let mut columns: Vec<(Arc<str>, ColumnType)> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (index, field) in metadata.schema().fields().iter().enumerate() {
        let name = field.name();
        if seen.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(conflict(format!("two columns are named {name}, but for case")));
        }
        seen.push(name.clone());
        let unsupported = |found: String| {
            Fault::new(
                FaultKind::UnsupportedType,
                format!("{file}: column {name} has a type that is not carried: {found}"),
            )
        };
        if schema.root_schema().get_fields().get(index).is_none_or(|field| !field.is_primitive()) {
            return Err(unsupported(field.data_type().to_string()));
        }
        let leaf = schema.columns().iter().find(|leaf| leaf.path().parts().first() == Some(name));
        let leaf = leaf.ok_or_else(|| unsupported(field.data_type().to_string()))?;
        let kind =
            ColumnType::of(leaf, field.data_type(), rules.instants.contains(name)).map_err(unsupported)?;
        if rules.is_lineage(name) {
            let is_timestamp = rules.timestamp.as_deref() == Some(name.as_str());
            let moment = matches!(kind, ColumnType::Datetime | ColumnType::Timestamp) && is_timestamp;
            if kind != ColumnType::String && !moment {
                return Err(conflict(format!(
                    "{name} is DMS's own column and should be a string, but is {kind}"
                )));
            }
            continue;
        }
        if lineage::NAMES.iter().any(|lineage| lineage.eq_ignore_ascii_case(name)) {
            let text = format!(
                "the table has a column named {name}, which landbridge writes itself; rename it in DMS"
            );
            return Err(conflict(text));
        }
        columns.push((Arc::from(name.as_str()), kind));
    }
    Ok(ColumnPlan::new(columns))
}
