//! DMS-shaped Parquet of what a MySQL server holds, by DMS's documentation: the types of its S3 target for each MySQL type, in both
//! of its versions of the format.

use std::sync::Arc;

use arrow::datatypes::i256;
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType,
    Int32Type, Int64Type,
};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// A value as the server gives it: its text, or the bytes of a BIT, a BLOB, a geometry.
pub type Cell = Option<Vec<u8>>;

/// How a DMS task writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavour {
    /// `parquet-2-0`: its data pages, UINT_32, and LogicalType beside ConvertedType.
    pub second: bool,
    /// Times in milliseconds, as far as they have no more digits.
    pub millis: bool,
    pub dictionary: bool,
    pub gzip: bool,
    /// Rows of a row group.
    pub group_rows: usize,
}

/// A column: what it is in the file, by its MySQL type.
pub struct DmsColumn {
    stored: Stored,
    declared: String,
}

#[derive(Clone, Copy, Debug)]
enum Stored {
    Int32,
    Int64,
    Unsigned64,
    Double,
    Bool,
    Text,
    Bytes,
    Fixed(usize),
    /// Digits after the point, and bytes.
    Decimal(u32, usize),
    Days,
    /// Units of a second.
    Times(i64),
}

impl DmsColumn {
    /// Of a column that MySQL declares as `kind`, as information_schema writes it.
    pub fn new(name: &str, kind: &str, flavour: Flavour) -> Self {
        let base = kind.split(['(', ' ']).next().unwrap();
        let unsigned = kind.contains("unsigned");
        let numbers: Vec<u32> = kind
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .map(|(numbers, _)| numbers.split(',').filter_map(|number| number.parse().ok()).collect())
            .unwrap_or_default();
        let first = numbers.first().copied();
        let (stored, kind) = match (base, unsigned) {
            ("tinyint", false) => (Stored::Int32, "int32 $ (INT_8)"),
            ("tinyint", true) => (Stored::Int32, "int32 $ (UINT_8)"),
            ("smallint" | "year", false) => (Stored::Int32, "int32 $ (INT_16)"),
            ("smallint", true) => (Stored::Int32, "int32 $ (UINT_16)"),
            ("mediumint" | "int", false) => (Stored::Int32, "int32 $"),
            ("mediumint" | "int", true) if flavour.second => (Stored::Int32, "int32 $ (UINT_32)"),
            ("mediumint" | "int", true) => (Stored::Int64, "int64 $"),
            ("bigint", false) => (Stored::Int64, "int64 $"),
            ("bigint", true) => (Stored::Unsigned64, "int64 $ (UINT_64)"),
            ("decimal", _) => {
                let (precision, scale) = (first.unwrap_or(10), numbers.get(1).copied().unwrap_or(0));
                let bytes = bytes_of(precision);
                let kind = format!("fixed_len_byte_array({bytes}) $ (DECIMAL({precision},{scale}))");
                return Self::declare(name, Stored::Decimal(scale, bytes), &kind);
            }
            ("float" | "double", _) => (Stored::Double, "double $"),
            ("bit", _) if first == Some(1) => (Stored::Bool, "boolean $"),
            ("date", _) => (Stored::Days, "int32 $ (DATE)"),
            ("datetime" | "timestamp", _) if flavour.millis && first.unwrap_or(0) <= 3 => {
                (Stored::Times(1_000), "int64 $ (TIMESTAMP_MILLIS)")
            }
            ("datetime" | "timestamp", _) if flavour.second => {
                (Stored::Times(1_000_000), "int64 $ (TIMESTAMP(MICROS,false))")
            }
            ("datetime" | "timestamp", _) => (Stored::Times(1_000_000), "int64 $ (TIMESTAMP_MICROS)"),
            ("binary", _) if flavour.second => {
                let bytes = first.unwrap_or(1) as usize;
                let kind = format!("fixed_len_byte_array({bytes}) $");
                return Self::declare(name, Stored::Fixed(bytes), &kind);
            }
            ("binary" | "varbinary" | "bit", _) => (Stored::Bytes, "binary $"),
            (other, _) if other.ends_with("blob") || is_geometry(other) => (Stored::Bytes, "binary $"),
            // TIME, texts, ENUM, SET, JSON.
            _ if flavour.second => (Stored::Text, "binary $ (STRING)"),
            _ => (Stored::Text, "binary $ (UTF8)"),
        };
        Self::declare(name, stored, kind)
    }

