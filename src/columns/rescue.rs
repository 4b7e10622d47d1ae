//! Values that no column of the destination holds, as the members of a JSON object for each row.

use std::collections::BTreeMap;

use parquet::basic::Type as Physical;

use super::chunks::{Weaver, cut, steps};
use super::footer::Leaf;
use super::layout::Run;
use super::output::Chunk;
use super::output::pages::{Filling, codec};
use super::pages::unpacked::Rows;
use super::reading::{Part, Problem, chunk_of, failure, source_of};
use super::stored::Stored;
use super::target::Target;
use super::transcode::{BuildFailure, Input, treating};
use super::treated::{Changed, Treated, Treating};
use super::types::ColumnType;
use super::values::{Refusal, byte_arrays, push};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::lineage::RESCUED;

/// The most bytes that the objects of one row group of a file may have: they are in memory together.
const OBJECTS_BYTES_MAX: usize = 256 << 20;

/// About what an object takes beside its text.
const OBJECT_BYTES: usize = 64;

/// Objects by their rows, each but for its last brace; rows without a member have none.
type Objects = BTreeMap<usize, Vec<u8>>;

impl Weaver<'_> {
    /// Writes the chunk of `_rescued`. A row without such a value has none. In memory at one time: the objects of one
    /// row group of one file.
    pub(super) fn write_rescued(&mut self, inputs: &[Input], runs: &[Run]) -> Result<(), BuildFailure> {
        let mut out = self.output.begin(codec());
        self.filling.begin(true);
        for run in runs {
            let input = inputs.get(run.input);
            let input = input.ok_or_else(|| Fault::new(FaultKind::Internal, "a run of no file"))?;
            let mut written = 0;
            for (row, mut object) in self.objects(input, run)? {
                self.write_nulls((row - written) as u64, &mut out)?;
                written = row + 1;
                self.filling.levels.push(true);
                object.push(b'}');
                push(&object, &mut self.filling.values);
                if self.filling.is_full() {
                    self.filling.write(&mut self.press, &mut self.output, &mut out)?;
                }
            }
            self.write_nulls(run.rows.saturating_sub(written as u64), &mut out)?;
        }
        self.filling.write(&mut self.press, &mut self.output, &mut out)?;
        self.output.end(&out, Some(self.filling.nulls()))?;
        Ok(())
    }

    fn write_nulls(&mut self, rows: u64, out: &mut Chunk) -> Result<(), Fault> {
        for rows in steps(rows) {
            self.filling.levels.push_run(false, rows);
            if self.filling.is_full() {
                self.filling.write(&mut self.press, &mut self.output, out)?;
            }
        }
        Ok(())
    }

    fn objects(&mut self, input: &Input, run: &Run) -> Result<Objects, BuildFailure> {
        let mut objects = Objects::new();
        let mut bytes = 0;
        let source = source_of(input);
        let columns = input.footer.columns();
        let own = columns.plan.columns().iter().zip(&columns.own);
        for ((target, _), ((name, _), leaf)) in input.footer.places().iter().zip(own) {
            if **target != *RESCUED {
                continue;
            }
            let chunk = chunk_of(input, run.group, leaf.position)?;
            let part = Part { input, place: run.input, rows: run.rows, chunk: Some(chunk), lob_bytes: None };
            let member = Member::new(name, *leaf, input)?;
            let changed = &mut self.changed;
            let mut first = 0;
            let read = self.reading.read(&part, &source, chunk, true, &mut |rows| {
                changed.cut += cut(rows.values, leaf.lob_bytes.filter(|_| member.is_byte_array()));
                bytes += member.add(rows, first, &mut objects, changed)?;
                first += rows.levels.len();
                if bytes <= OBJECTS_BYTES_MAX {
                    return Ok(());
                }
                let text = format!(
                    "values of {} would be rescued as more than {OBJECTS_BYTES_MAX} bytes of JSON in one row group",
                    input.file
                );
                Err(Problem::File(Fault::new(FaultKind::Unreadable, text)))
            });
            read.map_err(|problem| failure(name, input, &source, problem))?;
            self.note_changes(name);
        }
        Ok(objects)
    }
}

/// A column as a member of objects.
struct Member<'a> {
    name: String,
    treating: Treating<'a>,
}

impl<'a> Member<'a> {
    fn new(name: &str, leaf: Leaf, input: &'a Input) -> Result<Self, Fault> {
        let internal = |text: String| Fault::new(FaultKind::Internal, text);
        // As text every value can be carried: none of it becomes NULL.
        let treated = match leaf.treated {
            Treated::Own | Treated::Judged { .. } | Treated::Spelled => Treated::Spelled,
            masked @ Treated::Masked(_) => masked,
        };
        let target = Target::of(ColumnType::String);
        let treating =
            treating(Leaf { treated, ..leaf }, input, target, input.footer.rules()).map_err(internal)?;
        let name = serde_json::to_string(name).map_err(|error| internal(error.to_string()))?;
        Ok(Self { name, treating })
    }

    fn is_byte_array(&self) -> bool {
        self.treating.spelling.physical == Physical::BYTE_ARRAY
    }

    /// Adds the values of `rows`, the first of which has this number, to their objects. Answers about how many bytes they take.
    fn add(
        &self,
        rows: Rows<'_>,
        first: usize,
        objects: &mut Objects,
        changed: &mut Changed,
    ) -> Result<usize, Refusal> {
        let mut texts = Filling::default();
        texts.begin(true);
        self.treating.carry(rows, &mut texts, changed)?;
        let mut values = byte_arrays(&texts.values);
        let mut bytes = 0;
        for (row, is_there) in (first..).zip(texts.levels.iter()) {
            let Some(text) = is_there.then(|| values.next()).flatten() else { continue };
            let object = objects.entry(row).or_default();
            let before = object.len();
            object.push(if object.is_empty() { b'{' } else { b',' });
            object.extend_from_slice(self.name.as_bytes());
            object.push(b':');
            if self.is_bare(text) {
                object.extend_from_slice(text);
            } else {
                let text = serde_json::to_string(&String::from_utf8_lossy(text));
                object.extend(text.map_err(|error| error.to_string())?.into_bytes());
            }
            bytes += object.len() - before + OBJECT_BYTES;
        }
        Ok(bytes)
    }

    /// True for a value that JSON has without quotes. Decimals are quoted: most readers would round them.
    fn is_bare(&self, text: &[u8]) -> bool {
        if self.treating.treated != Treated::Spelled {
            return false;
        }
        match self.treating.spelling.stored {
            Stored::Signed | Stored::Unsigned32 { .. } | Stored::Unsigned64 | Stored::Bool => true,
            Stored::Float => !text.ends_with(b"y") && text != b"NaN",
            Stored::Decimal { .. }
            | Stored::Text
            | Stored::Bytes
            | Stored::Days
            | Stored::Millis
            | Stored::Micros
            | Stored::TimeMillis
            | Stored::TimeMicros => false,
        }
    }
}
