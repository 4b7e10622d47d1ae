use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::name::is_admitted;
use super::{Cause, Change, Conflict, Policy, Shape, ShapeEntry, ShapeRules, Unresolved, renamed_hint};
use crate::domain::column_type::ColumnType;
use crate::domain::instant::Instant;
use crate::domain::lineage;

use ColumnType::{Bool, Float64, Int64, Json, String as Text};

type Existing<'a> = &'a [(&'a str, Option<ColumnType>)];

fn decimal(precision: u8, scale: i8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

fn columns(columns: &[(&str, ColumnType)]) -> Vec<(Arc<str>, ColumnType)> {
    columns.iter().map(|(name, kind)| (Arc::from(*name), *kind)).collect()
}

fn rules(policy: Policy) -> ShapeRules {
    ShapeRules { policy, renames: BTreeMap::new() }
}

/// Grows the shape for one file; what was appended.
fn take(
    shape: &mut Shape,
    file: &[(&str, ColumnType)],
    existing: Existing<'_>,
    rules: &ShapeRules,
) -> Result<Vec<ShapeEntry>, Conflict> {
    let existing: Vec<_> = existing.iter().map(|(name, kind)| (Arc::from(*name), *kind)).collect();
    let at = Instant::from_micros(shape.entries().len() as i64);
    let grown = shape.grow(&columns(file), &existing, rules, at, Some("b/f@e".into()))?;
    shape.append(grown.clone());
    Ok(grown)
}

fn told(entries: &[ShapeEntry]) -> Vec<String> {
    let told = |entry: &ShapeEntry| {
        let ShapeEntry { source, kind, target, target_kind, change, .. } = entry;
        format!("{source} {kind} -> {target} {target_kind} {}", change.label())
    };
    entries.iter().map(told).collect()
}

fn evolve() -> ShapeRules {
    rules(Policy::Evolve)
}

#[test]
fn columns_are_added_and_widened_and_stay_when_files_drop_them() {
    let mut shape = Shape::default();
    let first = take(&mut shape, &[("id", Int64), ("amount", decimal(10, 2))], &[], &evolve()).unwrap();
    assert_eq!(
        told(&first),
        ["id INT64 -> id INT64 added", "amount DECIMAL(10,2) -> amount DECIMAL(10,2) added"]
    );
    let second =
        take(&mut shape, &[("id", Int64), ("amount", decimal(10, 4)), ("note", Text)], &[], &evolve());
    assert_eq!(
        told(&second.unwrap()),
        ["note STRING -> note STRING added", "amount DECIMAL(10,4) -> amount DECIMAL(12,4) widened"]
    );
    // The old file again, and one whose type the column holds by now.
    assert_eq!(take(&mut shape, &[("amount", decimal(10, 2))], &[], &evolve()).unwrap(), []);
    let third = take(&mut shape, &[("amount", decimal(9, 1)), ("id", decimal(20, 0))], &[], &evolve());
    assert_eq!(
        told(&third.unwrap()),
        [
            "amount DECIMAL(9,1) -> amount DECIMAL(12,4) narrowed",
            "id DECIMAL(20,0) -> id DECIMAL(20,0) widened"
        ]
    );
    // Each file's column goes into the widest type of the whole shape.
    assert_eq!(shape.target("id", Int64).unwrap().kind, decimal(20, 0));
    assert_eq!(
        shape.columns(),
        columns(&[("id", decimal(20, 0)), ("amount", decimal(12, 4)), ("note", Text)])
    );
    assert_eq!(
        shape.as_of(Instant::from_micros(0)).columns(),
        columns(&[("id", Int64), ("amount", decimal(10, 2))])
    );
}

#[test]
fn a_type_that_does_not_fit_goes_by_the_policy() {
    let begin = || {
        let mut shape = Shape::default();
        take(&mut shape, &[("a", Int64), ("a__string", Bool)], &[], &evolve()).unwrap();
        shape
    };
    let mut shape = begin();
    let beside = |shape: &mut Shape, kind| told(&take(shape, &[("a", kind)], &[], &evolve()).unwrap());
    assert_eq!(beside(&mut shape, Text), ["a STRING -> a__string_2 STRING beside"]);
    assert_eq!(beside(&mut shape, Float64), ["a FLOAT64 -> a__float64 FLOAT64 beside"]);
    // A column beside the first widens while its name stays true; the first one takes what it can.
    assert_eq!(beside(&mut shape, decimal(30, 25)), ["a DECIMAL(30,25) -> a__numeric DECIMAL(30,25) beside"]);
    assert_eq!(
        beside(&mut shape, decimal(31, 26)),
        ["a DECIMAL(31,26) -> a__numeric DECIMAL(31,26) widened"]
    );
    assert_eq!(beside(&mut shape, decimal(20, 0)), ["a DECIMAL(20,0) -> a DECIMAL(20,0) widened"]);

    let mut shape = begin();
    let rescued = take(&mut shape, &[("a", Text), ("b", Text)], &[], &rules(Policy::Rescue)).unwrap();
    assert_eq!(told(&rescued), ["b STRING -> b STRING added", "a STRING -> _rescued STRING rescued"]);
    assert!(shape.target("a", Text).unwrap().is_rescue && !shape.target("a", Int64).unwrap().is_rescue);
    // Two columns of one file may be rescued at one time.
    let both = [("a", Text), ("b", Bool)];
    take(&mut shape, &both, &[], &rules(Policy::Rescue)).unwrap();
    assert_eq!(shape.resolve(&columns(&both)).unwrap().len(), 2);
    // What was written stays, whatever the policy is later.
    assert_eq!(take(&mut shape, &[("a", Text)], &[], &evolve()).unwrap(), []);

    let mut shape = begin();
    let frozen = take(&mut shape, &[("a", Text), ("new", Text)], &[], &rules(Policy::Freeze)).unwrap_err();
    let text = frozen.to_string();
    for part in ["column a is STRING in b/f@e", "column a is INT64", "held", "\"evolve\"", "a__string", "DMS"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(frozen.is_the_tables());
    let widened =
        take(&mut shape, &[("a", decimal(20, 0)), ("new", Text)], &[], &rules(Policy::Freeze)).unwrap();
    assert_eq!(widened.len(), 2);
}

#[test]
fn a_lost_shape_finds_what_the_destination_has() {
    let mut shape = Shape::default();
    let existing: Existing<'_> = &[
        ("ID", Some(Int64)),
        ("amount", Some(decimal(38, 9))),
        ("count", Some(decimal(76, 38))),
        ("a", Some(Int64)),
        ("a__string", Some(Text)),
        ("json", None),
        ("_op", Some(Text)),
    ];
    let file = [
        ("id", Int64),
        ("amount", decimal(10, 2)),
        ("count", Int64),
        ("a", Text),
        ("json", Text),
        ("_op", Bool),
    ];
    let found = take(&mut shape, &file, existing, &evolve()).unwrap();
    assert_eq!(
        told(&found),
        [
            "id INT64 -> ID INT64 found",
            // The file's own digits are written into a wider column.
            "amount DECIMAL(10,2) -> amount DECIMAL(10,2) found",
            "count INT64 -> count DECIMAL(19,0) found",
            "_op BOOL -> c_op BOOL added",
            "a STRING -> a__string STRING beside",
            "json STRING -> json__string STRING beside",
        ]
    );
    let main = take(&mut shape, &[("a", Int64)], existing, &evolve()).unwrap();
    assert_eq!(told(&main), ["a INT64 -> a INT64 found"]);
    let wider = take(&mut Shape::default(), &[("a", decimal(20, 2))], existing, &rules(Policy::Freeze));
    assert_eq!(told(&wider.unwrap()), ["a DECIMAL(20,2) -> a DECIMAL(21,2) widened"]);
    let json = take(&mut Shape::default(), &[("json", Text)], existing, &rules(Policy::Freeze));
    assert!(json.unwrap_err().to_string().contains("a type that landbridge does not write"));
}

#[test]
fn names_that_clash_are_told_apart_and_found_again() {
    let file = [("a-b", Int64), ("a_b", Text), ("ID", Int64), ("id", Int64)];
    let mut shape = Shape::default();
    let grown = take(&mut shape, &file, &[], &evolve()).unwrap();
    assert_eq!(
        told(&grown),
        [
            "a_b STRING -> a_b STRING added",
            "ID INT64 -> ID INT64 added",
            "id INT64 -> id_a5614527 INT64 added",
            "a-b INT64 -> a_b_d44362d6 INT64 added",
        ]
    );
    // Lost, and found from whichever file comes first.
    let existing: Vec<_> = shape.columns().into_iter().map(|(name, kind)| (name, Some(kind))).collect();
    let one = Shape::default().grow(
        &columns(&[("a-b", Int64), ("id", Int64)]),
        &existing,
        &evolve(),
        Instant::default(),
        None,
    );
    assert_eq!(
        told(&one.unwrap()),
        ["id INT64 -> id_a5614527 INT64 found", "a-b INT64 -> a_b_d44362d6 INT64 found"]
    );
}

#[test]
fn a_rename_in_the_mapping_joins_the_old_column_and_the_new_one() {
    let rules = ShapeRules {
        policy: Policy::Evolve,
        renames: BTreeMap::from([("name".to_owned(), "full_name".to_owned())]),
    };
    let mut shape = Shape::default();
    let old = take(&mut shape, &[("name", Text)], &[], &rules).unwrap();
    assert_eq!(told(&old), ["name STRING -> full_name STRING renamed"]);
    let new = take(&mut shape, &[("full_name", Text)], &[], &rules).unwrap();
    assert_eq!(told(&new), ["full_name STRING -> full_name STRING renamed"]);
    // The mapping was there when the column came; taken away later, it is joined all the same.
    let mut shape = Shape::new(old.clone());
    let new = take(&mut shape, &[("full_name", Text)], &[], &evolve()).unwrap();
    assert_eq!(told(&new), ["full_name STRING -> full_name STRING renamed"]);
    // One file cannot have both.
    let both = [("name", Text), ("full_name", Text)];
    let text = take(&mut Shape::new(old), &both, &[], &rules).unwrap_err().to_string();
    assert!(text.contains("columns full_name and name of b/f@e both go into full_name"), "{text}");
    let unresolved = shape.resolve(&columns(&both)).unwrap_err();
    assert!(matches!(unresolved, Unresolved::Conflict(Conflict { cause: Cause::Together { .. }, .. })));
}

#[test]
fn what_is_too_much_is_refused() {
    let long = "x".repeat(1_025);
    let fault = take(&mut Shape::default(), &[(&long, Int64)], &[], &evolve()).unwrap_err();
    assert!(!fault.is_the_tables() && fault.to_string().len() < 200, "{fault}");
    let names: Vec<_> = (0..9_993).map(|number| format!("c{number}")).collect();
    let mut shape = Shape::default();
    let file: Vec<_> = names.iter().map(|name| (name.as_str(), Int64)).collect();
    take(&mut shape, &file, &[], &evolve()).unwrap();
    let text = take(&mut shape, &[("one_more", Int64)], &[], &evolve()).unwrap_err().to_string();
    assert!(text.contains("one_more") && text.contains("9993"), "{text}");
}

#[test]
fn text_that_a_json_column_does_not_hold_has_its_place_beside_it_whatever_the_policy() {
    let (json, text) = ([("c", Json)], [("c", Text)]);
    let expected = "c STRING -> c__string STRING beside";
    for policy in [Policy::Evolve, Policy::Rescue, Policy::Freeze] {
        let mut shape = Shape::default();
        assert_eq!(told(&take(&mut shape, &json, &[], &evolve()).unwrap()), ["c JSON -> c JSON added"]);
        assert_eq!(told(&take(&mut shape, &text, &[], &rules(policy)).unwrap()), [expected]);
        // Both stay where they are.
        assert_eq!(shape.target("c", Json).map(|target| target.kind), Some(Json));
        assert_eq!(take(&mut shape, &json, &[], &evolve()).unwrap(), []);
    }
    // Any other type is treated as ever.
    let mut shape = Shape::default();
    take(&mut shape, &json, &[], &evolve()).unwrap();
    let rescued = take(&mut shape, &[("c", Int64)], &[], &rules(Policy::Rescue)).unwrap();
    assert_eq!(told(&rescued), ["c INT64 -> _rescued STRING rescued"]);
    let mut shape = Shape::default();
    take(&mut shape, &json, &[], &evolve()).unwrap();
    assert!(take(&mut shape, &[("c", Int64)], &[], &rules(Policy::Freeze)).is_err());
}

#[test]
fn json_goes_on_as_text_in_a_column_that_is_text() {
    let mut shape = Shape::default();
    take(&mut shape, &[("c", Text)], &[], &evolve()).unwrap();
    assert_eq!(take(&mut shape, &[("c", Json)], &[], &evolve()).unwrap(), []);
    let target = shape.target("c", Json).unwrap();
    assert_eq!((&*target.name, target.kind), ("c", Text));
    // So it does where the shape was lost, and in a column that came beside another.
    let mut shape = Shape::default();
    let found = take(&mut shape, &[("c", Json)], &[("c", Some(Text))], &evolve()).unwrap();
    assert_eq!(told(&found), ["c JSON -> c STRING found"]);
    let mut shape = Shape::default();
    take(&mut shape, &[("c", Int64)], &[], &evolve()).unwrap();
    take(&mut shape, &[("c", Text)], &[], &evolve()).unwrap();
    let later = take(&mut shape, &[("c", Json)], &[], &evolve()).unwrap();
    assert_eq!(told(&later), ["c JSON -> c__string STRING narrowed"]);
}

#[test]
fn a_lost_shape_finds_a_json_column_whichever_of_its_values_comes_first() {
    let existing: Existing<'_> = &[("c", Some(Json)), ("c__string", Some(Text))];
    for (first, second) in [(Json, Text), (Text, Json)] {
        let mut shape = Shape::default();
        take(&mut shape, &[("c", first)], existing, &evolve()).unwrap();
        take(&mut shape, &[("c", second)], existing, &evolve()).unwrap();
        let name = |kind| shape.target("c", kind).map(|target| target.name.to_string());
        assert_eq!((name(Json).as_deref(), name(Text).as_deref()), (Some("c"), Some("c__string")));
    }
}

#[test]
fn a_column_that_comes_as_another_goes_is_a_hint() {
    let mut shape = Shape::default();
    let before = [("id", Int64), ("name", Text), ("flag", Bool)];
    take(&mut shape, &before, &[], &evolve()).unwrap();
    let after = [("id", Int64), ("full_name", Text), ("flags", Int64)];
    let added = take(&mut shape, &after, &[], &evolve()).unwrap();
    let hint = renamed_hint(&added, &columns(&after), &columns(&before));
    assert!(hint.is_some_and(|hint| hint.starts_with("name may be full_name now: ")));
    assert_eq!(renamed_hint(&added, &columns(&after), &columns(&after)), None);
}

fn any_kind() -> impl Strategy<Value = ColumnType> {
    let decimals =
        (1_u8..=38).prop_flat_map(|precision| (Just(precision), 0..=i8::try_from(precision).unwrap()));
    prop_oneof![
        Just(Int64),
        Just(Text),
        Just(ColumnType::Timestamp),
        Just(ColumnType::Datetime),
        Just(ColumnType::Bytes),
        Just(Json),
        decimals.prop_map(|(precision, scale)| decimal(precision, scale)),
    ]
}

const TRICKY: &[&str] = &[
    "a",
    "A",
    "a-b",
    "a_b",
    "a b",
    "a__string",
    "a__int64",
    "A__STRING",
    "a__numeric",
    "_op",
    "_OP",
    "c_op",
    "_rescued",
    "_TABLE_x",
    "c_TABLE_x",
    "1",
    "_1",
    "ä",
    "ö",
    "",
    "_",
    "__",
    "a_ca978112",
    "🙂",
];

/// Names that meet in every way that names can.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(TRICKY).prop_map(str::to_owned),
        1 => "[a-c_\\-ä]{0,4}",
        1 => (290_usize..310).prop_map(|length| "x".repeat(length)),
    ]
}

fn any_files() -> impl Strategy<Value = Vec<Vec<(String, ColumnType)>>> {
    let file = proptest::collection::btree_map(any_name(), any_kind(), 0..7);
    proptest::collection::vec(file.prop_map(|file| file.into_iter().collect()), 0..8)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    proptest::sample::select(&[Policy::Evolve, Policy::Rescue][..])
}

fn grown(files: &[Vec<(String, ColumnType)>], rules: &ShapeRules) -> Shape {
    let mut shape = Shape::default();
    for file in files {
        let file: Vec<_> = file.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        take(&mut shape, &file, &[], rules).unwrap();
    }
    shape
}

proptest! {
    #[test]
    fn every_column_has_one_place_that_holds_it(files in any_files(), policy in any_policy()) {
        let mut shape = Shape::default();
        let mut before: BTreeMap<(String, ColumnType), Arc<str>> = BTreeMap::new();
        for file in &files {
            let names: Vec<_> = file.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
            take(&mut shape, &names, &[], &rules(policy)).unwrap();
            // Grown again, it does not grow.
            prop_assert_eq!(take(&mut shape, &names, &[], &rules(policy)).unwrap(), vec![]);
            let targets = shape.resolve(&columns(&names)).unwrap();
            for ((name, kind), target) in file.iter().zip(targets) {
                prop_assert!(target.is_rescue || target.kind.holds(*kind), "{} {}: {:?}", name, kind, target);
                before.insert((name.clone(), *kind), target.name);
            }
            // A place never changes, and its type holds whatever it held.
            for ((name, kind), target) in &before {
                let now = shape.target(name, *kind).unwrap();
                prop_assert_eq!(&now.name, target);
                prop_assert!(now.is_rescue || now.kind.holds(*kind));
            }
        }
        // No two columns of the destination meet without case, and columns of two names never share one.
        let mut owners: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for entry in shape.entries().iter().filter(|entry| entry.change != Change::Rescued) {
            prop_assert!(is_admitted(&entry.target), "{}", entry.target);
            prop_assert!(!lineage::is_reserved(&entry.target) && &*entry.target != lineage::RESCUED);
            let owner = (Arc::clone(&entry.target), Arc::clone(&entry.source));
            owners.entry(entry.target.to_lowercase()).or_default().insert(owner);
        }
        prop_assert!(owners.values().all(|owners| owners.len() == 1), "{:?}", owners);
    }

    #[test]
    fn no_order_of_files_loses_a_column(files in any_files(), policy in any_policy()) {
        let backwards: Vec<_> = files.iter().rev().cloned().collect();
        for shape in [grown(&files, &rules(policy)), grown(&backwards, &rules(policy))] {
            for (name, kind) in files.iter().flatten() {
                prop_assert!(shape.target(name, *kind).is_some());
            }
        }
    }

    #[test]
    fn a_lost_shape_grows_into_the_same_destination(files in any_files()) {
        let shape = grown(&files, &evolve());
        let existing: Vec<_> = shape.columns().into_iter().map(|(name, kind)| (name, Some(kind))).collect();
        let names: BTreeSet<_> = shape.columns().into_iter().map(|(name, _)| name.to_lowercase()).collect();
        let mut found = Shape::default();
        for file in &files {
            let file: Vec<_> = file.iter().map(|(name, kind)| (Arc::from(name.as_str()), *kind)).collect();
            let entries = found.grow(&file, &existing, &evolve(), Instant::default(), None).unwrap();
            found.append(entries);
            prop_assert!(found.resolve(&file).is_ok());
        }
        // What was in the destination is never taken by a second column.
        let again: BTreeSet<_> = found.columns().into_iter().map(|(name, _)| name.to_lowercase()).collect();
        prop_assert_eq!(again.len(), found.columns().len());
        prop_assert!(names.is_empty() == again.is_empty());
    }

    #[test]
    fn entries_are_read_back_from_json(files in any_files()) {
        let entries = grown(&files, &evolve()).entries().to_vec();
        let json = serde_json::to_string(&entries).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<ShapeEntry>>(&json).unwrap(), entries);
    }
}
