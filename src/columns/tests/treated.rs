//! Columns that are left out, masked, written as text or emptied of what cannot be carried; and values that are rescued.

use std::sync::Arc;

use arrow::datatypes::{DataType, i256};
use bytes::Bytes;
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::rules::{ColumnRules, LobLimit, types};
use super::super::treated::masked;
use super::super::types::ColumnType;
use super::{Built, Cells, PLAIN, Style, file, inputs_by, rules, some, styles, texts, try_build};
use crate::domain::fault::FaultKind;
use crate::domain::source_type::{LobSize, SourceType};
use crate::domain::treatment::{
    ChangedValues, Fallback, Mask, MaskKey, OnInvalid, Selection, Treatment, ValueChange,
};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn built(rules: &ColumnRules, files: &[Bytes]) -> Built {
    let inputs = inputs_by(rules, files).unwrap_or_else(|fault| panic!("{}", fault.chain()));
    try_build(&inputs, &|| true).unwrap_or_else(|failure| panic!("{}", failure.fault.chain()))
}

fn refused(rules: &ColumnRules, file: &Bytes) -> String {
    let failure = try_build(&inputs_by(rules, std::slice::from_ref(file)).unwrap(), &|| true).err().unwrap();
    assert_eq!(failure.fault.kind, FaultKind::Unreadable);
    failure.fault.chain()
}

fn treating<const N: usize>(columns: [(&str, Treatment); N]) -> ColumnRules {
    let treatments = columns.into_iter().map(|(name, treatment)| (name.to_owned(), treatment)).collect();
    ColumnRules { treatments, mask_key: MaskKey::new(KEY), ..rules() }
}

fn masking(mask: Mask) -> Treatment {
    Treatment { mask: Some(mask), ..Treatment::default() }
}

fn on_invalid(on_invalid: OnInvalid) -> Treatment {
    Treatment { mask: None, on_invalid: Some(on_invalid) }
}

fn changes(built: &Built) -> Vec<(String, ValueChange, u64)> {
    let one = |changed: &ChangedValues| (changed.column.to_string(), changed.change, changed.values);
    built.body.changed().iter().map(one).collect()
}

#[test]
fn what_is_left_out_never_reaches_the_body() {
    let columns =
        "optional int64 id; optional binary secret (UTF8); optional int96 odd; optional binary Op (UTF8);";
    let cells = vec![
        Cells::Int64(vec![Some(1)]),
        texts(&[Some("hunter2hunter2hunter2")]),
        Cells::Int96(vec![Some(7)]),
        texts(&[Some("I")]),
    ];
    let file = file(columns, &[cells], PLAIN);
    // DMS's own columns leave whatever is selected, and a column that is left out may be of any type.
    let rules = ColumnRules { selection: Selection::new(&["ID".to_owned()], &[]), ..rules() };
    let built = built(&rules, &[file]);
    assert_eq!(built.names()[..2], ["id", "_op"]);
    assert_eq!(built.column("_op"), some(&["I"]));
    let bytes = std::fs::read(built.body.path()).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
}

#[test]
fn what_is_left_out_may_have_any_shape_and_moves_nothing() {
    let group = "optional group secret { optional int64 a; optional binary b (UTF8); }";
    let (secret, name) = ([Cells::Int64(vec![Some(7)]), texts(&[Some("hunter2")])], texts(&[Some("me")]));
    let rules = ColumnRules { selection: Selection::new(&[], &["secret".to_owned()]), ..rules() };
    let columns =
        [format!("{group} optional binary name (UTF8);"), format!("optional binary name (UTF8); {group}")];
    for (columns, is_first) in columns.iter().zip([true, false]) {
        let mut cells = vec![name.clone()];
        cells.splice(if is_first { 0..0 } else { 1..1 }, secret.clone());
        // The levels of the group's own columns are deeper: they are written by hand.
        let file = nested(columns, &cells, is_first);
        let built = built(&rules, &[file]);
        assert_eq!(built.column("name"), some(&["me"]), "{columns}");
        assert_eq!(built.names()[0], "name");
    }
}

