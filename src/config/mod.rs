//! Configuration: read, checked, explained. Every error names file, line, key, what was expected and the nearest match.

use std::fmt;
use std::path::{Path, PathBuf};

mod alerts;
mod columns;
pub mod cost;
mod document;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod ledger;
mod load;
mod mapping;
mod masking;
mod paths;
mod planner;
mod receivers;
mod s3;
mod schema_changes;
pub mod secret;
pub mod settings;
mod status;
mod typed_view;
pub mod types;
mod values;
mod warehouse;
mod whole;

pub use load::{load, mapping_files, table_errors};

#[cfg(test)]
mod tests;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line and column, from 1, of a file.
    File(PathBuf, usize, usize),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line, column) => write!(formatter, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// The key, with its section.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What was expected, or what to do.
    pub expected: String,
    /// The nearest known name.
    pub nearest: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}: {}\n    {}", self.place, self.key, self.problem, self.expected)?;
        match &self.nearest {
            Some(nearest) => write!(formatter, "\n    did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.0 {
            writeln!(formatter, "{error}")?;
        }
        let count = self.0.len();
        write!(formatter, "{count} {} in the configuration", if count == 1 { "error" } else { "errors" })
    }
}

impl std::error::Error for ConfigErrors {}

/// The known name that is nearest to `given`, if one is near enough to be a slip of the keyboard.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(given, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
        .min()
        .map(|(_, name)| name.to_owned())
}

/// The line and column, from 1, of a byte position.
pub(crate) fn line_and_column(text: &str, position: usize) -> (usize, usize) {
    let before = text.get(..position).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

/// `path` against the folder of the file that names it.
pub(crate) fn against(file: &Path, path: &str) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new("."));
    let joined = folder.join(path);
    let absolute = std::path::absolute(&joined).unwrap_or(joined);
    // `..` and `.` are resolved by name, so that messages show where a path leads.
    absolute.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::CurDir => {}
            part @ (std::path::Component::Prefix(_)
            | std::path::Component::RootDir
            | std::path::Component::Normal(_)) => whole.push(part),
        }
        whole
    })
}
