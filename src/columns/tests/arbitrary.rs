//! Arbitrary tables come out as they went in.

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterVersion;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::super::layout::Layout;
use super::{Cells, Style, file, inputs, styles, times, try_build_as};

/// A column's type as the file declares it, its stored values, and the exact texts that they are.
type Column = (String, Vec<Cells>, Vec<Option<String>>);

/// Values in row groups of these sizes.
fn column<T: Clone + std::fmt::Debug + 'static>(
    groups: &[usize],
    declared: &'static str,
    value: impl Strategy<Value = T> + 'static,
    cells: impl Fn(Vec<Option<T>>) -> Cells + Clone + 'static,
    text: impl Fn(&T) -> String + Clone + 'static,
) -> BoxedStrategy<Column> {
    let groups = groups.to_vec();
    // How many are null, and whether the column says that none is.
    let shares = prop_oneof![
        Just((100, "required")),
        Just((100, "optional")),
        Just((80, "optional")),
        Just((10, "optional"))
    ];
    let value = value.boxed();
    let rows = groups.iter().sum::<usize>();
    (shares, any::<bool>())
        .prop_flat_map(move |((share, repetition), few)| {
            // Few different values make dictionaries worth their while.
            let one =
                (value.clone(), 0..100).prop_map(move |(value, drawn)| (drawn < share).then_some(value));
            let own = vec(one, if few { rows.min(3) } else { rows });
            (Just(repetition), own)
        })
        .prop_map(move |(repetition, own)| {
            let values: Vec<_> = own.into_iter().cycle().take(rows).collect();
            let texts = values.iter().map(|value| value.as_ref().map(&text)).collect();
            let mut rest = values.into_iter();
            let stored = groups.iter().map(|size| cells(rest.by_ref().take(*size).collect())).collect();
            (format!("{repetition} {declared}"), stored, texts)
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

type Table = (Vec<usize>, Vec<Column>);

fn any_table() -> impl Strategy<Value = Table> {
    vec(0..40_usize, 1..4).prop_flat_map(|groups| {
        let columns = vec(any_column(&groups), 1..8);
        (Just(groups), columns)
    })
}

fn any_style() -> impl Strategy<Value = Style> {
    let codecs =
        styles().into_iter().map(|style| style.codec).chain([Compression::ZSTD(ZstdLevel::default())]);
    let codecs: Vec<_> = codecs.collect();
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    (
        proptest::sample::select(codecs),
        proptest::sample::select(versions.to_vec()),
        any::<bool>(),
        1..50_usize,
    )
        .prop_map(|(codec, version, dictionary, page_rows)| Style {
            codec,
            version,
            dictionary,
            page_rows,
        })
}

/// Thresholds that make every way be gone.
fn any_layout() -> impl Strategy<Value = Layout> {
    let bytes = prop_oneof![Just(0), Just(u64::MAX), Just(Layout::DEFAULT.copied_bytes_min)];
    let groups = prop_oneof![Just((1, 1)), Just((1 << 20, 50)), Just((1 << 20, 1 << 20))];
    (bytes, groups, any::<bool>()).prop_map(
        |(copied_bytes_min, (group_bytes, group_rows), copied_texts_checked)| Layout {
            group_bytes,
            group_rows,
            copied_bytes_min,
            copied_texts_checked,
        },
    )
}

/// A file of the columns that are not left out.
fn write(table: &Table, without: Option<usize>, style: Style) -> bytes::Bytes {
    let (groups, columns) = table;
    let kept = || columns.iter().enumerate().filter(|(number, _)| Some(*number) != without);
    let declared: String = kept()
        .map(|(number, (declared, ..))| format!("{}; ", declared.replace('#', &format!("c{number}"))))
        .collect();
    let groups: Vec<Vec<Cells>> = (0..groups.len())
        .map(|group| kept().map(|(_, (_, cells, _))| cells[group].clone()).collect())
        .collect();
    file(&declared, &groups, style)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn tables_survive(
        table in any_table(),
        files in vec((any_style(), option::weighted(0.1, 0..8_usize)), 1..5),
        same_style in any::<bool>(),
        layout in any_layout(),
    ) {
        // The first file has every column; DMS writes all files of a task alike.
        let style = |own: Style| if same_style { files[0].0 } else { own };
        let without = |number: usize, own: Option<usize>| {
            own.filter(|column| number > 0 && table.1.len() > 1 && *column < table.1.len())
        };
        let written = files.iter().enumerate();
        let written: Vec<_> =
            written.map(|(number, (own, left_out))| write(&table, without(number, *left_out), style(*own))).collect();
        let built = try_build_as(&layout, &inputs(&written).unwrap(), &|| true);
        let built = built.unwrap_or_else(|failure| panic!("{}", failure.fault.chain()));
        let rows: usize = table.0.iter().sum();
        for (column, (declared, _, texts)) in table.1.iter().enumerate() {
            let each = files.iter().enumerate().flat_map(|(number, (_, left_out))| {
                if without(number, *left_out) == Some(column) { vec![None; rows] } else { texts.clone() }
            });
            prop_assert_eq!(built.column(&format!("c{column}")), each.collect::<Vec<_>>(), "{}", declared);
        }
        let numbers: Vec<_> = (0..rows).map(|row| Some(row.to_string())).collect();
        prop_assert_eq!(built.column("_source_row"), times(numbers, files.len()));
    }
}

#[test]
fn the_styles_are_all_there() {
    let styles = styles();
    assert_eq!(styles.len(), 12);
    assert!(styles.iter().any(|style| style.version == WriterVersion::PARQUET_2_0));
    assert!(styles.iter().any(|style| matches!(style.codec, Compression::GZIP(_))));
}
