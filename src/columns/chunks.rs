//! A column chunk of the body out of those of the files, in the cheapest way that is right.
//!
//! *Copied*: where every chunk holds PLAIN pages of one codec, whose values stay as they are, the compressed pages are taken
//! over under new headers; of one chunk (a splice) as of many (a join). *Gathered*: where every chunk has a small dictionary,
//! the dictionaries become one. *Merged*: whatever else there is goes through PLAIN pages, its values changed where they
//! must be, and is compressed anew. What a footer says only chooses the way to try; pages that are not as it says make the
//! chunk begin again the next way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use super::commit_time::note_commits;
use super::dms::{self, Unknown};
use super::gathering::Gathering;
use super::layout::Layout;
use super::output::Output;
use super::output::header::{PageHeader, PageKind};
use super::output::indices::{Indices, write_dictionary};
use super::output::pages::{Filling, PAGE_ROWS, Press, codec};
use super::pages::chunk::ChunkPages;
use super::pages::dictionary_offset;
use super::reading::{Part, Problem, Reading, failure, source_of};
use super::signs::{is_odd, is_plain};
use super::source::Source;
use super::stored::Stored;
use super::transcode::BuildFailure;
use super::treated::{Changed, Treating};
use super::types::ColumnType;
use super::values::{Step, are_exact_json, byte_arrays};
use crate::columns::limits::shown;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::summary::CommitSpan;
use crate::domain::treatment::ChangedValues;

/// What becomes of the values of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    /// One of the table's own columns.
    Own(Step),
    /// One whose values do not all stay what they are.
    Treated(Treating<'a>),
    /// DMS's change sequence.
    Sequence,
    /// DMS's commit time.
    CommitTime(Stored),
}

impl Way<'_> {
    /// True of a column of JSON, whose values are asked whether it holds them exactly.
    fn is_json(self) -> bool {
        match self {
            Self::Own(step) => step == Step::Json,
            Self::Treated(treating) => treating.to == ColumnType::Json,
            Self::Sequence | Self::CommitTime(_) => false,
        }
    }

    /// True when the pages may be copied, or their dictionaries gathered.
    fn keeps_bytes(self) -> bool {
        match self {
            Self::Own(step) => step.keeps_bytes(),
            Self::Treated(_) => false,
            Self::Sequence => true,
            Self::CommitTime(stored) => stored == Stored::Micros,
        }
    }
}

/// Writes the chunks of a body.
pub(super) struct Weaver<'a> {
    pub(super) output: Output,
    pub(super) press: Press,
    pub(super) filling: Filling,
    pub(super) reading: Reading<'a>,
    indices: Indices,
    gathering: Gathering,
    layout: Layout,
    /// Of the chunk in hand.
    pub(super) changed: Changed,
    changes: BTreeMap<Arc<str>, Changed>,
    /// The chunk in hand is of JSON, and a value of it is not held exactly.
    is_inexact: bool,
    /// The columns of which that is true.
    pub(super) inexact: BTreeSet<Arc<str>>,
    /// The commit times in each file, by its place in the batch.
    pub(super) commits: BTreeMap<usize, CommitSpan>,
}

impl<'a> Weaver<'a> {
    pub(super) fn new(output: Output, reading: Reading<'a>, layout: Layout) -> Result<Self, Fault> {
        Ok(Self {
            output,
            press: Press::new()?,
            filling: Filling::default(),
            reading,
            indices: Indices::default(),
            gathering: Gathering::default(),
            layout,
            changed: Changed::default(),
            changes: BTreeMap::new(),
            is_inexact: false,
            inexact: BTreeSet::new(),
            commits: BTreeMap::new(),
        })
    }

    /// Writes the chunk of column `name`, which is a BOOLEAN or is not, out of these parts.
    pub(super) fn write(
        &mut self,
        name: &str,
        flags: bool,
        parts: &[(Part<'_>, Way<'_>)],
    ) -> Result<(), BuildFailure> {
        self.write_chunk(name, flags, parts)?;
        self.note_changes(name);
        if std::mem::take(&mut self.is_inexact) {
            self.inexact.insert(name.into());
        }
        Ok(())
    }

    /// Counts what was changed in the chunk of this column.
    pub(super) fn note_changes(&mut self, name: &str) {
        let changed = std::mem::take(&mut self.changed);
        if changed != Changed::default() {
            self.changes.entry(name.into()).or_default().add(changed);
        }
    }

    /// The values that are not as they were, in every chunk until now.
    pub(super) fn changes(&self) -> Vec<ChangedValues> {
        let of_column = |(column, changed): (&Arc<str>, &Changed)| {
            let column = Arc::clone(column);
            changed.all().map(move |(change, values)| ChangedValues {
                column: Arc::clone(&column),
                change,
                values,
            })
        };
        self.changes.iter().flat_map(of_column).collect()
    }

