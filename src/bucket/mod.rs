//! The port to an object store, and its adapters.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::object::Object;

pub mod local;

/// Where the files are.
#[async_trait]
pub trait Bucket: Send + Sync + 'static {
    /// The memory that the opened object will occupy while it is held, in bytes: the whole object when it is read into
    /// memory, `OPEN_OBJECT_BYTES` when only a handle and its footer are held.
    fn held_bytes(&self, file: &FileId) -> u64;

    /// Opens exactly the version that `file` names. Gone or replaced: `Vanished`. No permission: `AccessDenied`.
    /// Another size than announced: `Unreadable`.
    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault>;
}

/// What an open handle is charged against the memory credit: room for the parsed footer of a wide table, and, with
/// the default credit of 128 MiB, a bound of 512 open files.
pub const OPEN_OBJECT_BYTES: u64 = 256 * 1024;
