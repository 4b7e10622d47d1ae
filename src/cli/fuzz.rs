//! Answers that the command line prints, and names that it is given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;

use super::admin::{details, overview, printable, table_path};

/// The bytes are the API's answer, and a table's name.
pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<Value>(bytes) {
        let tables = answer.get("tables").and_then(Value::as_array).map_or(0, Vec::len);
        let shown = overview(&answer);
        assert!(shown.lines().count() > tables, "a line a table, and one above them");
        // Nothing that a source named reaches the terminal as more than a letter.
        for text in [shown, details(&answer)] {
            assert!(!printable(&text).chars().any(|c| c.is_control() && c != '\n'));
        }
    }
    let name = String::from_utf8_lossy(bytes);
    match table_path(&name) {
        Ok(path) => {
            let parts: Vec<_> = path.split('/').collect();
            let decoded =
                |part: &str| percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned();
            assert_eq!(parts.len(), 4, "{path}");
            let again = format!("{}/{}.{}", decoded(parts[1]), decoded(parts[2]), decoded(parts[3]));
            assert_eq!(again, name);
        }
        Err(told) => assert!(told.contains("expected cluster/schema.table")),
    }
}
