//! A TOML document whose every value knows its place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values::Given;
use super::{ConfigError, Place, line_and_column, nearest};

/// A parsed file.
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

/// A table of a document, and its name in messages.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    path: &'a Path,
    text: &'a str,
    table: &'a DeTable<'a>,
    at: usize,
    pub(super) name: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn parse(path: &'a Path, text: &'a str) -> Result<Self, ConfigError> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { path, text, root }),
            Err(error) => {
                let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
                Err(ConfigError {
                    place: Place::File(path.to_owned(), line, column),
                    key: "syntax".to_owned(),
                    problem: error.message().to_owned(),
                    expected: "expected TOML: `key = \"value\"` lines under `[section]` heads".to_owned(),
                    nearest: None,
                })
            }
        }
    }

    pub(super) fn root(&'a self) -> Section<'a> {
        Section { path: self.path, text: self.text, table: self.root.get_ref(), at: 0, name: "" }
    }
}

impl<'a> Section<'a> {
    /// The file that it stands in.
    pub(super) fn file(&self) -> &'a Path {
        self.path
    }

    fn full(&self, key: &str) -> String {
        // TOML admits a key without a letter.
        let key = if key.is_empty() { "\"\"" } else { key };
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn place_at(&self, position: usize) -> Place {
        let (line, column) = line_and_column(self.text, position);
        Place::File(self.path.to_owned(), line, column)
    }

    /// The place of a key's value, or of the section where the key is missing.
    pub(super) fn place(&self, key: &str) -> Place {
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        self.place_at(found.map_or(self.at, |(name, _)| name.span().start))
    }

    pub(super) fn error(
        &self,
        key: &str,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            place: self.place(key),
            key: self.full(key),
            problem: problem.into(),
            expected: expected.into(),
            nearest: None,
        }
    }

    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Refuses every key that is not among `known`.
    pub(super) fn refuse_unknown(&self, known: &[&str], errors: &mut Vec<ConfigError>) {
        for key in self.keys().iter().filter(|key| !known.contains(&key.as_str())) {
            let expected = format!("expected one of: {}", known.join(", "));
            let nearest = nearest(key, known.iter().copied());
            errors.push(ConfigError { nearest, ..self.error(key, "unknown key", expected) });
        }
    }

    fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value.get_ref())
    }

    /// A scalar as it was given.
    pub(super) fn given(&self, key: &str) -> Option<Given> {
        Some(match self.value(key)? {
            DeValue::String(text) => Given::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix())
                    .map_or(Given::Other("integer out of range"), Given::Number)
            }
            DeValue::Float(_) => Given::Other("float"),
            DeValue::Boolean(_) => Given::Other("boolean"),
            DeValue::Datetime(_) => Given::Other("datetime"),
            DeValue::Array(_) => Given::Other("array"),
            DeValue::Table(_) => Given::Other("table"),
        })
    }

    /// A text; a value of another type is an error.
    pub(super) fn text(&self, key: &str, errors: &mut Vec<ConfigError>) -> Option<String> {
        match self.given(key)? {
            Given::Text(text) if !text.trim().is_empty() => Some(text),
            Given::Text(_) => {
                errors.push(self.error(key, "the text is empty", "expected a text"));
                None
            }
            Given::Number(_) | Given::Other(_) => {
                errors.push(self.error(key, "the value is no text", "expected a text in quotes"));
                None
            }
        }
    }

    /// `true` or `false`; anything else is an error.
    pub(super) fn flag(&self, key: &str, errors: &mut Vec<ConfigError>) -> Option<bool> {
        match self.value(key)? {
            DeValue::Boolean(flag) => Some(*flag),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                errors.push(self.error(
                    key,
                    "the value is neither true nor false",
                    "expected `true` or `false`",
                ));
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn needed(&self, key: &str, example: &str, errors: &mut Vec<ConfigError>) -> Option<String> {
        if self.value(key).is_none() {
            let section = if self.name.is_empty() { "the file" } else { self.name };
            errors.push(self.error(
                key,
                format!("{section} has no `{key}`"),
                format!("expected `{key} = {example}`"),
            ));
        }
        self.text(key, errors)
    }

    /// A list of texts; empty when the key is not there.
    pub(super) fn texts(&self, key: &str, errors: &mut Vec<ConfigError>) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let texts = value.as_array().and_then(|values| {
            values.iter().map(|value| value.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| {
            errors.push(self.error(
                key,
                "the value is no list of texts",
                "expected a list, as in `[\"id\"]`",
            ));
            Vec::new()
        })
    }

    /// A sub-table.
    pub(super) fn section(
        &self,
        key: &str,
        name: &'a str,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Section<'a>> {
        let (given, value) = self.table.iter().find(|(name, _)| name.get_ref() == key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section { table, at: given.span().start, name, ..*self }),
            None => {
                errors.push(self.error(
                    key,
                    "the value is no section",
                    format!("expected `[{name}]` and keys below it"),
                ));
                None
            }
        }
    }

    /// All sub-tables, each named by its key; what is none is an error.
    pub(super) fn children(&self, example: &str, errors: &mut Vec<ConfigError>) -> Vec<Section<'a>> {
        let mut children = Vec::new();
        for (given, value) in self.table.iter() {
            match value.get_ref().as_table() {
                Some(table) => {
                    children.push(Section { table, at: given.span().start, name: given.get_ref(), ..*self });
                }
                None => errors.push(self.error(
                    given.get_ref(),
                    "the value is no table",
                    format!("expected keys in braces, as in `{example}`"),
                )),
            }
        }
        children
    }

    /// An array of tables.
    pub(super) fn sections(
        &self,
        key: &str,
        name: &'a str,
        errors: &mut Vec<ConfigError>,
    ) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let tables = value.as_array().and_then(|values| {
            let tables = values.iter().map(|value| {
                value.get_ref().as_table().map(|table| Section {
                    table,
                    at: value.span().start,
                    name,
                    ..*self
                })
            });
            tables.collect::<Option<Vec<_>>>()
        });
        tables.unwrap_or_else(|| {
            errors.push(self.error(
                key,
                "the value is no list of sections",
                format!("expected `[[{name}]]` and keys below it"),
            ));
            Vec::new()
        })
    }
}

/// A file's text, or what is wrong with reading it.
pub(super) fn read(path: &PathBuf) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        place: Place::File(path.clone(), 1, 1),
        key: "file".to_owned(),
        problem: format!("cannot be read: {error}"),
        expected: "name a file that exists and that this user may read".to_owned(),
        nearest: None,
    })
}
