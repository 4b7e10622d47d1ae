//! Values as every ledger stores them, and back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::batch::{Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;

/// What stands in the ledger is not what was written: the ledger is corrupt. The text says what cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// The first 16 bytes of a SHA-256 over the parts of a file's identity, each with its length before it.
pub(crate) fn file_key(file: &FileId) -> [u8; 16] {
    let mut hasher = Sha256::new();
    let size = file.size_bytes.to_string();
    let table = &file.table;
    for part in
        [&*table.cluster, &*table.schema, &*table.table, &*file.bucket, &*file.key, &*file.etag, &size]
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hasher.finalize()) {
        *to = from;
    }
    key
}

/// A manifest's entries as they are stored: everything but the table, which is the batch's.
#[derive(Serialize, Deserialize)]
struct StoredEntry(Arc<str>, Arc<str>, Arc<str>, u64, u64);

pub(crate) fn manifest_text(manifest: &Manifest) -> Result<String, Unreadable> {
    let entries: Vec<_> = manifest
        .entries
        .iter()
        .map(|ManifestEntry { file, rows }| {
            let (bucket, key, etag) =
                (Arc::clone(&file.bucket), Arc::clone(&file.key), Arc::clone(&file.etag));
            StoredEntry(bucket, key, etag, file.size_bytes, *rows)
        })
        .collect();
    to_json(&entries)
}

pub(crate) fn manifest_of(table: &TableId, text: &str) -> Result<Manifest, Unreadable> {
    let entries: Vec<StoredEntry> = from_json("a manifest", text)?;
    let entries = entries.into_iter().map(|StoredEntry(bucket, key, etag, size_bytes, rows)| ManifestEntry {
        file: FileId { table: table.clone(), bucket, key, etag, size_bytes },
        rows,
    });
    Ok(Manifest { entries: entries.collect() })
}

/// A table's name as one text that sorts by cluster, schema and table and cannot be mistaken for another's.
pub(crate) fn table_text(table: &TableId) -> Result<String, Unreadable> {
    to_json(&[&table.cluster, &table.schema, &table.table])
}

pub(crate) fn table_of(text: &str) -> Result<TableId, Unreadable> {
    let [cluster, schema, table]: [Arc<str>; 3] = from_json("a table's name", text)?;
    Ok(TableId { cluster, schema, table })
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, Unreadable> {
    serde_json::to_string(value).map_err(|error| Unreadable(error.to_string()))
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|error| Unreadable(format!("{what} cannot be read back: {error}")))
}
