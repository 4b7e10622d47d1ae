//! The state of the model, and what may happen in it.

use std::fmt;
use std::sync::Arc;

use landbridge::domain::batch::Attempt;
use landbridge::domain::delivery::{Action, Delivery, Event as Heard};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::FileId;
use landbridge::domain::ids::{BatchId, JobId};
use landbridge::domain::intake;
use landbridge::domain::job::{FenceAnswer, JobStatus, Submission};
use landbridge::domain::transition::Step;

use super::ledger::Ledger;
use super::mistakes::Mistake;
use super::outside::{Bucket, Job, Message, Upload, Warehouse};
use super::process::{InFlight, Process};
use super::scenarios::{Faults, Scenario};
use super::{DEFERRED_BY, LATER, NOW};

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub scenario: &'static Scenario,
    pub mistake: Option<Mistake>,
    pub ledger: Ledger,
    pub warehouse: Warehouse,
    pub bucket: Bucket,
    pub queue: Vec<Message>,
    pub processes: [Option<Process>; 2],
    /// What may still go wrong.
    pub left: Faults,
    /// Processes started so far.
    pub lives: usize,
    /// A message was given up before all its files were final.
    pub given_up_early: bool,
    /// A process has sealed the stream of a batch that another one delivers, which lives.
    pub sealed_of_another: bool,
    /// Submissions under fresh ids, and the last of each batch (for a mistake).
    pub fresh: Vec<(JobId, JobId)>,
    /// Commits that were answered and are not done (for a mistake).
    pub owed: Vec<BatchId>,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?} {:?}", self.scenario.name, self.ledger.batches, self.warehouse)
    }
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Done and answered.
    Usual,
    /// Done, and the answer is lost.
    Lost,
    /// Not done, and no answer.
    NotDone,
    /// No answer, and perhaps done later: an upload that is still on its way.
    Late,
    /// No answer, and the first piece alone was done.
    Part,
    /// Refused, with this kind.
    Refused(FaultKind),
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    Receive(usize, usize),
    CloseWindow(usize),
    Deliver(usize, usize, How),
    AskToDelete(usize),
    Delete(usize, How),
    TryAgain(usize),
    TakeUp(usize),
    TakeOver(usize),
    DeferParked(usize),
    MarkBatches(usize, bool),
    Start(usize),
    JobEnds(JobId, Job),
    // From here on, what goes wrong.
    Crash(usize),
    Land(Upload),
    /// Rows that nobody waits for arrive at a stream.
    LandRows(Arc<str>, u64),
    Foreign(JobId),
    Expire(usize),
    Vanish(Arc<str>),
    Overwrite(Arc<str>),
    Resume(usize),
    CommitOwed,
}

impl World {
    pub fn new(scenario: &'static Scenario, mistake: Option<Mistake>) -> Self {
        let mut world = Self {
            scenario,
            mistake,
            ledger: Ledger::default(),
            warehouse: Warehouse::default(),
            bucket: scenario.bucket(),
            queue: scenario.queue(),
            processes: [None, None],
            left: scenario.faults,
            lives: 0,
            given_up_early: false,
            sealed_of_another: false,
            fresh: Vec::new(),
            owed: Vec::new(),
        };
        (0..scenario.processes).for_each(|p| world.start(p));
        world
    }

    /// The world without what the intakes hold.
    pub fn beside_intake(&self) -> Self {
        let mut world = self.clone();
        world.processes.iter_mut().flatten().for_each(Process::forget_intake);
        world
    }

    /// The world after a move.
    pub fn after(&self, one: &Move) -> Self {
        let mut next = self.clone();
        next.make(one.clone());
        next
    }

    fn make(&mut self, one: Move) {
        match one {
            Move::Receive(p, message) => self.receive(p, message),
            Move::CloseWindow(p) => self.close_window(p),
            Move::Deliver(p, d, how) => self.deliver(p, d, how),
            Move::AskToDelete(p) => self.step_intake(p, LATER, intake::Event::Tick, None),
            Move::Delete(p, how) => self.delete(p, how),
            Move::TryAgain(p) => self.try_again(p),
            Move::TakeUp(p) => self.take_up_deferred(p),
            Move::TakeOver(p) => self.take_over(p),
            Move::DeferParked(p) => self.step_intake(p, DEFERRED_BY, intake::Event::Tick, None),
            Move::MarkBatches(p, hold) => self.mark_batches(p, hold),
            Move::Start(p) => {
                self.lives += 1;
                self.start(p);
            }
            Move::JobEnds(id, end) => {
                let (upload, job) = self.warehouse.jobs.get_mut(&id).unwrap();
                let refused = upload.rows.iter().any(|(file, _)| self.scenario.is_refused(file));
                self.left.job_failures -= u8::from(end != Job::Succeeded && !refused);
                *job = end;
            }
            Move::Crash(p) => self.crash(p),
            Move::Land(upload) => {
                self.warehouse.late.remove(&upload);
                self.warehouse.land(upload);
            }
            Move::LandRows(name, rows) => {
                self.warehouse.late_rows.remove(&(Arc::clone(&name), rows));
                self.warehouse.append(&name, 0, rows);
            }
            Move::Foreign(id) => {
                self.left.foreign -= 1;
                let foreign = Upload { job: id.clone(), label: None, rows: Vec::new() };
                self.warehouse.jobs.insert(id, (foreign, Job::Succeeded));
            }
            Move::Expire(message) => {
                self.left.redeliveries -= 1;
                self.queue[message].visible = true;
            }
            Move::Vanish(key) => {
                self.left.vanishing -= 1;
                self.bucket.remove(&key);
            }
            Move::Overwrite(key) => self.overwrite(&key),
            Move::Resume(p) => {
                self.left.resumes -= 1;
                self.resume_table(p);
            }
            Move::CommitOwed => {
                let batch = self.owed.remove(0);
                self.ledger.commit(&batch);
            }
        }
    }