/// A file of one row, whose columns beside `name` lie in a group.
fn nested(columns: &str, cells: &[Cells], group_is_first: bool) -> Bytes {
    let schema = parse_message_type(&format!("message m {{ {columns} }}")).unwrap();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    for (place, cells) in cells.iter().enumerate() {
        let level = if (place == 2) == group_is_first && (group_is_first || place == 0) { 1_i16 } else { 2 };
        let mut column = rows.next_column().unwrap().unwrap();
        if let Cells::Int64(values) = cells {
            let values: Vec<_> = values.iter().flatten().copied().collect();
            column.typed::<Int64Type>().write_batch(&values, Some(&[level]), None).unwrap();
        } else if let Cells::Bytes(values) = cells {
            let values: Vec<ByteArray> = values.iter().flatten().map(|value| value.clone().into()).collect();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&[level]), None).unwrap();
        }
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.into_inner().unwrap().into()
}

#[test]
fn no_refusal_tells_a_masked_value() {
    for mask in [Mask::Hash, Mask::Partial { kept: 2 }, Mask::Redact] {
        let cells = vec![Cells::Int32(vec![Some(70_123)]), Cells::Int64(vec![Some(i64::MAX)])];
        let file = file("optional int32 a (UINT_16); optional int64 b (TIMESTAMP_MILLIS);", &[cells], PLAIN);
        let built = built(&treating([("a", masking(mask)), ("b", masking(mask))]), &[file]);
        assert_ne!(built.column("a"), some(&["70123"]));
    }
}

#[test]
fn two_columns_of_one_place_are_as_wide_as_the_wider_is() {
    let narrow = file("optional int32 a;", &[vec![Cells::Int32(vec![Some(1)])]], PLAIN);
    let wide = file("optional int64 b;", &[vec![Cells::Int64(vec![Some(i64::MAX)])]], PLAIN);
    let mut inputs = inputs_by(&treating([("b", on_invalid(OnInvalid::Null))]), &[narrow, wide]).unwrap();
    for input in &mut inputs {
        input.footer = input.footer.placed(vec![("a".into(), ColumnType::Int64)]);
    }
    let built = try_build(&inputs, &|| true).unwrap_or_else(|failure| panic!("{}", failure.fault.chain()));
    assert_eq!(built.column("a"), some(&["1", "9223372036854775807"]));
}

#[test]
fn flags_are_masked_emptied_and_kept() {
    let flags = Cells::Bool((0..3000).map(|row| (row % 3 != 0).then_some(row % 2 == 0)).collect());
    for style in styles() {
        let file = file("optional boolean c;", &[vec![flags.clone()]], style);
        let files = std::slice::from_ref(&file);
        let plain = built(&rules(), files);
        let kept = built(&treating([("c", on_invalid(OnInvalid::Null))]), files);
        assert_eq!(kept.column("c"), plain.column("c"), "{style:?}");
        let texts = built(&treating([("c", on_invalid(OnInvalid::String))]), files);
        assert_eq!(texts.column("c"), plain.column("c"), "{style:?}");
        let redacted = built(&treating([("c", masking(Mask::Redact))]), files);
        assert_eq!((redacted.column("c"), redacted.kind("c")), (vec![None; 3000], DataType::Boolean));
        let hashed = built(&treating([("c", masking(Mask::Hash))]), files);
        let key = MaskKey::new(KEY).unwrap();
        let expected =
            plain.column("c").into_iter().map(|flag| flag.map(|flag| masked(&key, flag.as_bytes())));
        assert_eq!(hashed.column("c"), expected.collect::<Vec<_>>(), "{style:?}");
    }
}

