//! The pages of one column chunk.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::header::{Data, Header, Kind, Problem, V2};
use super::inflate::Inflater;
use super::values::{Dictionary, Refusal, Shape};
use super::{Budget, range, runs, shares_prefixes};
use crate::columns::limits::{PAGE_HEADER_BYTES_MAX, shown};
use crate::columns::source::Source;
use crate::columns::thrift::Broken;

/// How much is read at first where a header is expected: it is tens of bytes, unless it holds long statistics.
const HEADER_BYTES: usize = 4 << 10;
/// And how many times more when that is too little.
const HEADER_GROWS: usize = 16;

/// Reads the pages of a chunk, one after the other.
pub(super) struct ChunkPages {
    source: Source,
    name: String,
    shape: Shape,
    optional: bool,
    shares_prefixes: bool,
    inflater: Inflater,
    budget: Arc<Budget>,
    dictionary: Option<Dictionary>,
    /// Where the next page begins, and where the chunk ends.
    position: u64,
    end: u64,
    /// Its number, for messages.
    page: usize,
    /// Values that the footer states and no page has had yet.
    values_left: u64,
}

impl ChunkPages {
    /// Opens a chunk. Nothing is read yet.
    pub(super) fn open(source: Source, chunk: &ColumnChunkMetaData, budget: Arc<Budget>) -> Result<Self> {
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
            budget,
            dictionary: None,
            position: start,
            end: start.saturating_add(length),
            page: 0,
            values_left,
            name,
        })
    }

    /// The bytes of the longest value that a row of this column may have, as far as that is not plain from its pages'
    /// length: the longest of a dictionary, the longest page of values that share their beginnings.
    pub(super) fn longest_bytes(mut self) -> Result<usize> {
        let mut longest = 0;
        while let Some((header, start)) = self.next_header()? {
            match header.kind {
                Kind::Dictionary(data) => {
                    self.dictionary_page(&header, data, start)?;
                    longest = longest.max(self.dictionary.map_or(0, |dictionary| dictionary.longest_bytes));
                }
                Kind::Data(data) | Kind::DataV2(data, _) if data.encoding == Encoding::DELTA_BYTE_ARRAY => {
                    longest = longest.max(header.bytes);
                }
                Kind::Data(_) | Kind::DataV2(..) | Kind::Index => {}
            }
            if !self.shares_prefixes {
                // A dictionary comes first or not at all.
                break;
            }
        }
        Ok(longest)
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
            let bytes = self.source.bytes(self.position, length)?;
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

    fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            let Some((header, start)) = self.next_header()? else {
                return self.ended();
            };
            match header.kind {
                Kind::Index => {}
                Kind::Dictionary(data) => return self.dictionary_page(&header, data, start).map(Some),
                // Nothing is in it, and nothing asks for it.
                Kind::Data(Data { values: 0, .. }) | Kind::DataV2(Data { values: 0, .. }, _) => {}
                Kind::Data(data) => return self.data_page(&header, data, start).map(Some),
                Kind::DataV2(data, v2) => return self.data_page_v2(&header, data, v2, start).map(Some),
            }
        }
    }

    fn ended(&self) -> Result<Option<Page>> {
        if self.values_left == 0 {
            return Ok(None);
        }
        let text =
            format!("column {}: {} of its values are in none of its pages", self.name, self.values_left);
        Err(ParquetError::General(text))
    }

    /// The page's bytes as they are stored, held against their checksum.
    fn stored(&self, header: &Header, start: u64) -> Result<Bytes> {
        let stored = self.source.bytes(start, header.stored_bytes)?;
        match header.crc {
            Some(crc) if crc != crc32fast::hash(&stored) => {
                Err(self.wrong("its checksum is not that of its bytes"))
            }
            Some(_) | None => Ok(stored),
        }
    }

    /// The page's bytes, all decompressed but the first `head`.
    fn inflated(&mut self, header: &Header, start: u64, head: usize, compressed: bool) -> Result<Bytes> {
        let stored = self.stored(header, start)?;
        if self.inflater.is_stored() || !compressed {
            if stored.len() != header.bytes {
                return Err(self.wrong(format!(
                    "it is {} bytes long, and states {}",
                    stored.len(),
                    header.bytes
                )));
            }
            self.budget.take(stored.len())?;
            return Ok(stored);
        }
        self.budget.take(header.bytes)?;
        let (levels, rest) =
            stored.split_at_checked(head).ok_or_else(|| self.wrong("its levels are longer than the page"))?;
        if rest.is_empty() || header.bytes == head {
            // A page of nulls alone has nothing to compress.
            return if header.bytes == head {
                Ok(stored.slice(..head))
            } else {
                Err(self.wrong("it has no values"))
            };
        }
        let inflated = self.inflater.inflate(levels, rest, header.bytes);
        inflated.map(Bytes::from).map_err(|text| self.wrong(text))
    }

    fn dictionary_page(&mut self, header: &Header, data: Data, start: u64) -> Result<Page> {
        if self.dictionary.is_some() {
            return Err(self.wrong("it is a second dictionary"));
        }
        if self.page > 1 {
            return Err(self.wrong("it is a dictionary, and comes after values"));
        }
        let buf = self.inflated(header, start, 0, true)?;
        let checked = self.shape.check_dictionary(data.encoding, &buf, data.values);
        self.dictionary = Some(checked.map_err(|text| self.wrong(text))?);
        Ok(Page::DictionaryPage { buf, num_values: data.values, encoding: data.encoding, is_sorted: false })
    }

    fn data_page(&mut self, header: &Header, data: Data, start: u64) -> Result<Page> {
        self.count(data.values)?;
        let buf = self.inflated(header, start, 0, true)?;
        self.check_v1(data, &buf).map_err(|text| self.wrong(text))?;
        Ok(Page::DataPage {
            buf,
            num_values: data.values,
            encoding: data.encoding,
            def_level_encoding: data.levels,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })
    }

    fn check_v1(&self, data: Data, page: &[u8]) -> Result<(), Refusal> {
        if !self.optional {
            return self.check_values(data, page, data.values);
        }
        if data.levels != Encoding::RLE {
            return Err(format!("its levels are encoded by {}, which is not read", data.levels));
        }
        let (length, rest) = page.split_first_chunk::<4>().ok_or("it has no levels")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (levels, values) = rest.split_at_checked(length).ok_or("its levels are longer than the page")?;
        self.check_values(data, values, runs::present(levels, data.values)?)
    }

    fn data_page_v2(&mut self, header: &Header, data: Data, v2: V2, start: u64) -> Result<Page> {
        self.count(data.values)?;
        let buf = self.inflated(header, start, v2.heads().0, v2.compressed)?;
        self.check_v2(data, v2, &buf).map_err(|text| self.wrong(text))?;
        Ok(Page::DataPageV2 {
            buf,
            num_values: data.values,
            encoding: data.encoding,
            num_nulls: v2.nulls,
            // Some writers state none; without lists there are as many as values.
            num_rows: data.values,
            def_levels_byte_len: v2.level_bytes,
            rep_levels_byte_len: v2.repetition_bytes,
            is_compressed: false,
            statistics: None,
        })
    }

    fn check_v2(&self, data: Data, v2: V2, page: &[u8]) -> Result<(), Refusal> {
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
        self.check_values(data, values, present)
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

impl Iterator for ChunkPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for ChunkPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }
}
