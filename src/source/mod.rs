//! The database that DMS reads, seen through its information_schema: what the files do not say of their columns.
//!
//! Read by `landbridge describe` alone, once, and never by a landbridge that loads.

pub mod address;
pub mod mysql;

/// A table at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    /// Its database.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns in their order, generated and invisible ones too.
    pub columns: Vec<SourceColumn>,
    /// The columns of its primary key in the key's order; empty without one.
    pub key: Vec<String>,
}

impl SourceTable {
    /// `schema.table`, as mappings name it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A column at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its COLUMN_TYPE, as the server writes it, and `json` for what MariaDB only checks to be JSON.
    pub kind: String,
}
