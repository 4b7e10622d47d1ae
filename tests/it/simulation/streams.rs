//! The simulated warehouse's streams: rows at offsets, sealed, then committed, and what goes wrong with them.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use landbridge::domain::batch::{Attempt, Destination};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::job::{JobStatus, Submission};

use super::books::{Books, Job, Row, Stream, Work};
use super::kinds::Kind;
use super::process::{Call, Edge};
use super::warehouse::{WarehousePort, is_marked};

impl WarehousePort {
    /// Rows that nobody waits for arrive; a sealed stream, and one that has rows at their offset, takes none.
    pub(super) fn land_rows(&self, books: &mut MutexGuard<'_, Books>) {
        let now = self.now();
        let all = std::mem::take(&mut books.late_rows);
        let (due, later) = all.into_iter().partition(|(at, ..)| *at <= now);
        books.late_rows = later;
        let due: Vec<_> = due;
        for (_, name, rows) in due {
            let stream = books.streams.get_mut(&name).unwrap();
            if stream.sealed || !stream.rows.is_empty() {
                self.process.chance.count(Kind::StreamTooLate);
            } else {
                stream.rows = rows;
            }
        }
    }

    pub(super) async fn make_stream(&self, destination: &Destination) -> Result<Option<Arc<str>>, Fault> {
        let work = async {
            let mut books = self.books();
            let name: Arc<str> = format!("{}/streams/{}", destination.table, books.streams.len()).into();
            books.streams.insert(Arc::clone(&name), Stream::default());
            Ok(Some(name))
        };
        let (before, after) = ((Kind::SubmitUnavailable, 50), (Kind::SubmitAnswerLost, 100));
        let about = destination.table.to_string();
        self.process
            .call(Call { edge: Edge::Warehouse, name: "open stream", about, before, after }, work)
            .await
    }

    pub(super) async fn append(
        &self,
        attempt: &Attempt,
        stream: &Arc<str>,
        rows: Vec<Row>,
    ) -> Result<Submission, Fault> {
        let chance = &self.process.chance;
        let no_answer = || Fault::new(FaultKind::Unavailable, format!("{}: no answer", attempt.job_id));
        let work = async {
            self.check_id(attempt, &rows);
            if is_marked(&rows) {
                chance.count(Kind::StreamRefused);
                let text = format!("{}: a value is marked", attempt.job_id);
                return Err(Fault::new(FaultKind::ContentRefused, text));
            }
            let mut rows = rows;
            if chance.draws(Kind::StreamLate, 250) {
                chance.count(Kind::StreamLate);
                let after = chance.duration(Duration::from_millis(10), Duration::from_secs(600));
                let at = self.now().plus(after);
                self.books().late_rows.push((at, Arc::clone(stream), rows));
                return Err(no_answer());
            }
            let cut = chance.draws(Kind::StreamCut, 250);
            if cut {
                chance.count(Kind::StreamCut);
                let kept = chance.index(rows.len().max(1));
                rows.truncate(kept);
            }
            let mut books = self.books();
            let held = books.streams.get_mut(stream).unwrap();
            if held.sealed || !held.rows.is_empty() {
                // The rows are there already, or cannot be.
                return Err(no_answer());
            }
            held.rows = rows;
            if cut { Err(no_answer()) } else { Ok(Submission::Accepted) }
        };
        let before = (Kind::SubmitUnavailable, 50);
        self.process.call(Self::call("append", attempt, before, (Kind::SubmitAnswerLost, 250)), work).await
    }

    pub(super) async fn seal(&self, attempt: &Attempt, stream: &Arc<str>) -> Result<JobStatus, Fault> {
        let work = async {
            let mut books = self.books();
            let held = books.streams.get_mut(stream).unwrap();
            held.sealed = true;
            Ok(JobStatus::Sealed { rows: held.rows.len() as u64 })
        };
        let (before, after) = ((Kind::AskFailed, 150), (Kind::AskFailed, 80));
        self.process.call(Self::call("seal", attempt, before, after), work).await
    }

    pub(super) async fn commit(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        let name = attempt.stream.as_ref().unwrap();
        let work = async {
            let now = self.now();
            let mut books = self.books();
            let stream = books.streams.get_mut(name).unwrap();
            assert!(stream.sealed, "{name} is committed and was not sealed");
            if !std::mem::replace(&mut stream.committed, true) {
                let job = Job {
                    label: Some(attempt.batch.clone()),
                    destination: attempt.destination.clone(),
                    work: Work::Load(stream.rows.clone()),
                    found_at: now,
                    ends_at: now,
                    failure: None,
                };
                books.add(attempt.job_id.as_str().into(), job, &self.breaches);
            }
            Ok(JobStatus::Committed)
        };
        let (before, after) = ((Kind::AskFailed, 150), (Kind::StreamCommitLost, 300));
        self.process.call(Self::call("commit stream", attempt, before, after), work).await
    }
}
