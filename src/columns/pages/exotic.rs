//! Encodings that DMS does not write (deltas, split bytes, runs of flags), decoded by the Parquet reader, some values at a
//! time: of a page whose values share their beginnings each may be as long as the page.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Repetition, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{
    AsBytes, BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, ColumnPath, Type};

use super::chunk::Content;
use super::values::Shape;

/// About the most bytes that are decoded at one time.
const BYTES_IN_HAND: usize = 8 << 20;
const VALUES_IN_HAND: usize = 8192;

/// Takes so many values, as they stand in a PLAIN page.
type Each<'a, E> = dyn FnMut(usize, &[u8]) -> Result<(), E> + 'a;

/// Gives the values of a page, some at a time, to `each`: how many, and how they stand in a PLAIN page; of a BOOLEAN, one
/// byte each.
pub(super) fn decode<E: From<ParquetError>>(
    shape: Shape,
    content: &Content<'_>,
    each: &mut Each<'_, E>,
) -> Result<(), E> {
    match shape.physical {
        Physical::BOOLEAN => typed::<BoolType, E>(shape, content, each),
        Physical::INT32 => typed::<Int32Type, E>(shape, content, each),
        Physical::INT64 => typed::<Int64Type, E>(shape, content, each),
        Physical::INT96 => typed::<Int96Type, E>(shape, content, each),
        Physical::FLOAT => typed::<FloatType, E>(shape, content, each),
        Physical::DOUBLE => typed::<DoubleType, E>(shape, content, each),
        Physical::BYTE_ARRAY => typed::<ByteArrayType, E>(shape, content, each),
        Physical::FIXED_LEN_BYTE_ARRAY => typed::<FixedLenByteArrayType, E>(shape, content, each),
    }
}

fn typed<T: DataType, E: From<ParquetError>>(
    shape: Shape,
    content: &Content<'_>,
    each: &mut Each<'_, E>,
) -> Result<(), E> {
    let longest = if content.encoding == Encoding::DELTA_BYTE_ARRAY { content.values.len() } else { 16 };
    let step = (BYTES_IN_HAND / longest.max(1)).clamp(1, VALUES_IN_HAND);
    let mut reader = ColumnReaderImpl::<T>::new(descriptor(shape)?, Box::new(OnePage(Some(page(content)?))));
    let (mut left, mut out) = (content.present, Vec::new());
    while left > 0 {
        let mut values = Vec::with_capacity(step.min(left));
        let (_, count, _) = reader.read_records(step.min(left), None, None, &mut values)?;
        if count == 0 {
            return Err(ParquetError::General(format!("{left} of its values cannot be decoded")).into());
        }
        out.clear();
        for value in &values {
            let bytes = value.as_bytes();
            if shape.physical == Physical::BYTE_ARRAY {
                out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
            }
            out.extend_from_slice(bytes);
        }
        each(count, &out)?;
        left = left.saturating_sub(count);
    }
    Ok(())
}

/// A column of the same type without nulls: the page's levels are read elsewhere.
fn descriptor(shape: Shape) -> Result<ColumnDescPtr> {
    let length = i32::try_from(shape.fixed_bytes)
        .map_err(|_| ParquetError::General("its values are too long".to_owned()))?;
    let kind = Type::primitive_type_builder("values", shape.physical)
        .with_repetition(Repetition::REQUIRED)
        .with_length(length)
        .build()?;
    Ok(Arc::new(ColumnDescriptor::new(Arc::new(kind), 0, 0, ColumnPath::from("values"))))
}

fn page(content: &Content<'_>) -> Result<Page> {
    let count = u32::try_from(content.present)
        .map_err(|_| ParquetError::General("it has too many values".to_owned()))?;
    Ok(Page::DataPage {
        buf: Bytes::copy_from_slice(content.values),
        num_values: count,
        encoding: content.encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    })
}

/// One page and nothing else.
struct OnePage(Option<Page>);

impl Iterator for OnePage {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageReader for OnePage {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        Ok(self.0.take())
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("there is one page".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::NYI("there is one page".to_owned()))
    }
}
