//! The check at the end: each version that was ever put is accounted for, by what is in the warehouse and in the
//! ledger, and by what the seed made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use landbridge::domain::file::FileState;

use super::books::Row;
use super::bucket::{Fate, Version};
use super::files::IDS_PER_FILE;
use super::ledger::Watch;
use super::process::Breaches;

type Rows<'a> = Vec<(&'a str, i64, i64)>;

/// Compares everything with everything.
pub fn check(
    versions: &[Version],
    is_there: impl Fn(usize) -> bool,
    rows: &[(Arc<str>, Row)],
    watch: &Watch,
    breaches: &Breaches,
) {
    let mut by_source: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
    for (table, row) in rows {
        by_source.entry(&row.source).or_default().push((table, row.row, row.id));
    }
    let files: Vec<_> = versions.iter().map(|version| version.file.clone()).collect();
    let states = watch.states(&files);
    for (index, (version, state)) in versions.iter().zip(states).enumerate() {
        let found = by_source.remove(&*version.file.source_file()).unwrap_or_default();
        if let Err(text) = account(index, version, is_there(index), state.as_ref(), found) {
            let Version { file, fate, ever_gone, .. } = version;
            breaches.add(format!("{file} ({fate:?}, ever gone: {ever_gone}, {state:?}): {text}"));
        }
    }
    for (source, rows) in by_source {
        breaches.add(format!("{} rows of {source}, which was never put", rows.len()));
    }
}

/// Whether a version's rows and its state are what they may be.
fn account(
    index: usize,
    version: &Version,
    is_there: bool,
    state: Option<&FileState>,
    mut found: Rows<'_>,
) -> Result<(), String> {
    let poison = match version.fate {
        Fate::Good | Fate::Unmapped => false,
        Fate::Marked | Fate::Footer | Fate::Pages | Fate::Type | Fate::Panic | Fate::Empty | Fate::Copied => {
            true
        }
    };
    let allowed = match state {
        Some(FileState::Loaded { .. }) => version.fate == Fate::Good,
        Some(FileState::Poison { .. }) => poison,
        Some(FileState::Vanished { .. }) => version.ever_gone && !is_there,
        Some(FileState::Deferred { .. }) => version.fate == Fate::Unmapped,
        Some(FileState::Claimed { .. }) | None => false,
    };
    if !allowed {
        return Err("it may not end in this state".to_owned());
    }
    let rows = if matches!(state, Some(FileState::Loaded { .. })) { version.rows } else { 0 };
    let first = (index as i64 + 1) * IDS_PER_FILE;
    let table = &*version.file.table.table;
    let wanted: Rows<'_> = (0..rows as i64).map(|row| (table, row, first + row)).collect();
    found.sort_unstable();
    if found == wanted {
        return Ok(());
    }
    Err(format!("{} rows are in the warehouse, {} should be: {found:?}", found.len(), wanted.len()))
}
