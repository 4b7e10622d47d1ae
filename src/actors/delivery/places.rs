//! Where the columns of a batch's files go.

use std::sync::Arc;

use super::Performer;
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::shape::Target;

impl Performer {
    /// Gives every input the places of its columns, by the shape of the table, which grows first where it must. A file
    /// may widen a column of one before it: each is asked again once all are known.
    pub(super) async fn place_columns(&mut self) -> Result<(), (FileId, Fault)> {
        for input in &self.inputs {
            self.targets(&input.file, input.footer.plan().columns()).await?;
        }
        for place in 0..self.inputs.len() {
            let Some(input) = self.inputs.get(place) else { continue };
            let targets = self.targets(&input.file, input.footer.plan().columns()).await?;
            let places = targets.into_iter().map(|target| (target.name, target.kind)).collect();
            let placed = input.footer.placed(places);
            if let Some(input) = self.inputs.get_mut(place) {
                input.footer = placed;
            }
        }
        Ok(())
    }

    async fn targets(
        &self,
        file: &FileId,
        columns: &[(Arc<str>, crate::columns::types::ColumnType)],
    ) -> Result<Vec<Target>, (FileId, Fault)> {
        let resolved = self.world.resolve(&self.table, file, columns).await;
        resolved.map_err(|fault| (file.clone(), fault))
    }
}
