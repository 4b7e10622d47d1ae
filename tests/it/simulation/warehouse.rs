//! A warehouse as BigQuery is one, in memory, and its whims. It outlives processes, and so do uploads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::columns::body::Body;
use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::clock::Clock;
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::ids::BatchId;
use landbridge::domain::instant::Instant;
use landbridge::domain::typed_view::TypedView;
use landbridge::warehouse::{Column, FenceAnswer, JobStatus, Submission, Warehouse};

use super::books::{Books, Job, Row, Upload, Work, rows_of};
use super::kinds::Kind;
use super::ledger::Watch;
use super::process::{Breaches, Call, Edge, Process};

/// Foreign jobs in one seed: each holds a table until a person comes.
const FOREIGN_JOBS: u32 = 2;
/// Panics of deliveries in one seed.
const PANICS: u32 = 8;

/// A time in which every request about a table is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub table: String,
    pub kind: FaultKind,
    pub from: Instant,
    pub to: Instant,
}

/// The service.
#[derive(Default)]
pub struct Service {
    books: Mutex<Books>,
    foreign: AtomicU32,
    panics: AtomicU32,
}

impl Service {
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }
}

/// The warehouse of one process.
pub struct WarehousePort {
    pub service: Arc<Service>,
    pub process: Arc<Process>,
    pub watch: Arc<Watch>,
    pub breaches: Arc<Breaches>,
    pub refusals: Arc<[Refusal]>,
    /// Whether a job id must be one that the ledger holds (Invariant I-2).
    pub checks_ids: bool,
}

/// What becomes of an upload.
#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    Cut,
    /// It lands after this, and nobody is told.
    Late(Duration),
}

/// An upload whose sender may go away.
struct Sending<'a> {
    port: &'a WarehousePort,
    number: u64,
    done: bool,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Some(lands) = self.port.service.books().sender_gone(self.number) {
            let kind = if lands { Kind::UploadOutlivesProcess } else { Kind::UploadCut };
            self.port.process.chance.count(kind);
        }
    }
}

impl WarehousePort {
    pub(super) fn now(&self) -> Instant {
        self.process.wall.now()
    }

