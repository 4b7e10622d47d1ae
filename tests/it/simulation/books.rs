//! What a warehouse whose job ids can be used once keeps: jobs, uploads on their way, rows. Pure bookkeeping.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use landbridge::columns::body::Body;
use landbridge::columns::lineage;
use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::ids::BatchId;
use landbridge::domain::instant::Instant;
use landbridge::warehouse::JobStatus;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::chance::Chance;
use super::files::is_note;
use super::kinds::Kind;
use super::process::Breaches;

/// A row, as its columns say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub source: Arc<str>,
    pub row: i64,
    pub id: i64,
}

/// What a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    Load(Vec<Row>),
    Fence,
    /// Someone else's: a load that says it wrote that many rows, or a query.
    Foreign(Option<u64>),
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    pub label: Option<BatchId>,
    pub destination: Destination,
    pub work: Work,
    /// From when on questions find it.
    pub found_at: Instant,
    pub ends_at: Instant,
    pub failure: Option<(FaultKind, String)>,
}

/// An upload on its way. It takes its id when its last byte arrives.
#[derive(Clone, Debug)]
pub struct Upload {
    pub job_id: Arc<str>,
    pub job: Job,
    pub lands_at: Instant,
    /// When it lands if the process that sends it goes away meanwhile; never, if not.
    pub outlives_until: Option<Instant>,
    /// Its sender was told nothing and may have given it up.
    pub is_late: bool,
}

/// A stream of the Storage Write API.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub rows: Vec<Row>,
    pub sealed: bool,
    pub committed: bool,
}

/// All that the warehouse keeps.
#[derive(Default)]
pub struct Books {
    jobs: BTreeMap<Arc<str>, Job>,
    uploads: BTreeMap<u64, Upload>,
    next_upload: u64,
    /// The uploads that took their ids.
    won: BTreeSet<u64>,
    /// Streams, by their names.
    pub streams: BTreeMap<Arc<str>, Stream>,
    /// Rows for the beginning of a stream that are on their way, though nobody waits for them.
    pub late_rows: Vec<(Instant, Arc<str>, Vec<Row>)>,
    /// Which job loaded the rows of each file.
    loaded_by: BTreeMap<Arc<str>, Arc<str>>,
}

impl Books {
    pub fn begin_upload(&mut self, upload: Upload) -> u64 {
        self.next_upload += 1;
        self.uploads.insert(self.next_upload, upload);
        self.next_upload
    }

    /// The sender of an upload is gone; true when the upload lands all the same.
    pub fn sender_gone(&mut self, number: u64) -> Option<bool> {
        let upload = self.uploads.get_mut(&number)?;
        let Some(lands_at) = upload.outlives_until else {
            self.uploads.remove(&number);
            return Some(false);
        };
        upload.is_late = true;
        upload.lands_at = upload.lands_at.max(lands_at);
        Some(true)
    }

    /// Lands every upload whose last byte has arrived, in the order of arrival.
    pub fn land(&mut self, now: Instant, chance: &Chance, breaches: &Breaches) {
        let mut due: Vec<_> = self.uploads.iter().filter(|(_, upload)| upload.lands_at <= now).collect();
        due.sort_by_key(|(number, upload)| (upload.lands_at, **number));
        let due: Vec<u64> = due.into_iter().map(|(number, _)| *number).collect();
        for number in due {
            let Some(upload) = self.uploads.remove(&number) else { continue };
            let late = if upload.is_late { " (late)" } else { "" };
            if self.jobs.contains_key(&upload.job_id) {
                if upload.is_late {
                    chance.count(Kind::UploadTooLate);
                }
                chance.log(
                    upload.lands_at.micros(),
                    format!("-- upload of {}{late}: the id is taken", upload.job_id),
                );
                continue;
            }
            chance.log(upload.lands_at.micros(), format!("-- upload of {}{late}: landed", upload.job_id));
            self.won.insert(number);
            self.add(upload.job_id, upload.job, breaches);
        }
    }

    /// Whether that upload, and no other, took the id.
    pub fn took_the_id(&self, upload: u64) -> bool {
        self.won.contains(&upload)
    }

