//! The ledger's name and epoch (Invariant I-7).

use rusqlite::{Row, params};

use super::{SqliteLedger, expiry};
use crate::domain::fault::Fault;
use crate::domain::identity::Identity;
use crate::domain::instant::Instant;

/// Reads them.
pub(super) const READ: &str = "SELECT ledger, epoch FROM identity";
const RAISE: &str = "UPDATE identity SET epoch = epoch + 1 RETURNING ledger, epoch";
const TAKE: &str = "UPDATE identity SET ledger = ?1, epoch = ?2 WHERE epoch = 0";
const FILLING: &str = "UPDATE identity SET filling = ?1";

/// Of a row of `READ`.
pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Identity> {
    let epoch = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
    Ok(Identity { ledger: row.get(0)?, epoch })
}

impl SqliteLedger {
    /// Its name, and its epoch so far.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        self.step("identity", |step| Ok(step.query_row(READ, [], of_row)?)).await
    }

    /// Raises the epoch by one, and answers what it is now.
    pub async fn raise_epoch(&self) -> Result<Identity, Fault> {
        self.step("identity", |step| Ok(step.query_row(RAISE, [], of_row)?)).await
    }

    /// True while it is filled, or since a filling that did not come to its end.
    pub async fn is_filling(&self) -> Result<bool, Fault> {
        let read = "SELECT filling = 1 FROM identity";
        self.step("identity", move |step| Ok(step.query_row(read, [], |row| row.get(0))?)).await
    }

    /// Marks it as being filled. Until the mark is taken away nobody starts on it, so that a step need not outlive a power
    /// cut; then all of it does.
    pub async fn fill(&self, filling: bool) -> Result<(), Fault> {
        self.on_connection("fill", move |connection| {
            if filling {
                connection.execute(FILLING, [true])?;
                return Ok(connection.execute_batch("PRAGMA synchronous = NORMAL;")?);
            }
            connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);")?;
            connection.execute(FILLING, [false])?;
            Ok(())
        })
        .await
    }

    /// Writes down that what ended before may be forgotten.
    pub async fn remember_forgotten(&self, before: Instant) -> Result<(), Fault> {
        self.step("identity", move |step| expiry::remember(step, before)).await
    }

    /// Gives a ledger on which no process has started another's name and epoch; `false` when one has.
    pub async fn take_identity(&self, identity: &Identity) -> Result<bool, Fault> {
        let (ledger, epoch) = (identity.ledger.clone(), i64::try_from(identity.epoch).unwrap_or(i64::MAX));
        self.step("identity", move |step| Ok(step.execute(TAKE, params![ledger, epoch])? == 1)).await
    }
}
