//! The names that columns may have in the destination, and what becomes of the others (docs/types.md).

use sha2::{Digest, Sha256};

use crate::domain::batch::hex;
use crate::domain::lineage::{RESCUED, is_reserved};

/// The longest name of a column (Google Cloud, BigQuery: "Specifying a schema").
pub const LETTERS_MAX: usize = 300;
/// Prefixes that BigQuery keeps for itself, in capitals (the same page).
const RESERVED_PREFIXES: [&str; 9] = [
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
];
/// Digits of a hash in a name.
const HASH_DIGITS: usize = 8;

/// True for a name that BigQuery takes for a column; those of landbridge's own columns are among them.
pub fn is_admitted(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.len() <= LETTERS_MAX
        && name.bytes().all(is_admitted_letter)
        && !has_reserved_prefix(name)
}

/// A name as a warehouse compares names: without case.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// The name that a column of the name `name` in the files has in the destination, unless that is taken. It depends on
/// `name` alone.
pub(super) fn plain(name: &str) -> String {
    let mut safe: String =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    if !safe.contains(|letter: char| letter != '_') {
        // Nothing of it could be kept: the hash alone tells it from others.
        return format!("c_{}", hash(name));
    }
    if safe.starts_with(|letter: char| letter.is_ascii_digit()) {
        safe.insert(0, '_');
    }
    if has_reserved_prefix(&safe) || is_reserved(&safe) || safe.eq_ignore_ascii_case(RESCUED) {
        safe.insert(0, 'c');
    }
    if safe.len() > LETTERS_MAX { with_suffix(&safe, &format!("_{}", hash(name))) } else { safe }
}

/// The name that it has where the plain one is taken.
pub(super) fn hashed(name: &str) -> String {
    with_suffix(&plain(name), &format!("_{}", hash(name)))
}

/// A name with more at its end. Where that becomes too long the name is cut, and told from others that are cut by a hash.
pub(in crate::domain) fn with_suffix(name: &str, suffix: &str) -> String {
    let whole = format!("{name}{suffix}");
    if whole.len() <= LETTERS_MAX {
        return whole;
    }
    let room = LETTERS_MAX.saturating_sub(suffix.len() + HASH_DIGITS + 1);
    let cut: String = name.chars().take(room).collect();
    format!("{cut}_{}{suffix}", hash(name))
}

fn hash(name: &str) -> String {
    let mut digits = hex(&Sha256::digest(name.as_bytes()));
    digits.truncate(HASH_DIGITS);
    digits
}

fn is_admitted_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn has_reserved_prefix(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    RESERVED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_bigquery_keeps_for_itself_are_not_admitted() {
        for name in ["id", "_op", "_change_seq", "GroEsse", "a1", &"x".repeat(300)] {
            assert!(is_admitted(name), "{name}");
        }
        for name in
            ["", "1a", "a b", "a`b", "größe", "_TABLE_x", "_partitiontime", "_CHANGE_TYPE", &"x".repeat(301)]
        {
            assert!(!is_admitted(name), "{name}");
        }
    }

    #[test]
    fn every_name_becomes_one_that_is_admitted() {
        let cases = [
            ("id", "id"),
            ("Größe in cm", "Gr__e_in_cm"),
            ("2fa", "_2fa"),
            ("_TABLE_x", "c_TABLE_x"),
            ("_partition", "c_partition"),
            ("_OP", "c_OP"),
            ("_rescued", "c_rescued"),
            ("%op", "c_op"),
            ("_", "c_d2e2adf7"),
            ("", "c_e3b0c442"),
        ];
        for (name, expected) in cases {
            assert_eq!(plain(name), expected, "{name}");
        }
        assert_ne!(plain("金额"), plain("数量"));
        assert_eq!(hashed("id"), "id_a5614527");
        for long in ["x".repeat(301), "ö".repeat(200) + "a", "_TABLE_".to_owned() + &"y".repeat(293)] {
            for name in [plain(&long), hashed(&long), with_suffix(&plain(&long), "__timestamp_12")] {
                assert!(is_admitted(&name), "{name}");
            }
        }
        assert_ne!(plain(&("x".repeat(400) + "a")), plain(&("x".repeat(400) + "b")));
        assert!(with_suffix(&"x".repeat(300), "__int64").ends_with("__int64"));
    }
}
