//! The shape of a table: the history of its columns, from which it follows where a file's columns go.
//!
//! An entry says of a column's name and type in the files which column of the destination takes it. It is written into the
//! ledger before the first file of that kind is claimed, and never changes (Invariant I-3b): the rows of a batch are a
//! function of its manifest, the rules and these entries. Later entries may only widen the type of a destination's column.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::column_type::ColumnType;
use super::instant::Instant;
use super::lineage::RESCUED;

mod append;
mod conflict;
mod grow;
mod hint;
pub mod name;
#[cfg(test)]
mod tests;

pub use append::{Appending, appending};
pub use conflict::{Cause, Conflict};
pub use hint::renamed_hint;

/// What became of a column when it was first seen with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The destination had the column before landbridge knew of it.
    Found,
    /// The destination gained it.
    Added,
    /// The destination's column took a wider type, which holds both.
    Widened,
    /// The destination's column holds the type already.
    Narrowed,
    /// The mapping names the column of the destination.
    Renamed,
    /// No type holds both: the values go into a column of their own, `name__type`.
    Beside,
    /// No type holds both: the values go as JSON into `_rescued`.
    Rescued,
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 7] =
        [Self::Found, Self::Added, Self::Widened, Self::Narrowed, Self::Renamed, Self::Beside, Self::Rescued];

    /// Its name in JSON and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Added => "added",
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Renamed => "renamed",
            Self::Beside => "beside",
            Self::Rescued => "rescued",
        }
    }
}

/// What is done about a type that the destination's column cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The values go into a new column, `name__type`.
    #[default]
    Evolve,
    /// The table is held until a person decides.
    Freeze,
    /// The values go as JSON into `_rescued`.
    Rescue,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Evolve, Self::Freeze, Self::Rescue];

    /// Its name in the mapping.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evolve => "evolve",
            Self::Freeze => "freeze",
            Self::Rescue => "rescue",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the mapping says of a table's shape. It decides what is written into it, never what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShapeRules {
    /// What is done about a type that does not fit.
    pub policy: Policy,
    /// Columns that are named otherwise in the destination: by their names in the files, without case.
    pub renames: BTreeMap<String, String>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeEntry {
    /// The column's name in the files.
    pub source: Arc<str>,
    /// Its type there.
    pub kind: ColumnType,
    /// The column of the destination.
    pub target: Arc<str>,
    /// The type of that column from then on.
    pub target_kind: ColumnType,
    /// What became of it.
    pub change: Change,
    /// When.
    pub at: Instant,
    /// The first file that had it so, `bucket/key@etag`.
    pub file: Option<Arc<str>>,
}

#[cfg(test)]
impl ShapeEntry {
    /// A column of whole numbers that was added under its own name.
    pub(crate) fn added(name: &str) -> Self {
        let kind = ColumnType::Int64;
        let at = Instant::from_micros(1);
        Self {
            source: name.into(),
            kind,
            target: name.into(),
            target_kind: kind,
            change: Change::Added,
            at,
            file: None,
        }
    }
}

/// Where the values of a file's column go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The column of the destination.
    pub name: Arc<str>,
    /// Its type, which holds every value that was ever mapped to it.
    pub kind: ColumnType,
    /// The values go into it as members of a JSON object, by the column's name in the files.
    pub is_rescue: bool,
}

/// Why columns of a file have no places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// The shape must grow first.
    Unknown,
    /// Two of them have one place.
    Conflict(Conflict),
}

/// A column that a destination has, with the type that holds what is in it; `None` for one that landbridge does not write.
pub type Existing = (Arc<str>, Option<ColumnType>);

#[derive(Clone, Debug)]
struct Known {
    kind: ColumnType,
    target: Arc<str>,
    change: Change,
}

impl Known {
    /// Text in the column's own place, and not beside or among other things.
    fn is_own_text(&self) -> bool {
        let is_own = match self.change {
            Change::Found | Change::Added | Change::Widened | Change::Narrowed | Change::Renamed => true,
            Change::Beside | Change::Rescued => false,
        };
        self.kind == ColumnType::String && is_own
    }
}

