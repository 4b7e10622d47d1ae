//! Reading the column chunks of a batch's files, and what is said when one cannot be carried.

use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::limits::{decoded_bytes_max, shown};
use super::pages::chunk::ChunkPages;
use super::pages::unpacked::{Dictionary, Rows, Space, rows};
use super::source::Source;
use super::transcode::{BuildFailure, Input};
use super::values::Refusal;
use crate::domain::fault::{Fault, FaultKind};

/// Why a chunk was not carried.
pub(super) enum Problem {
    /// Its pages are unsound, or cannot be read.
    Pages(ParquetError),
    /// Its values cannot be carried.
    Values(Refusal),
    /// Its file is to blame for something else.
    File(Fault),
    /// No file is to blame.
    Own(Fault),
}

impl From<ParquetError> for Problem {
    fn from(error: ParquetError) -> Self {
        Self::Pages(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Values(refusal)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Own(fault)
    }
}

/// A column chunk of a file.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) input: &'a Input,
    /// Its file's place among the inputs.
    pub(super) place: usize,
    /// Its rows.
    pub(super) rows: u64,
    /// `None` when the file does not have the column: all its rows are null.
    pub(super) chunk: Option<&'a ColumnChunkMetaData>,
    /// The length of a LOB that DMS has cut, where the column holds LOBs.
    pub(super) lob_bytes: Option<u32>,
}

/// Reads chunks, with space that is used again, and counts what becomes of each file.
pub(super) struct Reading<'a> {
    wanted: &'a dyn Fn() -> bool,
    /// Bytes of each file's values so far.
    decoded: Vec<u64>,
    pub(super) unpacked: Vec<u8>,
    pub(super) dictionary: Dictionary,
    space: Space,
}

impl<'a> Reading<'a> {
    pub(super) fn new(inputs: usize, wanted: &'a dyn Fn() -> bool) -> Self {
        Self {
            wanted,
            decoded: vec![0; inputs],
            unpacked: Vec::new(),
            dictionary: Dictionary::default(),
            space: Space::default(),
        }
    }

    /// Ends the work that nobody waits for.
    pub(super) fn ask(&self) -> Result<(), Problem> {
        if (self.wanted)() {
            return Ok(());
        }
        Err(Fault::new(FaultKind::Internal, "nobody waits for the body any more").into())
    }

    /// Ends a file that becomes too much.
    pub(super) fn count(&mut self, part: &Part<'_>, bytes: usize) -> Result<(), Problem> {
        count(&mut self.decoded, part, bytes)
    }

    /// Gives the rows of a chunk to `each`; some at a time where they are to be `cut`, because they become more than they are.
    pub(super) fn read(
        &mut self,
        part: &Part<'_>,
        source: &Source,
        chunk: &ColumnChunkMetaData,
        cut: bool,
        each: &mut dyn FnMut(Rows<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut pages = ChunkPages::open(source.clone(), chunk)?;
        while let Some(page) = pages.next_page()? {
            self.ask()?;
            if page.is_dictionary() {
                let values = pages.unpack_dictionary(&page, &mut self.unpacked)?;
                self.dictionary.set(pages.shape(), values);
                continue;
            }
            let content = pages.unpack(&page, &mut self.unpacked)?;
            let decoded = &mut self.decoded;
            rows(pages.shape(), &content, &self.dictionary, &mut self.space, cut, &mut |rows| {
                count(decoded, part, rows.values.len())?;
                each(rows)
            })?;
        }
        Ok(())
    }
}

fn count(decoded: &mut [u64], part: &Part<'_>, bytes: usize) -> Result<(), Problem> {
    let Some(held) = decoded.get_mut(part.place) else { return Ok(()) };
    *held = held.saturating_add(bytes as u64);
    let most = decoded_bytes_max(part.input.object.size_bytes());
    if *held <= most {
        return Ok(());
    }
    let text = format!("{} becomes more than {most} bytes of values, too many for its size", part.input.file);
    Err(Problem::File(Fault::new(FaultKind::Unreadable, text)))
}

/// The failure of a build, for what happened in column `name` of a file.
pub(super) fn failure(name: &str, input: &Input, source: &Source, problem: Problem) -> BuildFailure {
    let fault = match problem {
        Problem::Own(fault) => return fault.into(),
        Problem::Pages(error) => source.fault(&input.file, error),
        Problem::Values(refusal) => {
            let text = format!("cannot carry column {} of {}: {refusal}", shown(name), input.file);
            Fault::new(FaultKind::Unreadable, text)
        }
        Problem::File(fault) => fault,
    };
    BuildFailure::of_file(&input.file, fault)
}

/// Where a file's bytes come from.
pub(super) fn source_of(input: &Input) -> Source {
    Source::new(&input.object)
}

/// The chunk of a file's row group at this position.
pub(super) fn chunk_of(input: &Input, group: usize, position: usize) -> Result<&ColumnChunkMetaData, Fault> {
    let found = input.footer.row_groups().get(group).and_then(|group| group.columns().get(position));
    found.ok_or_else(|| Fault::new(FaultKind::Internal, format!("{} has no column {position}", input.file)))
}
