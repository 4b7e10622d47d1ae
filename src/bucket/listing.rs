//! The port of who lists a bucket, whoever announces its objects.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Sender;

use crate::domain::fault::Fault;
use crate::domain::instant::Instant;

/// An object, or an earlier version of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Arc<str>,
    /// Its ETag without quotes, as it is announced.
    pub etag: Arc<str>,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub modified: Instant,
}

/// A store whose objects are listed.
#[async_trait]
pub trait Listing: Send + Sync {
    /// Sends all objects of a bucket whose keys begin with `prefix`, in pages; where the bucket keeps versions, those that
    /// were overwritten or deleted too. Ends early and quietly when nobody takes the pages any more.
    async fn objects(&self, bucket: &str, prefix: &str, pages: Sender<Vec<Listed>>) -> Result<(), Fault>;
}
