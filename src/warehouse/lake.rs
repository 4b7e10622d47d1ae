//! The lake: an embedded warehouse of Parquet files.
//!
//! A job id is a file name, and a job that loads is a file linked into place: the file system lets only one link of a
//! name succeed, as BigQuery lets only one job of an id. No lock and no state: any number of processes agree.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{Column, FenceAnswer, JobStatus, Submission, Warehouse};
use crate::columns::body::Body;
use crate::columns::labels::{self, Labels};
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::BatchId;
use crate::domain::typed_view::TypedView;
use crate::flow::cpu::blocking;
use crate::flow::pulse;

pub mod audit;
mod columns;
mod jobs;
pub mod lineage;
mod stamps;
mod status;

/// A copy shows that it moves after each piece of this many bytes.
const COPY_BYTES: u64 = 64 << 20;

/// Names of unfinished files end so and begin with a dot.
const TEMPORARY: &str = ".tmp";

/// Tells the temporary files of one process apart.
static TEMPORARY_COUNT: AtomicU64 = AtomicU64::new(0);

/// A directory of Parquet files: `DATASET/TABLE/date=YYYY-MM-DD/BATCH_ID-ATTEMPT.parquet`.
#[derive(Clone, Debug)]
pub struct Lake {
    root: Arc<Path>,
}

impl Lake {
    /// Opens the lake at `root`, creating the directory. Files that an earlier process left unfinished are removed.
    pub fn open(root: PathBuf) -> Result<Self, Fault> {
        fs::create_dir_all(&root).map_err(|error| fault("create the lake", &root, error))?;
        let mut unfinished = Vec::new();
        walk(&root, &mut |path| {
            if is_temporary(path) {
                unfinished.push(path.to_owned());
            }
        })?;
        for path in unfinished {
            fs::remove_file(&path).map_err(|error| fault("remove", &path, error))?;
        }
        check_links(&root)?;
        Ok(Self { root: root.into() })
    }

    /// The lake's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The attempt's file.
    fn place(&self, attempt: &Attempt) -> Place {
        let folders = [
            path_safe(&attempt.destination.dataset),
            path_safe(&attempt.destination.table),
            format!("date={}", attempt.claimed_at.date()),
        ];
        let name = format!("{}-{}.parquet", path_safe(attempt.batch.as_str()), attempt.number);
        let mut folder = self.root.to_path_buf();
        let chain = folders
            .iter()
            .map(|part| {
                folder.push(part);
                folder.clone()
            })
            .collect();
        Place { root: Arc::clone(&self.root), chain, path: folder.join(name) }
    }
}

#[async_trait]
impl Warehouse for Lake {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let (place, body) = (self.place(attempt), body.path().to_owned());
        let new = blocking("submit to the lake", move || {
            sync(&body)?;
            place.create_folders()?;
            let linked = place.link(&body, link)?;
            place.sync_folders()?;
            Ok(linked)
        });
        Ok(match new.await? {
            Linked::New => Submission::Accepted,
            Linked::Taken => Submission::Duplicate,
        })
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let place = self.place(attempt);
        let labels = blocking("ask the lake", move || place.labels()).await?;
        Ok(labels.map_or(JobStatus::NotFound, |labels| status(attempt, &labels)))
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        let (place, job_id) = (self.place(attempt), attempt.job_id.clone());
        let new = blocking("fence in the lake", move || {
            place.create_folders()?;
            let (mut file, temporary) = place.temporary()?;
            labels::write_empty(&mut file, &temporary.path, &[(labels::FENCE, job_id.as_str())])?;
            file.sync_all().map_err(|error| fault("write", &temporary.path, error))?;
            let linked = place.link(&temporary.path, link)?;
            place.sync_folders()?;
            Ok(linked)
        });
        Ok(match new.await? {
            Linked::New => FenceAnswer::Accepted,
            Linked::Taken => FenceAnswer::Duplicate,
        })
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        let folder = self.root.join(path_safe(&destination.dataset)).join(path_safe(&destination.table));
        blocking("looking at the lake's columns", move || columns::newest(&folder)).await
    }

    /// A folder of files has no views.
    async fn publish_view(&self, _: &Destination, _: &TypedView) -> Result<(), Fault> {
        Ok(())
    }
}

/// All finished Parquet files below `root`, sorted; fences too, which have no rows.
pub fn data_files(root: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    walk(root, &mut |path| {
        let hidden = name_begins_with_dot(path);
        if !hidden && path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path.to_owned());
        }
    })?;
    files.sort();
    Ok(files)
}

/// What a file says of the attempt whose name it has.
fn status(attempt: &Attempt, labels: &Labels) -> JobStatus {
    let label = |key: &str| labels.values.get(key).map(String::as_str);
    if label(labels::FENCE) == Some(attempt.job_id.as_str()) {
        return JobStatus::Fenced;
    }
    let destination = &attempt.destination;
    JobStatus::Succeeded {
        rows: labels.rows,
        batch: label(labels::BATCH_ID).map(BatchId::from_stored),
        destination_matches: label(labels::DATASET) == Some(&*destination.dataset)
            && label(labels::TABLE) == Some(&*destination.table),
    }
}

/// Where an attempt's file is or will be.
struct Place {
    root: Arc<Path>,
    /// The folders below the root, outermost first.
    chain: Vec<PathBuf>,
    path: PathBuf,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    /// The name is this file's now.
    New,
    /// The name was another's before.
    Taken,
}

