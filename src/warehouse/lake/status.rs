//! `DATASET/table_status.json`: lines of JSON, replaced as a whole.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Lake, Place, fault, path_safe};
use crate::domain::fault::Fault;
use crate::domain::table_status::TABLE;
use crate::flow::cpu::blocking;
use crate::warehouse::status::{Status, StatusTable, Written, lines};

#[async_trait]
impl StatusTable for Lake {
    async fn write(&self, status: &Status) -> Result<Written, Fault> {
        let folder = self.root.join(path_safe(&status.dataset));
        let path = folder.join(format!("{TABLE}.json"));
        let (place, lines) =
            (Place { root: Arc::clone(&self.root), chain: vec![folder], path }, lines(status)?);
        blocking("writing the tables' status", move || {
            place.create_folders()?;
            let (file, temporary) = place.temporary()?;
            let mut file: &File = &file;
            let written = file.write_all(&lines).and_then(|()| file.sync_all());
            written.map_err(|error| fault("write", &temporary.path, error))?;
            // Whoever reads has the old rows or the new ones. The name of the temporary file is gone with it.
            fs::rename(&temporary.path, &place.path).map_err(|error| fault("replace", &place.path, error))?;
            place.sync_folders()
        })
        .await?;
        Ok(Written::Now)
    }
}