#[test]
fn masks_are_the_same_for_equal_values_and_keep_nulls() {
    let columns =
        "optional binary email (UTF8); optional int64 card; optional binary note (UTF8); optional int64 pin;";
    for style in styles() {
        let cells = vec![
            texts(&[Some("a@b.c"), None, Some("a@b.c")]),
            Cells::Int64(vec![Some(4111_1111), None, Some(12)]),
            texts(&[Some("free text"), None, Some("")]),
            Cells::Int64(vec![Some(1234), None, Some(0)]),
        ];
        let rules = treating([
            ("email", masking(Mask::Hash)),
            ("card", masking(Mask::Partial { kept: 4 })),
            ("note", masking(Mask::Redact)),
            ("pin", masking(Mask::Redact)),
        ]);
        let built = built(&rules, &[file(columns, &[cells], style)]);
        let hash = masked(&MaskKey::new(KEY).unwrap(), b"a@b.c");
        assert_eq!(built.column("email"), [Some(hash.clone()), None, Some(hash)]);
        assert_eq!(built.column("card"), [Some("****1111".to_owned()), None, Some("**".to_owned())]);
        let redacted = Some("[redacted]".to_owned());
        assert_eq!(built.column("note"), [redacted.clone(), None, redacted]);
        assert_eq!((built.column("pin"), built.kind("pin")), (vec![None; 3], DataType::Int64));
        let bytes = std::fs::read(built.body.path()).unwrap();
        assert!(!bytes.windows(5).any(|window| window == b"a@b.c"), "{style:?}");
        assert_eq!(changes(&built), []);
    }
}

#[test]
fn values_that_cannot_be_carried_go_as_the_mapping_says() {
    let (good, bad) = (b"gr\xC3\xBC\xC3\x9Fe".to_vec(), b"cut \xC3".to_vec());
    let surrogate = b"\xED\xA0\x80!".to_vec();
    let cells = Cells::Bytes(vec![Some(good), Some(bad), None, Some(surrogate), Some(vec![])]);
    for style in styles() {
        let file = file("optional binary c (UTF8);", &[vec![cells.clone()]], style);
        assert!(refused(&rules(), &file).contains("a text is not UTF-8"), "{style:?}");
        let nulled = built(&treating([("c", on_invalid(OnInvalid::Null))]), std::slice::from_ref(&file));
        assert_eq!(
            nulled.column("c"),
            [Some("gr\u{fc}\u{df}e".to_owned()), None, None, None, Some(String::new())]
        );
        assert_eq!(changes(&nulled), [("c".to_owned(), ValueChange::Nulled, 2)]);
        let replaced = built(&treating([("c", on_invalid(OnInvalid::String))]), &[file]);
        let expected = ["gr\u{fc}\u{df}e", "cut \u{FFFD}", "\u{FFFD}\u{FFFD}\u{FFFD}!", ""];
        let found: Vec<_> = replaced.column("c").into_iter().flatten().collect();
        assert_eq!(found, expected, "{style:?}");
        assert_eq!(changes(&replaced), [("c".to_owned(), ValueChange::Replaced, 2)]);
    }
}

#[test]
fn numbers_and_moments_beyond_their_types_become_null_or_text() {
    let columns = "optional int32 small (UINT_8); optional int64 at (TIMESTAMP_MICROS); optional int32 day (DATE); \
                   optional int64 late (TIME_MICROS); optional int32 price (DECIMAL(3,1));";
    let year_10000 = 253_402_300_800_000_000;
    let cells = vec![
        Cells::Int32(vec![Some(255), Some(256)]),
        Cells::Int64(vec![Some(year_10000 - 1), Some(year_10000)]),
        Cells::Int32(vec![Some(-719_162), Some(-719_163)]),
        Cells::Int64(vec![Some(86_399_999_999), Some(-1)]),
        Cells::Int32(vec![Some(999), Some(1000)]),
    ];
    let file = file(columns, &[cells], PLAIN);
    let names = ["small", "at", "day", "late", "price"];
    let null = treating(names.map(|name| (name, on_invalid(OnInvalid::Null))));
    let nulled = built(&null, std::slice::from_ref(&file));
    for (name, first) in
        names.into_iter().zip(["255", "253402300799999999", "-719162", "86399999999", "999e-1"])
    {
        assert_eq!(nulled.column(name), [Some(first.to_owned()), None], "{name}");
    }
    assert_eq!(changes(&nulled).len(), 5);
    // Said, it refuses whatever the others would change, and tells no value.
    for (place, name) in names.into_iter().enumerate() {
        let others = names.iter().enumerate().filter(|(other, _)| *other != place);
        let others: Vec<_> = others.map(|(_, name)| (*name).to_owned()).collect();
        let said = ColumnRules {
            selection: Selection::new(&[], &others),
            ..treating([(name, on_invalid(OnInvalid::Refuse))])
        };
        let told = refused(&said, &file);
        assert!(told.contains(name) && told.contains("none of") && !told.contains("256"), "{told}");
    }
    let spelled = treating(["at", "day", "late"].map(|name| (name, on_invalid(OnInvalid::String))));
    let spelled =
        ColumnRules { selection: Selection::new(&[], &["small".to_owned(), "price".to_owned()]), ..spelled };
    let spelled = built(&spelled, &[file]);
    assert_eq!(spelled.column("at"), some(&["9999-12-31 23:59:59.999999", "10000-01-01 00:00:00"]));
    assert_eq!(spelled.column("day"), some(&["0001-01-01", "0000-12-31"]));
    assert_eq!(spelled.column("late"), some(&["23:59:59.999999", "-00:00:00.000001"]));
    assert_eq!(changes(&spelled), []);
}

