//! The files of a batch that is built again.

use std::sync::Arc;

use super::Performer;
use super::begin::lane_of;
use crate::columns::footer::read_footer;
use crate::columns::transcode::Input;
use crate::domain::batch::Batch;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::table::VANISHED_TRIES;
use crate::domain::watchdog::Edge;
use crate::flow::pulse;

impl Performer {
    /// Opens the batch's files again, by identity, with credit for all of them at once: two batches that each had half
    /// of what they need would wait for each other for ever.
    pub(super) async fn open_all(&mut self, batch: &Batch) -> Result<(), (FileId, Fault)> {
        let bucket = Arc::clone(&self.world.ports.bucket);
        let held = batch.manifest.entries.iter().map(|entry| bucket.held(&entry.file)).sum();
        for (_, pool, bytes) in self.world.rebuild_pools_of(lane_of(batch), held) {
            self.credit.push(pool.take(bytes).await);
        }
        for entry in &batch.manifest.entries {
            let file = entry.file.clone();
            let input = self.open(&file).await.map_err(|fault| (file.clone(), fault))?;
            if input.footer.rows() != entry.rows {
                let (found, rows) = (input.footer.rows(), entry.rows);
                let text = format!("{file} has {found} rows, the manifest says {rows}");
                return Err((file, Fault::new(FaultKind::Unreadable, text)));
            }
            self.inputs.push(input);
        }
        Ok(())
    }

    async fn open(&self, file: &FileId) -> Result<Input, Fault> {
        let mut tries = 1;
        let object = loop {
            pulse::working(Edge::Bucket, "opening a file");
            match self.world.heard(Edge::Bucket, self.world.ports.bucket.open(file)).await {
                Ok(object) => break object,
                Err(fault) if fault.kind == FaultKind::Vanished && tries < VANISHED_TRIES => {
                    let wait = tokio::time::sleep(crate::domain::table::FIRST_WAIT * tries);
                    pulse::waiting("its next try", wait).await;
                    tries += 1;
                }
                Err(fault) => return Err(fault),
            }
        };
        let (rules, opened, name) = (Arc::clone(&self.setup.rules), Arc::clone(&object), file.clone());
        let footer =
            self.world.cpu.run("reading a footer", move || read_footer(&name, opened, &rules)).await??;
        Ok(Input { file: file.clone(), object, footer })
    }
}