    fn declare(name: &str, stored: Stored, kind: &str) -> Self {
        let declared = format!("optional {};", kind.replace('$', name));
        Self { stored, declared }
    }
}

/// True for the geometries of MySQL.
pub fn is_geometry(base: &str) -> bool {
    ["geometry", "point", "linestring", "polygon"].iter().any(|word| base.contains(word))
}

/// The bytes that DMS gives decimals of so many digits.
fn bytes_of(digits: u32) -> usize {
    let bits = f64::from(digits) * 10_f64.log2() + 1.0;
    (bits / 8.0).ceil() as usize
}

/// A DMS file of these rows, one value a column.
pub fn write(columns: &[DmsColumn], rows: &[Vec<Cell>], flavour: Flavour) -> Vec<u8> {
    let declared: String = columns.iter().map(|column| column.declared.as_str()).collect();
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {declared} }}")).unwrap());
    let codec =
        if flavour.gzip { Compression::GZIP(GzipLevel::default()) } else { Compression::UNCOMPRESSED };
    let version = if flavour.second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_dictionary_enabled(flavour.dictionary)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(flavour.group_rows) {
        let mut group = writer.next_row_group().unwrap();
        for (place, column) in columns.iter().enumerate() {
            let cells: Vec<_> = rows.iter().map(|row| row[place].as_deref()).collect();
            column.stored.write(&mut group, &cells);
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

impl Stored {
    fn write(self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, cells: &[Option<&[u8]>]) {
        match self {
            Self::Int32 => put::<Int32Type>(group, cells, |value| {
                // Unsigned ones take all bits.
                let number: i64 = text(value).parse().unwrap();
                Some(number as i32)
            }),
            Self::Int64 => put::<Int64Type>(group, cells, |value| Some(text(value).parse().unwrap())),
            Self::Unsigned64 => put::<Int64Type>(group, cells, |value| {
                let number: u64 = text(value).parse().unwrap();
                Some(number.cast_signed())
            }),
            Self::Double => put::<DoubleType>(group, cells, |value| Some(text(value).parse().unwrap())),
            Self::Bool => put::<BoolType>(group, cells, |value| Some(value == b"\x01")),
            Self::Text | Self::Bytes => {
                put::<ByteArrayType>(group, cells, |value| Some(ByteArray::from(value.to_vec())))
            }
            Self::Fixed(bytes) => put::<FixedLenByteArrayType>(group, cells, |value| {
                assert_eq!(value.len(), bytes);
                Some(FixedLenByteArray::from(value.to_vec()))
            }),
            Self::Decimal(scale, bytes) => put::<FixedLenByteArrayType>(group, cells, |value| {
                let (whole, fraction) = text(value).split_once('.').unwrap_or((text(value), ""));
                assert_eq!(fraction.len(), scale as usize);
                let unscaled = i256::from_string(&format!("{whole}{fraction}")).unwrap();
                Some(FixedLenByteArray::from(unscaled.to_be_bytes()[32 - bytes..].to_vec()))
            }),
            Self::Days => put::<Int32Type>(group, cells, |value| {
                Some(i32::try_from(micros(text(value))? / MICROS_PER_DAY).unwrap())
            }),
            Self::Times(units) => {
                put::<Int64Type>(group, cells, |value| Some(micros(text(value))? / (1_000_000 / units)))
            }
        }
    }
}

/// Writes a column; a value for which there is none is NULL, as DMS writes dates that are none.
fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: &[Option<&[u8]>],
    value: impl Fn(&[u8]) -> Option<T::T>,
) {
    let values: Vec<_> = cells.iter().map(|cell| cell.and_then(&value)).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<_> = values.into_iter().flatten().collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&present, Some(&levels), None).unwrap();
    column.close().unwrap();
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap()
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Microseconds since the Unix epoch; none for what is no date.
fn micros(text: &str) -> Option<i64> {
    let whole = if text.len() == 10 { format!("{text} 00:00:00") } else { text.to_owned() };
    let moment = chrono::NaiveDateTime::parse_from_str(&whole, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(moment.and_utc().timestamp_micros())
}
