//! `[table.columns]`: what a mapping says of single columns.

use std::collections::BTreeMap;

use super::document::Section;
use super::types::ColumnSettings;
use super::{ConfigError, nearest};
use crate::domain::source_type::{NAMES, SourceType};

const COLUMN_KEYS: [&str; 1] = ["type"];
const EXAMPLE: &str = "created_at = { type = \"timestamp(6)\" }";

/// Reads the columns of a table, and holds them against its `instants`.
pub(super) fn read(
    table: &Section<'_>,
    instants: &[String],
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, ColumnSettings> {
    let mut columns = BTreeMap::new();
    let Some(section) = table.section("columns", "table.columns", errors) else { return columns };
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    for column in section.children(EXAMPLE, errors) {
        // MySQL has no two such columns: one of them is a slip.
        if let Some(other) = folded.insert(column.name.to_lowercase(), column.name) {
            let problem = format!("\"{}\" and \"{other}\" differ only in case", column.name);
            errors.push(section.error(
                column.name,
                problem,
                "expected a column once, spelled as in the files",
            ));
        }
        let mut of_column = Vec::new();
        let settings = read_column(&column, &mut of_column);
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
    ColumnSettings { source_type: source_type(section, errors) }
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
