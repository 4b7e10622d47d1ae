//! The announcer of a directory: tells a local queue of each new file, as S3 would.
//!
//! It lists the directory at start, whenever the watcher says that something changed, and at an interval. A file counts
//! once it has been renamed into place; one that is being written in place is looked at again until it is at rest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::listing::list;
use crate::domain::clock::Clock;
use crate::domain::notification::event_body;
use crate::flow::cpu::blocking;
use crate::queue::local::LocalQueue;

/// A file whose last write is younger than this may still be written; it is looked at again.
const AT_REST: Duration = Duration::from_millis(300);
/// Changes are gathered for this long before the directory is listed.
const GATHER: Duration = Duration::from_millis(50);

/// How far an announcer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Listings that were finished, everything in them announced.
    pub scans: u64,
    /// Files announced since the start.
    pub announced: u64,
    /// True while changes or unfinished files wait for another look.
    pub pending: bool,
}

/// A running announcer; dropping it stops it.
#[derive(Debug)]
pub struct Announcer {
    task: AbortHandle,
    progress: watch::Receiver<Progress>,
    _watcher: Option<RecommendedWatcher>,
}

impl Announcer {
    /// Announces the files below `root`, as objects of `bucket`, to `queue`.
    pub fn start(
        bucket: Arc<str>,
        root: PathBuf,
        queue: Arc<LocalQueue>,
        rescan: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watch_directory(&root, &changed);
        let (sender, progress) = watch::channel(Progress { pending: true, ..Progress::default() });
        let announcing =
            Announcing { bucket, root, queue, clock, known: HashMap::new(), sequence: 0, warned: false };
        let task = tokio::spawn(run(announcing, changed, rescan, sender));
        Self { task: task.abort_handle(), progress, _watcher: watcher }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// To wait for progress.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches the directory where that is possible; where it is not, the interval does.
fn watch_directory(root: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let notify = Arc::clone(changed);
    // Runs on the watcher's thread: it must not block, and whatever it says, the answer is another look.
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own listing opens and reads folders: only what changes them is worth another look.
        let reading = event.is_ok_and(|event| match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => true,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => false,
        });
        if !reading {
            notify.notify_one();
        }
    });
    let watched =
        watcher.and_then(|mut watcher| watcher.watch(root, RecursiveMode::Recursive).map(|()| watcher));
    watched
        .inspect_err(|error| tracing::warn!(root = %root.display(), %error, "cannot watch the directory: it is listed at its interval only"))
        .ok()
}

struct Announcing {
    bucket: Arc<str>,
    root: PathBuf,
    queue: Arc<LocalQueue>,
    clock: Arc<dyn Clock>,
    /// What was announced: a hash of each path's ETag. As many as there are files in the directory.
    known: HashMap<u64, u64>,
    sequence: u64,
    warned: bool,
}

async fn run(
    mut announcing: Announcing,
    changed: Arc<Notify>,
    rescan: Duration,
    progress: watch::Sender<Progress>,
) {
    loop {
        let unfinished = announcing.scan(&progress).await;
        progress.send_modify(|progress| {
            progress.scans += 1;
            progress.pending = unfinished;
        });
        let wait = if unfinished { AT_REST } else { rescan };
        tokio::select! {
            () = changed.notified() => {
                progress.send_modify(|progress| progress.pending = true);
                tokio::time::sleep(GATHER).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Announcing {
    /// Lists the directory and announces what is new; answers whether a file was left for another look.
    async fn scan(&mut self, progress: &watch::Sender<Progress>) -> bool {
        let root = self.root.clone();
        let seen = match blocking("listing a directory", move || list(&root)).await {
            Ok(seen) => seen,
            Err(fault) => {
                if !self.warned {
                    tracing::warn!(
                        error = fault.chain(),
                        remedy = fault.kind.remedy(),
                        "cannot list the directory; it is tried again"
                    );
                    self.warned = true;
                }
                return true;
            }
        };
        self.warned = false;
        let now = self.clock.now();
        let mut known = HashMap::with_capacity(seen.len());
        let mut unfinished = false;
        for file in seen {
            let (path, etag) = (hash(&file.key), hash(&file.etag));
            let before = self.known.get(&path) == Some(&etag);
            let at_rest = now.since(file.modified) >= AT_REST;
            if !before && !at_rest {
                unfinished = true;
                continue;
            }
            known.insert(path, etag);
            if before {
                continue;
            }
            self.sequence += 1;
            let body = event_body(
                &self.bucket,
                &file.key,
                file.size_bytes,
                &file.etag,
                file.modified,
                self.sequence,
            );
            self.queue.send(body).await;
            progress.send_modify(|progress| progress.announced += 1);
        }
        self.known = known;
        unfinished
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
