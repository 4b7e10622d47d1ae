//! Files of chosen columns, values and style.

use super::super::written::{Cells, Style, file, styles};
use crate::fuzz::Choices;
use bytes::Bytes;

const COLUMNS_MAX: usize = 5;
const GROUPS_MAX: usize = 3;
const ROWS_MAX: usize = 40;

/// A kind of column: how it is declared, with `#` for its name, and how its values are chosen.
type Kind = (&'static str, fn(&mut Choices<'_>, usize) -> Cells);

const KINDS: [Kind; 16] = [
    ("int64 #", |choices, rows| Cells::Int64(optional(choices, rows, |c| c.number().cast_signed()))),
    ("int32 #", |choices, rows| Cells::Int32(optional(choices, rows, |c| i32::from(c.byte()) << 20))),
    ("int32 # (INT_16)", |choices, rows| Cells::Int32(optional(choices, rows, |c| c.byte().into()))),
    ("int32 # (UINT_32)", |choices, rows| Cells::Int32(optional(choices, rows, |c| -i32::from(c.byte())))),
    ("int64 # (UINT_64)", |choices, rows| {
        Cells::Int64(optional(choices, rows, |c| c.number().cast_signed()))
    }),
    ("int64 # (TIMESTAMP_MICROS)", |choices, rows| {
        Cells::Int64(optional(choices, rows, |c| c.number().cast_signed()))
    }),
    ("int64 # (TIMESTAMP_MILLIS)", |choices, rows| {
        Cells::Int64(optional(choices, rows, |c| c.byte().into()))
    }),
    ("int32 # (DATE)", |choices, rows| Cells::Int32(optional(choices, rows, |c| c.byte().into()))),
    ("boolean #", |choices, rows| Cells::Bool(optional(choices, rows, |c| c.flag()))),
    ("float #", |choices, rows| Cells::Float(optional(choices, rows, |c| f32::from(c.byte())))),
    ("double #", |choices, rows| Cells::Double(optional(choices, rows, |c| f64::from_bits(c.number())))),
    ("binary # (UTF8)", |choices, rows| Cells::Bytes(optional(choices, rows, |c| c.text(12).into_bytes()))),
    ("binary #", |choices, rows| Cells::Bytes(optional(choices, rows, |c| c.bytes(12)))),
    ("binary # (DECIMAL(20,2))", |choices, rows| {
        Cells::Bytes(optional(choices, rows, |c| vec![c.byte(), c.byte()]))
    }),
    ("fixed_len_byte_array(10) # (DECIMAL(23,4))", |choices, rows| {
        Cells::Fixed(optional(choices, rows, |c| vec![0, 0, 0, 0, 0, 0, 0, c.byte(), 1, c.byte()]))
    }),
    ("fixed_len_byte_array(3) #", |choices, rows| {
        Cells::Fixed(optional(choices, rows, |c| vec![c.byte(), 2, c.byte()]))
    }),
];

fn optional<T: Clone>(
    choices: &mut Choices<'_>,
    rows: usize,
    value: impl Fn(&mut Choices<'_>) -> T,
) -> Vec<Option<T>> {
    let nulls = choices.below(3);
    let mut last = None;
    let one = |_| {
        let is_null = nulls > 0 && choices.byte() % 8 < 3;
        // Repeated values, so that dictionaries and runs are worth their while.
        if is_null || (nulls == 2 && last.is_some()) {
            return if is_null { None } else { last.clone() };
        }
        last = Some(value(choices));
        last.clone()
    };
    (0..rows).map(one).collect()
}

/// A file, and its rows.
pub(super) fn chosen(choices: &mut Choices<'_>) -> (Bytes, u64) {
    let style = *choices.pick(&styles());
    let kinds: Vec<Kind> = (0..=choices.below(COLUMNS_MAX)).map(|_| *choices.pick(&KINDS)).collect();
    // Half of the files have many pages a chunk; without a choice of its own, so that the corpus keeps its meaning.
    let style = Style { page_rows: if kinds.len() % 2 == 1 { 7 } else { style.page_rows }, ..style };
    let declared = kinds
        .iter()
        .enumerate()
        .map(|(number, (kind, _))| format!("optional {}; ", kind.replace('#', &format!("c{number}"))));
    let declared: String = declared.collect();
    let sizes: Vec<usize> = (0..choices.below(GROUPS_MAX + 1)).map(|_| choices.below(ROWS_MAX)).collect();
    let groups: Vec<Vec<Cells>> =
        sizes.iter().map(|rows| kinds.iter().map(|(_, cells)| cells(choices, *rows)).collect()).collect();
    let rows = sizes.iter().sum::<usize>();
    (file(&declared, &groups, style), rows as u64)
}
