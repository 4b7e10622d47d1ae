//! Values that no column of the destination holds, as the members of a JSON object for each row.

use super::chunks::Weaver;
use super::footer::Leaf;
use super::layout::Run;
use super::output::pages::{Filling, codec};
use super::pages::unpacked::Rows;
use super::reading::{Part, Problem, chunk_of, failure, source_of};
use super::stored::Stored;
use super::target::Target;
use super::transcode::{BuildFailure, Input, treating};
use super::treated::{Changed, Treated, Treating};
use super::types::ColumnType;
use super::values::{Refusal, byte_arrays};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::lineage::RESCUED;

impl Weaver<'_> {
    /// Writes the chunk of `_rescued`. A row without such a value has none. In memory at one time: the objects of one
    /// row group of one file.
    pub(super) fn write_rescued(&mut self, inputs: &[Input], runs: &[Run]) -> Result<(), BuildFailure> {
        let mut out = self.output.begin(codec());
        self.filling.begin(true);
        for run in runs {
            let input = inputs.get(run.input);
            let input = input.ok_or_else(|| Fault::new(FaultKind::Internal, "a run of no file"))?;
            let objects = self.objects(input, run)?;
            for members in &objects {
                self.filling.levels.push(!members.is_empty());
                if !members.is_empty() {
                    let length = u32::try_from(members.len() + 1).unwrap_or(u32::MAX);
                    self.filling.values.extend(length.to_le_bytes());
                    self.filling.values.extend_from_slice(members);
                    self.filling.values.push(b'}');
                }
                if self.filling.is_full() {
                    self.filling.write(&mut self.press, &mut self.output, &mut out)?;
                }
            }
        }
        self.filling.write(&mut self.press, &mut self.output, &mut out)?;
        self.output.end(&out, Some(self.filling.nulls()))?;
        self.note_changes(RESCUED);
        Ok(())
    }

    /// For each row of a row group its object, but for the last brace; nothing where it has no member.
    fn objects(&mut self, input: &Input, run: &Run) -> Result<Vec<Vec<u8>>, BuildFailure> {
        let rows = usize::try_from(run.rows).unwrap_or(usize::MAX);
        let mut objects: Vec<Vec<u8>> = vec![Vec::new(); rows];
        let source = source_of(input);
        let columns = input.footer.columns();
        let own = columns.plan.columns().iter().zip(&columns.own);
        let changed = &mut self.changed;
        for ((target, _), ((name, _), leaf)) in input.footer.places().iter().zip(own) {
            if **target != *RESCUED {
                continue;
            }
            let chunk = chunk_of(input, run.group, leaf.position)?;
            let part = Part { input, place: run.input, rows: run.rows, chunk: Some(chunk), lob_bytes: None };
            let member = Member::new(name, *leaf, input)?;
            let mut first = 0_usize;
            let read = self.reading.read(&part, &source, chunk, &mut |rows| {
                let objects = objects.get_mut(first..).unwrap_or_default();
                first += rows.levels.len();
                member.add(rows, objects, changed).map_err(Problem::Values)
            });
            read.map_err(|problem| failure(name, input, &source, problem))?;
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
            Treated::Own | Treated::Nulled { .. } | Treated::Spelled => Treated::Spelled,
            masked @ Treated::Masked(_) => masked,
        };
        let target = Target::of(ColumnType::String);
        let treating =
            treating(Leaf { treated, ..leaf }, input, target, input.footer.rules()).map_err(internal)?;
        let name = serde_json::to_string(name).map_err(|error| internal(error.to_string()))?;
        Ok(Self { name, treating })
    }

    /// Adds the values of `rows` to their objects.
    fn add(&self, rows: Rows<'_>, objects: &mut [Vec<u8>], changed: &mut Changed) -> Result<(), Refusal> {
        let mut texts = Filling::default();
        texts.begin(true);
        self.treating.carry(rows, &mut texts, changed)?;
        let mut values = byte_arrays(&texts.values);
        for (object, is_there) in objects.iter_mut().zip(texts.levels.iter()) {
            let Some(text) = is_there.then(|| values.next()).flatten() else { continue };
            object.push(if object.is_empty() { b'{' } else { b',' });
            object.extend_from_slice(self.name.as_bytes());
            object.push(b':');
            if self.is_bare(text) {
                object.extend_from_slice(text);
            } else {
                let text = serde_json::to_string(&String::from_utf8_lossy(text));
                object.extend(text.map_err(|error| error.to_string())?.into_bytes());
            }
        }
        Ok(())
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