#[test]
fn json_that_was_cut_becomes_null_where_the_mapping_says_so() {
    let types = types([("doc", &SourceType::Json)]);
    let rules = ColumnRules { types, ..treating([("doc", on_invalid(OnInvalid::Null))]) };
    let cells = texts(&[Some("{\"n\": 123456789012345678901234567890}"), Some("{\"n\": 12")]);
    let built = built(&rules, &[file("optional binary doc (UTF8);", &[vec![cells]], PLAIN)]);
    assert_eq!(built.column("doc"), [Some("{\"n\": 123456789012345678901234567890}".to_owned()), None]);
}

#[test]
fn decimals_beyond_38_digits_are_text_with_every_digit() {
    let value = i256::from_string(&format!("-{}", "9".repeat(65))).unwrap();
    let cells = Cells::Fixed(vec![Some(value.to_be_bytes()[4..].to_vec()), None]);
    let column = "optional fixed_len_byte_array(28) c (DECIMAL(65,30));";
    for style in styles() {
        let built = built(&rules(), &[file(column, &[vec![cells.clone()]], style)]);
        let expected = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
        assert_eq!(built.column("c"), [Some(expected), None], "{style:?}");
        assert_eq!(built.kind("c"), ColumnType::String.arrow());
    }
}

#[test]
fn a_warehouse_that_knows_no_datetime_gets_what_it_knows() {
    let columns = "optional int64 at (TIMESTAMP_MILLIS); optional int64 moment (TIMESTAMP_MICROS);";
    let cells = vec![Cells::Int64(vec![Some(1)]), Cells::Int64(vec![Some(2)])];
    let file = file(columns, &[cells], PLAIN);
    let as_timestamp = ColumnRules { datetimes: Fallback::Timestamp, ..rules() };
    let carried = built(&as_timestamp, std::slice::from_ref(&file));
    assert_eq!((carried.column("at"), carried.column("moment")), (some(&["1000Z"]), some(&["2Z"])));
    let carried = built(&ColumnRules { datetimes: Fallback::String, ..rules() }, &[file]);
    assert_eq!(carried.column("at"), some(&["1970-01-01 00:00:00.001000"]));
    assert_eq!(carried.column("moment"), some(&["2Z"]));
}

#[test]
fn lobs_as_long_as_the_limit_are_counted_however_they_are_carried() {
    let long = "x".repeat(2048);
    let cut_letter = "y".repeat(2045);
    let cells = texts(&[Some(&long), Some(&cut_letter), Some("short"), Some(&"x".repeat(2044)), None]);
    let gzip = Style { codec: Compression::GZIP(GzipLevel::default()), ..PLAIN };
    let lob =
        types([("c", &SourceType::Text(LobSize::Medium)), ("d", &SourceType::Varchar { letters: 4000 })]);
    let limit = |is_stated| LobLimit { bytes: 2048, is_stated };
    for style in styles().into_iter().chain([gzip]) {
        let columns = "optional binary c (UTF8); optional binary d (UTF8);";
        let file = file(columns, &[vec![cells.clone(), cells.clone()]], style);
        // What is known to be no LOB is none; what is not known is one where the limit was stated.
        let known = ColumnRules { types: lob.clone(), lob_limit: limit(true), ..rules() };
        let found = changes(&built(&known, std::slice::from_ref(&file)));
        assert_eq!(found, [("c".to_owned(), ValueChange::Cut, 2)], "{style:?}");
        let stated = ColumnRules { types: Default::default(), lob_limit: limit(true), ..rules() };
        assert_eq!(changes(&built(&stated, std::slice::from_ref(&file))).len(), 2);
        let silent = ColumnRules { types: Default::default(), lob_limit: limit(false), ..rules() };
        assert_eq!(changes(&built(&silent, &[file])), []);
    }
}

