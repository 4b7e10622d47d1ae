//! How a shape grows: a place for every column of a file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::name::{folded, hashed, plain, with_suffix};
use super::{
    Cause, Change, Conflict, Existing, Policy, Shape, ShapeEntry, ShapeRules, Unresolved, is_rescue,
};
use crate::domain::column_type::ColumnType;
use crate::domain::instant::Instant;
use crate::domain::lineage;

/// Columns that a table takes (Google Cloud, BigQuery: "Quotas and limits"), landbridge's own among them.
const COLUMNS_MAX: usize = 10_000 - lineage::NAMES.len();
/// The longest name in a file: MySQL's have 64 letters.
const NAME_BYTES_MAX: usize = 1_024;

/// A shape that grows.
pub(super) struct Growth<'a> {
    shape: Shape,
    known: usize,
    rules: &'a ShapeRules,
    at: Instant,
    file: Option<Arc<str>>,
    /// The destination's own columns by their names without case.
    existing: HashMap<String, Existing>,
    /// The shape's columns, by their names without case.
    taken: HashSet<String>,
    /// The names by which the mapping knows the shape's columns, and those that it gave them: a column of neither is new.
    logical: HashSet<String>,
    renamed: HashSet<String>,
}

/// A column of the destination that a column of the files may go to.
struct Candidate {
    target: Arc<str>,
    kind: ColumnType,
    is_beside: bool,
    is_own: bool,
}

impl<'a> Growth<'a> {
    pub(super) fn new(
        shape: &Shape,
        existing: &[Existing],
        rules: &'a ShapeRules,
        at: Instant,
        file: Option<Arc<str>>,
    ) -> Self {
        let existing = existing.iter().map(|column| (folded(&column.0), column.clone())).collect();
        let (shape, known) = (shape.clone(), shape.entries.len());
        let (taken, logical, renamed) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut growth = Self { shape, known, rules, at, file, existing, taken, logical, renamed };
        let entries = growth.shape.entries.clone();
        entries.iter().for_each(|entry| growth.index(&entry.source, &entry.target, entry.change));
        growth
    }

    /// Names that stay as they are come first, then those that must change, then columns whose type is another one than
    /// before: so no name depends on the order of columns more than it must.
    pub(super) fn grow(mut self, wanted: &[(Arc<str>, ColumnType)]) -> Result<Vec<ShapeEntry>, Conflict> {
        let unknown: Vec<_> =
            wanted.iter().filter(|(source, kind)| self.shape.target(source, *kind).is_none()).collect();
        for (source, _) in &unknown {
            if source.len() > NAME_BYTES_MAX {
                return Err(self.conflict(source, Cause::NameTooLong(NAME_BYTES_MAX)));
            }
        }
        let keeps_its_name = |source: &str| plain(self.logical(source)) == source;
        let (first, second): (Vec<_>, Vec<_>) =
            unknown.into_iter().partition(|(source, _)| keeps_its_name(source));
        let mut later = Vec::new();
        for (source, kind) in first.into_iter().chain(second) {
            let logical = self.logical(source);
            let is_new = !self.shape.by_source.contains_key(source)
                && !self.logical.contains(logical)
                && !self.renamed.contains(&plain(logical));
            if !is_new || !self.place(source, *kind) {
                later.push((source, *kind));
            }
        }
        for (source, kind) in later {
            if self.shape.target(source, kind).is_none() {
                self.change(source, kind)?;
            }
        }
        if self.taken.len() > COLUMNS_MAX {
            let newest =
                self.shape.entries.last().map_or_else(|| Arc::from(""), |entry| Arc::clone(&entry.source));
            return Err(self.conflict(&newest, Cause::TooMany(COLUMNS_MAX)));
        }
        if let Err(Unresolved::Conflict(conflict)) = self.shape.resolve(wanted) {
            return Err(self.conflict(&conflict.column, conflict.cause));
        }
        Ok(self.shape.entries.split_off(self.known))
    }

