//! A directory as a bucket. A key is a path below the directory; an ETag is made of modification time, inode and size.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Bucket, Held, OPEN_OBJECT_BYTES};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;
use crate::flow::cpu::blocking;

pub mod announcer;
mod listing;

/// The ETag of a file: it stays through a rename, and changes with the content.
pub fn etag_of(metadata: &Metadata) -> String {
    let nanoseconds = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    format!("{nanoseconds:x}-{:x}-{:x}", metadata.ino(), metadata.size())
}

/// Directories, by bucket name.
#[derive(Clone, Debug)]
pub struct LocalBucket {
    roots: BTreeMap<Arc<str>, PathBuf>,
}

impl LocalBucket {
    /// Buckets by name.
    pub fn new(roots: impl IntoIterator<Item = (Arc<str>, PathBuf)>) -> Self {
        Self { roots: roots.into_iter().collect() }
    }

    fn path_of(&self, file: &FileId) -> Result<PathBuf, Fault> {
        let root = self.roots.get(&file.bucket).ok_or_else(|| {
            Fault::new(
                FaultKind::AccessDenied,
                format!("{file}: no mapping names the bucket {}", file.bucket),
            )
        })?;
        let key = Path::new(&*file.key);
        let inside = key.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || file.key.contains('\0') {
            return Err(Fault::new(
                FaultKind::AccessDenied,
                format!("{file}: the key leads out of its bucket"),
            ));
        }
        Ok(root.join(key))
    }
}

#[async_trait]
impl Bucket for LocalBucket {
    fn held(&self, _: &FileId) -> Held {
        Held { memory_bytes: OPEN_OBJECT_BYTES, disk_bytes: 0 }
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        let (path, file) = (self.path_of(file)?, file.clone());
        let root = self.roots.get(&file.bucket).cloned().unwrap_or_default();
        blocking("opening a file", move || open(&root, &path, &file)).await
    }
}

fn open(root: &Path, path: &Path, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
    let cannot = |error| Fault::from_io(format!("cannot open {}", path.display()), error);
    let handle = File::open(path).map_err(cannot)?;
    let (whole, below) = (path.canonicalize().map_err(cannot)?, root.canonicalize().map_err(cannot)?);
    if !whole.starts_with(&below) {
        let text = format!("{file}: a link leads out of its bucket to {}", whole.display());
        return Err(Fault::new(FaultKind::AccessDenied, text));
    }
    let metadata = handle.metadata().map_err(cannot)?;
    let found = etag_of(&metadata);
    if *found != *file.etag || metadata.size() != file.size_bytes {
        return Err(Fault::new(FaultKind::Vanished, format!("{file} was replaced by {found}")));
    }
    let micros = metadata.mtime().checked_mul(1_000_000);
    let written_at = micros.map(|micros| Instant::from_micros(micros + metadata.mtime_nsec() / 1_000));
    let (size_bytes, name) = (metadata.size(), file.to_string());
    Ok(Arc::new(LocalObject { handle, etag: found, size_bytes, name, written_at }))
}

/// An open file of a certain version.
#[derive(Debug)]
struct LocalObject {
    handle: File,
    etag: String,
    size_bytes: u64,
    name: String,
    written_at: Option<Instant>,
}

impl Object for LocalObject {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn written_at(&self) -> Option<Instant> {
        self.written_at
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.size_bytes);
        if end.is_none() {
            let text = format!("{}: {length} bytes at {offset} are beyond its end", self.name);
            return Err(Fault::new(FaultKind::Unreadable, text));
        }
        let mut buffer = vec![0; length];
        let cannot = |error| Fault::from_io(format!("cannot read {}", self.name), error);
        let read = self.handle.read_exact_at(&mut buffer, offset);
        // A file that is written in place is not the version that was announced.
        if etag_of(&self.handle.metadata().map_err(cannot)?) != self.etag {
            return Err(Fault::new(
                FaultKind::Vanished,
                format!("{} was changed in place while it was read", self.name),
            ));
        }
        read.map_err(cannot)?;
        Ok(Bytes::from(buffer))
    }
}

#[cfg(test)]
mod tests;