impl Place {
    /// Creates the folders, but never the root: a lake whose volume is gone must not begin again as an empty one.
    fn create_folders(&self) -> Result<(), Fault> {
        for folder in &self.chain {
            match fs::create_dir(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault("create", folder, error)),
            }
        }
        Ok(())
    }

    /// Makes the file's name outlive a loss of power. All folders, whoever created them: a process may have died
    /// between creating and syncing.
    fn sync_folders(&self) -> Result<(), Fault> {
        self.chain.iter().map(PathBuf::as_path).chain([&*self.root]).try_for_each(sync).map_err(
            |mut fault| {
                // The link is there: an answer that means a refusal would be a lie.
                fault.kind = FaultKind::Unavailable;
                fault
            },
        )
    }

    /// Gives `file` this name too, unless the name is taken. `link` is the file system's, or a test's.
    fn link(&self, file: &Path, link: fn(&Path, &Path) -> io::Result<()>) -> Result<Linked, Fault> {
        let mut linked = link(file, &self.path);
        // From another file system, and from some that forbid links to their files, only a copy can be linked.
        if linked.as_ref().is_err_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            )
        }) {
            let (mut copy, temporary) = self.temporary()?;
            let copied = File::open(file)
                .and_then(|original| copy_in_pieces(&original, &mut copy))
                .and_then(|()| copy.sync_all());
            copied.map_err(|error| fault("copy into", &temporary.path, error))?;
            linked = fs::hard_link(&temporary.path, &self.path);
        }
        match linked {
            Ok(()) => Ok(Linked::New),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Linked::Taken),
            Err(error) => Err(fault("link into place", &self.path, error)),
        }
    }

    /// A new hidden file beside the place. Two submissions of one attempt must not share it, or one would link what
    /// the other still writes.
    fn temporary(&self) -> Result<(File, Temporary), Fault> {
        loop {
            let number = TEMPORARY_COUNT.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(".");
            name.push(self.path.file_name().unwrap_or_default());
            name.push(format!(".{}-{number}{TEMPORARY}", std::process::id()));
            let path = self.path.with_file_name(name);
            match File::create_new(&path) {
                Ok(file) => return Ok((file, Temporary { path })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fault("create", &path, error)),
            }
        }
    }

    /// The labels of the file that is there.
    fn labels(&self) -> Result<Option<Labels>, Fault> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.root.is_dir() => return Ok(None),
            Err(error) => return Err(fault("open", &self.path, error)),
        };
        let labels = labels::read(&file, &self.path)?;
        // The process that linked it may have died before it synced. After this answer the ledger relies on the file.
        file.sync_all().map_err(|error| fault("sync", &self.path, error))?;
        self.sync_folders()?;
        Ok(Some(labels))
    }
}

/// Removes a temporary name when done with it.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What stays is removed when the lake is next opened.
        let _ = fs::remove_file(&self.path);
    }
}

/// Each piece is on the disk before the next: at the end all of it would take longer than anyone waits.
fn copy_in_pieces(mut original: &File, copy: &mut File) -> io::Result<()> {
    while io::copy(&mut original.by_ref().take(COPY_BYTES), copy)? > 0 {
        copy.sync_data()?;
        pulse::moved();
    }
    Ok(())
}

fn link(original: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(original, link)
}

/// Tries what submissions will need: to create, link and remove files.
fn check_links(root: &Path) -> Result<(), Fault> {
    let place = Place { root: root.into(), chain: Vec::new(), path: root.join("probe") };
    let (_file, first) = place.temporary()?;
    let second = Temporary { path: first.path.with_added_extension("link.tmp") };
    link(&first.path, &second.path).map_err(|error| fault("make hard links in the lake", root, error))
}

/// Calls `found` on every regular file below `folder`, outside hidden folders.
fn walk(folder: &Path, found: &mut dyn FnMut(&Path)) -> Result<(), Fault> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| fault("list", &folder, error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let path = entry.path();
            if kind.is_file() {
                found(&path);
            } else if kind.is_dir() && !name_begins_with_dot(&path) {
                folders.push(path);
            }
        }
    }
    Ok(())
}

fn name_begins_with_dot(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name_begins_with_dot(path) && name.as_encoded_bytes().ends_with(TEMPORARY.as_bytes())
}

fn sync(path: &Path) -> Result<(), Fault> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| fault("sync", path, error))
}

/// `name` as one component of a path. Different names stay different.
fn path_safe(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let mut safe = String::with_capacity(name.len());
    for (position, letter) in name.char_indices() {
        match letter {
            '/' => safe.push_str("%2F"),
            '\\' => safe.push_str("%5C"),
            '\0' => safe.push_str("%00"),
            '%' => safe.push_str("%25"),
            '.' if position == 0 => safe.push_str("%2E"),
            other => safe.push(other),
        }
    }
    safe
}

fn fault(deed: &str, path: &Path, error: io::Error) -> Fault {
    let mut fault = Fault::from_io(format!("cannot {deed} {}", path.display()), error);
    if fault.kind == FaultKind::Vanished {
        // What is not found here is the lake or the spool, never a source object.
        fault.kind = FaultKind::Unavailable;
    }
    fault
}

#[cfg(test)]
mod tests;
