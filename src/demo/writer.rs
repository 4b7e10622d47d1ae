//! Parquet as DMS writes it: PLAIN, 10,000 rows a row group, pages of 1 MiB (AWS DMS user guide, S3 target settings).

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, GzipLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::domain::fault::{Fault, FaultKind};

/// DMS's RowGroupLength.
const ROW_GROUP_ROWS: usize = 10_000;
/// DMS's DataPageSize.
const PAGE_BYTES: usize = 1 << 20;

/// How the pages are compressed; DMS knows these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// `CompressionType=NONE`.
    None,
    /// `CompressionType=GZIP`.
    Gzip,
}

/// Writes `rows` to `path`.
pub fn write(path: &Path, rows: &RecordBatch, codec: Codec) -> Result<(), Fault> {
    let cannot =
        |error| Fault::from_error(FaultKind::Unavailable, format!("cannot write {}", path.display()), error);
    let file = File::create(path)
        .map_err(|error| Fault::from_io(format!("cannot create {}", path.display()), error))?;
    let compression = match codec {
        Codec::None => Compression::UNCOMPRESSED,
        Codec::Gzip => Compression::GZIP(GzipLevel::default()),
    };
    let properties = WriterProperties::builder()
        .set_created_by("AWS".to_owned())
        .set_dictionary_enabled(false)
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options).map_err(cannot)?;
    writer.write(rows).map_err(cannot)?;
    writer.close().map_err(cannot)?;
    Ok(())
}
