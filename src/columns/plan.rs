//! The columns of a table as a batch carries them: names and types, in order.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::types::ColumnType;
use crate::domain::batch::hex;
use crate::domain::shape::name::folded;

/// The ordered columns of the table itself, without DMS's own columns and without lineage. Two names never differ
/// only in case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnPlan {
    columns: Vec<(Arc<str>, ColumnType)>,
}

/// Two files whose columns cannot be in one batch. Not a fault of either: they go into batches of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanConflict {
    /// The column, as the left plan names it.
    pub column: Arc<str>,
    /// Its type in the left plan.
    pub left: ColumnType,
    /// Its type in the right plan; equal to `left` when only the case of the names differs.
    pub right: ColumnType,
}

impl fmt::Display for PlanConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, left, right } = self;
        if left == right {
            write!(formatter, "column {column} is spelled in two ways")
        } else {
            write!(formatter, "column {column} is {left} in one file and {right} in another")
        }
    }
}

impl std::error::Error for PlanConflict {}

impl ColumnPlan {
    /// A plan without columns: that of a batch without files.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes columns whose names have been checked to differ in more than case.
    pub(super) fn from_checked(columns: Vec<(Arc<str>, ColumnType)>) -> Self {
        Self { columns }
    }

    /// The columns of a batch whose files have these places, in the order in which they come; says which column has two
    /// types, which one state of the table's shape never gives.
    pub fn of_places<'a>(
        files: impl IntoIterator<Item = &'a [(Arc<str>, ColumnType)]>,
    ) -> Result<Self, String> {
        let (mut columns, mut seen) = (Vec::new(), HashMap::new());
        for (name, kind) in files.into_iter().flatten() {
            match seen.insert(Arc::clone(name), *kind) {
                None => columns.push((Arc::clone(name), *kind)),
                Some(other) if other == *kind => {}
                Some(other) => return Err(format!("column {name} is {other} and {kind} in one batch")),
            }
        }
        Ok(Self { columns })
    }

    /// The same columns with other types.
    pub fn with_kinds(&self, kind: impl Fn(&Arc<str>, ColumnType) -> ColumnType) -> Self {
        let columns = self.columns.iter().map(|(name, own)| (Arc::clone(name), kind(name, *own)));
        Self { columns: columns.collect() }
    }

    /// True where a column is JSON: such rows go by a stream and by nothing else.
    pub fn has_json(&self) -> bool {
        self.columns.iter().any(|(_, kind)| *kind == ColumnType::Json)
    }

    /// The same columns without those that no load job takes from Parquet.
    pub fn loadable(&self) -> Self {
        let loadable = self.columns.iter().filter(|(_, kind)| *kind != ColumnType::Json);
        Self { columns: loadable.cloned().collect() }
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[(Arc<str>, ColumnType)] {
        &self.columns
    }

    /// A hash over names and types, in order: 64 hexadecimal digits. Kept with each attempt (Invariant I-2), so it
    /// must not change between versions as long as the body does not.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, kind) in &self.columns {
            // Length-prefixed, so that no two plans can share a byte string.
            for part in [&**name, &kind.to_string()] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hex(&hasher.finalize())
    }

    /// The plan that carries the files of both: this one's columns, then the other's new ones. A column that a file
    /// does not have is NULL in its rows.
    pub fn unify(&self, other: &Self) -> Result<Self, PlanConflict> {
        if self == other {
            return Ok(self.clone());
        }
        let mut columns = self.columns.clone();
        let mut positions: HashMap<String, usize> =
            columns.iter().enumerate().map(|(position, (name, _))| (folded(name), position)).collect();
        for (name, right) in &other.columns {
            let known = positions.get(&folded(name)).and_then(|position| columns.get_mut(*position));
            let Some((column, left)) = known else {
                positions.insert(folded(name), columns.len());
                columns.push((Arc::clone(name), *right));
                continue;
            };
            let unified = (column == name).then(|| left.unify(*right)).flatten();
            *left = unified.ok_or_else(|| PlanConflict {
                column: Arc::clone(column),
                left: *left,
                right: *right,
            })?;
        }
        Ok(Self { columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(columns: &[(&str, ColumnType)]) -> ColumnPlan {
        ColumnPlan::from_checked(columns.iter().map(|(name, kind)| (Arc::from(*name), *kind)).collect())
    }

    fn decimal(precision: u8, scale: i8) -> ColumnType {
        ColumnType::Decimal { precision, scale }
    }

    #[test]
    fn union_keeps_the_first_order_and_appends() {
        let left = plan(&[("b", ColumnType::Int64), ("a", decimal(10, 2))]);
        let right = plan(&[("c", ColumnType::Bool), ("a", decimal(10, 4)), ("b", ColumnType::Int64)]);
        let expected = plan(&[("b", ColumnType::Int64), ("a", decimal(12, 4)), ("c", ColumnType::Bool)]);
        assert_eq!(left.unify(&right), Ok(expected));
        assert_eq!(ColumnPlan::empty().unify(&left), Ok(left.clone()));
        assert_eq!(left.unify(&ColumnPlan::empty()), Ok(left));
    }

    #[test]
    fn conflicts_name_column_and_types() {
        let conflict =
            plan(&[("a", ColumnType::Int64)]).unify(&plan(&[("a", ColumnType::String)])).unwrap_err();
        assert_eq!(conflict.to_string(), "column a is INT64 in one file and STRING in another");
        let spelling =
            plan(&[("Ä", ColumnType::Int64)]).unify(&plan(&[("ä", ColumnType::Int64)])).unwrap_err();
        assert_eq!(spelling.to_string(), "column Ä is spelled in two ways");
    }

    #[test]
    fn hash_depends_on_names_types_and_order() {
        let base = plan(&[("a", ColumnType::Int64), ("b", ColumnType::Bool)]);
        assert_eq!(base.hash(), base.clone().hash());
        assert_eq!(base.hash().len(), 64);
        for other in [
            plan(&[("b", ColumnType::Bool), ("a", ColumnType::Int64)]),
            plan(&[("a", ColumnType::Int64)]),
            plan(&[("a", ColumnType::Int64), ("b", ColumnType::Float64)]),
            plan(&[("aINT64", ColumnType::Int64), ("b", ColumnType::Bool)]),
            ColumnPlan::empty(),
        ] {
            assert_ne!(base.hash(), other.hash(), "{other:?}");
        }
    }
}
