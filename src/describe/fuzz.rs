//! Types and mappings, whatever a server and people write.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use super::mapping::update;
use super::report::report;
use crate::config::table_errors;
use crate::domain::source_type::SourceType;
use crate::fuzz::Choices;
use crate::source::{SourceColumn, SourceTable};

/// The bytes are a type's text; then a mapping, and behind a zero byte what the source has.
pub(crate) fn mapping(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(kind) = text.parse::<SourceType>() {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let (written, rest) = match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let mut choices = Choices::new(rest);
    let mapping = String::from_utf8_lossy(written).into_owned();
    let mut source: Vec<_> = (0..choices.below(4)).map(|_| table(&mut choices)).collect();
    source.sort_by(|left, right| left.name.cmp(&right.name));
    source.dedup_by(|left, right| left.name == right.name);
    let meant = |_: &str| true;
    let Ok((fresh, changes)) = update(&mapping, None, &source, meant) else { return };
    assert_eq!(fresh != mapping, changes.any_written(), "{mapping:?} {fresh:?} {changes:?}");
    assert!(!report(&changes, "m", true).is_empty());
    // What the product took before it takes afterwards, and there is nothing more to write.
    if table_errors(Path::new("m"), &mapping).is_empty() {
        let errors = table_errors(Path::new("m"), &fresh);
        assert!(errors.is_empty(), "{errors:?}\n{mapping}\n{fresh}");
        let (again, none) = update(&fresh, None, &source, meant).unwrap();
        assert_eq!((again.as_str(), none.any_written()), (fresh.as_str(), false));
    }
}

fn table(choices: &mut Choices<'_>) -> SourceTable {
    let name = |choices: &mut Choices<'_>| {
        let text = choices.text(6);
        if text.is_empty() { "t".to_owned() } else { text }
    };
    let mut columns: Vec<SourceColumn> = Vec::new();
    for _ in 0..choices.below(5) {
        let name = name(choices);
        let kind = match choices.below(4) {
            0 => "timestamp(6)".to_owned(),
            1 => "datetime".to_owned(),
            2 => format!("enum('{}')", choices.text(8)),
            _ => choices.text(12),
        };
        // MySQL has no two columns whose names differ in case alone.
        if columns.iter().all(|other| other.name.to_lowercase() != name.to_lowercase()) {
            columns.push(SourceColumn { name, kind });
        }
    }
    let key = columns.iter().take(choices.below(3)).map(|column| column.name.clone()).collect();
    SourceTable { schema: "s".to_owned(), name: name(choices), columns, key }
}