    /// The name that the mapping gives a column, or its own.
    fn logical<'b>(&'b self, source: &'b str) -> &'b str {
        if self.rules.renames.is_empty() {
            return source;
        }
        self.rules.renames.get(&folded(source)).map_or(source, String::as_str)
    }

    /// Notes under which names `candidates` finds an entry.
    fn index(&mut self, source: &str, target: &str, change: Change) {
        if change == Change::Rescued {
            return;
        }
        self.taken.insert(folded(target));
        let logical = self.logical(source).to_owned();
        self.logical.insert(logical);
        if change == Change::Renamed {
            self.renamed.insert(target.to_owned());
        }
    }

    fn conflict(&self, column: &Arc<str>, cause: Cause) -> Conflict {
        Conflict { column: Arc::clone(column), file: self.file.clone(), cause }
    }

    /// The columns that the source, or one that the mapping makes the same, has in the destination; its first one first.
    fn candidates(&self, source: &str) -> Vec<Candidate> {
        let logical = self.logical(source);
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for entry in &self.shape.entries {
            let is_own = *entry.source == *source;
            let is_same = is_own
                || self.logical(&entry.source) == logical
                || (entry.change == Change::Renamed && *entry.target == *plain(logical));
            if is_same && !is_rescue(&entry.target) && seen.insert(&entry.target) {
                found.push(Candidate {
                    target: Arc::clone(&entry.target),
                    kind: self.shape.widest.get(&entry.target).copied().unwrap_or(entry.target_kind),
                    is_beside: entry.change == Change::Beside,
                    is_own,
                });
            }
        }
        found
    }

    fn write(
        &mut self,
        source: &Arc<str>,
        kind: ColumnType,
        target: &str,
        target_kind: ColumnType,
        change: Change,
    ) {
        self.index(source, target, change);
        self.shape.append([ShapeEntry {
            source: Arc::clone(source),
            kind,
            target: target.into(),
            target_kind,
            change,
            at: self.at,
            file: self.file.clone(),
        }]);
    }

    /// Gives a column that was never seen its place; `false` when the destination has one of its name that cannot hold it.
    fn place(&mut self, source: &Arc<str>, kind: ColumnType) -> bool {
        if let Some(is_found) = self.find(source, kind) {
            return is_found;
        }
        let logical = self.logical(source).to_owned();
        let (plain, hashed) = (plain(&logical), hashed(&logical));
        let name = [plain, hashed.clone()].into_iter().find(|name| self.is_free(name));
        let name = name.unwrap_or_else(|| self.numbered(&hashed));
        let change = if logical == **source { Change::Added } else { Change::Renamed };
        self.write(source, kind, &name, kind, change);
        true
    }

    /// Takes the column that the destination has and nobody owns, if there is one of this name: `false` when it cannot hold
    /// the type.
    fn find(&mut self, source: &Arc<str>, kind: ColumnType) -> Option<bool> {
        let (plain, hashed) = (plain(self.logical(source)), hashed(self.logical(source)));
        // A shape that was lost: the column that has the hash is this one's, whoever could have the plain name.
        let keys = [hashed, plain].into_iter().map(|name| folded(&name));
        let there = keys.filter(|key| !self.taken.contains(key)).find_map(|key| self.existing.get(&key));
        let (name, has) = there.cloned()?;
        let Some(becomes) = has.and_then(|has| taken_over(has, kind)) else { return Some(false) };
        let change = if has.is_some_and(|has| has.holds(kind)) { Change::Found } else { Change::Widened };
        self.write(source, kind, &name, becomes, change);
        Some(true)
    }

    fn is_free(&self, name: &str) -> bool {
        let key = folded(name);
        !self.taken.contains(&key) && !self.existing.contains_key(&key)
    }

    fn numbered(&self, name: &str) -> String {
        let names = (2_u32..).map(|number| with_suffix(name, &format!("_{number}")));
        names.into_iter().find(|name| self.is_free(name)).unwrap_or_default()
    }

