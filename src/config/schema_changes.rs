//! `schema_changes`: what is done about a type that a destination's column cannot hold, per mapping and per table.

use super::document::Section;
use super::{ConfigError, nearest};
use crate::domain::shape::Policy;

/// The key.
pub(super) const KEY: &str = "schema_changes";

/// Reads the key of a section; nothing when it is not there, or is wrong.
pub(super) fn read(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<Policy> {
    let text = section.text(KEY, errors)?;
    let found = Policy::ALL.into_iter().find(|policy| policy.name() == text);
    if found.is_none() {
        let expected = "expected `\"evolve\"`, `\"freeze\"` or `\"rescue\"`";
        let error = section.error(KEY, format!("\"{text}\" is no choice"), expected);
        errors.push(ConfigError { nearest: nearest(&text, Policy::ALL.map(Policy::name)), ..error });
    }
    found
}