    /// The books with everything in them that has arrived by now.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        let mut books = self.service.books();
        self.land_rows(&mut books);
        books.land(self.now(), &self.process.chance, &self.breaches);
        books
    }

    pub(super) fn call(
        name: &'static str,
        attempt: &Attempt,
        before: (Kind, u32),
        after: (Kind, u32),
    ) -> Call {
        Call { edge: Edge::Warehouse, name, about: attempt.job_id.to_string(), before, after }
    }

    /// Invariant I-2: the ledger holds the attempt, unless it can load nothing.
    pub(super) fn check_id(&self, attempt: &Attempt, rows: &[Row]) {
        if !self.checks_ids || (rows.is_empty() && attempt.job_id.as_str().ends_with("_probe")) {
            return;
        }
        let record =
            super::time::at_once(landbridge::ledger::Ledger::batch(&self.watch.ledger, &attempt.batch));
        let known = record.unwrap().is_some_and(|record| {
            let last = record.last_attempt.map(|(last, _)| last.number);
            record.batch.job_id(attempt.number) == attempt.job_id && last >= Some(attempt.number)
        });
        if !known {
            self.breaches.add(format!("{} was submitted and is not in the ledger (I-2)", attempt.job_id));
        }
    }

    /// Whether the request is refused: for its table, for its content, or for want of room.
    fn refused(&self, attempt: &Attempt, rows: &[Row]) -> Result<(), Fault> {
        let (chance, now) = (&self.process.chance, self.now());
        let refuse = |kind, text: &str| Err(Fault::new(kind, format!("{}: {text}", attempt.job_id)));
        let mut refusals = self.refusals.iter();
        let weather = refusals.find(|refusal| {
            *refusal.table == *attempt.destination.table && refusal.from <= now && now < refusal.to
        });
        if let Some(refusal) = weather.filter(|_| !chance.is_quiet()) {
            chance.count(Kind::SubmitRefused);
            return refuse(refusal.kind, "refused on request");
        }
        if is_marked(rows) && chance.flips(3_000) {
            chance.count(Kind::RequestContentRefused);
            return refuse(FaultKind::ContentRefused, "the request holds a marked value");
        }
        if chance.strikes(Kind::SubmitUnavailable, 250) {
            return refuse(chance.pick(&[FaultKind::Unavailable, FaultKind::Throttled]), "503 on request");
        }
        Ok(())
    }

    fn way(&self) -> Way {
        let chance = &self.process.chance;
        if chance.draws(Kind::UploadCut, 200) {
            Way::Cut
        } else if chance.draws(Kind::UploadLate, 250) {
            Way::Late(chance.duration(Duration::from_secs(1), Duration::from_secs(3_600)))
        } else {
            Way::Whole
        }
    }

    /// What the job of an upload will be.
    fn job(&self, attempt: &Attempt, rows: Vec<Row>, lands_at: Instant) -> Job {
        let chance = &self.process.chance;
        let mut runs = chance.duration(Duration::from_millis(100), Duration::from_secs(8));
        if chance.strikes(Kind::JobSlow, 200) {
            runs += chance.duration(Duration::from_secs(30), Duration::from_secs(1_200));
        }
        let failure = if is_marked(&rows) {
            chance.count(Kind::JobContentRefused);
            Some((FaultKind::ContentRefused, "invalid: a value is marked".to_owned()))
        } else if chance.strikes(Kind::JobBackendError, 200) {
            Some((FaultKind::Unavailable, "backendError: try again".to_owned()))
        } else if chance.strikes(Kind::JobQuota, 50) {
            Some((FaultKind::QuotaExceeded, "quotaExceeded: too many jobs".to_owned()))
        } else if chance.strikes(Kind::JobDenied, 40) {
            Some((FaultKind::AccessDenied, "accessDenied: no right to the table".to_owned()))
        } else {
            None
        };
        let hides = chance.draws(Kind::AskNotFoundYet, 250);
        let hidden = chance.duration(Duration::from_millis(100), Duration::from_secs(10));
        Job {
            label: Some(attempt.batch.clone()),
            destination: attempt.destination.clone(),
            work: Work::Load(rows),
            found_at: if hides { lands_at.plus(hidden) } else { lands_at },
            ends_at: lands_at.plus(runs),
            failure,
        }
    }

    /// Somebody else takes the id.
    fn foreign(&self, attempt: &Attempt, rows: usize) {
        let chance = &self.process.chance;
        if self.service.foreign.load(Ordering::SeqCst) >= FOREIGN_JOBS || !chance.draws(Kind::ForeignJob, 60)
        {
            return;
        }
        let mut books = self.books();
        if books.job(attempt.job_id.as_str()).is_some() {
            return;
        }
        chance.count(Kind::ForeignJob);
        self.service.foreign.fetch_add(1, Ordering::SeqCst);
        let told = chance.pick(&[Some(rows as u64), Some(rows as u64), Some(rows as u64 + 1), None]);
        let mut destination = attempt.destination.clone();
        if chance.flips(3_000) {
            destination.dataset = "elsewhere".into();
        }
        let label = chance.flips(5_000).then(|| BatchId::from_stored("0123456789abcdef0123456789abcdef"));
        let now = self.now();
        let work = Work::Foreign(told);
        let job = Job { label, destination, work, found_at: now, ends_at: now, failure: None };
        chance.log(now.micros(), format!("-- a foreign job takes {}: {job:?}", attempt.job_id));
        books.add(attempt.job_id.as_str().into(), job, &self.breaches);
    }

    async fn upload(&self, attempt: &Attempt, rows: Vec<Row>) -> Result<Submission, Fault> {
        let chance = &self.process.chance;
        if self.service.panics.load(Ordering::SeqCst) < PANICS && chance.strikes(Kind::PanicInDelivery, 60) {
            self.service.panics.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose, in the delivery of {}", attempt.job_id);
        }
        self.check_id(attempt, &rows);
        self.refused(attempt, &rows)?;
        self.foreign(attempt, rows.len());
        let (way, transfer) = (self.way(), Duration::from_millis(chance.between(1..400)));
        let lands_at = self.now().plus(match way {
            Way::Whole | Way::Cut => transfer,
            Way::Late(late) => late,
        });
        let late = chance.duration(Duration::from_secs(1), Duration::from_secs(3_600));
        let outlives_until = chance.draws(Kind::UploadOutlivesProcess, 4_000).then(|| lands_at.plus(late));
        let no_answer = || Fault::new(FaultKind::Unavailable, format!("{}: no answer", attempt.job_id));
        if matches!(way, Way::Cut) {
            tokio::time::sleep(transfer).await;
            chance.count(Kind::UploadCut);
            self.process.log(format!("-- upload of {}: cut", attempt.job_id));
            return Err(no_answer());
        }
        let upload = Upload {
            job_id: attempt.job_id.as_str().into(),
            job: self.job(attempt, rows, lands_at),
            lands_at,
            outlives_until,
            is_late: matches!(way, Way::Late(_)),
        };
        let number = self.books().begin_upload(upload);
        if let Way::Late(late) = way {
            chance.count(Kind::UploadLate);
            self.process.log(format!("-- upload of {}: lands in {} s", attempt.job_id, late.as_secs()));
            tokio::time::sleep(chance.duration(Duration::from_millis(50), Duration::from_secs(120))).await;
            return Err(no_answer());
        }
        let mut sending = Sending { port: self, number, done: false };
        tokio::time::sleep(transfer).await;
        sending.done = true;
        let took_the_id = self.books().took_the_id(number);
        Ok(if took_the_id { Submission::Accepted } else { Submission::Duplicate })
    }
}

