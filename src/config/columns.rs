//! What a mapping says of single columns: `[table.columns]`, `only` and `without`.

use std::collections::BTreeMap;

use super::document::Section;
use super::types::{ColumnSettings, DmsColumns};
use super::values::Given;
use super::{ConfigError, nearest};
use crate::domain::lineage;
use crate::domain::shape::name::{folded, is_admitted};
use crate::domain::source_type::{NAMES, SourceType};
use crate::domain::treatment::{Mask, OnInvalid, Selection};

const COLUMN_KEYS: [&str; 5] = ["type", "rename", "mask", "keep_last", "on_invalid"];
const EXAMPLE: &str = "created_at = { type = \"timestamp(6)\" }";

/// Reads the columns of a table, and holds them against its `instants`.
pub(super) fn read(
    table: &Section<'_>,
    instants: &[String],
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, ColumnSettings> {
    let mut columns = BTreeMap::new();
    let Some(section) = table.section("columns", "table.columns", errors) else { return columns };
    let mut spelled: BTreeMap<String, &str> = BTreeMap::new();
    for column in section.children(EXAMPLE, errors) {
        // MySQL has no two such columns: one of them is a slip.
        if let Some(other) = spelled.insert(folded(column.name), column.name) {
            let problem = format!("\"{}\" and \"{other}\" differ only in case", column.name);
            errors.push(section.error(
                column.name,
                problem,
                "expected a column once, spelled as in the files",
            ));
        }
        let mut of_column = Vec::new();
        let settings = read_column(&column, &mut of_column);
        if column.name.contains('*') && (settings.mask.is_some() || settings.on_invalid.is_some()) {
            let problem = format!("\"{}\" is a pattern", column.name);
            let expected = "expected a column's name: patterns work in `only` and `without`";
            errors.push(section.error(column.name, problem, expected));
        }
        // A column's section is known by its name alone.
        let within =
            |error: ConfigError| ConfigError { key: format!("{}.{}", section.name, error.key), ..error };
        errors.extend(of_column.into_iter().map(within));
        columns.insert(column.name.to_owned(), settings);
    }
    for name in instants {
        let known = columns.get(name).and_then(|column| column.source_type.as_ref());
        if let Some(kind) = known.filter(|kind| !kind.is_instant()) {
            errors.push(table.error(
                "instants",
                format!("\"{name}\" is named as an instant, and its `type` is {kind}"),
                "expected only columns of the type `timestamp`: take it out, or correct its `type`",
            ));
        }
    }
    columns
}

fn read_column(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> ColumnSettings {
    section.refuse_unknown(&COLUMN_KEYS, errors);
    let mask = mask(section, errors);
    let on_invalid = choice(section, "on_invalid", OnInvalid::ALL.map(OnInvalid::name), errors)
        .and_then(|name| OnInvalid::ALL.into_iter().find(|choice| choice.name() == name));
    if mask.is_some() && on_invalid.is_some() {
        errors.push(section.error(
            "on_invalid",
            "a masked column has no invalid values",
            "expected `mask` or `on_invalid`, not both",
        ));
    }
    ColumnSettings {
        source_type: source_type(section, errors),
        rename: rename(section, errors),
        mask,
        on_invalid,
    }
}

/// Checks that nothing is done with DMS's own columns: they become lineage.
pub(super) fn check_dms(
    table: &Section<'_>,
    dms: &DmsColumns,
    columns: &BTreeMap<String, ColumnSettings>,
    errors: &mut Vec<ConfigError>,
) {
    let own = [Some(&dms.op), dms.timestamp.as_ref(), dms.sequence.as_ref()];
    for (name, column) in columns {
        let is_dms = own.iter().flatten().any(|own| folded(own) == folded(name));
        if is_dms && (column.mask.is_some() || column.rename.is_some() || column.on_invalid.is_some()) {
            let problem = format!("\"{name}\" is DMS's own column and becomes lineage as it is");
            let expected = "expected columns of the table itself";
            errors.push(table.error("columns", problem, expected));
        }
    }
}

/// Checks that the columns of the key leave, and still tell rows apart.
pub(super) fn check_key(
    table: &Section<'_>,
    key: &[String],
    selection: &Selection,
    columns: &BTreeMap<String, ColumnSettings>,
    errors: &mut Vec<ConfigError>,
) {
    for (name, column) in columns {
        let onto =
            key.iter().find(|key| column.rename.as_ref().is_some_and(|new| folded(new) == folded(key)));
        if let Some(key) = onto.filter(|key| folded(key) != folded(name)) {
            let problem = format!("\"{name}\" would be named \"{key}\", as a column of the key is");
            errors.push(table.error("columns", problem, "expected a name of its own"));
        }
    }
    for name in key {
        let column = columns.iter().find(|(own, _)| folded(own) == folded(name)).map(|(_, column)| column);
        let mask = column.and_then(|column| column.mask).filter(|mask| *mask != Mask::Hash);
        let problem = match mask {
            _ if !selection.takes(name) => format!("\"{name}\" is a column of the key, and does not leave"),
            Some(mask) => format!("\"{name}\" is a column of the key, and masked as {mask}"),
            None if column.is_some_and(|column| column.on_invalid == Some(OnInvalid::Null)) => {
                format!("\"{name}\" is a column of the key, and may become NULL by its `on_invalid`")
            }
            None => continue,
        };
        let expected = "expected a key whose columns leave as they are, or with `mask = \"hash\"`";
        errors.push(table.error("key", problem, expected));
    }
}

fn mask(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<Mask> {
    let name = choice(section, "mask", Mask::NAMES, errors);
    let kept = section.given("keep_last");
    if kept.is_some() && name.as_deref() != Some("partial") {
        errors.push(section.error(
            "keep_last",
            "only a partial mask keeps letters",
            "expected `mask = \"partial\"` beside it",
        ));
    }
    let number = |given| match given {
        Given::Number(number) => u8::try_from(number).ok().filter(|kept| (1..=Mask::KEPT_MAX).contains(kept)),
        Given::Text(_) | Given::Other(_) => None,
    };
    let kept = kept.map_or(Some(Mask::KEPT_DEFAULT), number).or_else(|| {
        let expected = format!("expected a number from 1 to {}", Mask::KEPT_MAX);
        errors.push(section.error("keep_last", "so many letters cannot be kept", expected));
        None
    });
    match name?.as_str() {
        "hash" => Some(Mask::Hash),
        "partial" => Some(Mask::Partial { kept: kept? }),
        _ => Some(Mask::Redact),
    }
}

fn rename(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<String> {
    let name = section.text("rename", errors)?;
    if is_admitted(&name) && !lineage::is_reserved(&name) && !name.eq_ignore_ascii_case(lineage::RESCUED) {
        return Some(name);
    }
    let expected = "expected letters, digits and `_`, no digit first, and none of landbridge's own columns";
    errors.push(section.error("rename", format!("\"{name}\" cannot be a column's name"), expected));
    None
}

/// One of `names`; another text is an error.
pub(super) fn choice<const N: usize>(
    section: &Section<'_>,
    key: &str,
    names: [&str; N],
    errors: &mut Vec<ConfigError>,
) -> Option<String> {
    let text = section.text(key, errors)?;
    if names.contains(&text.as_str()) {
        return Some(text);
    }
    let quoted = names.map(|name| format!("`\"{name}\"`")).join(", ");
    let error = section.error(key, format!("\"{text}\" is no choice"), format!("expected one of {quoted}"));
    errors.push(ConfigError { nearest: nearest(&text, names), ..error });
    None
}

fn source_type(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<SourceType> {
    match section.text("type", errors)?.parse::<SourceType>() {
        Ok(kind) => Some(kind),
        Err(error) => {
            let nearest = error.unknown.and_then(|name| nearest(&name, NAMES));
            errors.push(ConfigError { nearest, ..section.error("type", error.problem, error.expected) });
            None
        }
    }
}
