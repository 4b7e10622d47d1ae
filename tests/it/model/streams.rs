//! Rows that go by streams.

use std::sync::Arc;

use landbridge::domain::batch::Attempt;
use landbridge::domain::delivery::{Delivery, Event as Heard};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::FileId;
use landbridge::domain::job::{JobStatus, Submission};

use super::mistakes::Mistake;
use super::outside::Append;
use super::world::{How, World};

fn manifest(delivery: &Delivery) -> Vec<(FileId, u64)> {
    delivery.batch().manifest.entries.iter().map(|entry| (entry.file.clone(), entry.rows)).collect()
}

impl World {
    /// All rows are sent in two pieces: the first row, and the others.
    pub fn append(&mut self, delivery: &Delivery, attempt: &Attempt, how: How) -> Heard {
        let name = attempt.stream.as_ref().unwrap();
        let all = delivery.batch().manifest.rows();
        self.warehouse.streams.get_mut(name).unwrap().job = attempt.job_id.clone();
        let unknown = Heard::SubmitFailed { kind: FaultKind::Unavailable, reason: "no answer".to_owned() };
        match how {
            How::Refused(kind) => Heard::SubmitFailed { kind, reason: "as the warehouse says".to_owned() },
            How::NotDone => unknown,
            How::Late => {
                self.warehouse.late_rows.insert((Arc::clone(name), all));
                unknown
            }
            How::Part => {
                self.warehouse.append(name, 0, 1);
                if self.mistake != Some(Mistake::ExistsIsSuccess) {
                    return unknown;
                }
                // What was not answered is sent again, in one piece.
                match self.warehouse.append(name, 0, all) {
                    Append::Appended | Append::AlreadyExists => Heard::Submitted(Submission::Accepted),
                    Append::OutOfRange | Append::Sealed => unknown,
                }
            }
            How::Usual | How::Lost => {
                let pieces = [(0, 1), (1, all - 1)].map(|(at, rows)| self.warehouse.append(name, at, rows));
                let whole = pieces == [Append::Appended; 2] && how == How::Usual;
                if whole { Heard::Submitted(Submission::Accepted) } else { unknown }
            }
        }
    }

    pub fn seal(&mut self, p: usize, delivery: &Delivery, attempt: &Attempt, how: How) -> Heard {
        let mut others = self.processes.iter().enumerate().filter(|(other, _)| *other != p);
        self.sealed_of_another |=
            others.any(|(_, other)| other.iter().any(|other| other.batches().contains(&delivery.batch().id)));
        let name = attempt.stream.as_ref().unwrap();
        let stream = self.warehouse.streams.get_mut(name).unwrap();
        stream.job = attempt.job_id.clone();
        if how == How::NotDone {
            return Heard::AskFailed;
        }
        stream.sealed |= self.mistake != Some(Mistake::CountedUnsealed);
        let rows = match self.mistake {
            Some(Mistake::ExistsIsSuccess) => delivery.batch().manifest.rows(),
            _ => stream.rows,
        };
        if how == How::Usual { Heard::Status(JobStatus::Sealed { rows }) } else { Heard::AskFailed }
    }

    pub fn commit_stream(&mut self, delivery: &Delivery, attempt: &Attempt, how: How) -> Heard {
        let name = attempt.stream.as_ref().unwrap();
        if how == How::NotDone {
            return Heard::AskFailed;
        }
        // Who does not seal when it counts, does so now.
        self.warehouse.streams.get_mut(name).unwrap().sealed = true;
        self.warehouse.commit_stream(name, &attempt.job_id, &attempt.batch, &manifest(delivery));
        if how == How::Usual { Heard::Status(JobStatus::Committed) } else { Heard::AskFailed }
    }
}
