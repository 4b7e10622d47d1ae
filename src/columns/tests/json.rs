//! Columns of JSON: text of which a column of the destination keeps the meaning, where it keeps all of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use parquet::basic::{Compression, GzipLevel};

use super::super::layout::Layout;
use super::super::rules::{ColumnRules, types};
use super::super::transcode::{BuildFailure, Input};
use super::super::types::ColumnType;
use super::{Built, Cells, PLAIN, Style, file, inputs_by, rules, some, styles, texts, try_build_as};
use crate::domain::source_type::SourceType;
use crate::domain::treatment::{Mask, OnInvalid, Treatment};

const COPYING: Layout = Layout { copied_bytes_min: 0, ..Layout::DEFAULT };
const DOCS: &str = "optional binary doc (UTF8); optional binary other (UTF8);";
const EXACT: [Option<&str>; 4] =
    [Some(r#"{"b": 1, "a": [0.1, 18446744073709551615]}"#), None, Some("null"), Some(r#""ü""#)];

fn json_rules(on_invalid: Option<OnInvalid>) -> ColumnRules {
    let types = types([("doc", &SourceType::Json), ("other", &SourceType::Json)]);
    let treatment = Treatment { on_invalid, ..Treatment::default() };
    let treatments = on_invalid.map(|_| ("doc".to_owned(), treatment)).into_iter().collect();
    ColumnRules { types, treatments, ..rules() }
}

/// The files, all of whose columns of JSON are to be JSON in the destination.
fn native(rules: &ColumnRules, files: &[Bytes]) -> Vec<Input> {
    let mut inputs = inputs_by(rules, files).unwrap();
    for input in &mut inputs {
        input.footer = input.footer.placed(input.footer.native());
    }
    inputs
}

fn built(layout: &Layout, inputs: &[Input]) -> Result<Built, Box<BuildFailure>> {
    try_build_as(layout, inputs, &|| true)
}

fn all_ways() -> impl Iterator<Item = (Layout, Style)> {
    let gzip = Style { codec: Compression::GZIP(GzipLevel::default()), ..PLAIN };
    styles().into_iter().map(|style| (Layout::DEFAULT, style)).chain([(COPYING, gzip)])
}

/// The names of the columns for which `failure` asks to be text.
fn inexact(failure: &BuildFailure) -> Vec<String> {
    assert_eq!(failure.file, None);
    failure.inexact.iter().map(ToString::to_string).collect()
}

#[test]
fn exact_json_is_the_same_text_in_a_column_of_json() {
    for (layout, style) in all_ways() {
        let files = [file(DOCS, &[vec![texts(&EXACT), texts(&EXACT)]], style)];
        let body = built(&layout, &native(&json_rules(None), &files)).unwrap();
        assert!(body.body.plan().has_json() && body.body.plan().loadable().columns().is_empty());
        assert_eq!(body.column("doc"), EXACT.map(|text| text.map(str::to_owned)), "{style:?}");
        // Byte for byte what it is as text.
        let text = built(&layout, &inputs_by(&json_rules(None), &files).unwrap()).unwrap();
        assert!(!text.body.plan().has_json());
        assert_eq!(std::fs::read(text.body.path()).unwrap(), std::fs::read(body.body.path()).unwrap());
    }
}

#[test]
fn a_column_with_one_value_that_is_not_exact_asks_to_be_text() {
    for (layout, style) in all_ways() {
        for hostile in [
            "1.0000000000000000001",
            "{\"a\": [1, {\"b\": 18446744073709551616}]}",
            "{\"cut\": \"he",
            "",
            "\0",
        ] {
            let good = vec![texts(&EXACT), texts(&EXACT)];
            let bad = vec![texts(&[Some("1"), Some(hostile)]), texts(&[Some("1"), None])];
            let files = [file(DOCS, std::slice::from_ref(&good), style), file(DOCS, &[good, bad], style)];
            let failure = built(&layout, &native(&json_rules(None), &files)).err().unwrap();
            assert_eq!(inexact(&failure), ["doc"], "{hostile:?} {style:?}");
            // As text it is carried, whatever it is.
            assert!(built(&layout, &inputs_by(&json_rules(None), &files).unwrap()).is_ok());
        }
        // All are found at once.
        let bad = file(DOCS, &[vec![texts(&[Some("x")]), texts(&[Some("y")])]], style);
        let failure = built(&layout, &native(&json_rules(None), &[bad])).err().unwrap();
        assert_eq!(inexact(&failure), ["doc", "other"], "{style:?}");
    }
}

#[test]
fn what_becomes_null_is_held_by_json_and_what_is_rounded_is_not() {
    let rules = json_rules(Some(OnInvalid::Null));
    let of = |values: &[Option<&str>]| {
        let files = [file("optional binary doc (UTF8);", &[vec![texts(values)]], PLAIN)];
        built(&Layout::DEFAULT, &native(&rules, &files))
    };
    let body = of(&[Some("{\"cut\": \"he"), Some("{}")]).unwrap();
    assert_eq!(body.column("doc"), [None, Some("{}".to_owned())]);
    // No value of it is made NULL because it would be rounded.
    assert_eq!(inexact(&of(&[Some("{}"), Some("1e400")]).err().unwrap()), ["doc"]);
}

#[test]
fn a_text_that_is_not_utf8_refuses_its_file_as_ever() {
    let cells = Cells::Bytes(vec![Some(b"\"\xFF\"".to_vec())]);
    let files = [file("optional binary doc (UTF8);", &[vec![cells]], PLAIN)];
    let failure = built(&Layout::DEFAULT, &native(&json_rules(None), &files)).err().unwrap();
    assert!(failure.file.is_some() && failure.inexact.is_empty(), "{}", failure.fault.chain());
}

#[test]
fn only_text_that_is_json_at_the_source_and_stays_what_it_is_may_be_json() {
    let kinds = |rules: &ColumnRules, columns: &str, cells: Cells| {
        let inputs = inputs_by(rules, &[file(columns, &[vec![cells]], PLAIN)]).unwrap();
        inputs[0].footer.native().iter().map(|(_, kind)| *kind).collect::<Vec<_>>()
    };
    let (text, bytes) = ("optional binary doc (UTF8);", "optional binary doc;");
    let one = || texts(&[Some("{}")]);
    for on_invalid in [None, Some(OnInvalid::Null), Some(OnInvalid::Refuse)] {
        assert_eq!(kinds(&json_rules(on_invalid), text, one()), [ColumnType::Json]);
    }
    assert_eq!(kinds(&json_rules(Some(OnInvalid::String)), text, one()), [ColumnType::String]);
    assert_eq!(kinds(&json_rules(None), bytes, one()), [ColumnType::Bytes]);
    assert_eq!(kinds(&rules(), text, one()), [ColumnType::String]);
    for mask in [Mask::Partial { kept: 4 }, Mask::Redact] {
        let treatments =
            BTreeMap::from([("doc".to_owned(), Treatment { mask: Some(mask), ..Treatment::default() })]);
        let masked = ColumnRules { treatments, ..json_rules(None) };
        assert_eq!(kinds(&masked, text, one()), [ColumnType::String], "{mask:?}");
    }
}

#[test]
fn columns_of_json_and_of_text_are_in_one_body() {
    let rules = json_rules(None);
    let files = [file(DOCS, &[vec![texts(&[Some("{")]), texts(&[Some("{}")])]], PLAIN)];
    let mut inputs = native(&rules, &files);
    let places = vec![("doc__string".into(), ColumnType::String), ("other".into(), ColumnType::Json)];
    inputs[0].footer = inputs[0].footer.placed(places);
    let body = built(&Layout::DEFAULT, &inputs).unwrap();
    assert_eq!((body.column("doc__string"), body.column("other")), (some(&["{"]), some(&["{}"])));
    let left: Vec<_> =
        body.body.plan().loadable().columns().iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(left, ["doc__string"]);
}