pub(super) fn is_marked(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.id < 0)
}

#[async_trait]
impl Warehouse for WarehousePort {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        if let Some(stream) = &attempt.stream {
            if body.plan().has_json() {
                self.process.chance.count(Kind::StreamJson);
            }
            return self.append(attempt, stream, rows_of(body)).await;
        }
        if body.plan().has_json() {
            self.breaches.add(format!("{}: JSON goes by a load job", attempt.job_id));
        }
        let work = async { self.upload(attempt, rows_of(body)).await };
        let before = (Kind::SubmitUnavailable, 50);
        self.process.call(Self::call("submit", attempt, before, (Kind::SubmitAnswerLost, 250)), work).await
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        if let Some(stream) = &attempt.stream {
            return self.seal(attempt, stream).await;
        }
        let work = async {
            let status = self.books().status(attempt, self.now());
            if status == JobStatus::NotFound && self.books().job(attempt.job_id.as_str()).is_some() {
                self.process.chance.count(Kind::AskNotFoundYet);
            }
            self.process.log(format!("-- {} is {status:?}", attempt.job_id));
            Ok(status)
        };
        let (before, after) = ((Kind::AskFailed, 150), (Kind::AskFailed, 80));
        self.process.call(Self::call("ask", attempt, before, after), work).await
    }

    async fn open_stream(&self, destination: &Destination, _: &Body) -> Result<Option<Arc<str>>, Fault> {
        self.make_stream(destination).await
    }

    async fn commit_stream(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        self.commit(attempt).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        let work = async {
            let now = self.now();
            let mut books = self.books();
            if books.job(attempt.job_id.as_str()).is_some() {
                self.watch.step("fence found a job");
                return Ok(FenceAnswer::Duplicate);
            }
            let (destination, work) = (attempt.destination.clone(), Work::Fence);
            let job = Job { label: None, destination, work, found_at: now, ends_at: now, failure: None };
            books.add(attempt.job_id.as_str().into(), job, &self.breaches);
            self.watch.step("fence took the id");
            Ok(FenceAnswer::Accepted)
        };
        let (before, after) = ((Kind::FenceLostBefore, 500), (Kind::FenceLostAfter, 500));
        self.process.call(Self::call("fence", attempt, before, after), work).await
    }

    async fn columns(&self, _: &Destination) -> Result<Vec<Column>, Fault> {
        Ok(Vec::new())
    }

    async fn publish_view(&self, _: &Destination, _: &TypedView) -> Result<(), Fault> {
        Ok(())
    }
}