#[test]
fn rescued_values_are_members_of_one_object_a_row() {
    let columns = "optional int64 id; optional int64 n; optional binary \"odd\" (UTF8); optional double f; optional binary b;"
        .replace("\"odd\"", "odd");
    let cells = vec![
        Cells::Int64(vec![Some(1), Some(2), Some(3)]),
        Cells::Int64(vec![Some(i64::MAX), None, None]),
        texts(&[Some("q\"\\\u{1F600}"), None, Some("")]),
        Cells::Double(vec![Some(f64::NAN), None, Some(0.5)]),
        Cells::Bytes(vec![Some(vec![0, 255]), None, None]),
    ];
    for style in styles() {
        let file = file(&columns, &[cells.clone(), cells.clone()], style);
        let rules = treating([("b", masking(Mask::Partial { kept: 1 }))]);
        let mut inputs = inputs_by(&rules, &[file]).unwrap();
        for input in &mut inputs {
            let placed = |(name, kind): &(Arc<str>, ColumnType)| match &**name {
                "id" => (Arc::clone(name), *kind),
                _ => ("_rescued".into(), ColumnType::String),
            };
            input.footer = input.footer.placed(input.footer.plan().columns().iter().map(placed).collect());
        }
        let built =
            try_build(&inputs, &|| true).unwrap_or_else(|failure| panic!("{}", failure.fault.chain()));
        assert_eq!(built.names()[..3], ["id", "_rescued", "_op"]);
        let first = "{\"n\":9223372036854775807,\"odd\":\"q\\\"\\\\\u{1F600}\",\"f\":\"NaN\",\"b\":\"***f\"}";
        let rows = [Some(first.to_owned()), None, Some("{\"odd\":\"\",\"f\":0.5}".to_owned())];
        assert_eq!(built.column("_rescued"), [rows.clone(), rows].concat(), "{style:?}");
    }
}

#[test]
fn names_that_no_file_has_are_known_as_slips() {
    let rules = ColumnRules {
        selection: Selection::new(&[], &["passwrod".to_owned(), "pin*".to_owned()]),
        ..treating([("emial", masking(Mask::Hash)), ("card", masking(Mask::Redact))])
    };
    let columns = "optional binary Card (UTF8); optional binary email (UTF8); optional int64 PIN_2;";
    let inputs = inputs_by(&rules, &[file(columns, &[], PLAIN)]).unwrap();
    assert_eq!(inputs[0].footer.names().collect::<Vec<_>>(), ["Card", "email", "PIN_2"]);
    assert_eq!(rules.unknown(inputs[0].footer.names()), ["emial", "passwrod"]);
}

#[test]
fn rules_that_make_other_rows_have_another_hash() {
    let all = [
        rules(),
        treating([("a", masking(Mask::Hash))]),
        ColumnRules { mask_key: MaskKey::new(&[7; 32]), ..treating([("a", masking(Mask::Hash))]) },
        treating([("a", masking(Mask::Partial { kept: 4 }))]),
        treating([("a", masking(Mask::Redact))]),
        treating([("a", on_invalid(OnInvalid::Null))]),
        treating([("b", on_invalid(OnInvalid::Null))]),
        ColumnRules { selection: Selection::new(&["a".to_owned()], &[]), ..rules() },
        ColumnRules { selection: Selection::new(&[], &["a".to_owned()]), ..rules() },
        ColumnRules { datetimes: Fallback::String, ..rules() },
        ColumnRules { times: Fallback::String, ..rules() },
    ];
    let hashes: std::collections::BTreeSet<_> = all.iter().map(ColumnRules::hash).collect();
    assert_eq!(hashes.len(), all.len());
    let same = ColumnRules { lob_limit: LobLimit { bytes: 1, is_stated: true }, ..rules() };
    assert_eq!(same.hash(), rules().hash());
}
