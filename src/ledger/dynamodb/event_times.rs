//! When the announcements of files that are deferred or poison say that they were written.

use tokio::task::JoinSet;

use super::files::{DEFERRED, FILE, POISON, file_partition};
use super::item::{item, key, number};
use super::{DynamoDbLedger, StepError};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;

/// Deferred files whose event times are written at one time.
const NOTES_AT_ONCE: usize = 16;

impl DynamoDbLedger {
    pub(super) async fn notes(&self, files: &[(FileId, Instant)]) -> Result<(), StepError> {
        let mut failed = None;
        for some in files.chunks(NOTES_AT_ONCE) {
            let mut notes = JoinSet::new();
            for (file, at) in some.iter().cloned() {
                let ledger = self.clone();
                notes.spawn(async move { ledger.note_event(&file, at).await });
            }
            while let Some(note) = notes.join_next().await {
                // The others are written all the same.
                failed = note.map_err(|error| StepError::Misused(error.to_string()))?.err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The oldest event time stays; a file that is neither deferred nor poison is left as it is. Only deferred files are in an index
    /// by their events.
    async fn note_event(&self, file: &FileId, at: Instant) -> Result<(), StepError> {
        let values = item([
            (":at", number(at.micros())),
            (":deferred", number(DEFERRED)),
            (":poison", number(POISON)),
        ]);
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key(file_partition(file), FILE)));
        let call = call.update_expression("SET f_event = :at, wait_since = :at");
        let call = call.condition_expression(
            "f_home IN (:deferred, :poison) AND (attribute_not_exists(f_event) OR f_event > :at)",
        );
        let answer = call.set_expression_attribute_values(Some(values)).send().await;
        self.if_it_held("note_events", "dynamodb:UpdateItem", answer)?;
        Ok(())
    }
}
