//! Shapes as they grow, and what their views are.

use super::*;
use crate::domain::instant::Instant;
use crate::domain::shape::{ShapeEntry, ShapeRules};
use ColumnType::{Bool, Bytes, Date, Datetime, Float64, Int64, Json, String as Text, Time, Timestamp};

/// A column of a view: its name, the columns behind it, how they are read.
type Column<'a> = (&'a str, &'a str, Reading);

fn decimal(precision: u8, scale: i8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

/// The shape after files with these columns, one after the other.
fn shape(files: &[&[(&str, ColumnType)]]) -> Shape {
    let mut shape = Shape::default();
    for columns in files {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| ((*name).into(), *kind)).collect();
        let grown = shape.grow(&columns, &[], &ShapeRules::default(), Instant::from_micros(1), None);
        shape.append(grown.unwrap());
    }
    shape
}

fn view(shape: &Shape, types: &[(&str, &str)], key: &[&str], has_sequence: bool) -> TypedView {
    let types = types.iter().map(|(name, kind)| (folded(name), kind.parse().unwrap())).collect();
    let key: Vec<_> = key.iter().map(|name| (*name).to_owned()).collect();
    let instants = ["moment".to_owned()].into();
    TypedView::of(shape, &Known { types: &types, instants: &instants, key: &key, has_sequence })
}

/// The table's own columns of a view: the name, the columns behind it, how they are read.
fn told(view: &TypedView) -> Vec<(String, String, Reading)> {
    let own = view.columns.iter().filter(|column| !lineage::is_reserved(&column.name));
    own.map(|column| {
        let parts: Vec<_> = column.parts.iter().map(|part| part.name.to_string()).collect();
        (column.name.to_string(), parts.join(" "), column.reading)
    })
    .collect()
}

