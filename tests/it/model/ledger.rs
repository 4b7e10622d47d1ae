//! The ledger of the model: maps that change by the rules that every ledger goes by.

use std::collections::BTreeMap;

use landbridge::domain::batch::{Attempt, Batch};
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, BatchId, JobId};
use landbridge::domain::transition::rules::{self, Claiming, Ruling};
use landbridge::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Claim, Home, Step, Verdict};

use super::{LONG_AGO, NOW};

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    In(BatchId),
    Own(FileState),
}

/// A batch, with the mark of its re-homing and all its attempts: their job ids, and whether each is known to have failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub record: BatchRecord,
    mark: Option<String>,
    pub attempts: Vec<(JobId, bool)>,
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    files: BTreeMap<FileId, Place>,
    pub batches: BTreeMap<BatchId, Row>,
    /// The one table waits for a person.
    pub table_held: bool,
}

impl Ledger {
    pub fn state(&self, file: &FileId) -> Option<FileState> {
        match self.files.get(file)? {
            Place::Own(state) => Some(state.clone()),
            Place::In(batch) => self.batches.get(batch)?.record.state.of_file(batch.clone()),
        }
    }

    /// Every file that is known, with its state; none for one whose batch does not have it.
    pub fn states(&self) -> impl Iterator<Item = (&FileId, Option<FileState>)> {
        self.files.keys().map(|file| (file, self.state(file)))
    }

    fn record(&self, batch: &BatchId) -> Option<&BatchRecord> {
        self.batches.get(batch).map(|row| &row.record)
    }

    pub fn claim(&mut self, batch: &Batch, attempt: Option<&Attempt>) -> Claim {
        let states: Vec<_> = batch.manifest.entries.iter().map(|entry| self.state(&entry.file)).collect();
        match rules::claim(batch, attempt, self.record(&batch.id), &states).unwrap() {
            Claiming::Already => Claim::Won,
            Claiming::Lost(taken) => Claim::Lost(taken),
            Claiming::Write => {
                self.insert(batch, attempt);
                Claim::Won
            }
        }
    }

    fn insert(&mut self, batch: &Batch, attempt: Option<&Attempt>) {
        for entry in &batch.manifest.entries {
            self.files.insert(entry.file.clone(), Place::In(batch.id.clone()));
        }
        let last_attempt = attempt.cloned().map(|attempt| (attempt, AttemptOutcome::Open));
        let attempts = attempt.map(|attempt| (attempt.job_id.clone(), false)).into_iter().collect();
        let state = BatchState::Open;
        let record = BatchRecord { batch: batch.clone(), state, last_attempt, since: LONG_AGO };
        self.batches.insert(batch.id.clone(), Row { record, mark: None, attempts });
    }

    pub fn fail_attempt(
        &mut self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
    ) -> Step {
        let ruling = rules::fail_attempt(self.record(batch), failed, next);
        let step = ruling.step();
        if let (Ruling::Write(failing), Some(row)) = (ruling, self.batches.get_mut(batch)) {
            if failing.failed.is_some() {
                let last = row.record.last_attempt.as_mut().unwrap();
                last.1 = AttemptOutcome::Failed(reason.to_owned());
                row.attempts.last_mut().unwrap().1 = true;
            }
            if let Some(next) = failing.next {
                row.record.last_attempt = Some((next.clone(), AttemptOutcome::Open));
                row.attempts.push((next.job_id.clone(), false));
            }
        }
        step
    }

    pub fn commit(&mut self, batch: &BatchId) -> Step {
        let ruling = rules::commit(self.record(batch));
        let step = ruling.step();
        if let (Ruling::Write(committing), Some(row)) = (ruling, self.batches.get_mut(batch)) {
            row.record.state = BatchState::Loaded;
            if let (Some(_), Some(last)) = (committing.succeeded, &mut row.record.last_attempt) {
                last.1 = AttemptOutcome::Succeeded;
            }
        }
        step
    }

    pub fn hold(&mut self, batch: &BatchId, held: bool) -> Step {
        let ruling = rules::hold(self.record(batch), held);
        let step = ruling.step();
        if let (Ruling::Write(state), Some(row)) = (ruling, self.batches.get_mut(batch)) {
            row.record.state = state;
        }
        step
    }

    pub fn rehome(&mut self, batch: &BatchId, homes: &[Home]) -> Step {
        let mark = self.batches.get(batch).and_then(|row| row.mark.clone());
        let ruling = rules::rehome(self.record(batch), mark.as_deref(), homes).unwrap();
        let step = ruling.step();
        if let Ruling::Write(rehoming) = ruling {
            for home in homes {
                let (file, state) = match home {
                    Home::Batch { batch, attempt } => {
                        self.insert(batch, attempt.as_ref());
                        continue;
                    }
                    Home::Poison(file, reason) => (file, FileState::Poison { reason: reason.clone() }),
                    Home::Vanished(file) => (file, FileState::Vanished { at: NOW }),
                    Home::Deferred(file) => (file, FileState::Deferred { since: NOW }),
                };
                self.files.insert(file.clone(), Place::Own(state));
            }
            let row = self.batches.get_mut(batch).unwrap();
            (row.record.state, row.mark) = (BatchState::Abandoned, Some(rehoming.mark));
        }
        step
    }

    pub fn settle(&mut self, file: &FileId, verdict: &Verdict) -> FileState {
        let known = self.state(file);
        match rules::settle(known.as_ref(), verdict, NOW) {
            Some(state) => {
                self.files.insert(file.clone(), Place::Own(state.clone()));
                state
            }
            None => known.unwrap(),
        }
    }

    pub fn deferred(&self) -> Vec<FileId> {
        let deferred = self.states().filter(|(_, state)| matches!(state, Some(FileState::Deferred { .. })));
        deferred.map(|(file, _)| file.clone()).collect()
    }

    /// Open and held batches.
    pub fn open(&self) -> Vec<BatchRecord> {
        let records = self.batches.values().map(|row| &row.record);
        records.filter(|one| matches!(one.state, BatchState::Open | BatchState::Held)).cloned().collect()
    }
}
