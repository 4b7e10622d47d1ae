//! Where the columns of a batch's files go.

use super::Performer;
use crate::columns::plan::ColumnPlan;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::shape::{Shape, Target};
use crate::telemetry::events;

/// Looks at a shape that others change at the same time.
const ROUNDS_MAX: usize = 8;

impl Performer {
    /// Gives every input the places of its columns, by the shape of the table, which grows first where it must. All have
    /// them of one state of it: a file may widen a column of one before it.
    pub(super) async fn place_columns(&mut self) -> Result<ColumnPlan, (Option<FileId>, Fault)> {
        self.tell_unknown();
        for _ in 0..ROUNDS_MAX {
            for input in &self.inputs {
                let resolved =
                    self.world.resolve(&self.table, &input.file, input.footer.plan().columns()).await;
                resolved.map_err(|fault| (Some(input.file.clone()), fault))?;
            }
            let Some(shape) = self.world.shapes.known(&self.table) else { continue };
            if !self.place_by(&shape)? {
                continue;
            }
            let plan = ColumnPlan::of_places(self.inputs.iter().map(|input| input.footer.places()));
            return plan.map_err(|text| (None, Fault::new(FaultKind::Internal, text)));
        }
        let text = format!("the shape of {} changes again and again while a batch is built", self.table);
        Err((None, Fault::new(FaultKind::Unavailable, text)))
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
    fn place_by(&mut self, shape: &Shape) -> Result<bool, (Option<FileId>, Fault)> {
        for input in &mut self.inputs {
            let Ok(targets) = shape.resolve(input.footer.plan().columns()) else { return Ok(false) };
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
