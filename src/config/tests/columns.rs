//! `[table.columns]`, `only`, `without` and `[masking]`.

use super::{MAPPING, Place, check};
use crate::domain::treatment::{Fallback, Mask, OnInvalid, Treatment};

fn with(lines: &str) -> String {
    format!("{MAPPING}[mapping.table.columns]\n{lines}\n")
}

#[test]
fn the_types_of_columns_are_read_and_checked() {
    let with = |lines: &str| with(lines).replacen(MAPPING, &format!("{MAPPING}instants = [\"at\"]\n"), 1);
    let good = with(
        "at = { type = \"TIMESTAMP(6)\" }\nborn = { type = \"timestamp\" }\n\"odd.name\".type = \"bit(8)\"\nplain = {}",
    );
    let config = Place::new(&good).load(&[]).unwrap();
    let table = &config.mappings[0].tables[0];
    let types: Vec<_> = table.types().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(types, ["at timestamp(6)", "born timestamp", "odd.name bit(8)"]);
    assert_eq!(table.all_instants().into_iter().collect::<Vec<_>>(), ["at", "born"]);
    assert_eq!(table.columns.len(), 4);
    check(
        &with("a = { type = \"timestmap(6)\" }"),
        &[
            "landbridge.toml:9:7: table.columns.a.type: `timestmap` is no type of MySQL",
            "`bigint unsigned`",
            "did you mean `timestamp`?",
        ],
    );
    check(
        &with("a = { type = \"bit(65)\" }"),
        &["landbridge.toml:9:7: table.columns.a.type: bit(65) is out of range", "expected 1 to 64"],
    );
    check(&with("a = { type = 1 }"), &["table.columns.a.type: the value is no text"]);
    check(
        &with("a = { tpye = \"int\" }"),
        &["landbridge.toml:9:7: table.columns.a.tpye: unknown key", "did you mean `type`?"],
    );
    check(
        &with("a = \"int\""),
        &[
            "landbridge.toml:9:1: table.columns.a: the value is no table",
            "`created_at = { type = \"timestamp(6)\" }`",
        ],
    );
    check(
        &with("a = { type = \"int\" }\nA = { type = \"int\" }"),
        &["table.columns.a: \"a\" and \"A\" differ only in case"],
    );
    check(
        &with("at = { type = \"datetime(6)\" }"),
        &[
            "landbridge.toml:7:1: table.instants: \"at\" is named as an instant, and its `type` is datetime(6)",
            "take it out, or correct its `type`",
        ],
    );
    check(&format!("{MAPPING}columns = [\"a\"]"), &["table.columns: the value is no section"]);
}

#[test]
fn what_is_done_with_columns_is_read() {
    let text = format!(
        "[warehouse]\ndatetimes = \"timestamp\"\n{MAPPING}key = [\"ID\"]\nonly = [\"*\"]\nwithout = [\"pass*\"]\n\
         [mapping.dms]\nlob_max_size = \"64KiB\"\n[mapping.table.columns]\n\
         id = {{ rename = \"player\", mask = \"hash\" }}\ncard = {{ mask = \"partial\" }}\n\
         phone = {{ mask = \"partial\", keep_last = 2 }}\nnote = {{ mask = \"redact\" }}\n\
         body = {{ on_invalid = \"null\" }}\n"
    );
    let key = "0123456789abcdef0123456789abcdef";
    let config = Place::new(&text).load(&[("LANDBRIDGE__MASKING__KEY", key)]).unwrap();
    assert!(!format!("{config:?}").contains(key));
    assert_eq!((config.datetimes, config.times), (Fallback::Timestamp, Fallback::Native));
    let (mapping, table) = (&config.mappings[0], &config.mappings[0].tables[0]);
    assert_eq!(mapping.dms.lob_max_bytes, Some(64 << 10));
    assert_eq!((&table.only[..], &table.without[..]), (&["*".to_owned()][..], &["pass*".to_owned()][..]));
    assert_eq!(table.destination_key(), ["player"]);
    let treatments = table.treatments();
    let mask = |mask| Treatment { mask: Some(mask), ..Treatment::default() };
    assert_eq!(treatments["id"], mask(Mask::Hash));
    assert_eq!(treatments["card"], mask(Mask::Partial { kept: 4 }));
    assert_eq!(treatments["phone"], mask(Mask::Partial { kept: 2 }));
    assert_eq!(treatments["note"], mask(Mask::Redact));
    assert_eq!(treatments["body"], Treatment { mask: None, on_invalid: Some(OnInvalid::Null) });
}

#[test]
fn what_cannot_be_done_with_columns_is_told() {
    let cases = [
        ("a = { mask = \"hsah\" }", "table.columns.a.mask: \"hsah\" is no choice"),
        ("a = { mask = \"hsah\" }", "did you mean `hash`?"),
        ("\"c*\" = { mask = \"redact\" }", "\"c*\" is a pattern"),
        (
            "a = { rename = \"id\" }\n[[mapping.table]]\nname = \"s.u\"\nkey = [\"id\"]\ncolumns = { b = { rename = \"ID\" } }",
            "\"b\" would be named \"id\"",
        ),
        ("a = { mask = \"redact\", keep_last = 2 }", "a.keep_last: only a partial mask keeps letters"),
        ("a = { mask = \"partial\", keep_last = 17 }", "expected a number from 1 to 16"),
        ("a = { mask = \"redact\", on_invalid = \"null\" }", "a masked column has no invalid values"),
        ("a = { on_invalid = \"zero\" }", "expected one of `\"refuse\"`, `\"null\"`, `\"string\"`"),
        ("a = { rename = \"_op\" }", "a.rename: \"_op\" cannot be a column's name"),
        ("a = { rename = \"1a\" }", "a.rename: \"1a\" cannot be a column's name"),
        ("a = { mask = \"hash\" }", "the column \"a\" is hashed, and there is no key"),
    ];
    for (line, expected) in cases {
        check(&with(line), &[expected]);
    }
    let keyed = |lines: &str| format!("{MAPPING}key = [\"id\"]\n{lines}\n");
    check(&keyed("without = [\"I*\"]"), &["table.key: \"id\" is a column of the key, and does not leave"]);
    check(&keyed("only = [\"a\"]"), &["\"id\" is a column of the key, and does not leave"]);
    check(
        &keyed("columns = { ID = { mask = \"redact\" } }"),
        &["table.key: \"id\" is a column of the key, and masked as redact", "`mask = \"hash\"`"],
    );
    let short = format!("[masking]\nkey = \"hunter2\"\n{MAPPING}");
    let told = Place::new(&short).errors(&[]);
    assert!(told.contains("masking.key: the key is too short") && !told.contains("hunter2"), "{told}");
    check(&format!("[masking]\nkey_file = \"nowhere\"\n{MAPPING}"), &["nowhere cannot be read"]);
}