    fn write_chunk(
        &mut self,
        name: &str,
        flags: bool,
        parts: &[(Part<'_>, Way<'_>)],
    ) -> Result<(), BuildFailure> {
        if let Some(codec) = self.copied(parts)
            && self.copy(name, codec, parts)?
        {
            return Ok(());
        }
        if !flags && self.may_be_gathered(parts) && self.gather(name, parts)? {
            return Ok(());
        }
        self.merge(name, flags, parts)
    }

    /// The codec of pages that can be copied, as far as footers tell.
    fn copied(&self, parts: &[(Part<'_>, Way<'_>)]) -> Option<Compression> {
        let (mut found, mut bytes) = (None, 0_u64);
        for (part, way) in parts {
            let chunk = part.chunk.filter(|_| way.keeps_bytes())?;
            let codec = chunk.compression();
            let small = matches!(codec, Compression::GZIP(_) | Compression::ZSTD(_));
            let optional = chunk.column_descr().max_def_level() > 0;
            if !small || !optional || !is_plain(chunk) || found.is_some_and(|found| found != codec) {
                return None;
            }
            found = Some(codec);
            bytes = bytes.saturating_add(u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
        }
        let mean = bytes.checked_div(parts.len() as u64)?;
        found.filter(|_| mean >= self.layout.copied_bytes_min)
    }

    /// Copies the pages; false when one cannot be, and nothing was written.
    fn copy(
        &mut self,
        name: &str,
        codec: Compression,
        parts: &[(Part<'_>, Way<'_>)],
    ) -> Result<bool, BuildFailure> {
        let mut out = self.output.begin(codec);
        for (part, way) in parts {
            let Some(chunk) = part.chunk else { continue };
            let source = source_of(part.input);
            let copied = self.copy_part(part, *way, &source, chunk, &mut out);
            if !copied.map_err(|problem| failure(name, part.input, &source, problem))? {
                self.output.take_back(&out)?;
                self.changed = Changed::default();
                return Ok(false);
            }
        }
        self.output.end(&out, None)?;
        Ok(true)
    }

    fn copy_part(
        &mut self,
        part: &Part<'_>,
        way: Way<'_>,
        source: &Source,
        chunk: &ColumnChunkMetaData,
        out: &mut super::output::Chunk,
    ) -> Result<bool, Problem> {
        let checked = match way {
            Way::Own(Step::Text) => self.layout.copied_texts_checked || part.lob_bytes.is_some(),
            Way::Own(Step::Json) => true,
            // Numbers: their bytes stay as they are, whatever the digits.
            Way::Own(_) | Way::Treated(_) => part.lob_bytes.is_some(),
            // Looked into for the first and the last of them.
            Way::Sequence | Way::CommitTime(_) => true,
        };
        let mut pages = ChunkPages::open(source.clone(), chunk)?;
        while let Some(page) = pages.next_page()? {
            self.reading.ask()?;
            if !page.is_plain() {
                return Ok(false);
            }
            if checked || is_odd(&page, chunk.compression()) {
                let content = pages.unpack(&page, &mut self.reading.unpacked)?;
                match way {
                    Way::Own(step) => {
                        step.check(content.values)?;
                        self.changed.cut += cut(content.values, part.lob_bytes);
                        self.is_inexact |= step == Step::Json && !are_exact_json(content.values);
                    }
                    Way::Sequence if !dms::are_given(content.values) => return Ok(false),
                    Way::Sequence => Step::Text.check(content.values)?,
                    Way::CommitTime(_) => note_commits(&mut self.commits, part, content.values),
                    Way::Treated(_) => {}
                }
            }
            self.reading.count(part, page.unpacked_bytes())?;
            let header = PageHeader {
                kind: PageKind::Plain,
                stored_bytes: page.bytes().len(),
                bytes: page.unpacked_bytes(),
                values: page.values(),
            };
            self.output.page(out, header, page.bytes())?;
        }
        Ok(true)
    }

    fn may_be_gathered(&self, parts: &[(Part<'_>, Way<'_>)]) -> bool {
        let rows = parts.iter().fold(0_u64, |rows, (part, _)| rows.saturating_add(part.rows));
        let has_dictionary = |chunk: &ColumnChunkMetaData| dictionary_offset(chunk).is_some();
        rows <= Layout::DEFAULT.group_rows
            && parts.iter().any(|(part, _)| part.chunk.is_some())
            && parts.iter().all(|(part, way)| {
                matches!(way, Way::Own(step) if step.keeps_bytes() && !way.is_json())
                    && part.chunk.is_none_or(has_dictionary)
                    && part.lob_bytes.is_none()
            })
    }

    /// Makes one dictionary of all; false when it would be large, and nothing was written.
    fn gather(&mut self, name: &str, parts: &[(Part<'_>, Way<'_>)]) -> Result<bool, BuildFailure> {
        self.gathering.begin();
        for (part, way) in parts {
            let source = source_of(part.input);
            let gathered = match (part.chunk, way) {
                (Some(chunk), Way::Own(step)) => {
                    self.gathering.take(&mut self.reading, part, &source, chunk, *step)
                }
                (_, _) => {
                    self.gathering.take_nulls(part.rows);
                    Ok(true)
                }
            };
            if !gathered.map_err(|problem| failure(name, part.input, &source, problem))? {
                return Ok(false);
            }
        }
        self.gathering.write(&mut self.press, &mut self.output)?;
        Ok(true)
    }

    /// Puts the values of all parts into new pages.
    fn merge(&mut self, name: &str, flags: bool, parts: &[(Part<'_>, Way<'_>)]) -> Result<(), BuildFailure> {
        let Self { output, press, filling, reading, changed, is_inexact, commits, .. } = self;
        let mut out = output.begin(codec());
        filling.begin(true);
        for (part, way) in parts {
            let Some(chunk) = part.chunk else {
                for rows in steps(part.rows) {
                    filling.levels.push_run(false, rows);
                    if filling.is_full() {
                        filling.write(press, output, &mut out)?;
                    }
                }
                continue;
            };
            let source = source_of(part.input);
            let cut_rows = matches!(way, Way::Treated(_));
            let merged = reading.read(part, &source, chunk, cut_rows, &mut |rows| {
                let before = filling.values.len();
                match way {
                    Way::Own(_) if flags => {
                        filling.flags.push_packed(rows.values, rows.levels.ones());
                        filling.levels.push_all(rows.levels);
                    }
                    Way::Own(step) => {
                        step.carry(rows.values, &mut filling.values)?;
                        filling.levels.push_all(rows.levels);
                        changed.cut += cut(rows.values, part.lob_bytes);
                    }
                    Way::Treated(treating) => {
                        treating.carry(rows, filling, changed)?;
                        changed.cut += cut(rows.values, part.lob_bytes);
                    }
                    Way::Sequence => dms::sequences(rows, filling)?,
                    Way::CommitTime(stored) => {
                        dms::commit_times(rows, *stored, filling)?;
                        note_commits(commits, part, filling.values.get(before..).unwrap_or_default());
                    }
                }
                // Of what is kept: a value that becomes NULL is held by every column.
                let kept = filling.values.get(before..).filter(|_| way.is_json() && !*is_inexact);
                *is_inexact |= kept.is_some_and(|kept| !are_exact_json(kept));
                if filling.is_full() { Ok(filling.write(press, output, &mut out)?) } else { Ok(()) }
            });
            merged.map_err(|problem| failure(name, part.input, &source, problem))?;
        }
        filling.write(press, output, &mut out)?;
        output.end(&out, Some(filling.nulls()))?;
        Ok(())
    }

    /// Writes the operations.
    pub(super) fn write_operations(&mut self, name: &str, parts: &[Part<'_>]) -> Result<(), BuildFailure> {
        let Self { output, press, indices, reading, .. } = self;
        let mut out = output.begin(codec());
        write_dictionary(press, output, &mut out, &dms::OPERATIONS, dms::OPERATION_COUNT)?;
        indices.begin(dms::OPERATION_COUNT);
        for part in parts {
            let Some(chunk) = part.chunk else {
                for rows in steps(part.rows) {
                    indices.levels.push_run(false, rows);
                    if indices.is_full() {
                        indices.write(press, output, &mut out)?;
                    }
                }
                continue;
            };
            let source = source_of(part.input);
            let written = reading.read(part, &source, chunk, false, &mut |rows| {
                dms::operations(rows, indices).map_err(|unknown| unknown_operation(part, unknown))?;
                if indices.is_full() { Ok(indices.write(press, output, &mut out)?) } else { Ok(()) }
            });
            written.map_err(|problem| failure(name, part.input, &source, problem))?;
        }
        indices.write(press, output, &mut out)?;
        output.end(&out, Some(indices.nulls()))?;
        Ok(())
    }
}

/// Anything but I, U, D or nothing means that the operation column is one of the table itself.
fn unknown_operation(part: &Part<'_>, unknown: Unknown) -> Problem {
    match unknown {
        Unknown::Text(refusal) => Problem::Values(refusal),
        Unknown::Operation(text) => Problem::File(Fault::new(
            FaultKind::SchemaConflict,
            format!(
                "{} gives the operation {:?}, which DMS does not know: the mapping names a column of the table",
                part.input.file,
                shown(&text)
            ),
        )),
    }
}

/// How many values are as long as LOBs that DMS has cut; a letter of UTF-8 may be cut out with the end.
pub(super) fn cut(values: &[u8], lob_bytes: Option<u32>) -> u64 {
    const LETTER_BYTES_MAX: usize = 3;
    let Some(limit) = lob_bytes.map(|bytes| bytes as usize).filter(|limit| values.len() >= *limit) else {
        return 0;
    };
    let is_cut = |value: &&[u8]| value.len() <= limit && value.len() + LETTER_BYTES_MAX >= limit;
    byte_arrays(values).filter(is_cut).count() as u64
}

/// Rows in pieces of at most a page.
pub(super) fn steps(rows: u64) -> impl Iterator<Item = usize> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let step = left.min(PAGE_ROWS as u64);
        left -= step;
        (step > 0).then(|| usize::try_from(step).unwrap_or(PAGE_ROWS))
    })
}
