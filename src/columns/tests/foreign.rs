//! Parquet files that no one here wrote (`tests/data/parquet`): each is loaded with the values that another reader finds in
//! it, or refused with a clear reason.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{inputs, try_build};
use crate::domain::batch::hex;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/parquet");

/// What pyarrow finds in a file.
#[derive(Debug, Deserialize)]
struct Expected {
    rows: usize,
    columns: Vec<Column>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Column {
    name: String,
    nulls: usize,
    first: Vec<Option<String>>,
    sha256: String,
}

fn column(name: &str, texts: &[Option<String>]) -> Column {
    let mut hasher = Sha256::new();
    for text in texts {
        match text {
            None => hasher.update(b"null"),
            Some(text) => {
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text.as_bytes());
            }
        }
    }
    Column {
        name: name.to_owned(),
        nulls: texts.iter().filter(|text| text.is_none()).count(),
        first: texts.iter().take(3).cloned().collect(),
        sha256: hex(&hasher.finalize()),
    }
}

/// Loads a file; gives what is in it, or what is said against it.
fn load(path: &Path) -> Result<Vec<Column>, String> {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let inputs = inputs(&[bytes]).map_err(|fault| fault.chain())?;
    let built = try_build(&inputs, &|| true).map_err(|failure| failure.fault.chain())?;
    let own = inputs[0].footer.plan().columns();
    Ok(own.iter().map(|(name, _)| column(name, &built.column(name))).collect())
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> BTreeMap<String, T> {
    serde_json::from_str(&std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap()).unwrap()
}

#[test]
fn foreign_files_are_loaded_with_equal_values_or_refused_with_a_reason() {
    let (expected, refused) = (read::<Expected>("expected.json"), read::<String>("refused.json"));
    let mut seen = 0;
    for folder in ["bad_data", "data"] {
        for entry in std::fs::read_dir(format!("{FOLDER}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_string_lossy());
            seen += 1;
            match (load(&path), refused.get(&name)) {
                (Err(told), Some(reason)) => {
                    assert!(told.contains("cdc/dms/casino/bets/0.parquet@etag0"), "{name}: {told}");
                    let told = told.replace("cannot read cdc/dms/casino/bets/0.parquet@etag0: ", "");
                    assert_eq!(
                        told.replace(" of cdc/dms/casino/bets/0.parquet@etag0", ""),
                        *reason,
                        "{name}"
                    );
                }
                (Ok(columns), None) => {
                    let other =
                        expected.get(&name).unwrap_or_else(|| panic!("another reader refuses {name}"));
                    assert_eq!(columns, other.columns, "{name}");
                }
                (outcome, reason) => panic!("{name}: {outcome:?}, and to be refused is {reason:?}"),
            }
        }
    }
    assert_eq!(seen, 64, "files are gone, or new ones are not looked at");
    assert!(expected.values().map(|file| file.rows).sum::<usize>() > 30_000);
}
