//! The table's own columns, and how those of several files unite.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};

use super::lineage;
use super::types::ColumnType;

/// The table's own columns in order, without DMS's and without lineage.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ColumnPlan {
    columns: Vec<(Arc<str>, ColumnType)>,
}

/// Two files give one column two types that no type holds both of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} is {left} in one file and {right} in another")]
pub struct PlanConflict {
    /// The column.
    pub column: String,
    /// Its type so far.
    pub left: ColumnType,
    /// Its other type.
    pub right: ColumnType,
}

impl ColumnPlan {
    /// No columns: unites with anything.
    pub fn empty() -> Self {
        Self::default()
    }

    /// These columns.
    pub fn new(columns: Vec<(Arc<str>, ColumnType)>) -> Self {
        Self { columns }
    }

    /// The columns.
    pub fn columns(&self) -> &[(Arc<str>, ColumnType)] {
        &self.columns
    }

    /// The union by name: this plan's columns in their order, then the other's new ones in theirs. Names that differ
    /// only in case are one column in BigQuery, hence a conflict here.
    pub fn unify(&self, other: &Self) -> Result<Self, PlanConflict> {
        if self.columns == other.columns {
            return Ok(self.clone());
        }
        let mut columns = self.columns.clone();
        for (name, right) in &other.columns {
            match columns.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                None => columns.push((Arc::clone(name), *right)),
                Some((known, left)) => {
                    let united = (known == name).then(|| left.unify(*right)).flatten();
                    let conflict = || PlanConflict { column: name.to_string(), left: *left, right: *right };
                    *left = united.ok_or_else(conflict)?;
                }
            }
        }
        Ok(Self { columns })
    }

    /// The Arrow schema of a body: the table's columns, all of them nullable, then the lineage.
    pub fn schema(&self) -> Schema {
        let own = self.columns.iter().map(|(name, kind)| Field::new(name.as_ref(), kind.arrow(), true));
        Schema::new(own.chain(lineage::fields()).collect::<Vec<_>>())
    }
}
