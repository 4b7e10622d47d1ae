//! A file's footer: its columns as landbridge carries them, its rows, and what the reader needs to read them.

use std::collections::HashSet;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetStatisticsPolicy, RowGroupMetaData,
};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor, Type};

use super::limits::{FOOTER_BYTES_MAX, decoded_bytes_max, shown};
use super::plan::ColumnPlan;
use super::rules::ColumnRules;
use super::source::{Source, without_prefixes};
use super::stored::{Stored, describe};
use super::treated::Treated;
use super::types::ColumnType;
use super::{outline, pages};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;
use crate::domain::source_type::SourceType;

/// Length of the footer and magic, at the end of every Parquet file.
const TAIL_BYTES: usize = 8;
const MAGIC: &[u8] = b"PAR1";
/// The end of a file whose footer is encrypted.
const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// What is known of a file once its footer has been read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Footer {
    inner: Arc<Inner>,
    /// Where the table's own columns go, in their order, where the table's shape has said so.
    places: Option<Arc<Places>>,
}

/// Columns by their names, with their types.
pub type Places = Vec<(Arc<str>, ColumnType)>;

#[derive(Debug)]
struct Inner {
    metadata: Arc<ParquetMetaData>,
    rows: u64,
    rules: ColumnRules,
    columns: Columns,
}

/// The leaves of a file, by their part.
#[derive(Debug)]
pub(super) struct Columns {
    /// The table's own columns.
    pub(super) plan: ColumnPlan,
    /// Where each column of `plan` is, in its order.
    pub(super) own: Vec<Leaf>,
    /// DMS's operation.
    pub(super) op: Option<Leaf>,
    /// DMS's commit time.
    pub(super) timestamp: Option<Leaf>,
    /// DMS's change sequence.
    pub(super) sequence: Option<Leaf>,
    /// The names of columns that do not leave.
    pub(super) left_out: Vec<Arc<str>>,
}

/// One column of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    /// Its position in the file.
    pub(super) position: usize,
    /// How its values are stored.
    pub(super) stored: Stored,
    /// What is done with them.
    pub(super) treated: Treated,
    /// The length of a LOB that DMS has cut, where it holds LOBs.
    pub(super) lob_bytes: Option<u32>,
}

impl Footer {
    /// Rows of the file.
    pub fn rows(&self) -> u64 {
        self.inner.rows
    }

    /// The table's own columns in the file.
    pub fn plan(&self) -> &ColumnPlan {
        &self.inner.columns.plan
    }

    /// The table's own columns, with JSON for those that are text and JSON at the source.
    pub fn native(&self) -> Places {
        let Columns { plan, own, .. } = &self.inner.columns;
        let native = |((name, kind), leaf): (&(Arc<str>, ColumnType), &Leaf)| {
            let is_json = leaf.stored == Stored::Text
                && leaf.treated.keeps_meaning()
                && self.inner.rules.source_type(name) == Some(&SourceType::Json);
            (Arc::clone(name), if is_json { ColumnType::Json } else { *kind })
        };
        plan.columns().iter().zip(own).map(native).collect()
    }

    /// The same file with the places of its own columns in the table, in their order: one each.
    pub fn placed(&self, places: Places) -> Self {
        Self { inner: Arc::clone(&self.inner), places: Some(Arc::new(places)) }
    }

    /// Where the table's own columns go: to columns of their names and types unless `placed` says otherwise.
    pub fn places(&self) -> &[(Arc<str>, ColumnType)] {
        self.places.as_ref().map_or_else(|| self.plan().columns(), |places| places.as_slice())
    }

    /// The names of its columns, those that do not leave among them, but for DMS's own.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let columns = &self.inner.columns;
        let own = columns.plan.columns().iter().map(|(name, _)| &**name);
        own.chain(columns.left_out.iter().map(|name| &**name))
    }

    /// The rules by which the columns got their parts.
    pub(super) fn rules(&self) -> &ColumnRules {
        &self.inner.rules
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.inner.columns
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.inner.metadata
    }

    /// The column at a position, as it is stored.
    pub(super) fn column(&self, position: usize) -> Option<&ColumnDescriptor> {
        self.inner.metadata.file_metadata().schema_descr().columns().get(position).map(|column| &**column)
    }

    pub(super) fn row_groups(&self) -> &[RowGroupMetaData] {
        self.inner.metadata.row_groups()
    }
}