fn expected(columns: &[Column<'_>]) -> Vec<(String, String, Reading)> {
    columns.iter().map(|(name, parts, reading)| ((*name).to_owned(), (*parts).to_owned(), *reading)).collect()
}

#[test]
fn json_and_the_text_beside_it_are_one_column_of_json_and_one_of_all_letters() {
    use Reading::{AsIs, Json as AsJson, Text as AsText};
    let of = |kinds: &[ColumnType], types: &[(&str, &str)]| {
        let files: Vec<_> = kinds.iter().map(|kind| [("c", *kind)]).collect();
        let files: Vec<_> = files.iter().map(|file| &file[..]).collect();
        told(&view(&shape(&files), types, &[], false))
    };
    let json = [("c", "json")];
    // Nothing is lost of what is JSON.
    assert_eq!(of(&[Json], &json), expected(&[("c", "c", AsIs)]));
    let both = expected(&[
        ("c", "c c__string", AsJson),
        ("c__raw", "c c__string", AsText),
        ("c__string", "c__string", AsIs),
    ]);
    assert_eq!(of(&[Json, Text], &json), both);
    // The mapping says no more what it was.
    let untyped = expected(&[("c", "c c__string", AsText), ("c__string", "c__string", AsIs)]);
    assert_eq!(of(&[Json, Text], &[]), untyped);
    assert_eq!(of(&[Int64, Json], &json)[0], expected(&[("c", "c c__json", AsText)])[0]);
}

#[test]
fn a_column_that_evolved_is_one_again_and_what_is_beside_it_stays() {
    use Reading::{AsIs, Text as AsText};
    let cases: [(&[ColumnType], &[Column<'_>]); 8] = [
        (&[Int64], &[("c", "c", AsIs)]),
        (&[Int64, decimal(10, 2)], &[("c", "c", AsIs)]),
        (&[Int64, Text], &[("c", "c c__string", AsText), ("c__string", "c__string", AsIs)]),
        (&[Text, Bytes], &[("c", "c c__bytes", AsText), ("c__bytes", "c__bytes", AsIs)]),
        // Both are exact, and BIGNUMERIC holds both.
        (
            &[decimal(38, 0), decimal(38, 38)],
            &[("c", "c c__numeric", AsIs), ("c__numeric", "c__numeric", AsIs)],
        ),
        (&[Int64, Float64], &[("c", "c c__float64", AsText), ("c__float64", "c__float64", AsIs)]),
        (
            &[Date, Text, Bool],
            &[
                ("c", "c c__string c__bool", AsText),
                ("c__string", "c__string", AsIs),
                ("c__bool", "c__bool", AsIs),
            ],
        ),
        (
            &[Datetime, Timestamp],
            &[("c", "c c__timestamp", Reading::Datetime), ("c__timestamp", "c__timestamp", AsIs)],
        ),
    ];
    for (kinds, columns) in cases {
        let files: Vec<_> = kinds.iter().map(|kind| [("c", *kind)]).collect();
        let files: Vec<&[_]> = files.iter().map(|file| &file[..]).collect();
        assert_eq!(told(&view(&shape(&files), &[], &[], true)), expected(columns), "{kinds:?}");
    }
}

#[test]
fn the_type_at_the_source_says_how_a_column_is_read_and_what_may_come_to_nothing_stays() {
    let number = |precision, scale| Reading::Number(decimal(precision, scale));
    let cases: [(&str, &[ColumnType], Reading, Option<Reading>); 30] = [
        ("json", &[Text], Reading::Json, Some(Reading::AsIs)),
        ("json", &[Text, Int64], Reading::Text, None),
        ("set('a','b')", &[Text], Reading::Set, None),
        ("point", &[Bytes], Reading::Geography, Some(Reading::AsIs)),
        ("point", &[Text], Reading::AsIs, None),
        ("bit(1)", &[Bool], Reading::Bits, None),
        ("bit(63)", &[Bytes], Reading::Bits, Some(Reading::AsIs)),
        ("bit(8)", &[Int64], Reading::AsIs, None),
        ("bit(8)", &[Int64, Bytes], Reading::Bits, Some(Reading::Text)),
        ("bit(64)", &[Bytes], Reading::AsIs, None),
        ("decimal(10,2)", &[decimal(10, 2)], Reading::AsIs, None),
        ("decimal(65,30)", &[Text], number(65, 30), Some(Reading::AsIs)),
        ("decimal(10,2)", &[decimal(12, 4), Text], number(12, 4), Some(Reading::Text)),
        ("decimal(65,30)", &[decimal(38, 10), Text], number(76, 38), Some(Reading::Text)),
        ("decimal(10,2)", &[Float64, Text], Reading::Text, None),
        ("date", &[Date], Reading::AsIs, None),
        ("date", &[Text], Reading::Date, Some(Reading::AsIs)),
        ("date", &[Date, Text], Reading::Date, Some(Reading::Text)),
        ("date", &[Date, Datetime], Reading::Text, None),
        ("datetime(6)", &[Datetime], Reading::AsIs, None),
        ("datetime", &[Timestamp], Reading::Datetime, None),
        ("datetime", &[Datetime, Timestamp], Reading::Datetime, None),
        ("datetime", &[Text], Reading::Datetime, Some(Reading::AsIs)),
        ("timestamp", &[Timestamp], Reading::AsIs, None),
        ("timestamp", &[Datetime], Reading::Timestamp, None),
        ("timestamp", &[Text], Reading::Timestamp, Some(Reading::AsIs)),
        ("time(3)", &[Time], Reading::AsIs, None),
        ("time", &[Text], Reading::Time, Some(Reading::AsIs)),
        ("int", &[Text], Reading::AsIs, None),
        ("varchar(9)", &[Text, Bytes], Reading::Text, None),
    ];
    for (source, kinds, reading, raw) in cases {
        let files: Vec<_> = kinds.iter().map(|kind| [("C", *kind)]).collect();
        let files: Vec<&[_]> = files.iter().map(|file| &file[..]).collect();
        let columns = told(&view(&shape(&files), &[("c", source)], &[], true));
        assert_eq!((columns[0].0.as_str(), columns[0].2), ("C", reading), "{source} of {kinds:?}");
        let found = columns.iter().find(|column| column.0 == "C__raw");
        assert_eq!(found.map(|column| column.2), raw, "{source} of {kinds:?}");
        assert_eq!(columns.len(), kinds.len() + usize::from(raw.is_some()), "{columns:?}");
    }
}

#[test]
fn an_instant_is_one_without_a_type_too() {
    let shape = shape(&[&[("moment", Datetime), ("other", Timestamp)], &[("moment", Timestamp)]]);
    let columns = [
        ("moment", "moment moment__timestamp", Reading::Timestamp),
        ("other", "other", Reading::AsIs),
        ("moment__timestamp", "moment__timestamp", Reading::AsIs),
    ];
    assert_eq!(told(&view(&shape, &[], &[], true)), expected(&columns));
}

#[test]
fn odd_names_are_told_apart_and_lineage_comes_last() {
    let long = "x".repeat(300);
    let names = ["j", "J", "j__raw", "größe", "_op", "1st", long.as_str()];
    let columns: Vec<_> = names.iter().map(|name| (*name, Text)).collect();
    let types: Vec<_> = names.iter().map(|name| (*name, "json")).collect();
    let shape = shape(&[&columns]);
    let view = view(&shape, &types, &[], true);
    let mut seen = HashSet::new();
    for column in &view.columns {
        assert!(crate::domain::shape::name::is_admitted(&column.name), "{}", column.name);
        assert!(seen.insert(folded(&column.name)), "{} is there twice", column.name);
    }
    // Each of the columns, and each of them as it is.
    assert_eq!(view.columns.len(), 2 * names.len() + lineage::NAMES.len());
    assert!(view.columns.iter().any(|column| &*column.name == "j__raw_2"));
    let last = view.columns.iter().rev().take(lineage::NAMES.len()).map(|column| &*column.name);
    assert!(last.eq(lineage::NAMES.into_iter().rev()));
}

#[test]
fn repeats_are_known_by_all_of_the_key_or_not_at_all() {
    let grown = shape(&[&[("id", Int64), ("Part", Text)], &[("id", Text)]]);
    let names = |key: &[&str], has_sequence| -> Vec<String> {
        view(&grown, &[], key, has_sequence).key.iter().map(|part| part.name.to_string()).collect()
    };
    assert_eq!(names(&["id"], true), ["id", "id__string"]);
    assert_eq!(names(&["ID", "part"], true), ["id", "id__string", "Part"]);
    for (key, has_sequence) in [(&[][..], true), (&["id"], false), (&["id", "unseen"], true)] {
        assert!(names(key, has_sequence).is_empty(), "{key:?}");
    }
}

#[test]
fn a_shape_that_was_lost_and_rescued_values_have_their_columns() {
    let entry = |source: &str, kind, target: &str, change| ShapeEntry {
        source: source.into(),
        kind,
        target: target.into(),
        target_kind: if change == Change::Rescued { Text } else { kind },
        change,
        at: Instant::from_micros(1),
        file: None,
    };
    let shape = Shape::new([
        entry("c", Text, "c__string", Change::Beside),
        entry("c", Int64, "c", Change::Found),
        entry("d", Int64, "d", Change::Added),
        entry("d", Text, RESCUED, Change::Rescued),
        // A mapping that was changed sends it to a column that another began.
        entry("e", Int64, "d", Change::Renamed),
    ]);
    let columns = [
        ("c__string", "c__string", Reading::AsIs),
        ("c", "c__string c", Reading::Text),
        ("d", "d", Reading::AsIs),
        (RESCUED, RESCUED, Reading::Json),
        ("_rescued__raw", RESCUED, Reading::AsIs),
    ];
    assert_eq!(told(&view(&shape, &[], &[], true)), expected(&columns));
    assert_eq!(view(&shape, &[], &["e"], true).key.len(), 1);
}

#[test]
fn the_widest_table_has_its_view_in_no_time() {
    let names: Vec<_> = (0..9_993).map(|number| format!("c{number}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), Text)).collect();
    let types: Vec<_> = names.iter().map(|name| (name.as_str(), "json")).collect();
    assert_eq!(view(&shape(&[&columns]), &types, &["c1"], true).columns.len(), 2 * 9_993 + 7);
}
