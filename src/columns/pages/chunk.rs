//! The pages of one column chunk.

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::header::{Data, Header, Kind, Problem, V2};
use super::inflate::Inflater;
use super::values::{Dictionary, Refusal, Shape};
use super::{range, runs, shares_prefixes};
use crate::columns::limits::{PAGE_HEADER_BYTES_MAX, shown};
use crate::columns::source::Source;
use crate::columns::thrift::Broken;

/// How much is read at once: most chunks of DMS whole.
const READ_BYTES: usize = 1 << 20;
/// How much is read at first where only a header is expected: it is tens of bytes, unless it holds long statistics.
const HEADER_BYTES: usize = 4 << 10;
/// And how many times more when that is too little.
const HEADER_GROWS: usize = 16;

/// Reads the pages of a chunk, one after the other.
pub(in crate::columns) struct ChunkPages {
    source: Source,
    name: String,
    shape: Shape,
    optional: bool,
    shares_prefixes: bool,
    inflater: Inflater,
    dictionary: Option<Dictionary>,
    /// Where the next page begins, and where the chunk ends.
    position: u64,
    end: u64,
    /// What was read of it last, and from where.
    window: Bytes,
    window_start: u64,
    /// Its number, for messages.
    page: usize,
    /// Values that the footer states and no page has had yet.
    values_left: u64,
}

/// A page as it is stored, its header and checksum held against its chunk.
#[derive(Clone, Debug)]
pub(in crate::columns) struct Stored {
    header: Header,
    bytes: Bytes,
}

impl Stored {
    /// The bytes behind the header.
    pub(in crate::columns) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that they become.
    pub(in crate::columns) fn unpacked_bytes(&self) -> usize {
        self.header.bytes
    }

    /// Its values, null or not.
    pub(in crate::columns) fn values(&self) -> usize {
        match self.header.kind {
            Kind::Data(data) | Kind::DataV2(data, _) | Kind::Dictionary(data) => data.values as usize,
            Kind::Index => 0,
        }
    }

    /// True for the dictionary.
    pub(in crate::columns) fn is_dictionary(&self) -> bool {
        matches!(self.header.kind, Kind::Dictionary(_))
    }

    /// True when values stand in it one after the other, behind their levels, so that it may stand in any chunk.
    pub(in crate::columns) fn is_plain(&self) -> bool {
        matches!(self.header.kind, Kind::Data(data) if data.encoding == Encoding::PLAIN && data.levels == Encoding::RLE)
    }
}

/// What is in a page.
#[derive(Clone, Copy, Debug)]
pub(in crate::columns) struct Content<'a> {
    /// Its values, null or not.
    pub(in crate::columns) rows: usize,
    /// Those that are not null.
    pub(in crate::columns) present: usize,
    /// Runs of levels, where a value may be null.
    pub(in crate::columns) levels: Option<&'a [u8]>,
    pub(in crate::columns) values: &'a [u8],
    pub(in crate::columns) encoding: Encoding,
}

impl ChunkPages {
    /// Opens a chunk. Nothing is read yet.
    pub(in crate::columns) fn open(source: Source, chunk: &ColumnChunkMetaData) -> Result<Self> {
        let column = chunk.column_descr();
        let name = shown(column.name()).to_owned();
        let unsound = |text: String| ParquetError::General(format!("column {name}: {text}"));
        let inflater = Inflater::new(chunk.compression()).map_err(&unsound)?;
        let inflater = inflater.ok_or_else(|| unsound(format!("{} is not read", chunk.compression())))?;
        let (start, length) =
            range(chunk).ok_or_else(|| unsound("it lies outside of the file".to_owned()))?;
        let values_left = u64::try_from(chunk.num_values()).map_err(|error| unsound(error.to_string()))?;
        let is_fixed = column.physical_type() == Physical::FIXED_LEN_BYTE_ARRAY;
        let fixed_bytes = if is_fixed { usize::try_from(column.type_length()).unwrap_or(0) } else { 0 };
        Ok(Self {
            source,
            shape: Shape { physical: column.physical_type(), fixed_bytes },
            optional: column.max_def_level() > 0,
            shares_prefixes: shares_prefixes(chunk),
            inflater,
            dictionary: None,
            position: start,
            end: start.saturating_add(length),
            window: Bytes::new(),
            window_start: start,
            page: 0,
            values_left,
            name,
        })
    }

