//! The typed view of a table: its rows as their source meant them, decided from what is known of the columns.
//!
//! A table holds what the files say, and keeps every value as it came. The view says the rest: columns whose type has
//! changed are one column again, texts that are JSON are JSON, and changes that DMS has written twice are there once. No
//! reading of it raises, and none loses a value: where one may come to nothing, the column itself stays beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::column_type::ColumnType;
use super::lineage::{self, RESCUED};
use super::shape::name::{folded, with_suffix};
use super::shape::{Change, Shape};
use super::source_type::SourceType;

mod reading;
#[cfg(test)]
mod tests;

pub use reading::Reading;

/// What the name of a view has after that of its table.
pub const SUFFIX: &str = "_typed";
/// What the name of a column has, where another reads it, once it stands beside that.
const RAW: &str = "__raw";

/// The name of a table's view.
pub fn name_of(table: &str) -> String {
    format!("{table}{SUFFIX}")
}

/// What the mapping says of a table, as far as its view depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The types at the source, by the columns' folded names.
    pub types: &'a BTreeMap<String, SourceType>,
    /// Columns that hold instants.
    pub instants: &'a BTreeSet<String>,
    /// The key's columns, by their names at the source.
    pub key: &'a [String],
    /// DMS writes its change sequence.
    pub has_sequence: bool,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: Arc<str>,
    /// Its type, by the shape. That of the table itself may be a wider number.
    pub kind: ColumnType,
}

/// A column of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name.
    pub name: Arc<str>,
    /// The columns of the table whose first value that is not null it has. At least one; a row has a value in one of them.
    pub parts: Vec<Part>,
    /// How each is read.
    pub reading: Reading,
}

/// The view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedView {
    /// Its columns, in their order.
    pub columns: Vec<ViewColumn>,
    /// The columns of the table by which DMS's own repeats are known, together with `_change_seq` and `_op`: of rows that
    /// have all in common, nulls included, the first is there. A row without a `_change_seq`, and one whose key is null
    /// altogether, is nobody's repeat. Empty where a repeat cannot be told.
    pub key: Vec<Part>,
}

/// The columns of the table that hold one column of the source.
#[derive(Debug, Default)]
struct Group {
    name: Arc<str>,
    sources: Vec<Arc<str>>,
    parts: Vec<Part>,
}

impl TypedView {
    /// The view of a table of this shape.
    pub fn of(shape: &Shape, known: &Known<'_>) -> Self {
        let of_table = shape.columns();
        let groups = groups(shape, &of_table);
        let by_name: HashMap<_, _> = groups.iter().map(|group| (&group.name, group)).collect();
        let mut taken: HashSet<String> = of_table.iter().map(|(name, _)| folded(name)).collect();
        taken.extend(lineage::NAMES.iter().map(|name| (*name).to_owned()));
        let mut columns = Vec::new();
        for (name, kind) in &of_table {
            let (name, part) = (Arc::clone(name), Part { name: Arc::clone(name), kind: *kind });
            match by_name.get(&name) {
                Some(group) => columns.extend(group.columns(known, &mut taken)),
                None if *name == *RESCUED => {
                    columns.extend(with_raw(&name, &[part], Reading::Json, &mut taken));
                }
                None => columns.push(ViewColumn { name, parts: vec![part], reading: Reading::AsIs }),
            }
        }
        columns.extend(lineage::NAMES.iter().map(|name| {
            let part = Part { name: (*name).into(), kind: lineage_kind(name) };
            ViewColumn { name: (*name).into(), parts: vec![part], reading: Reading::AsIs }
        }));
        Self { columns, key: if known.has_sequence { key(&groups, known.key) } else { Vec::new() } }
    }
}

/// The columns of the source, each with those of the table that hold it, in the order in which they came to be.
fn groups(shape: &Shape, of_table: &[(Arc<str>, ColumnType)]) -> Vec<Group> {
    let kinds: HashMap<_, _> = of_table.iter().map(|(name, kind)| (name, *kind)).collect();
    let (mut by_source, mut by_target) = (HashMap::new(), HashMap::new());
    let mut groups: Vec<Group> = Vec::new();
    for entry in shape.entries().iter().filter(|entry| entry.change != Change::Rescued) {
        let (source, target) = (&entry.source, &entry.target);
        let new = groups.len();
        // A column that a mapping sends elsewhere may come to one that another began.
        let place = *by_target.get(target).or_else(|| by_source.get(source)).unwrap_or(&new);
        if place == new {
            groups.push(Group { name: Arc::clone(target), ..Group::default() });
        }
        let Some(group) = groups.get_mut(place) else { continue };
        if by_target.insert(target, place).is_none() {
            let kind = kinds.get(target).copied().unwrap_or(entry.target_kind);
            group.parts.push(Part { name: Arc::clone(target), kind });
        }
        if !group.sources.contains(source) {
            by_source.insert(source, place);
            group.sources.push(Arc::clone(source));
        }
    }
    // A shape that was lost may know a column beside the first before the first.
    let own = shape.entries().iter().filter(|entry| entry.change != Change::Beside);
    let own: HashSet<_> = own.map(|entry| &entry.target).collect();
    for group in &mut groups {
        if let Some(part) = group.parts.iter().find(|part| own.contains(&part.name)) {
            group.name = Arc::clone(&part.name);
        }
    }
    groups
}

/// The columns by which a row is known; none where the table does not have all of the key: rows that differ would be taken
/// for repeats.
fn key(groups: &[Group], key: &[String]) -> Vec<Part> {
    let parts = key.iter().map(|name| {
        let name = folded(name);
        let is_it = |group: &&Group| group.sources.iter().any(|source| folded(source) == name);
        groups.iter().find(is_it).map(|group| group.parts.clone())
    });
    parts.collect::<Option<Vec<_>>>().unwrap_or_default().concat()
}

impl Group {
    fn columns(&self, known: &Known<'_>, taken: &mut HashSet<String>) -> Vec<ViewColumn> {
        // What a column is called now says what it is.
        let typed = self.sources.iter().rev().find_map(|source| known.types.get(&folded(source)));
        let is_instant = self.sources.iter().any(|source| known.instants.contains(&**source));
        let kinds: Vec<_> = self.parts.iter().map(|part| part.kind).collect();
        with_raw(&self.name, &self.parts, Reading::of(&kinds, typed, is_instant), taken)
    }
}

/// A column, and behind it the same without its reading, where that may come to nothing.
fn with_raw(
    name: &Arc<str>,
    parts: &[Part],
    reading: Reading,
    taken: &mut HashSet<String>,
) -> Vec<ViewColumn> {
    let mut columns = vec![ViewColumn { name: Arc::clone(name), parts: parts.to_vec(), reading }];
    if parts.iter().any(|part| reading.may_lose(part.kind)) {
        let kinds: Vec<_> = parts.iter().map(|part| part.kind).collect();
        let names = (1_u32..).map(|number| match number {
            1 => with_suffix(name, RAW),
            number => with_suffix(name, &format!("{RAW}_{number}")),
        });
        let free = names.into_iter().find(|name| taken.insert(folded(name))).unwrap_or_default();
        let reading = Reading::plain(&kinds);
        columns.push(ViewColumn { name: free.into(), parts: parts.to_vec(), reading });
    }
    columns
}

fn lineage_kind(name: &str) -> ColumnType {
    match name {
        lineage::COMMITTED_AT | lineage::CLAIMED_AT => ColumnType::Timestamp,
        lineage::SOURCE_ROW => ColumnType::Int64,
        _ => ColumnType::String,
    }
}
