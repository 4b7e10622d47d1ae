//! Pages that are filled value by value: levels, then values as they stand (PLAIN), compressed by Zstandard.

use parquet::basic::{Compression, ZstdLevel};

use super::header::{PageHeader, PageKind, varint};
use super::{Chunk, Output};
use crate::columns::bits::Bits;
use crate::domain::fault::{Fault, FaultKind};

/// A page is closed when its values have this many bytes. Measured (docs/performance.md): of more next to nothing is gained, and a
/// reader has to hold more.
pub(in crate::columns) const PAGE_BYTES: usize = 1 << 20;
/// And at this many values, null or not.
pub(in crate::columns) const PAGE_ROWS: usize = 1 << 17;
/// Measured on DMS's texts: levels 2 to 4 make nothing smaller, and take up to three times as long.
const LEVEL: i32 = 1;

/// The codec of every page that is not copied.
pub(in crate::columns) fn codec() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

/// Compresses page after page, with buffers that are used again.
pub(in crate::columns) struct Press {
    compressor: zstd::bulk::Compressor<'static>,
    /// A page before it is compressed.
    page: Vec<u8>,
    stored: Vec<u8>,
}

impl Press {
    pub(in crate::columns) fn new() -> Result<Self, Fault> {
        let compressor = zstd::bulk::Compressor::new(LEVEL);
        let cannot =
            |error| Fault::from_error(FaultKind::Internal, "cannot set up Zstandard".to_owned(), error);
        Ok(Self { compressor: compressor.map_err(cannot)?, page: Vec::new(), stored: Vec::new() })
    }

    /// The page that comes next, to be filled.
    pub(in crate::columns) fn page(&mut self) -> &mut Vec<u8> {
        self.page.clear();
        &mut self.page
    }

    /// Writes the page of `values` values that was filled.
    pub(in crate::columns) fn write(
        &mut self,
        output: &mut Output,
        chunk: &mut Chunk,
        kind: PageKind,
        values: usize,
    ) -> Result<(), Fault> {
        self.pressed()?;
        let header = PageHeader { kind, stored_bytes: self.stored.len(), bytes: self.page.len(), values };
        output.page(chunk, header, &self.stored)
    }
}

impl Press {
    /// The page that was filled, compressed.
    pub(in crate::columns) fn pressed(&mut self) -> Result<&[u8], Fault> {
        self.stored.clear();
        self.stored.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor.compress_to_buffer(&self.page, &mut self.stored).map_err(|error| {
            Fault::from_error(FaultKind::Internal, "cannot compress a page".to_owned(), error)
        })?;
        Ok(&self.stored)
    }
}

/// The page of a column that is being filled.
#[derive(Debug, Default)]
pub(in crate::columns) struct Filling {
    optional: bool,
    /// For each row, whether it has a value.
    pub(in crate::columns) levels: Bits,
    /// The values that are there, as they stand in a page; those of a BOOLEAN column are in `flags`.
    pub(in crate::columns) values: Vec<u8>,
    pub(in crate::columns) flags: Bits,
    nulls: u64,
}

impl Filling {
    /// Begins a chunk.
    pub(in crate::columns) fn begin(&mut self, optional: bool) {
        self.optional = optional;
        self.empty();
        self.nulls = 0;
    }

    fn empty(&mut self) {
        self.levels.clear();
        self.values.clear();
        self.flags.clear();
    }

    /// Nulls of the chunk, in pages that were written.
    pub(in crate::columns) fn nulls(&self) -> u64 {
        self.nulls
    }

    /// True when the page should be written.
    pub(in crate::columns) fn is_full(&self) -> bool {
        self.levels.len() >= PAGE_ROWS || self.values.len() >= PAGE_BYTES
    }

    /// Writes the page, if anything is in it.
    pub(in crate::columns) fn write(
        &mut self,
        press: &mut Press,
        output: &mut Output,
        chunk: &mut Chunk,
    ) -> Result<(), Fault> {
        let rows = self.levels.len();
        if rows == 0 {
            return Ok(());
        }
        let page = press.page();
        if self.optional {
            write_levels(&self.levels, page);
        }
        page.extend_from_slice(&self.values);
        page.extend_from_slice(self.flags.bytes());
        press.write(output, chunk, PageKind::Plain, rows)?;
        self.nulls += (rows - self.levels.ones()) as u64;
        self.empty();
        Ok(())
    }
}

/// Definition levels as they stand before the values of a page: their length, then runs.
pub(in crate::columns) fn write_levels(levels: &Bits, page: &mut Vec<u8>) {
    let start = page.len();
    page.extend([0; 4]);
    let rows = levels.len();
    if rows > 0 && (levels.ones() == 0 || levels.ones() == rows) {
        varint(page, (rows as u64) << 1);
        page.push(u8::from(levels.ones() == rows));
    } else {
        varint(page, (rows.div_ceil(8) as u64) << 1 | 1);
        page.extend_from_slice(levels.bytes());
    }
    let length = u32::try_from(page.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = page.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}
