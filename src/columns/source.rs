//! A fetched object as the Parquet reader wants it, keeping the faults that the reader would turn into text.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

/// One object, and the first fault that reading it met.
#[derive(Clone, Debug)]
pub(super) struct Source {
    object: Arc<dyn Object>,
    // Invariant I-1 hangs on the kind: a vanished object is not an unreadable one. ParquetError keeps no kinds.
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Source {
    pub(super) fn new(object: &Arc<dyn Object>) -> Self {
        Self { object: Arc::clone(object), fault: Arc::default() }
    }

    /// The fault behind an error of the reader: the object's own if there was one, else the file is unreadable.
    pub(super) fn fault(&self, file: &FileId, error: impl std::error::Error) -> Fault {
        let own = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.unwrap_or_else(|| {
            let told = error.to_string();
            Fault::from_error(FaultKind::Unreadable, format!("cannot read {file}"), without_prefixes(&told))
        })
    }

    /// The object's size in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.object.size_bytes()
    }

    /// Exactly `length` bytes from `offset`.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Result<Bytes> {
        let end = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size_bytes()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {offset} are wanted of {}",
                self.size_bytes()
            )));
        }
        let bytes = match self.object.read(offset, length) {
            Ok(bytes) if bytes.len() == length => return Ok(bytes),
            Ok(bytes) => bytes,
            Err(fault) => {
                let text = fault.chain();
                let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(fault);
                return Err(ParquetError::General(text));
            }
        };
        Err(ParquetError::EOF(format!("{} bytes at {offset} were read instead of {length}", bytes.len())))
    }
}

/// What the reader and Arrow put before each other's words, and before ours.
pub(super) fn without_prefixes(mut told: &str) -> &str {
    while let Some(rest) =
        ["Parquet argument error: ", "Parquet error: "].iter().find_map(|prefix| told.strip_prefix(prefix))
    {
        told = rest;
    }
    told
}
