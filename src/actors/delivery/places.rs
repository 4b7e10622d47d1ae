//! Where the columns of a batch's files go.

use super::Performer;
use super::building::Texts;
use crate::columns::footer::{Footer, Places};
use crate::columns::plan::ColumnPlan;
use crate::columns::transcode::Input;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::shape::{Shape, Target};
use crate::telemetry::events;

/// Looks at a shape that others change at the same time.
const ROUNDS_MAX: usize = 8;

impl Performer {
    /// Gives every input the places of its columns, by the shape of the table, which grows first where it must. All have
    /// them of one state of it: a file may widen a column of one before it. Of columns of JSON, `texts` are text.
    pub(super) async fn place_columns(
        &mut self,
        texts: &Texts,
    ) -> Result<ColumnPlan, (Option<FileId>, Fault)> {
        self.tell_unknown();
        for _ in 0..ROUNDS_MAX {
            for input in &self.inputs {
                let placed = self.find_places(input, texts).await;
                placed.map_err(|fault| (Some(input.file.clone()), fault))?;
            }
            let Some(shape) = self.world.shapes.known(&self.table) else { continue };
            if !self.place_by(&shape, texts)? {
                continue;
            }
            let plan = ColumnPlan::of_places(self.inputs.iter().map(|input| input.footer.places()));
            return plan.map_err(|text| (None, Fault::new(FaultKind::Internal, text)));
        }
        let text = format!("the shape of {} changes again and again while a batch is built", self.table);
        Err((None, Fault::new(FaultKind::Unavailable, text)))
    }

    /// Makes the shape grow until it knows the columns of a file. What JSON a table may have is placed before its text, whichever
    /// comes first: a column of its own is JSON then, and one batch that is not by chance does not decide what all others are.
    async fn find_places(&self, input: &Input, texts: &Texts) -> Result<(), Fault> {
        let (world, table, file) = (&self.world, &self.table, &input.file);
        let own = input.footer.plan().columns();
        let native = input.footer.native();
        if !self.setup.native_json || native == own {
            return world.resolve(table, file, own).await.map(|_| ());
        }
        world.resolve(table, file, &native).await?;
        let Some(shape) = world.shapes.known(table) else { return Ok(()) };
        let wanted = wanted(&input.footer, &shape, texts);
        if wanted == native { Ok(()) } else { world.resolve(table, file, &wanted).await.map(|_| ()) }
    }

    /// Tells, by the first file of a table that is built, which columns the mapping names and the files do not have: what was to be masked or left out would
    /// leave as it is under its right name.
    fn tell_unknown(&self) {
        let Some(input) = self.inputs.first().filter(|_| !self.world.compared.contains(&self.table)) else {
            return;
        };
        self.world.compared.insert(self.table.clone());
        let shape = self.world.shapes.known(&self.table);
        let sources = shape.iter().flat_map(|shape| shape.entries()).map(|entry| &*entry.source);
        let unknown = self.setup.rules.unknown(input.footer.names().chain(sources));
        if !unknown.is_empty() {
            events::ColumnsUnknown { table: &self.table, columns: &unknown.join(", ") }.emit();
        }
    }

    /// False when the shape does not know a column of a file: it was read before it grew.
    fn place_by(&mut self, shape: &Shape, texts: &Texts) -> Result<bool, (Option<FileId>, Fault)> {
        for input in &mut self.inputs {
            let Ok(targets) = shape.resolve(&wanted(&input.footer, shape, texts)) else { return Ok(false) };
            let place = |target: Target| (target.name, target.kind);
            input.footer = input.footer.placed(targets.into_iter().map(place).collect());
        }
        Ok(true)
    }

    /// What is said against the content of a body that its table has outgrown is no fault of the files.
    pub(super) async fn unless_outgrown(&self, kind: FaultKind, instead: FaultKind) -> FaultKind {
        let Some(built) = self.body.as_ref().filter(|_| kind == FaultKind::ContentRefused) else {
            return kind;
        };
        if self.world.has_outgrown(&self.table, built.body.plan()).await { instead } else { kind }
    }
}

/// The columns of a file by the types that they are placed by: JSON, but where none of it is wanted, or its column is among `texts`.
fn wanted(footer: &Footer, shape: &Shape, texts: &Texts) -> Places {
    let own = footer.plan().columns();
    let Some(texts) = texts else { return own.to_vec() };
    let wanted = footer.native().into_iter().zip(own).map(|((name, native), (_, own))| {
        let is_text = shape.target(&name, native).is_some_and(|target| texts.contains(&target.name));
        (name, if is_text { *own } else { native })
    });
    wanted.collect()
}