    /// All that the process knew is gone; what it had received comes again.
    fn crash(&mut self, p: usize) {
        self.left.crashes -= 1;
        self.processes[p] = None;
        self.owed.clear();
        for message in self.queue.iter_mut().filter(|message| !message.deleted) {
            message.visible = true;
        }
    }

    /// Another version takes the key, and is announced.
    fn overwrite(&mut self, key: &Arc<str>) {
        self.left.overwriting -= 1;
        let old = self.bucket[key].clone();
        let new = FileId { etag: format!("{}'", old.etag).into(), ..old };
        self.bucket.insert(Arc::clone(key), new.clone());
        self.queue.push(Message { files: vec![new], visible: true, deleted: false });
    }

    fn delete(&mut self, p: usize, how: How) {
        self.left.lost -= u8::from(how != How::Usual);
        let numbers = std::mem::take(&mut self.process(p).to_delete);
        if how != How::NotDone {
            for number in &numbers {
                let message = self.process(p).message(*number);
                (self.queue[message].deleted, self.queue[message].visible) = (true, false);
            }
        }
        let event = match how {
            How::Usual => intake::Event::Deleted(numbers),
            How::Lost | How::NotDone | How::Late | How::Part | How::Refused(_) => {
                intake::Event::DeleteFailed(numbers)
            }
        };
        self.step_intake(p, NOW, event, None);
    }

    /// Delivery `d` does what is next, and it goes so.
    fn deliver(&mut self, p: usize, d: usize, how: How) {
        match how {
            How::Usual => {}
            How::Lost | How::NotDone | How::Late | How::Part => self.left.lost -= 1,
            How::Refused(_) => self.left.refusals -= 1,
        }
        let InFlight { delivery, action, .. } = self.process(p).deliveries[d].clone();
        let heard = match action {
            Action::Build { by_stream } => self.build(p, &delivery, by_stream),
            Action::Submit(attempt) if attempt.stream.is_some() => self.append(&delivery, &attempt, how),
            Action::Ask(attempt) if attempt.stream.is_some() => self.seal(p, &delivery, &attempt, how),
            Action::CommitStream(attempt) => self.commit_stream(&delivery, &attempt, how),
            Action::Submit(attempt) => self.submit(&delivery, &attempt, how),
            Action::Ask(attempt) if how == How::Usual => Heard::Status(self.ask(&attempt)),
            Action::Ask(_) => Heard::AskFailed,
            Action::Fence(attempt) => self.fence(&attempt, how),
            // The table takes what else there is.
            Action::Probe => Heard::Probed(Ok(())),
            Action::Claim(_)
            | Action::FailAttempt { .. }
            | Action::Rehome(_)
            | Action::Commit
            | Action::Hold => self.ledger_step(&delivery, action, how),
            Action::End(_) => unreachable!("an end is concluded at once"),
        };
        self.hear(p, d, heard);
    }

    fn fence(&mut self, attempt: &Attempt, how: How) -> Heard {
        if self.mistake == Some(Mistake::AbandonedUnfenced) {
            return Heard::Fence(FenceAnswer::Accepted);
        }
        let taken = how != How::NotDone && self.warehouse.fence(&self.id_of(&attempt.job_id));
        match how {
            How::Usual if taken => Heard::Fence(FenceAnswer::Accepted),
            How::Usual => Heard::Fence(FenceAnswer::Duplicate),
            How::Lost | How::NotDone | How::Late | How::Part | How::Refused(_) => Heard::FenceFailed,
        }
    }

