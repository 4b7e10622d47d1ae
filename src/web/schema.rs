//! The history of a table's columns, as the API shows it.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::column_type::ColumnType;
use crate::domain::shape::{Change, Shape, ShapeEntry};

/// The columns of a table and how they came to be. Its JSON is the API's, described in `docs/admin.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaView {
    /// `cluster/schema.table`.
    pub table: String,
    /// The destination's columns that landbridge writes, without its own, in the order in which they came to be.
    pub columns: Vec<ColumnView>,
    /// What became of each column of the files when it was first seen with its type, oldest first.
    pub entries: Vec<EntryView>,
}

/// A column of the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnView {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryView {
    /// The column's name in the files.
    pub column: Arc<str>,
    /// Its type there.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// The column of the destination.
    pub target: Arc<str>,
    /// The type of that column from then on.
    pub target_type: ColumnType,
    /// What became of it.
    pub change: Change,
    /// When.
    pub at: String,
    /// The first file that had it so, `bucket/key@etag`.
    pub file: Option<Arc<str>>,
}

impl SchemaView {
    /// Of the table of this name with this shape.
    pub fn new(table: String, shape: &Shape) -> Self {
        let columns = shape.columns().into_iter().map(|(name, kind)| ColumnView { name, kind });
        let entries = shape.entries().iter().map(EntryView::of);
        Self { table, columns: columns.collect(), entries: entries.collect() }
    }
}

impl EntryView {
    fn of(entry: &ShapeEntry) -> Self {
        let ShapeEntry { source, kind, target, target_kind, change, at, file } = entry.clone();
        Self { column: source, kind, target, target_type: target_kind, change, at: at.rfc3339(), file }
    }
}
