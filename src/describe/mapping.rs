//! Writes what the source says into the text of a mapping.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike};

use super::change::{Changes, ColumnChange, TableChange, TableState};
use super::entries::{columns_mut, mapping, push, set_text, tables_mut, text, texts};
use crate::domain::source_type::SourceType;
use crate::source::{SourceColumn, SourceTable};

/// The tables that a mapping names.
pub fn named(text: &str, cluster: Option<&str>) -> Result<BTreeSet<String>, String> {
    let mut document = parsed(text)?;
    let entries = mapping(&mut document, cluster)?.get_mut("table").map(tables_mut).unwrap_or_default();
    Ok(entries.iter().filter_map(|entry| self::text(&**entry, "name")).collect())
}

/// Writes `tables` into the mapping of `cluster` in `text`; answers the new text and what changed. `meant` is true of the
/// names that were looked for.
pub fn update(
    text: &str,
    cluster: Option<&str>,
    tables: &[SourceTable],
    meant: impl Fn(&str) -> bool,
) -> Result<(String, Changes), String> {
    let mut document = parsed(text)?;
    let mapping = mapping(&mut document, cluster)?;
    let found: BTreeMap<String, &SourceTable> =
        tables.iter().map(|table| (table.full_name(), table)).collect();
    let mut changes = Changes::default();
    let (mut taken, mut there) = (BTreeSet::new(), BTreeSet::new());
    if let Some(item) = mapping.get_mut("table") {
        let inline = !item.is_array_of_tables();
        for entry in tables_mut(item) {
            let Some(name) = self::text(entry, "name") else { continue };
            taken.insert(destination(entry, &name).to_ascii_lowercase());
            there.insert(name.clone());
            match found.get(&name) {
                Some(table) => changes.tables.push(update_entry(entry, inline, table, name)?),
                None if meant(&name) => changes.tables.push(TableChange::new(name, TableState::Gone)),
                None => {}
            }
        }
    }
    // In the source's order, which is by name.
    for table in tables.iter().filter(|table| !there.contains(&table.full_name())) {
        let (entry, change) = new_entry(table, &mut taken)?;
        if let Some(entry) = entry {
            push(mapping, entry);
        }
        changes.tables.push(change);
    }
    // Even a blank is left where it was.
    let fresh = if changes.any_written() { document.to_string() } else { text.to_owned() };
    Ok((fresh, changes))
}

fn parsed(text: &str) -> Result<DocumentMut, String> {
    text.parse::<DocumentMut>().map_err(|error| format!("it is no TOML: {}", error.to_string().trim_end()))
}

/// The name of an entry's table in the dataset.
fn destination(entry: &dyn TableLike, name: &str) -> String {
    let own = || name.split_once('.').map_or(name, |(_, table)| table).to_owned();
    text(entry, "as").unwrap_or_else(own)
}

/// An entry for a table that the mapping does not name; none where a mapping cannot name it.
fn new_entry(
    table: &SourceTable,
    taken: &mut BTreeSet<String>,
) -> Result<(Option<Table>, TableChange), String> {
    let name = table.full_name();
    if table.schema.contains('.') {
        let mut change = TableChange::new(name, TableState::Skipped);
        change.notes.push("a mapping cannot name a database that has a dot in its name".to_owned());
        return Ok((None, change));
    }
    let mut entry = Table::new();
    set_text(&mut entry, "name", &name);
    let target = free_name(table, taken);
    taken.insert(target.to_ascii_lowercase());
    let mut change = update_entry(&mut entry, false, table, name)?;
    change.state = TableState::Added;
    if target != table.name {
        set_text(&mut entry, "as", &target);
        change.notes.push(format!("goes to {target}: its own name is taken, or none in the warehouse"));
    }
    Ok((Some(entry), change))
}

