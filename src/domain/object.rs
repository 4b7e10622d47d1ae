//! The port through which a fetched object's bytes are read.

use std::fmt::Debug;

use bytes::Bytes;

use super::fault::Fault;
use super::instant::Instant;

/// One version of one object: immutable, readable at any position from any thread. Reads may block, so they belong
/// on the CPU pool.
pub trait Object: Debug + Send + Sync + 'static {
    /// The object's whole size in bytes.
    fn size_bytes(&self) -> u64;

    /// When the store says that it was written; none where it does not say.
    fn written_at(&self) -> Option<Instant> {
        None
    }

    /// Exactly `length` bytes from `offset`. A range beyond the end is a `Fault` of kind `Unreadable`; an object that
    /// changed since it was opened is one of kind `Vanished`.
    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault>;
}
