//! What is read back from the ledger, whatever stands there: it is what was written, or the ledger is corrupt.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::stored::{
    Unreadable, file_key, from_json, manifest_of, manifest_text, table_of, table_text, to_json,
};
use crate::domain::batch::{Destination, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::fuzz::Choices;

/// The bytes are what stands there; then they choose what is written.
pub(crate) fn stored(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let table = TableId::new("a", "s", "t");
    if let Some(manifest) = read(manifest_of(&table, &text)) {
        assert!(manifest.entries.iter().all(|entry| entry.file.table == table));
        assert_eq!(read(manifest_of(&table, &manifest_text(&manifest).unwrap())), Some(manifest));
    }
    if let Some(table) = read(table_of(&text)) {
        assert_eq!(read(table_of(&table_text(&table).unwrap())), Some(table));
    }
    let _ = again::<Destination>(&text);
    let _ = again::<FileId>(&text);
    chosen(&mut Choices::new(bytes));
}

/// What was read; nothing when the ledger is corrupt, which is told by what it is.
fn read<T>(result: Result<T, Unreadable>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Unreadable(text)) => {
            assert!(text.contains(" cannot be read back: "), "{text}");
            None
        }
    }
}

/// What was read, written and read again is the same.
fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let value: T = read(from_json("a value", text))?;
    assert_eq!(read(from_json("a value", &to_json(&value).unwrap())), Some(value));
    None
}

fn chosen(choices: &mut Choices<'_>) {
    let table = TableId::new(choices.text(10), choices.text(10), choices.text(10));
    assert_eq!(read(table_of(&table_text(&table).unwrap())).as_ref(), Some(&table));
    let count = choices.below(4);
    let entries = (0..count).map(|_| ManifestEntry { file: file(choices, &table), rows: choices.number() });
    let manifest = Manifest { entries: entries.collect() };
    assert_eq!(read(manifest_of(&table, &manifest_text(&manifest).unwrap())).as_ref(), Some(&manifest));
    // No two files share a key, not even those whose parts, written after each other, are the same text.
    let one = file(choices, &table);
    let mut other = one.clone();
    let cut = one.etag.char_indices().nth(choices.below(4)).map_or(0, |(place, _)| place);
    let (moved, kept) = one.etag.split_at(cut);
    other.key = format!("{}{moved}", one.key).into();
    other.etag = Arc::from(kept);
    assert_eq!(file_key(&one) == file_key(&other), one == other);
}

fn file(choices: &mut Choices<'_>, table: &TableId) -> FileId {
    FileId {
        table: table.clone(),
        bucket: choices.text(8).into(),
        key: choices.text(20).into(),
        etag: choices.text(12).into(),
        size_bytes: choices.number(),
    }
}
