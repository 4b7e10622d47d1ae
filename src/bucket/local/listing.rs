//! The files below a directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Sender;

use super::{LocalBucket, etag_of};
use crate::bucket::listing::{Listed, Listing};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;
use crate::flow::cpu::blocking;

/// Objects in one page.
const PAGE: usize = 1_000;

#[async_trait]
impl Listing for LocalBucket {
    async fn objects(&self, bucket: &str, prefix: &str, pages: Sender<Vec<Listed>>) -> Result<(), Fault> {
        let root = self.roots.get(bucket).cloned().ok_or_else(|| {
            Fault::new(FaultKind::AccessDenied, format!("no mapping names the bucket {bucket}"))
        })?;
        let prefix: Arc<str> = prefix.into();
        let seen = blocking("listing a directory", move || list(&root)).await?;
        let wanted: Vec<_> = seen.into_iter().filter(|object| object.key.starts_with(&*prefix)).collect();
        for page in wanted.chunks(PAGE) {
            if pages.send(page.to_vec()).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The files below `root` in the order of their keys. Names that end in `.tmp` or begin with a dot do not count.
pub(super) fn list(root: &Path) -> Result<Vec<Listed>, Fault> {
    let mut seen = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Gone since its parent was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder != root => continue,
            Err(error) => return Err(Fault::from_io(format!("cannot list {}", folder.display()), error)),
        };
        for entry in entries {
            let entry =
                entry.map_err(|error| Fault::from_io(format!("cannot list {}", folder.display()), error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || name.ends_with(".tmp") {
                continue;
            }
            let path = entry.path();
            // Gone since its folder was listed, or a link to nowhere.
            let metadata = match std::fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Fault::from_io(format!("cannot look at {}", path.display()), error));
                }
            };
            if metadata.is_dir() {
                folders.push(path);
            } else if let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                let micros =
                    metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1_000);
                seen.push(Listed {
                    key: key.into(),
                    etag: etag_of(&metadata).into(),
                    size_bytes: metadata.len(),
                    modified: Instant::from_micros(micros),
                });
            }
        }
    }
    seen.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(seen)
}