    /// Gives a column that is known with other types its place.
    fn change(&mut self, source: &Arc<str>, kind: ColumnType) -> Result<(), Conflict> {
        let candidates = self.candidates(source);
        // A shape that was lost may know a column beside the first, and not yet the first.
        if candidates.iter().all(|candidate| candidate.is_beside) && self.find(source, kind) == Some(true) {
            return Ok(());
        }
        let widened = |candidate: &Candidate| {
            let becomes = candidate.kind.widen(kind)?;
            // The name of a column beside another says its type, and stays true.
            (!candidate.is_beside || becomes.word() == candidate.kind.word()).then_some(becomes)
        };
        let holder = candidates.iter().find(|candidate| widened(candidate) == Some(candidate.kind));
        let fitting = holder.or_else(|| candidates.iter().find(|candidate| widened(candidate).is_some()));
        if let Some((candidate, becomes)) = fitting.and_then(|found| Some((found, widened(found)?))) {
            let change = match (becomes == candidate.kind, candidate.is_own) {
                (false, _) => Change::Widened,
                (true, true) => Change::Narrowed,
                (true, false) => Change::Renamed,
            };
            let target = Arc::clone(&candidate.target);
            self.write(source, kind, &target, becomes, change);
            return Ok(());
        }
        let first = candidates.into_iter().find(|candidate| !candidate.is_beside);
        self.by_policy(source, kind, first.map(|first| (first.target, first.kind)))
    }

    fn by_policy(
        &mut self,
        source: &Arc<str>,
        kind: ColumnType,
        first: Option<(Arc<str>, ColumnType)>,
    ) -> Result<(), Conflict> {
        let plain = plain(self.logical(source));
        let (base, has) = match first {
            Some((target, has)) => (target, Some(has)),
            None => {
                let there = self.existing.get(&folded(&plain));
                there.map_or_else(|| (plain.as_str().into(), None), |(name, has)| (Arc::clone(name), *has))
            }
        };
        // No type has changed at the source: a text that its JSON column does not hold has its place beside it, whatever the policy.
        let is_json_text = has == Some(ColumnType::Json) && kind == ColumnType::String;
        let policy = if is_json_text { Policy::Evolve } else { self.rules.policy };
        match policy {
            Policy::Evolve => {
                let (name, becomes) = self.beside(&base, kind);
                self.write(source, kind, &name, becomes, Change::Beside);
                Ok(())
            }
            Policy::Rescue => {
                self.write(source, kind, lineage::RESCUED, ColumnType::String, Change::Rescued);
                Ok(())
            }
            Policy::Freeze => Err(self.conflict(source, Cause::Frozen { target: base, has, kind })),
        }
    }

    /// The name of a column beside `base`, and its type. One that the destination has is taken where it fits: a shape that
    /// was lost made it.
    fn beside(&self, base: &str, kind: ColumnType) -> (String, ColumnType) {
        for number in 1_u32.. {
            let number = if number == 1 { String::new() } else { format!("_{number}") };
            let name = with_suffix(base, &format!("__{}{number}", kind.word()));
            let key = folded(&name);
            if self.taken.contains(&key) {
                continue;
            }
            match self.existing.get(&key) {
                None => return (name, kind),
                Some((name, has)) => {
                    let becomes = has.filter(|has| has.word() == kind.word());
                    if let Some(becomes) = becomes.and_then(|has| taken_over(has, kind)) {
                        return (name.to_string(), becomes);
                    }
                }
            }
        }
        (base.to_owned(), kind)
    }
}

/// The type in which values of `kind` are written into a column that the destination has as `has`. A warehouse's decimals
/// are wider than those of any file: the file's own are written into them. JSON that goes into text is text.
fn taken_over(has: ColumnType, kind: ColumnType) -> Option<ColumnType> {
    if has != kind && has.holds(kind) { kind.as_decimal().or(Some(has)) } else { has.widen(kind) }
}