    fn ask(&self, attempt: &Attempt) -> JobStatus {
        let status = self.warehouse.status(&self.id_of(&attempt.job_id));
        match (self.mistake, status) {
            (Some(Mistake::NextAttemptOnNotFound), JobStatus::NotFound) => {
                JobStatus::Failed { kind: FaultKind::Unavailable, reason: "not found".to_owned() }
            }
            (Some(Mistake::ShortRebuild), JobStatus::Succeeded { batch, destination_matches, .. }) => {
                let row = self.ledger.batches.get(&attempt.batch).unwrap();
                JobStatus::Succeeded { rows: row.record.batch.manifest.rows(), batch, destination_matches }
            }
            (Some(Mistake::AdoptedUnlabelled), JobStatus::Succeeded { .. }) => {
                let row = self.ledger.batches.get(&attempt.batch).unwrap();
                let rows = row.record.batch.manifest.rows();
                JobStatus::Succeeded { rows, batch: Some(attempt.batch.clone()), destination_matches: true }
            }
            (_, status) => status,
        }
    }

    /// The id under which the warehouse knows a job: its own, unless every submission has a fresh one.
    pub fn id_of(&self, id: &JobId) -> JobId {
        let fresh = self.fresh.iter().rev().find(|(own, _)| own == id);
        fresh.map_or_else(|| id.clone(), |(_, fresh)| fresh.clone())
    }

    fn submit(&mut self, delivery: &Delivery, attempt: &Attempt, how: How) -> Heard {
        if let How::Refused(kind) = how {
            return Heard::SubmitFailed { kind, reason: "as the warehouse says".to_owned() };
        }
        let mut rows: Vec<_> =
            delivery.batch().manifest.entries.iter().map(|entry| (entry.file.clone(), entry.rows)).collect();
        let mut job = attempt.job_id.clone();
        if self.mistake == Some(Mistake::FreshIds) {
            job = JobId::from_stored(format!("{job}_{}", self.fresh.len()));
            self.fresh.push((attempt.job_id.clone(), job.clone()));
        }
        if self.mistake == Some(Mistake::ShortRebuild) {
            let again = self.fresh.iter().any(|(own, _)| *own == attempt.job_id);
            self.fresh.push((attempt.job_id.clone(), job.clone()));
            if let (true, Some(last)) = (again, rows.last_mut()) {
                last.1 -= 1;
            }
        }
        let upload = Upload { job, label: Some(attempt.batch.clone()), rows };
        let accepted = match how {
            How::Usual | How::Lost => self.warehouse.land(upload),
            How::Late => self.warehouse.late.insert(upload),
            How::NotDone | How::Part | How::Refused(_) => false,
        };
        match how {
            How::Usual if accepted => Heard::Submitted(Submission::Accepted),
            How::Usual => Heard::Submitted(Submission::Duplicate),
            How::Lost | How::NotDone | How::Late | How::Part | How::Refused(_) => {
                Heard::SubmitFailed { kind: FaultKind::Unavailable, reason: "no answer".to_owned() }
            }
        }
    }

    /// A body can be built while every object of it is there.
    fn build(&mut self, p: usize, delivery: &Delivery, by_stream: bool) -> Heard {
        let entries = &delivery.batch().manifest.entries;
        let gone = entries.iter().find(|entry| self.bucket.get(&entry.file.key) != Some(&entry.file));
        if let Some(entry) = gone {
            let (file, kind) = (Some(entry.file.clone()), FaultKind::Vanished);
            return Heard::Unbuilt { file, kind, reason: "gone".to_owned() };
        }
        let stream = (by_stream && self.scenario.streamed).then(|| self.warehouse.open_stream());
        Heard::Built { plan_hash: self.plan_hash(p), commits: None, stream }
    }

    fn ledger_step(&mut self, delivery: &Delivery, action: Action, how: How) -> Heard {
        let silent = Heard::LedgerFailed("no answer".to_owned());
        if how == How::NotDone {
            return silent;
        }
        let id = &delivery.batch().id;
        let heard = match action {
            Action::Claim(attempt) => Heard::Claim(self.ledger.claim(delivery.batch(), attempt.as_ref())),
            Action::FailAttempt { failed, reason, next } => {
                Heard::Step(self.ledger.fail_attempt(id, failed, &reason, next.as_ref()))
            }
            Action::Rehome(homes) => Heard::Step(self.ledger.rehome(id, &homes)),
            Action::Commit if self.mistake == Some(Mistake::DeleteBeforeCommit) => {
                self.owed.push(id.clone());
                Heard::Step(Step::Done)
            }
            Action::Commit => Heard::Step(self.ledger.commit(id)),
            Action::Hold => Heard::Step(self.ledger.hold(id, true)),
            Action::Build { .. }
            | Action::CommitStream(_)
            | Action::Submit(_)
            | Action::Ask(_)
            | Action::Fence(_)
            | Action::Probe
            | Action::End(_) => {
                unreachable!("not the ledger's")
            }
        };
        if how == How::Usual { heard } else { silent }
    }
}