/// The first of `table`, `schema_table`, `schema_table_2`, … that no other table of the dataset has, in letters, digits and
/// `_`.
fn free_name(table: &SourceTable, taken: &BTreeSet<String>) -> String {
    let plain = |text: &str| -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        // BigQuery takes 300 letters; MySQL's names have at most 64.
        text.chars().map(letter).take(200).collect()
    };
    let long = format!("{}_{}", plain(&table.schema), plain(&table.name));
    let free = |name: &String| !taken.contains(&name.to_ascii_lowercase());
    let named = [plain(&table.name), long.clone()].into_iter().find(free);
    named.or_else(|| (2_u64..).map(|number| format!("{long}_{number}")).find(free)).unwrap_or(long)
}

/// Brings an entry up to date.
fn update_entry(
    entry: &mut dyn TableLike,
    inline: bool,
    table: &SourceTable,
    name: String,
) -> Result<TableChange, String> {
    let mut change = TableChange::new(name, TableState::Kept);
    update_key(entry, table, &mut change);
    let instants = texts(entry, "instants");
    if table.columns.is_empty() && entry.get("columns").is_none() {
        return Ok(change);
    }
    let columns = columns_mut(entry, inline)
        .ok_or_else(|| format!("`columns` of {} is no table: `landbridge check` says where", change.name))?;
    // MySQL compares names without case, and people write them as DMS was told to.
    let spelled: BTreeMap<String, String> =
        columns.iter().map(|(key, _)| (key.to_lowercase(), key.to_owned())).collect();
    let mut gone: BTreeSet<String> = spelled.keys().cloned().collect();
    for column in &table.columns {
        let folded = column.name.to_lowercase();
        gone.remove(&folded);
        let key = spelled.get(&folded).unwrap_or(&column.name);
        let instant = instants.iter().any(|name| name.to_lowercase() == folded);
        if let Some(told) = update_column(columns, key, column, instant)? {
            change.columns.push((key.clone(), told));
        }
    }
    let gone = spelled.into_iter().filter(|(folded, _)| gone.contains(folded));
    change.columns.extend(gone.map(|(_, key)| (key, ColumnChange::Gone)));
    if columns.is_empty() {
        entry.remove("columns");
    }
    Ok(change)
}

/// Names the primary key where no key is named: a person's word on it stands.
fn update_key(entry: &mut dyn TableLike, table: &SourceTable, change: &mut TableChange) {
    if entry.get("key").is_none() {
        if table.key.is_empty() {
            change.notes.push("has no primary key: name a `key`, or its rows stay a history only".to_owned());
            return;
        }
        entry.insert("key", toml_edit::value(table.key.iter().collect::<Array>()));
        change.key = Some(table.key.clone());
        return;
    }
    let named = texts(entry, "key");
    let same = named.len() == table.key.len()
        && named.iter().zip(&table.key).all(|(left, right)| left.to_lowercase() == right.to_lowercase());
    if !same && !table.key.is_empty() {
        let (named, own) = (named.join(", "), table.key.join(", "));
        change.notes.push(format!("its `key` is ({named}), and its primary key ({own}): left as it is"));
    }
}

/// Writes a column's type, where it is not what the mapping says.
fn update_column(
    columns: &mut dyn TableLike,
    key: &str,
    column: &SourceColumn,
    instant: bool,
) -> Result<Option<ColumnChange>, String> {
    let Ok(kind) = column.kind.parse::<SourceType>() else {
        return Ok(Some(ColumnChange::Unknown(column.kind.clone())));
    };
    let to = kind.to_string();
    if instant && !kind.is_instant() {
        return Ok(Some(ColumnChange::NoInstant(to)));
    }
    let Some(item) = columns.get_mut(key) else {
        let mut fresh = InlineTable::new();
        set_text(&mut fresh, "type", &to);
        columns.insert(key, Item::Value(fresh.into()));
        return Ok(Some(ColumnChange::Added(to)));
    };
    let settings = item.as_table_like_mut().ok_or_else(|| {
        format!("the column {key} is no table in the mapping: `landbridge check` says where")
    })?;
    match text(settings, "type") {
        // Another spelling of the same type is a person's.
        Some(from) if from.parse().as_ref() == Ok(&kind) => Ok(None),
        Some(from) => {
            set_text(settings, "type", &to);
            Ok(Some(ColumnChange::Changed { from, to }))
        }
        None => {
            set_text(settings, "type", &to);
            Ok(Some(ColumnChange::Added(to)))
        }
    }
}
