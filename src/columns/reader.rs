//! An object as the Parquet reader wants it, and faults that survive the reader's own error types.

use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::domain::fault::{Fault, FaultKind};
use crate::domain::object::Object;

/// An object, with the first fault that reading it gave.
#[derive(Clone, Debug)]
pub struct ObjectReader {
    object: Arc<dyn Object>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl ObjectReader {
    /// Reads `object`.
    pub fn new(object: Arc<dyn Object>) -> Self {
        Self { object, fault: Arc::default() }
    }

    /// What went wrong: the object's own fault if there was one, else the file is unreadable.
    pub fn fault(&self, context: String, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        fault.unwrap_or_else(|| Fault::from_error(FaultKind::Unreadable, context, error))
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.object.read(offset, length).map_err(|fault| {
            let error = ParquetError::General(fault.chain());
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            error
        })
    }
}

impl Length for ObjectReader {
    fn len(&self) -> u64 {
        self.object.size_bytes()
    }
}

impl ChunkReader for ObjectReader {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Cursor { reader: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.read(start, length)
    }
}

/// A sequential reader over an object.
#[derive(Debug)]
pub struct Cursor {
    reader: ObjectReader,
    position: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.reader.len().saturating_sub(self.position);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = self.reader.read(self.position, length).map_err(std::io::Error::other)?;
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        self.position = self.position.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }
}
