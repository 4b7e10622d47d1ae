//! The ledger's name and epoch (Invariant I-7).

use super::SqliteLedger;
use crate::domain::fault::Fault;
use crate::domain::identity::Identity;

impl SqliteLedger {
    /// Its name, and its epoch so far.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        self.read_identity("SELECT ledger, epoch FROM identity").await
    }

    /// Raises the epoch by one, and answers what it is now.
    pub async fn raise_epoch(&self) -> Result<Identity, Fault> {
        self.read_identity("UPDATE identity SET epoch = epoch + 1 RETURNING ledger, epoch").await
    }

    async fn read_identity(&self, statement: &'static str) -> Result<Identity, Fault> {
        self.step("identity", move |step| {
            let read = |row: &rusqlite::Row<'_>| {
                let epoch = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                Ok(Identity { ledger: row.get(0)?, epoch })
            };
            Ok(step.query_row(statement, [], read)?)
        })
        .await
    }
}
