//! Arbitrary tables come out as they went in.

use parquet::basic::Compression;
use parquet::file::properties::WriterVersion;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::{Cells, Style, built, file, styles, times};

/// A column's type as the file declares it, its stored values, and the exact texts that they are.
type Column = (&'static str, Vec<Cells>, Vec<Option<String>>);

/// Values in row groups of these sizes.
fn column<T: Clone + std::fmt::Debug + 'static>(
    groups: &[usize],
    declared: &'static str,
    value: impl Strategy<Value = T> + 'static,
    cells: impl Fn(Vec<Option<T>>) -> Cells + Clone + 'static,
    text: impl Fn(&T) -> String + Clone + 'static,
) -> BoxedStrategy<Column> {
    let groups = groups.to_vec();
    vec(option::weighted(0.8, value), groups.iter().sum::<usize>())
        .prop_map(move |values| {
            let texts = values.iter().map(|value| value.as_ref().map(&text)).collect();
            let mut rest = values.into_iter();
            let stored = groups.iter().map(|size| cells(rest.by_ref().take(*size).collect())).collect();
            (declared, stored, texts)
        })
        .boxed()
}

fn any_column(groups: &[usize]) -> BoxedStrategy<Column> {
    let mut kinds = vec![
        column(groups, "int64 # ", any::<i64>(), Cells::Int64, i64::to_string),
        column(groups, "int32 # (INT_16)", -32768..32768_i32, Cells::Int32, i32::to_string),
        column(groups, "int32 # (UINT_32)", any::<i32>(), Cells::Int32, |value| {
            value.cast_unsigned().to_string()
        }),
        column(groups, "int64 # (UINT_64)", any::<i64>(), Cells::Int64, |value| {
            format!("{}e-0", value.cast_unsigned())
        }),
        column(groups, "int64 # (TIMESTAMP_MICROS)", any::<i64>(), Cells::Int64, i64::to_string),
        column(groups, "int32 # (DATE)", any::<i32>(), Cells::Int32, i32::to_string),
        column(groups, "boolean # ", any::<bool>(), Cells::Bool, bool::to_string),
    ];
    kinds.extend(long_columns(groups));
    Union::new(kinds).boxed()
}

/// Columns whose values are not of one machine word.
fn long_columns(groups: &[usize]) -> Vec<BoxedStrategy<Column>> {
    let mut kinds = Vec::new();
    kinds.push(column(
        groups,
        "double # ",
        any::<u64>(),
        |bits| Cells::Double(bits.into_iter().map(|value| value.map(f64::from_bits)).collect()),
        |bits| format!("{bits:x}"),
    ));
    kinds.push(column(
        groups,
        "binary # (UTF8)",
        ".{0,20}",
        |texts| Cells::Bytes(texts.into_iter().map(|value| value.map(String::into_bytes)).collect()),
        String::clone,
    ));
    kinds.push(column(groups, "binary # ", vec(any::<u8>(), 0..40), Cells::Bytes, |value| {
        format!("{value:?}")
    }));
    let limit = 10_i128.pow(23);
    kinds.push(column(
        groups,
        "fixed_len_byte_array(10) # (DECIMAL(23,4))",
        1 - limit..limit,
        |values| {
            let stored = |value: i128| value.to_be_bytes()[6..].to_vec();
            Cells::Fixed(values.into_iter().map(|value| value.map(stored)).collect())
        },
        |value| format!("{value}e-4"),
    ));
    kinds
}

type Table = (Vec<usize>, Vec<Column>, Style);

fn any_table() -> impl Strategy<Value = Table> {
    (vec(0..40_usize, 1..4), 0..styles().len()).prop_flat_map(|(groups, style)| {
        let columns = vec(any_column(&groups), 1..8);
        (Just(groups), columns, Just(styles()[style]))
    })
}

fn write(table: &Table) -> bytes::Bytes {
    let (groups, columns, style) = table;
    let declared: String = columns
        .iter()
        .enumerate()
        .map(|(number, (declared, ..))| {
            format!("optional {}; ", declared.replace('#', &format!("c{number}")))
        })
        .collect();
    let groups: Vec<Vec<Cells>> = (0..groups.len())
        .map(|group| columns.iter().map(|(_, cells, _)| cells[group].clone()).collect())
        .collect();
    file(&declared, &groups, *style)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn tables_survive(table in any_table(), copies in 1..4_usize) {
        let files = vec![write(&table); copies];
        let built = built(&files);
        for (number, (declared, _, texts)) in table.1.iter().enumerate() {
            prop_assert_eq!(built.column(&format!("c{number}")), times(texts.clone(), copies), "{}", declared);
        }
        let rows: usize = table.0.iter().sum();
        let numbers: Vec<_> = (0..rows).map(|row| Some(row.to_string())).collect();
        prop_assert_eq!(built.column("_source_row"), times(numbers, copies));
    }
}

#[test]
fn the_styles_are_all_there() {
    let styles = styles();
    assert_eq!(styles.len(), 12);
    assert!(styles.iter().any(|style| style.version == WriterVersion::PARQUET_2_0));
    assert!(styles.iter().any(|style| matches!(style.codec, Compression::GZIP(_))));
}
