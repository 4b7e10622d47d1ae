//! The port to an object store, and its adapters.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

pub mod listing;
pub mod local;
pub mod s3;

/// What an opened object occupies for as long as it is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Memory: the whole object when it is read into memory, `OPEN_OBJECT_BYTES` when only a handle and its footer are
    /// held.
    pub memory_bytes: u64,
    /// Disk of the spool.
    pub disk_bytes: u64,
}

impl std::iter::Sum for Held {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            memory_bytes: sum.memory_bytes.saturating_add(part.memory_bytes),
            disk_bytes: sum.disk_bytes.saturating_add(part.disk_bytes),
        })
    }
}

/// Where the files are.
#[async_trait]
pub trait Bucket: Send + Sync + 'static {
    /// What the opened object will occupy. Whoever opens it takes credit for that first.
    fn held(&self, file: &FileId) -> Held;

    /// Opens exactly the version that `file` names. Gone or replaced: `Vanished`. No permission: `AccessDenied`.
    /// Another size than announced: `Unreadable`.
    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault>;
}

/// What an open handle is charged against the memory credit: room for the parsed footer of a wide table, and, with
/// the default credit of 128 MiB, a bound of 512 open files.
pub const OPEN_OBJECT_BYTES: u64 = 256 * 1024;

/// Several stores, by the names of their buckets.
pub struct Buckets {
    stores: BTreeMap<Arc<str>, Arc<dyn Bucket>>,
}

impl Buckets {
    /// Which store has which bucket.
    pub fn new(stores: impl IntoIterator<Item = (Arc<str>, Arc<dyn Bucket>)>) -> Self {
        Self { stores: stores.into_iter().collect() }
    }
}

#[async_trait]
impl Bucket for Buckets {
    fn held(&self, file: &FileId) -> Held {
        self.stores.get(&file.bucket).map(|store| store.held(file)).unwrap_or_default()
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        let store = self.stores.get(&file.bucket).ok_or_else(|| {
            let text = format!("{file}: no mapping names the bucket {}", file.bucket);
            Fault::new(FaultKind::AccessDenied, text)
        })?;
        store.open(file).await
    }
}