    /// How its values are stored.
    pub(in crate::columns) fn shape(&self) -> Shape {
        self.shape
    }

    /// `length` bytes from `from` on, which lie in the chunk.
    fn bytes(&mut self, from: u64, length: usize) -> Result<Bytes> {
        let within = |window: &Bytes, start: u64| {
            let offset = usize::try_from(from.checked_sub(start)?).ok()?;
            let end = offset.checked_add(length)?;
            (end <= window.len()).then(|| window.slice(offset..end))
        };
        if let Some(found) = within(&self.window, self.window_start) {
            return Ok(found);
        }
        let left = usize::try_from(self.end.saturating_sub(from)).unwrap_or(usize::MAX);
        self.window = self.source.bytes(from, length.max(READ_BYTES).min(left).max(length))?;
        self.window_start = from;
        Ok(self.window.slice(..length))
    }

    /// The next page's header and where its bytes begin; moves on behind them.
    fn next_header(&mut self) -> Result<Option<(Header, u64)>> {
        let left = self.end.saturating_sub(self.position);
        if left == 0 {
            return Ok(None);
        }
        self.page += 1;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PAGE_HEADER_BYTES_MAX);
        let mut length = HEADER_BYTES.min(most);
        let (header, header_bytes) = loop {
            let bytes = self.bytes(self.position, length)?;
            match Header::read(&bytes) {
                Ok(found) => break found,
                Err(Problem::Broken(Broken::Short)) if length < most => {
                    length = length.saturating_mul(HEADER_GROWS).min(most);
                }
                Err(Problem::Broken(broken)) => {
                    return Err(self.wrong(format!("its header is damaged: {}", broken.text())));
                }
                Err(Problem::Refused(text)) => return Err(self.wrong(text)),
            }
        };
        let start = self.position.saturating_add(header_bytes as u64);
        let next = start.saturating_add(header.stored_bytes as u64);
        if next > self.end {
            return Err(self.wrong("it reaches beyond its column chunk"));
        }
        self.position = next;
        Ok(Some((header, start)))
    }

    fn wrong(&self, text: impl AsRef<str>) -> ParquetError {
        ParquetError::General(format!("page {} of column {}: {}", self.page, self.name, text.as_ref()))
    }

    /// The next page that holds anything; `None` behind the last.
    pub(in crate::columns) fn next_page(&mut self) -> Result<Option<Stored>> {
        loop {
            let Some((header, start)) = self.next_header()? else {
                return self.ended().map(|()| None);
            };
            match header.kind {
                Kind::Index => continue,
                // Nothing is in it, and nothing asks for it.
                Kind::Data(Data { values: 0, .. }) | Kind::DataV2(Data { values: 0, .. }, _) => continue,
                Kind::Dictionary(_) if self.dictionary.is_some() => {
                    return Err(self.wrong("it is a second dictionary"));
                }
                Kind::Dictionary(_) if self.page > 1 => {
                    return Err(self.wrong("it is a dictionary, and comes after values"));
                }
                Kind::Dictionary(_) => {}
                Kind::Data(data) | Kind::DataV2(data, _) => self.count(data.values)?,
            }
            let bytes = self.stored(&header, start)?;
            return Ok(Some(Stored { header, bytes }));
        }
    }

    fn ended(&self) -> Result<()> {
        if self.values_left == 0 {
            return Ok(());
        }
        let text =
            format!("column {}: {} of its values are in none of its pages", self.name, self.values_left);
        Err(ParquetError::General(text))
    }

    /// The page's bytes as they are stored, held against their checksum.
    fn stored(&mut self, header: &Header, start: u64) -> Result<Bytes> {
        let stored = self.bytes(start, header.stored_bytes)?;
        match header.crc {
            Some(crc) if crc != crc32fast::hash(&stored) => {
                Err(self.wrong("its checksum is not that of its bytes"))
            }
            Some(_) | None => Ok(stored),
        }
    }

    /// The page's bytes, all decompressed but the first `head`; `space` is where they are put if they have to be.
    fn inflated<'a>(
        &mut self,
        page: &'a Stored,
        head: usize,
        compressed: bool,
        space: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let (header, stored) = (&page.header, &page.bytes);
        if self.inflater.is_stored() || !compressed {
            if stored.len() != header.bytes {
                return Err(self.wrong(format!(
                    "it is {} bytes long, and states {}",
                    stored.len(),
                    header.bytes
                )));
            }
            return Ok(stored);
        }
        let (levels, rest) =
            stored.split_at_checked(head).ok_or_else(|| self.wrong("its levels are longer than the page"))?;
        if rest.is_empty() || header.bytes == head {
            // A page of nulls alone has nothing to compress.
            return if header.bytes == head { Ok(levels) } else { Err(self.wrong("it has no values")) };
        }
        self.inflater.inflate(levels, rest, header.bytes, space).map_err(|text| self.wrong(text))?;
        Ok(space)
    }

    /// The values of the dictionary, as they stand one after the other.
    pub(in crate::columns) fn unpack_dictionary<'a>(
        &mut self,
        page: &'a Stored,
        space: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        let Kind::Dictionary(data) = page.header.kind else {
            return Err(self.wrong("it is no dictionary"));
        };
        let values = self.inflated(page, 0, true, space)?;
        let checked = self.shape.check_dictionary(data.encoding, values, data.values);
        self.dictionary = Some(checked.map_err(|text| self.wrong(text))?);
        Ok(values)
    }

    /// What is in a page of values, checked.
    pub(in crate::columns) fn unpack<'a>(
        &mut self,
        page: &'a Stored,
        space: &'a mut Vec<u8>,
    ) -> Result<Content<'a>> {
        match page.header.kind {
            Kind::Data(data) => {
                let bytes = self.inflated(page, 0, true, space)?;
                self.content(data, bytes).map_err(|text| self.wrong(text))
            }
            Kind::DataV2(data, v2) => {
                let bytes = self.inflated(page, v2.heads().0, v2.compressed, space)?;
                self.content_v2(data, v2, bytes).map_err(|text| self.wrong(text))
            }
            Kind::Dictionary(_) | Kind::Index => Err(self.wrong("it has no values")),
        }
    }

    fn content<'a>(&self, data: Data, page: &'a [u8]) -> Result<Content<'a>, Refusal> {
        if !self.optional {
            return self.checked(data, None, page, data.values);
        }
        if data.levels != Encoding::RLE {
            return Err(format!("its levels are encoded by {}, which is not read", data.levels));
        }
        let (length, rest) = page.split_first_chunk::<4>().ok_or("it has no levels")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (levels, values) = rest.split_at_checked(length).ok_or("its levels are longer than the page")?;
        self.checked(data, Some(levels), values, runs::present(levels, data.values)?)
    }

    fn content_v2<'a>(&self, data: Data, v2: V2, page: &'a [u8]) -> Result<Content<'a>, Refusal> {
        let (head, repetition) = v2.heads();
        let (levels, values) = page.split_at_checked(head).ok_or("its levels are longer than the page")?;
        // What some writers put there says that no value repeats.
        let levels = levels.get(repetition..).unwrap_or_default();
        let present = if self.optional { runs::present(levels, data.values)? } else { data.values };
        if data.values.checked_sub(v2.nulls) != Some(present) {
            let text = format!(
                "it states {} nulls of {} values, and has {present} that are none",
                v2.nulls, data.values
            );
            return Err(text);
        }
        self.checked(data, self.optional.then_some(levels), values, present)
    }

    fn checked<'a>(
        &self,
        data: Data,
        levels: Option<&'a [u8]>,
        values: &'a [u8],
        present: u32,
    ) -> Result<Content<'a>, Refusal> {
        self.check_values(data, values, present)?;
        let (rows, present) = (data.values as usize, present as usize);
        Ok(Content { rows, present, levels, values, encoding: data.encoding })
    }

    fn check_values(&self, data: Data, values: &[u8], present: u32) -> Result<(), Refusal> {
        if data.encoding == Encoding::DELTA_BYTE_ARRAY && !self.shares_prefixes {
            return Err(format!("its encoding {} is not among those that the footer states", data.encoding));
        }
        self.shape.check(data.encoding, values, present, self.dictionary)
    }

    /// No page may have more values than the footer has left for it.
    fn count(&mut self, values: u32) -> Result<()> {
        match self.values_left.checked_sub(values.into()) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(self.wrong("it has more values than its row group has rows")),
        }
    }
}
