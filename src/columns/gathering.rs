//! Many small dictionaries into one.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::output::Output;
use super::output::indices::{Indices, write_dictionary};
use super::output::pages::{Press, codec};
use super::pages::chunk::ChunkPages;
use super::pages::places::{Places, read_levels};
use super::reading::{Part, Problem, Reading};
use super::source::Source;
use super::values::Step;
use crate::domain::fault::Fault;

/// More different short values than this are written one by one: the places of more take about as much as the values do, once
/// both are compressed.
const SHORT_VALUES_MAX: usize = 256;
/// A value is long from here, with its length: a place is then much smaller than it.
const LONG_BYTES: usize = 24;
/// More different long values than this, or more bytes of them, would take too much memory.
const LONG_VALUES_MAX: usize = 1 << 19;
const BYTES_MAX: usize = 16 << 20;
/// After so many rows, values of which more than nine in ten are new are not worth a dictionary.
const ROWS_JUDGED: usize = 1 << 16;

/// The dictionary of a chunk that is made of many, and the places of all its rows.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The places of the values that are known; by the values, which are kept once.
    known: HashTable<u32>,
    hasher: RandomState,
    values: Vec<u8>,
    /// Where each value ends.
    ends: Vec<u32>,
    indices: Indices,
    /// The place in the new dictionary for each of the one in hand.
    moved: Vec<u32>,
    places: Vec<u32>,
}

impl Gathering {
    /// Begins a chunk.
    pub(super) fn begin(&mut self) {
        self.known.clear();
        self.values.clear();
        self.ends.clear();
        self.indices.begin(1);
    }

    /// The rows of a file that does not have the column.
    pub(super) fn take_nulls(&mut self, rows: u64) {
        self.indices.levels.push_run(false, usize::try_from(rows).unwrap_or(usize::MAX));
    }

    /// Takes over a chunk; false when it is not all places in a small dictionary.
    pub(super) fn take(
        &mut self,
        reading: &mut Reading<'_>,
        part: &Part<'_>,
        source: &Source,
        chunk: &ColumnChunkMetaData,
        step: Step,
    ) -> Result<bool, Problem> {
        self.moved.clear();
        let mut pages = ChunkPages::open(source.clone(), chunk)?;
        while let Some(page) = pages.next_page()? {
            reading.ask()?;
            if page.is_dictionary() {
                let values = pages.unpack_dictionary(&page, &mut reading.unpacked)?;
                if !self.is_worth(page.values(), values.len()) {
                    return Ok(false);
                }
                step.check(values)?;
                reading.dictionary.set(pages.shape(), values);
                if !self.unite(reading) {
                    return Ok(false);
                }
                continue;
            }
            let content = pages.unpack(&page, &mut reading.unpacked)?;
            if !matches!(content.encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY) {
                return Ok(false);
            }
            match content.levels {
                Some(levels) => read_levels(levels, content.rows, &mut self.indices.levels),
                None => self.indices.levels.push_run(true, content.rows),
            }
            self.places.clear();
            Places::new(content.values).take(content.present, &mut self.places);
            let moved = |place: &u32| self.moved.get(*place as usize).copied().unwrap_or(0);
            self.indices.places.extend(self.places.iter().map(moved));
            // A place is small, and what it points to may not be.
            let bytes = self.places.iter().map(|place| reading.dictionary.entry(*place).len()).sum();
            reading.count(part, bytes)?;
        }
        Ok(true)
    }

    /// Unites the dictionary in hand with that of the chunk; false when there are too many values.
    fn unite(&mut self, reading: &Reading<'_>) -> bool {
        let Self { known, hasher, values, ends, moved, .. } = self;
        for place in 0..reading.dictionary.len() {
            let value = reading.dictionary.entry(u32::try_from(place).unwrap_or(u32::MAX));
            let hash = hasher.hash_one(value);
            if let Some(place) = known.find(hash, |place| entry(values, ends, *place) == value) {
                moved.push(*place);
                continue;
            }
            let place = u32::try_from(ends.len()).unwrap_or(u32::MAX);
            values.extend_from_slice(value);
            // Far below: BYTES_MAX, and one page of a file.
            ends.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
            known.insert_unique(hash, place, |place| hasher.hash_one(entry(values, ends, *place)));
            moved.push(place);
        }
        self.is_worth(0, 0)
    }

    /// False when so many more values, of so many bytes, would be too many.
    fn is_worth(&self, more: usize, bytes: usize) -> bool {
        let (values, rows) = (self.known.len().max(more), self.indices.places.len());
        let bytes = self.values.len().max(bytes);
        let long = bytes >= values.saturating_mul(LONG_BYTES);
        let most = if long { LONG_VALUES_MAX } else { SHORT_VALUES_MAX };
        let is_new = rows >= ROWS_JUDGED && values > rows / 10 * 9;
        values <= most && bytes <= BYTES_MAX && !is_new
    }

    /// Writes the chunk.
    pub(super) fn write(&mut self, press: &mut Press, output: &mut Output) -> Result<(), Fault> {
        let mut chunk = output.begin(codec());
        write_dictionary(press, output, &mut chunk, &self.values, self.known.len())?;
        self.indices.narrow(self.known.len());
        self.indices.write(press, output, &mut chunk)?;
        output.end(&chunk, Some(self.indices.nulls()))
    }
}

/// The value at a place.
fn entry<'a>(values: &'a [u8], ends: &[u32], place: u32) -> &'a [u8] {
    let end = |place: usize| ends.get(place).map_or(0, |end| *end as usize);
    let place = place as usize;
    let start = place.checked_sub(1).map_or(0, end);
    values.get(start..end(place)).unwrap_or_default()
}
