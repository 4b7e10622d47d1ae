//! The port of who asks whether a file's rows are there: of one that the ledger may have forgotten.

use std::ops::Range;

use async_trait::async_trait;

use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::ids::BatchId;
use crate::domain::instant::Instant;

/// A warehouse whose rows say which file they were in (Invariant I-6).
#[async_trait]
pub trait Lineage: Send + Sync + 'static {
    /// A batch that was claimed within `claimed` and has rows of the file `_source_file`, if there is one.
    async fn batch_of(
        &self,
        destination: &Destination,
        source_file: &str,
        claimed: Range<Instant>,
    ) -> Result<Option<BatchId>, Fault>;
}
