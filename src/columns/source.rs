//! A fetched object as the Parquet reader wants it, keeping the faults that the reader would turn into text.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::object::Object;

/// The reader asks for page headers without knowing their length; they are tens of bytes.
const BLOCK_BYTES: u64 = 4096;

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
    pub(super) fn fault(
        &self,
        file: &FileId,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Fault {
        let own = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.unwrap_or_else(|| Fault::from_error(FaultKind::Unreadable, format!("cannot read {file}"), error))
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes> {
        let end = u64::try_from(length).ok().and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {offset} are wanted of {}",
                self.len()
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

impl Length for Source {
    fn len(&self) -> u64 {
        self.object.size_bytes()
    }
}

impl ChunkReader for Source {
    type T = SourceReader;

    fn get_read(&self, start: u64) -> Result<SourceReader> {
        Ok(SourceReader { source: self.clone(), position: start, block: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, length)
    }
}

/// Reads on from a position, block by block.
pub(super) struct SourceReader {
    source: Source,
    position: u64,
    block: Bytes,
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() {
            let rest = self.source.len().saturating_sub(self.position);
            let length = usize::try_from(rest.min(BLOCK_BYTES)).map_err(io::Error::other)?;
            if length == 0 {
                return Ok(0);
            }
            self.block = self.source.read(self.position, length).map_err(io::Error::other)?;
            self.position = self.position.saturating_add(rest.min(BLOCK_BYTES));
        }
        let count = buffer.len().min(self.block.len());
        if let Some(target) = buffer.get_mut(..count) {
            self.block.copy_to_slice(target);
        }
        Ok(count)
    }
}
