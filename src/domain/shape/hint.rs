//! A guess that a column was renamed at the source, for a person to read. Nothing is done about it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Change, ShapeEntry};
use crate::domain::column_type::ColumnType;

/// Says which columns of `previous`, the columns of the file before, may have become which of `added`: those that `wanted`,
/// the columns of the file that brought `added`, lacks, and that have the same type.
pub fn renamed_hint(
    added: &[ShapeEntry],
    wanted: &[(Arc<str>, ColumnType)],
    previous: &[(Arc<str>, ColumnType)],
) -> Option<String> {
    let there: HashSet<&str> = wanted.iter().map(|(name, _)| &**name).collect();
    let missing: Vec<_> = previous.iter().filter(|(name, _)| !there.contains(&**name)).collect();
    let pairs = added.iter().filter(|entry| entry.change == Change::Added).filter_map(|entry| {
        let (old, _) = missing.iter().find(|(_, kind)| *kind == entry.kind)?;
        Some(format!("{old} may be {} now", entry.source))
    });
    let pairs: Vec<_> = pairs.collect();
    (!pairs.is_empty()).then(|| {
        format!("{}: if so, name both in the mapping, and their values share a column", pairs.join("; "))
    })
}
