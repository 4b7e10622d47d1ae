//! Where a mapping keeps its tables, however it is written: `[[table]]` and `[table.columns]`, or lists and braces.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// The mapping of `cluster` in a document: the whole of a mapping file, or a `[[mapping]]` section of a configuration.
pub(super) fn mapping<'a>(
    document: &'a mut DocumentMut,
    cluster: Option<&str>,
) -> Result<&'a mut dyn TableLike, String> {
    if !document.contains_key("mapping") {
        return Ok(document.as_table_mut());
    }
    let sections = document.get_mut("mapping").map(tables_mut).unwrap_or_default();
    let names: Vec<_> = sections.iter().map(|section| text(&**section, "cluster")).collect();
    let fits = |section: &&mut dyn TableLike| {
        cluster.map_or(names.len() == 1, |cluster| text(&**section, "cluster") == Some(cluster.to_owned()))
    };
    let known = names.iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let found = sections.into_iter().find(fits);
    found.ok_or_else(|| format!("the file maps {known}\n    name one of them with --cluster"))
}

/// The entries of tables that are there.
pub(super) fn tables_mut(item: &mut Item) -> Vec<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Item::Value(Value::Array(values)) => values
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .map(|table| table as &mut dyn TableLike)
            .collect(),
        // Value and Item are the crate's: nothing else is a list of tables.
        Item::None | Item::Table(_) | Item::Value(_) => Vec::new(),
    }
}

/// Puts a further entry behind those that are there, as they are written.
pub(super) fn push(mapping: &mut dyn TableLike, entry: Table) {
    match mapping.get_mut("table") {
        Some(Item::ArrayOfTables(tables)) => tables.push(entry),
        Some(Item::Value(Value::Array(values))) => values.push(entry.into_inline_table()),
        Some(Item::None | Item::Table(_) | Item::Value(_)) | None => {
            let mut tables = ArrayOfTables::new();
            tables.push(entry);
            mapping.insert("table", Item::ArrayOfTables(tables));
        }
    }
}

/// The columns of an entry; made where there are none yet.
pub(super) fn columns_mut(entry: &mut dyn TableLike, inline: bool) -> Option<&mut dyn TableLike> {
    if entry.get("columns").is_none() {
        let fresh = if inline { toml_edit::value(InlineTable::new()) } else { Item::Table(Table::new()) };
        entry.insert("columns", fresh);
    }
    entry.get_mut("columns")?.as_table_like_mut()
}

/// Sets a text, and keeps what stands around the old one.
pub(super) fn set_text(table: &mut dyn TableLike, key: &str, text: &str) {
    let mut fresh = Value::from(text);
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(value) => {
            *fresh.decor_mut() = value.decor().clone();
            *value = fresh;
        }
        None => {
            table.insert(key, Item::Value(fresh));
        }
    }
}

/// A text of a table.
pub(super) fn text(table: &dyn TableLike, key: &str) -> Option<String> {
    table.get(key)?.as_str().map(str::to_owned)
}

/// A list of texts of a table.
pub(super) fn texts(table: &dyn TableLike, key: &str) -> Vec<String> {
    let values = table.get(key).and_then(Item::as_array).into_iter().flat_map(Array::iter);
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
