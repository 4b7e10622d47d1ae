//! What a mapping says of one table and its columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::planner::{Carrier, Class};
use crate::domain::shape::Policy;
use crate::domain::shape::name::folded;
use crate::domain::source_type::SourceType;
use crate::domain::treatment::{Mask, OnInvalid, Treatment};

/// What a mapping says of one table, beyond its route.
#[derive(Clone, Debug, Default)]
pub struct TableSettings {
    /// The key's columns.
    pub key: Vec<String>,
    /// Columns whose values are instants (MySQL TIMESTAMP): TIMESTAMP instead of DATETIME. The file cannot tell them
    /// apart.
    pub instants: Vec<String>,
    /// The columns that leave, where not all do; `*` and `?` stand for letters.
    pub only: Vec<String>,
    /// Columns that do not leave.
    pub without: Vec<String>,
    /// `[table.columns]`: what is said of single columns, by their names at the source.
    pub columns: BTreeMap<String, ColumnSettings>,
    /// The table's own window: then it is fixed.
    pub window: Option<Duration>,
    /// How urgent it is.
    pub class: Class,
    /// No window is open longer, where the planner says how long it is.
    pub max_staleness: Option<Duration>,
    /// By what its rows go.
    pub delivery: Carrier,
    /// The receivers that are told of its batches.
    pub notify: Vec<Arc<str>>,
    /// What is done about a type that the destination's column cannot hold.
    pub schema_changes: Policy,
    /// It has a typed view beside it.
    pub typed_view: bool,
}

/// What a mapping says of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnSettings {
    /// Its type at the source.
    pub source_type: Option<SourceType>,
    /// Its name in the destination, where that is another one.
    pub rename: Option<String>,
    /// How its values are made unreadable.
    pub mask: Option<Mask>,
    /// What is done with values that cannot be carried.
    pub on_invalid: Option<OnInvalid>,
}

impl TableSettings {
    /// The columns that hold instants, by either way of saying so.
    pub fn all_instants(&self) -> BTreeSet<String> {
        let typed = self.types().filter(|(_, kind)| kind.is_instant()).map(|(name, _)| name.to_owned());
        self.instants.iter().cloned().chain(typed).collect()
    }

    /// What is done with the values of columns, by the columns' names without case.
    pub fn treatments(&self) -> BTreeMap<String, Treatment> {
        let treated = self.columns.iter().filter_map(|(name, column)| {
            let treatment = Treatment { mask: column.mask, on_invalid: column.on_invalid };
            (treatment != Treatment::default()).then(|| (folded(name), treatment))
        });
        treated.collect()
    }

    /// The names of columns in the destination, by their names at the source without case, where they are others.
    pub fn renames(&self) -> BTreeMap<String, String> {
        let named =
            self.columns.iter().filter_map(|(name, column)| Some((folded(name), column.rename.clone()?)));
        named.collect()
    }

    /// The key's columns by their names in the destination.
    pub fn destination_key(&self) -> Vec<String> {
        let renames = self.renames();
        self.key.iter().map(|name| renames.get(&folded(name)).unwrap_or(name).clone()).collect()
    }

    /// The columns whose types are known, with them.
    pub fn types(&self) -> impl Iterator<Item = (&str, &SourceType)> {
        self.columns.iter().filter_map(|(name, column)| Some((name.as_str(), column.source_type.as_ref()?)))
    }
}
