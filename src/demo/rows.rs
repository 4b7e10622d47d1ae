//! Rows of DMS-shaped tables: columns with their types and plausible values.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::domain::instant::Instant;

/// A kind of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// The row's number.
    Number,
    /// A user: few of them do most.
    User,
    /// INT, up to this.
    Int(i32),
    /// SMALLINT, up to this.
    Small(i16),
    /// BIGINT UNSIGNED over its whole range.
    Unsigned,
    /// BIGINT, up to 2^62.
    Big,
    /// DECIMAL of this precision and scale, up to this many units.
    Money(u8, i8, i64),
    /// DOUBLE.
    Double,
    /// BIT(1), true this often in a hundred.
    Flag(u32),
    /// VARCHAR, one of these.
    OneOf(&'static [&'static str]),
    /// VARCHAR of this many hexadecimal digits.
    Hex(usize),
    /// VARCHAR that holds an address.
    Address,
    /// JSON.
    Json,
    /// VARBINARY(16).
    Token,
    /// DATE.
    Day,
    /// DATETIME(6), within a second before the commit.
    Before,
    /// DATETIME(6), the commit.
    At,
}

/// A column: its name, its values, and how many in a hundred are null.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
    /// Nulls in a hundred.
    pub nulls: u32,
}

/// Which of DMS's own columns a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Changes: `Op`, the timestamp first; the sequence last.
    Changes,
    /// A full load: the timestamp alone.
    FullLoad,
}

/// The rows of one file.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// The number of the first row.
    pub first: u64,
    /// How many rows.
    pub rows: usize,
    /// The commit time of the first row.
    pub commit: Instant,
    /// Microseconds between two commits.
    pub step_micros: i64,
    /// The seed of the values.
    pub seed: u64,
}

/// Makes the rows.
pub fn rows(columns: &[Column], layout: Layout, slice: Slice) -> Result<RecordBatch, ArrowError> {
    let mut random = SmallRng::seed_from_u64(slice.seed);
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    let mut add = |name: &str, array: ArrayRef, nullable: bool| {
        fields.push(Field::new(name, array.data_type().clone(), nullable));
        arrays.push(array);
    };
    if layout == Layout::Changes {
        let ops = (0..slice.rows).map(|_| match random.random_range(0..100_u32) {
            0..80 => "I",
            80..98 => "U",
            _ => "D",
        });
        add("Op", Arc::new(StringArray::from_iter_values(ops)), false);
    }
    add("dms_timestamp", texts(slice.rows, 26, |text, row| stamp(text, slice.commit_of(row))), false);
    for column in columns {
        add(column.name, values(*column, &slice, &mut random)?, true);
    }
    if layout == Layout::Changes {
        let sequence = |text: &mut String, row: usize| {
            let _ = write!(text, "2025112300000000{:019}", slice.first + row as u64);
        };
        add("dms_change_seq", texts(slice.rows, 35, sequence), true);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

impl Slice {
    fn commit_of(&self, row: usize) -> i64 {
        self.commit.micros() + self.step_micros * i64::try_from(row).unwrap_or(0)
    }
}

/// A text column without nulls, each written into one buffer.
fn texts(rows: usize, width: usize, mut write: impl FnMut(&mut String, usize)) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(rows, rows * width);
    let mut text = String::with_capacity(width);
    for row in 0..rows {
        text.clear();
        write(&mut text, row);
        builder.append_value(&text);
    }
    Arc::new(builder.finish())
}

/// `yyyy-MM-dd HH:mm:ss.SSSSSS`, UTC.
fn stamp(text: &mut String, micros: i64) {
    let moment = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
    use chrono::{Datelike, Timelike};
    let (year, month, day) = (moment.year(), moment.month(), moment.day());
    let (hour, minute, second) = (moment.hour(), moment.minute(), moment.second());
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}",
        moment.timestamp_subsec_micros()
    );
}

fn values(column: Column, slice: &Slice, random: &mut SmallRng) -> Result<ArrayRef, ArrowError> {
    let rows = slice.rows;
    let null = |random: &mut SmallRng| column.nulls > 0 && random.random_range(0..100_u32) < column.nulls;
    macro_rules! optional {
        ($array:ident, $row:ident, $random:ident, $value:expr) => {{
            let $random = random;
            Arc::new((0..rows).map(|$row| (!null($random)).then(|| $value)).collect::<$array>()) as ArrayRef
        }};
    }
    let first = i64::try_from(slice.first).unwrap_or(0);
    Ok(match column.values {
        Values::Number => Arc::new(Int64Array::from_iter_values((first..).take(rows))),
        // One over a uniform number: a heavy tail.
        Values::User => optional!(Int64Array, _row, r, (1.0 / r.random_range(0.000_000_5_f64..1.0)) as i64),
        Values::Int(max) => optional!(Int32Array, _row, r, r.random_range(0..max)),
        Values::Small(max) => optional!(Int16Array, _row, r, r.random_range(0..max)),
        Values::Unsigned => optional!(UInt64Array, _row, r, r.random_range(0..=u64::MAX)),
        Values::Big => optional!(Int64Array, _row, r, r.random_range(0..1_i64 << 62)),
        Values::Money(precision, scale, max) => {
            let values: Decimal128Array =
                (0..rows).map(|_| (!null(random)).then(|| i128::from(random.random_range(0..max)))).collect();
            Arc::new(values.with_precision_and_scale(precision, scale)?)
        }
        Values::Double => optional!(Float64Array, _row, r, r.random_range(0.0..1_000.0)),
        Values::Flag(share) => optional!(BooleanArray, _row, r, r.random_range(0..100_u32) < share),
        Values::OneOf(choices) => {
            optional!(
                StringArray,
                _row,
                r,
                choices.get(r.random_range(0..choices.len().max(1))).copied().unwrap_or_default()
            )
        }
        Values::Hex(digits) => hex(rows, digits, random),
        Values::Address => texts(rows, 15, |text, _| {
            let [a, b, c, d] = random.random_range(0..=u32::MAX).to_be_bytes();
            let _ = write!(text, "{a}.{b}.{c}.{d}");
        }),
        Values::Json => optional!(StringArray, _row, r, {
            let (lines, share) = (r.random_range(1..30_u32), r.random_range(0.0..1.0));
            format!("{{\"lines\":{lines},\"rtp\":{share:.4},\"theme\":\"t{}\"}}", lines % 7)
        }),
        Values::Token => optional!(BinaryArray, _row, r, r.random_range(0..=u128::MAX).to_be_bytes()),
        Values::Day => optional!(Date32Array, _row, r, r.random_range(0..20_000)),
        Values::Before => {
            let moments = (0..rows).map(|row| slice.commit_of(row) - random.random_range(0..1_000_000_i64));
            Arc::new(TimestampMicrosecondArray::from_iter_values(moments))
        }
        Values::At => {
            Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| slice.commit_of(row))))
        }
    })
}

fn hex(rows: usize, digits: usize, random: &mut SmallRng) -> ArrayRef {
    texts(rows, digits, |text, _| {
        while text.len() < digits {
            let width = (digits - text.len()).min(16);
            let number = random.random_range(0..=u64::MAX) >> (64 - 4 * width);
            let _ = write!(text, "{number:0width$x}");
        }
    })
}
