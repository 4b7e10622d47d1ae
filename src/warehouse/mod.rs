//! The port to a warehouse whose job ids can be used once, and its adapters.

use std::sync::Arc;

use async_trait::async_trait;

use crate::columns::body::Body;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::{Fault, FaultKind};
pub use crate::domain::job::{FenceAnswer, JobStatus, Submission};
use crate::domain::shape::Existing;
use crate::domain::typed_view::TypedView;

pub mod audit;
pub mod bigquery;
pub mod jobs;
pub mod lake;
pub mod lineage;
pub mod stamps;
pub mod status;

/// A column that a destination has.
pub type Column = Existing;

/// Where the rows go. An `Err` of any call leaves open whether it had an effect, unless its kind says that the
/// request was refused (`AccessDenied`, `DestinationRefused`, `ContentRefused`).
#[async_trait]
pub trait Warehouse: Send + Sync + 'static {
    /// Submits one load job under the attempt's job id: all rows of `body` or none. Where the attempt has a stream, appends them to
    /// it, where nobody sees them yet.
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault>;

    /// Makes a stream for one attempt at loading `body`, and answers its name; none where its rows cannot go by one, and a warehouse
    /// without streams has none at all. Nothing is in it yet, and it is forgotten by itself.
    async fn open_stream(&self, _: &Destination, _: &Body) -> Result<Option<Arc<str>>, Fault> {
        Ok(None)
    }

    /// Asks what is known of the attempt's job id, or of its stream, which takes no more rows from then on.
    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault>;

    /// Commits the attempt's stream, which was sealed and is whole.
    async fn commit_stream(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let text = format!("attempt {} has no stream here", attempt.job_id);
        Err(Fault::new(FaultKind::Internal, text))
    }

    /// Takes the attempt's job id with a job that loads nothing.
    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault>;

    /// The columns that the destination has now, with the types that hold what is in them; `None` for a type that
    /// landbridge does not write. None at all where there is no such table.
    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault>;

    /// Makes the typed view of the destination's table, or makes it anew where it is another. What has the view's name and
    /// was not made by landbridge stays as it is, and is a fault. A warehouse without views, as the lake is, has nothing to
    /// do. Loads never wait for it.
    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault>;
}
