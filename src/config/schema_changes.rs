//! `schema_changes`: what is done about a type that a destination's column cannot hold, per mapping and per table.

use super::document::Section;
use super::{ConfigError, nearest};
use crate::domain::shape::Policy;

/// What can be chosen.
const CHOICES: [Policy; 2] = [Policy::Evolve, Policy::Freeze];
/// The key.
pub(super) const KEY: &str = "schema_changes";

/// Reads the key of a section; nothing when it is not there, or is wrong.
pub(super) fn read(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<Policy> {
    let text = section.text(KEY, errors)?;
    let found = CHOICES.into_iter().find(|policy| policy.name() == text);
    if found.is_none() {
        let expected = "expected `\"evolve\"` or `\"freeze\"`";
        let error = section.error(KEY, format!("\"{text}\" is no choice"), expected);
        errors.push(ConfigError { nearest: nearest(&text, CHOICES.map(Policy::name)), ..error });
    }
    found
}
