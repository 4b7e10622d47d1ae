//! Files written value by value, for tests and fuzz targets.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type as Int32,
    Int64Type as Int64, Int96, Int96Type,
};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::object::Object;

/// An object in memory.
#[derive(Debug)]
pub(super) struct Memory(pub(super) Bytes);

impl Object for Memory {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        let start = usize::try_from(offset).unwrap();
        let end = start + length;
        if end > self.0.len() {
            return Err(Fault::new(FaultKind::Unreadable, "beyond the end"));
        }
        Ok(self.0.slice(start..end))
    }
}

/// The stored values of one column in one row group.
#[derive(Clone, Debug)]
pub(super) enum Cells {
    Int32(Vec<Option<i32>>),
    Int64(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Float(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Fixed(Vec<Option<Vec<u8>>>),
    Int96(Vec<Option<u32>>),
}

pub(super) fn texts(values: &[Option<&str>]) -> Cells {
    Cells::Bytes(values.iter().map(|value| value.map(|text| text.as_bytes().to_vec())).collect())
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) codec: Compression,
    pub(super) version: WriterVersion,
    pub(super) dictionary: bool,
    /// Values of a page at most.
    pub(super) page_rows: usize,
}

pub(super) const PLAIN: Style = Style {
    codec: Compression::UNCOMPRESSED,
    version: WriterVersion::PARQUET_1_0,
    dictionary: false,
    page_rows: 20_000,
};

pub(super) fn styles() -> Vec<Style> {
    let codecs = [Compression::UNCOMPRESSED, Compression::GZIP(GzipLevel::default()), Compression::SNAPPY];
    let versions = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0];
    let mut styles = Vec::new();
    for codec in codecs {
        for version in versions {
            for dictionary in [false, true] {
                styles.push(Style { codec, version, dictionary, ..PLAIN });
            }
        }
    }
    styles
}

/// A Parquet file of these row groups; `columns` are the lines of its message type.
pub(super) fn file(columns: &str, groups: &[Vec<Cells>], style: Style) -> Bytes {
    let schema = Arc::new(parse_message_type(&format!("message schema {{ {columns} }}")).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(style.codec)
        .set_writer_version(style.version)
        .set_dictionary_enabled(style.dictionary)
        .set_data_page_row_count_limit(style.page_rows)
        .set_write_batch_size(style.page_rows.min(1024))
        .set_created_by("AWS".to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut rows = writer.next_row_group().unwrap();
        group.iter().for_each(|cells| write_cells(&mut rows, cells));
        rows.close().unwrap();
    }
    writer.into_inner().unwrap().into()
}

fn write_cells(rows: &mut SerializedRowGroupWriter<'_, Vec<u8>>, cells: &Cells) {
    macro_rules! write {
        ($kind:ty, $values:expr, $carry:expr) => {{
            let mut column = rows.next_column().unwrap().unwrap();
            let levels: Vec<i16> = $values.iter().map(|value| i16::from(value.is_some())).collect();
            let values: Vec<_> = $values.iter().flatten().map($carry).collect();
            let levels =
                (column.typed::<$kind>().get_descriptor().max_def_level() > 0).then_some(&levels[..]);
            column.typed::<$kind>().write_batch(&values, levels, None).unwrap();
            column.close().unwrap();
        }};
    }
    match cells {
        Cells::Int32(values) => write!(Int32, values, |value| *value),
        Cells::Int64(values) => write!(Int64, values, |value| *value),
        Cells::Bool(values) => write!(BoolType, values, |value| *value),
        Cells::Float(values) => write!(FloatType, values, |value| *value),
        Cells::Double(values) => write!(DoubleType, values, |value| *value),
        Cells::Bytes(values) => write!(ByteArrayType, values, |value| ByteArray::from(value.clone())),
        Cells::Fixed(values) => {
            write!(FixedLenByteArrayType, values, |value| ByteArray::from(value.clone()).into())
        }
        Cells::Int96(values) => write!(Int96Type, values, |value| {
            let mut stored = Int96::new();
            stored.set_data(*value, 0, 0);
            stored
        }),
    }
}