    /// A job takes its id.
    pub fn add(&mut self, job_id: Arc<str>, job: Job, breaches: &Breaches) {
        if let (Work::Load(rows), None) = (&job.work, &job.failure) {
            let mut sources: Vec<_> = rows.iter().map(|row| &row.source).collect();
            sources.dedup();
            for source in sources {
                if let Some(other) = self.loaded_by.insert(Arc::clone(source), Arc::clone(&job_id)) {
                    breaches.add(format!("{source} was loaded twice: by {other} and by {job_id}"));
                }
            }
        }
        self.jobs.insert(job_id, job);
    }

    pub fn job(&self, job_id: &str) -> Option<&Job> {
        self.jobs.get(job_id)
    }

    /// What a question about the attempt's id is answered.
    pub fn status(&self, attempt: &Attempt, now: Instant) -> JobStatus {
        let Some(job) = self.jobs.get(attempt.job_id.as_str()).filter(|job| job.found_at <= now) else {
            return JobStatus::NotFound;
        };
        if job.work == Work::Fence {
            return JobStatus::Fenced;
        }
        if now < job.ends_at {
            return JobStatus::Running;
        }
        if let Some((kind, reason)) = &job.failure {
            return JobStatus::Failed { kind: *kind, reason: reason.clone() };
        }
        let rows = match &job.work {
            Work::Load(rows) => Some(rows.len() as u64),
            Work::Foreign(rows) => *rows,
            Work::Fence => None,
        };
        JobStatus::Succeeded {
            // As of a query: it has no count of loaded rows.
            rows: rows.unwrap_or(u64::MAX),
            batch: job.label.clone(),
            destination_matches: rows.is_some() && job.destination == attempt.destination,
        }
    }

    /// A person takes foreign jobs away, so that their ids can be used.
    pub fn remove_foreign(&mut self, table: &str) -> usize {
        let before = self.jobs.len();
        self.jobs
            .retain(|_, job| !(matches!(job.work, Work::Foreign(_)) && *job.destination.table == *table));
        before - self.jobs.len()
    }

    /// When the last upload lands.
    pub fn last_landing(&self) -> Option<Instant> {
        self.uploads.values().map(|upload| upload.lands_at).max()
    }

    /// All rows that are there, with the table that they are in.
    pub fn rows(&self) -> Vec<(Arc<str>, Row)> {
        let mut all = Vec::new();
        for job in self.jobs.values().filter(|job| job.failure.is_none()) {
            if let Work::Load(rows) = &job.work {
                all.extend(rows.iter().map(|row| (Arc::clone(&job.destination.table), row.clone())));
            }
        }
        all.sort();
        all
    }
}

/// The rows of a body, as any reader of Parquet sees them.
pub fn rows_of(body: &Body) -> Vec<Row> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(body.path()).unwrap()).unwrap();
    // What is JSON, or a number, stands in a column of its own beside the others.
    let names = builder.schema().fields().iter().map(|field| field.name().as_str());
    let notes: Vec<_> = names.filter(|name| name.starts_with("note")).map(str::to_owned).collect();
    let wanted = ["id", lineage::SOURCE_FILE, lineage::SOURCE_ROW].into_iter();
    let wanted = wanted.chain(notes.iter().map(String::as_str));
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
    let mut rows = Vec::new();
    for batch in builder.with_projection(mask).build().unwrap() {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let sources = column(lineage::SOURCE_FILE).as_string::<i32>();
        let ids = column("id").as_primitive::<Int64Type>();
        let numbers = column(lineage::SOURCE_ROW).as_primitive::<Int64Type>();
        let notes: Vec<_> = notes.iter().map(|name| cast(column(name), &DataType::Utf8).unwrap()).collect();
        let mut source: Arc<str> = "".into();
        for row in 0..batch.num_rows() {
            assert!(ids.is_valid(row) && numbers.is_valid(row) && sources.is_valid(row));
            let mut held =
                notes.iter().map(|notes| notes.as_string::<i32>()).filter(|notes| notes.is_valid(row));
            let note = held.next().map(|notes| notes.value(row));
            assert!(
                note.is_some_and(|note| is_note(numbers.value(row), note)) && held.next().is_none(),
                "{note:?}"
            );
            if *source != *sources.value(row) {
                source = sources.value(row).into();
            }
            rows.push(Row { source: Arc::clone(&source), row: numbers.value(row), id: ids.value(row) });
        }
    }
    rows
}