/// Reads the footer of `file` and decides how each of its columns is carried. Everything that can be said against the
/// file without reading its pages is said here, before the file is claimed.
pub fn read_footer(file: &FileId, object: Arc<dyn Object>, rules: &ColumnRules) -> Result<Footer, Fault> {
    let source = Source::new(&object);
    let unreadable = |error: ParquetError| source.fault(file, error);
    let told = |text: String| Fault::new(FaultKind::Unreadable, format!("cannot read {file}: {text}"));
    let (thrift, footer_start) = footer_bytes(&source).map_err(unreadable)?;
    outline::check(&thrift).map_err(told)?;
    let damaged = |error: ParquetError| {
        told(format!("the footer is damaged: {}", without_prefixes(&error.to_string())))
    };
    let schema = ParquetMetaDataReader::decode_schema(&thrift).map_err(damaged)?;
    let columns = sort_columns(file, schema.root_schema(), rules)?;
    let physical = physical_schema(schema.root_schema()).map_err(damaged)?;
    // The pages are read by the physical schema, so the footer is decoded with it in place of its own.
    let options = ParquetMetaDataOptions::new()
        .with_schema(Arc::new(physical))
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let metadata =
        ParquetMetaDataReader::decode_metadata_with_options(&thrift, Some(&options)).map_err(damaged)?;
    let rows = check_row_groups(&metadata, footer_start).map_err(told)?;
    if rows > decoded_bytes_max(source.size_bytes()) {
        return Err(told(format!("it states {rows} rows, more than a file of its size can be read to")));
    }
    let inner = Inner { metadata: Arc::new(metadata), rows, rules: rules.clone(), columns };
    Ok(Footer { inner: Arc::new(inner), places: None })
}

/// The footer's Thrift bytes, found from the end of the file, and where they begin.
fn footer_bytes(source: &Source) -> ParquetResult<(bytes::Bytes, u64)> {
    let not_parquet = |text: &str| ParquetError::General(text.to_owned());
    let head = source.bytes(0, MAGIC.len())?;
    let tail_start = source
        .size_bytes()
        .checked_sub(TAIL_BYTES as u64)
        .ok_or_else(|| not_parquet("the file is too short"))?;
    let tail = source.bytes(tail_start, TAIL_BYTES)?;
    let (length, magic) =
        tail.split_first_chunk::<4>().ok_or_else(|| not_parquet("the file is too short"))?;
    if magic == ENCRYPTED_MAGIC {
        return Err(not_parquet("the file is encrypted"));
    }
    if magic != MAGIC || head != MAGIC {
        return Err(not_parquet("the file does not begin and end as Parquet does"));
    }
    let length = u32::from_le_bytes(*length);
    let start = tail_start
        .checked_sub(u64::from(length))
        .filter(|start| *start >= MAGIC.len() as u64)
        .ok_or_else(|| not_parquet("the footer is longer than the file"))?;
    let length = usize::try_from(length).map_err(|error| not_parquet(&error.to_string()))?;
    if length > FOOTER_BYTES_MAX {
        let text = format!("the footer is {length} bytes long, and {FOOTER_BYTES_MAX} at most are read");
        return Err(ParquetError::General(text));
    }
    Ok((source.bytes(start, length)?, start))
}

/// Gives every column of the file its part, or refuses the file.
fn sort_columns(file: &FileId, root: &Type, rules: &ColumnRules) -> Result<Columns, Fault> {
    let mut names = HashSet::new();
    let (mut plan, mut own) = (Vec::new(), Vec::new());
    let (mut op, mut timestamp, mut sequence) = (None, None, None);
    let mut left_out = Vec::new();
    let mut next = 0;
    for field in root.get_fields() {
        let name = field.name();
        // Chunks are by leaves, of which a column that is left out may have several.
        let position = next;
        next += leaves(field);
        let is_dms = *name == *rules.op
            || [&rules.sequence, &rules.timestamp].into_iter().any(|own| own.as_deref() == Some(name));
        if !is_dms && !rules.selection.takes(name) {
            left_out.push(Arc::from(name));
            continue;
        }
        let stored = Stored::of(field).ok_or_else(|| {
            Fault::new(
                FaultKind::UnsupportedType,
                format!("column {} of {file} has the type {}", shown(name), shown(&describe(field))),
            )
        })?;
        let mut leaf = Leaf { position, stored, treated: Treated::Own, lob_bytes: None };
        let (place, fits) = if *name == *rules.op {
            (&mut op, stored == Stored::Text)
        } else if rules.sequence.as_deref() == Some(name) {
            (&mut sequence, stored == Stored::Text)
        } else if rules.timestamp.as_deref() == Some(name) {
            let time = matches!(stored, Stored::Text | Stored::Millis | Stored::Micros);
            (&mut timestamp, time)
        } else {
            check_own_name(file, name, &mut names)?;
            check_source_type(file, name, stored, rules)?;
            let (treated, kind) = rules.treated(name, stored);
            (leaf.treated, leaf.lob_bytes) = (treated, rules.lob_bytes(name));
            plan.push((Arc::from(name), kind));
            own.push(leaf);
            continue;
        };
        if !fits || place.replace(leaf).is_some() {
            return Err(conflict(
                file,
                &format!(
                    "column {} is mapped as a column of DMS itself, but is {} here or there twice",
                    shown(name),
                    shown(&describe(field))
                ),
            ));
        }
    }
    Ok(Columns { plan: ColumnPlan::from_checked(plan), own, op, timestamp, sequence, left_out })
}

