//! The port of who looks at the rows that are there, whoever wrote them.

use async_trait::async_trait;
use tokio::sync::mpsc::Sender;

use crate::domain::audit::Found;
use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::instant::Instant;
use crate::domain::typed_view::Part;

/// Files in one page of an answer, at most.
pub const FOUND_PAGE: usize = 5_000;

/// What looking at a table has shown beside its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// False when there is no such table.
    pub exists: bool,
    /// Bytes that the warehouse read for it, where it says so.
    pub bytes: u64,
}

/// A warehouse whose rows are counted.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Counts the rows of a table by `_source_file` and `_batch_id`, and sends the counts in pages, in any order; one
    /// file and batch may come in several parts. With `since`, rows whose `_claimed_at` is earlier or null do not count.
    /// Ends early and quietly when nobody takes the pages any more.
    async fn rows_by_file(
        &self,
        destination: &Destination,
        since: Option<Instant>,
        pages: Sender<Vec<Found>>,
    ) -> Result<Survey, Fault>;

    /// Counts DMS's own repeats: rows beyond the first of those that have the key, `_change_seq` and `_op` in common, as the
    /// typed view leaves them out. `None` from a warehouse that does not count them.
    async fn repeats(
        &self,
        destination: &Destination,
        key: &[Part],
        since: Option<Instant>,
    ) -> Result<Option<u64>, Fault>;
}
