//! The lake: an embedded warehouse of Parquet files, for demos, tests, and anyone who reads Parquet.
//!
//! `DATASET/TABLE/date=YYYY-MM-DD/BATCH_ID-ATTEMPT.parquet` (architecture, section 6). A job id is a file's name, and it
//! can be taken once: a name that exists is the 409 of BigQuery.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;

use super::Warehouse;
use crate::columns::body::Body;
use crate::columns::plan::ColumnPlan;
use crate::columns::transcode::{KEY_BATCH, KEY_DATASET, KEY_TABLE};
use crate::domain::batch::Attempt;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::BatchId;
use crate::domain::job::{FenceAnswer, JobStatus, Submission};
use crate::flow::cpu::blocking;

/// The key of the label that marks a fence.
const KEY_FENCE: &str = "landbridge.fence";

/// A directory of Parquet files.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
}

impl Lake {
    /// Opens the lake at `root`, creating the directory, and checks that files can be written there.
    pub fn open(root: PathBuf) -> Result<Self, Fault> {
        let cannot = |error| Fault::from_io(format!("cannot write into the lake {}", root.display()), error);
        fs::create_dir_all(&root).map_err(cannot)?;
        let probe = root.join(format!(".probe-{}.tmp", std::process::id()));
        File::create(&probe).map_err(cannot)?;
        fs::remove_file(&probe).map_err(cannot)?;
        Ok(Self { root })
    }

    /// Where the attempt's file is, or would be.
    pub fn path_of(&self, attempt: &Attempt) -> PathBuf {
        self.root
            .join(safe(&attempt.destination.dataset))
            .join(safe(&attempt.destination.table))
            .join(format!("date={}", attempt.claimed_at.date()))
            .join(format!("{}-{}.parquet", attempt.batch, attempt.number))
    }
}

/// A name as one path component: what a path gives a meaning to is percent-encoded.
fn safe(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for (index, letter) in name.chars().enumerate() {
        match letter {
            '/' | '\\' | '%' | '\0' => text.push_str(&format!("%{:02X}", u32::from(letter))),
            '.' if index == 0 => text.push_str("%2E"),
            letter => text.push(letter),
        }
    }
    text
}

#[async_trait]
impl Warehouse for Lake {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let (path, body) = (self.path_of(attempt), body.path().to_owned());
        blocking("writing into the lake", move || {
            if place(&body, &path)? { Ok(Submission::Accepted) } else { Ok(Submission::Duplicate) }
        })
        .await
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let (path, attempt) = (self.path_of(attempt), attempt.clone());
        blocking("reading from the lake", move || status(&path, &attempt)).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        let (path, job) = (self.path_of(attempt), attempt.job_id.to_string());
        blocking("fencing in the lake", move || {
            let folder = path.parent().unwrap_or(&path);
            make_folder(folder)?;
            let temporary = folder.join(format!(".{job}.fence.tmp"));
            write_fence(&temporary, &job)?;
            let placed = place(&temporary, &path);
            // It is linked into place or not needed; a leftover is hidden and harmless.
            let _ = fs::remove_file(&temporary);
            if placed? { Ok(FenceAnswer::Accepted) } else { Ok(FenceAnswer::Duplicate) }
        })
        .await
    }
}

/// Links `from` into place as `to` without replacing. False when `to` exists. Durable when it answers.
fn place(from: &Path, to: &Path) -> Result<bool, Fault> {
    let cannot = |error| Fault::from_io(format!("cannot place {}", to.display()), error);
    let folder = to.parent().unwrap_or(to);
    make_folder(folder)?;
    sync(from)?;
    match fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::CrossesDevices | ErrorKind::Unsupported) => {
            let name = to.file_name().unwrap_or_default().to_string_lossy();
            let temporary = folder.join(format!(".{name}.tmp"));
            fs::copy(from, &temporary).map_err(cannot)?;
            sync(&temporary)?;
            let linked = fs::hard_link(&temporary, to);
            fs::remove_file(&temporary).map_err(cannot)?;
            match linked {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(cannot(error)),
            }
        }
        Err(error) => return Err(cannot(error)),
    }
    sync(folder)?;
    Ok(true)
}

/// Creates a folder and makes each new level durable.
fn make_folder(folder: &Path) -> Result<(), Fault> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().ok_or_else(|| {
        Fault::new(FaultKind::DestinationRefused, format!("{} has no parent folder", folder.display()))
    })?;
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => sync(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Fault::from_io(format!("cannot create {}", folder.display()), error)),
    }
}

fn sync(path: &Path) -> Result<(), Fault> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| Fault::from_io(format!("cannot make {} durable", path.display()), error))
}

fn status(path: &Path, attempt: &Attempt) -> Result<JobStatus, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(JobStatus::NotFound),
        Err(error) => return Err(Fault::from_io(format!("cannot open {}", path.display()), error)),
    };
    let footer = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| {
        Fault::from_error(
            FaultKind::Unavailable,
            format!("cannot read the footer of {}", path.display()),
            error,
        )
    })?;
    if label(&footer, KEY_FENCE).is_some() {
        return Ok(JobStatus::Fenced);
    }
    let destination = &attempt.destination;
    let ours = label(&footer, KEY_DATASET) == Some(&*destination.dataset)
        && label(&footer, KEY_TABLE) == Some(&*destination.table);
    Ok(JobStatus::Succeeded {
        rows: u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0),
        batch: label(&footer, KEY_BATCH).map(BatchId::from_stored),
        destination_matches: ours,
    })
}

fn label<'a>(footer: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = footer.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

fn write_fence(path: &Path, job: &str) -> Result<(), Fault> {
    let cannot =
        |error| Fault::from_error(FaultKind::Unavailable, format!("cannot write {}", path.display()), error);
    let file = File::create(path)
        .map_err(|error| Fault::from_io(format!("cannot create {}", path.display()), error))?;
    let label = KeyValue::new(KEY_FENCE.to_owned(), job.to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![label])).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let schema = std::sync::Arc::new(ColumnPlan::empty().schema());
    let writer = ArrowWriter::try_new_with_options(file, schema, options).map_err(cannot)?;
    writer.close().map_err(cannot)?;
    Ok(())
}

/// All data files below `root`: every `.parquet` file of which no component begins with a dot.
pub fn data_files(root: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let cannot = |error| Fault::from_io(format!("cannot list {}", folder.display()), error);
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let (path, name) = (entry.path(), entry.file_name());
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type().map_err(cannot)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
