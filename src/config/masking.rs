//! `[masking]`: the key of columns that are hashed, which is never shown.

use super::ConfigError;
use super::load::Settings;
use super::mapping::Placed;
use crate::domain::treatment::{Mask, MaskKey};

const SECTION: &str = "masking";

/// The key; `None` where there is none, and where it is wrong, which is told.
pub(super) fn read(settings: &Settings<'_>, errors: &mut Vec<ConfigError>) -> Option<MaskKey> {
    let given = settings.text(SECTION, "key").map(|text| text.as_bytes().to_owned());
    let file = settings.path(SECTION, "key_file").filter(|path| !path.as_os_str().is_empty());
    let error = |key: &'static str, problem: String, expected: String| ConfigError {
        place: settings.place(SECTION, key),
        key: format!("{SECTION}.{key}"),
        problem,
        expected,
        nearest: None,
    };
    let (key, bytes) = match (given, file) {
        (Some(_), Some(_)) => {
            let expected = "expected `key` or `key_file`, not both".to_owned();
            errors.push(error("key", "two keys are given".to_owned(), expected));
            return None;
        }
        (Some(bytes), None) => ("key", bytes),
        (None, Some(path)) => match std::fs::read(&path) {
            Ok(bytes) => ("key_file", bytes.trim_ascii_end().to_owned()),
            Err(failure) => {
                let problem = format!("{} cannot be read: {failure}", path.display());
                errors.push(error("key_file", problem, "expected a file that holds the key".to_owned()));
                return None;
            }
        },
        (None, None) => return None,
    };
    let found = MaskKey::new(&bytes);
    if found.is_none() {
        let least = MaskKey::BYTES_MIN;
        let expected = format!("expected at least {least} bytes, as of `openssl rand -hex {least}`");
        errors.push(error(key, "the key is too short".to_owned(), expected));
    }
    found
}

/// A column that is hashed needs a key.
pub(super) fn check(key: Option<&MaskKey>, mappings: &[Placed], errors: &mut Vec<ConfigError>) {
    if key.is_some() {
        return;
    }
    for placed in mappings {
        for (table, place) in placed.mapping.tables.iter().zip(&placed.tables_at) {
            let hashed = table.columns.iter().find(|(_, column)| column.mask == Some(Mask::Hash));
            let Some((name, _)) = hashed else { continue };
            errors.push(ConfigError {
                place: place.clone(),
                key: format!("table.columns.{name}.mask"),
                problem: format!("the column \"{name}\" is hashed, and there is no key"),
                expected:
                    "expected `LANDBRIDGE__MASKING__KEY` in the environment, or `key_file` in [masking]"
                        .to_owned(),
                nearest: None,
            });
        }
    }
}