/// All entries of a table, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    entries: Vec<ShapeEntry>,
    by_source: HashMap<Arc<str>, Vec<Known>>,
    widest: HashMap<Arc<str>, ColumnType>,
}

impl Shape {
    /// The shape of these entries. Of entries for one name and type the first counts.
    pub fn new(entries: impl IntoIterator<Item = ShapeEntry>) -> Self {
        let mut shape = Self::default();
        shape.append(entries);
        shape
    }

    /// Takes later entries.
    pub fn append(&mut self, entries: impl IntoIterator<Item = ShapeEntry>) {
        for entry in entries {
            let known = self.by_source.entry(Arc::clone(&entry.source)).or_default();
            if known.iter().all(|known| known.kind != entry.kind) {
                let (kind, target) = (entry.kind, Arc::clone(&entry.target));
                known.push(Known { kind, target, change: entry.change });
                self.widest.insert(Arc::clone(&entry.target), entry.target_kind);
            }
            self.entries.push(entry);
        }
    }

    /// The entries.
    pub fn entries(&self) -> &[ShapeEntry] {
        &self.entries
    }

    /// Where a column of this name and type goes, with the type of the whole shape; `None` when that is not decided. JSON goes where
    /// the column's text went before, into its own column: that holds every letter, and no table changes its mind.
    pub fn target(&self, source: &str, kind: ColumnType) -> Option<Target> {
        let known = self.by_source.get(source)?;
        let own = known.iter().find(|known| known.kind == kind);
        let text = || known.iter().find(|known| kind == ColumnType::Json && known.is_own_text());
        let known = own.or_else(text)?;
        Some(Target {
            name: Arc::clone(&known.target),
            kind: self.widest.get(&known.target).copied().unwrap_or(kind),
            is_rescue: known.change == Change::Rescued,
        })
    }

    /// Where the columns of one file go, in their order.
    pub fn resolve(&self, columns: &[(Arc<str>, ColumnType)]) -> Result<Vec<Target>, Unresolved> {
        let targets: Option<Vec<_>> =
            columns.iter().map(|(source, kind)| self.target(source, *kind)).collect();
        let targets = targets.ok_or(Unresolved::Unknown)?;
        let mut sources: HashMap<&str, &Arc<str>> = HashMap::new();
        for ((source, _), target) in columns.iter().zip(&targets).filter(|(_, target)| !target.is_rescue) {
            if let Some(other) = sources.insert(&target.name, source) {
                let cause = Cause::Together { other: Arc::clone(other), target: Arc::clone(&target.name) };
                return Err(Unresolved::Conflict(Conflict { column: Arc::clone(source), file: None, cause }));
            }
        }
        Ok(targets)
    }

    /// The columns of the destination, in the order in which they came to be, with their types.
    pub fn columns(&self) -> Vec<(Arc<str>, ColumnType)> {
        let mut seen = std::collections::HashSet::new();
        let first = self.entries.iter().filter(|entry| seen.insert(&*entry.target));
        let kind = |entry: &ShapeEntry| self.widest.get(&entry.target).copied().unwrap_or(entry.target_kind);
        first.map(|entry| (Arc::clone(&entry.target), kind(entry))).collect()
    }

    /// The shape as it was then.
    pub fn as_of(&self, at: Instant) -> Self {
        Self::new(self.entries.iter().filter(|entry| entry.at <= at).cloned())
    }

    /// The entries to append so that every one of `wanted`, the columns of one file, has a place. `existing` are the
    /// destination's own columns (`None`: of a type that landbridge does not write), needed only where something is not
    /// known: a shape that is new or was lost finds what is there.
    pub fn grow(
        &self,
        wanted: &[(Arc<str>, ColumnType)],
        existing: &[Existing],
        rules: &ShapeRules,
        at: Instant,
        file: Option<Arc<str>>,
    ) -> Result<Vec<ShapeEntry>, Conflict> {
        grow::Growth::new(self, existing, rules, at, file).grow(wanted)
    }
}

/// True for the column that takes what fits nowhere else.
fn is_rescue(target: &str) -> bool {
    target == RESCUED
}