/// How many leaves a column has; `outline` has bounded how deep they are.
fn leaves(field: &Type) -> usize {
    match field {
        Type::PrimitiveType { .. } => 1,
        Type::GroupType { fields, .. } => fields.iter().map(|field| leaves(field)).sum(),
    }
}

/// A name twice leaves open which column is meant. Names that a warehouse would take for one, or for a lineage column's,
/// get places of their own by the table's shape.
fn check_own_name<'a>(file: &FileId, name: &'a str, names: &mut HashSet<&'a str>) -> Result<(), Fault> {
    if names.insert(name) {
        return Ok(());
    }
    Err(conflict(file, &format!("column {} is there twice", shown(name))))
}

/// Refuses a column that cannot hold what the mapping says is in it.
fn check_source_type(file: &FileId, name: &str, stored: Stored, rules: &ColumnRules) -> Result<(), Fault> {
    match rules.source_type(name) {
        // DMS's documentation gives BIT(1) as BOOLEAN and says nothing of BIT(2) to BIT(63).
        Some(kind @ SourceType::Bit { width: 2.. }) if stored == Stored::Bool => Err(Fault::new(
            FaultKind::SchemaConflict,
            format!(
                "column {} of {file} is BOOLEAN, and the mapping says {kind}: its bits were lost before the file was \
                 written; have DMS write the column as bytes or as a number with a change-data-type rule and reload the \
                 table, or correct its `type` in the mapping",
                shown(name)
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

fn conflict(file: &FileId, text: &str) -> Fault {
    Fault::new(
        FaultKind::SchemaConflict,
        format!("{text}, in {file}: rename it with a DMS transformation rule, or correct the mapping"),
    )
}

/// The file's schema without annotations.
fn physical_schema(root: &Type) -> ParquetResult<SchemaDescriptor> {
    let fields = root
        .get_fields()
        .iter()
        .map(|field| match Stored::of(field) {
            Some(stored) => stored.physical(field).map(Arc::new),
            None => Ok(Arc::clone(field)),
        })
        .collect::<ParquetResult<Vec<_>>>()?;
    let root = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// Checks what the footer says of row groups and chunks against the file, whose pages end where the footer begins, and
/// sums the rows.
fn check_row_groups(metadata: &ParquetMetaData, footer_start: u64) -> Result<u64, String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if columns == 0 {
        return Err("the file has no columns".to_owned());
    }
    let mut rows = 0_u64;
    let mut ranges = Vec::new();
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let group_rows = u64::try_from(group.num_rows()).ok();
        rows = group_rows
            .and_then(|more| rows.checked_add(more))
            .ok_or_else(|| format!("row group {index} has {} rows", group.num_rows()))?;
        if group.num_columns() != columns {
            return Err(format!("row group {index} lacks columns"));
        }
        if group.num_rows() == 0 {
            // Nothing is read of it.
            continue;
        }
        for (column, chunk) in group.columns().iter().enumerate() {
            let range = check_chunk(group, chunk, footer_start);
            let (start, end) =
                range.map_err(|text| format!("column {} {text}", shown(chunk.column_descr().name())))?;
            ranges.push((start, end, index, column));
        }
    }
    if u64::try_from(metadata.file_metadata().num_rows()) != Ok(rows) {
        return Err("the footer and its row groups disagree about the rows".to_owned());
    }
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(_, end, ..), (start, _, group, column)] = pair
            && start < end
        {
            let name = metadata.row_group(*group).column(*column).column_descr().name();
            return Err(format!("column {} of row group {group} lies within another's bytes", shown(name)));
        }
    }
    Ok(rows)
}

/// Checks one column chunk; gives where it begins and ends.
fn check_chunk(
    group: &RowGroupMetaData,
    chunk: &ColumnChunkMetaData,
    footer_start: u64,
) -> Result<(u64, u64), String> {
    if let Some(path) = chunk.file_path() {
        return Err(format!("lies in another file, {:?}", shown(path)));
    }
    if chunk.num_values() != group.num_rows() {
        return Err("has not as many values as there are rows".to_owned());
    }
    if !carried_codec(chunk.compression()) {
        return Err(format!("is compressed by {}, which DMS never does", chunk.compression()));
    }
    let range = pages::range(chunk).and_then(|(start, length)| Some((start, start.checked_add(length)?)));
    range
        .filter(|(start, end)| *start >= MAGIC.len() as u64 && *end <= footer_start)
        .ok_or_else(|| "reaches beyond the file".to_owned())
}

fn carried_codec(codec: Compression) -> bool {
    match codec {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_) => true,
        Compression::LZO | Compression::BROTLI(_) | Compression::LZ4 | Compression::LZ4_RAW => false,
    }
}
