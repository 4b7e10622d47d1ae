//! Which jobs were counted: of one and the same, the ledger, the delivery that submitted it and the warehouse's own list may all tell.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::DAY;
use crate::domain::ids::{AttemptNumber, BatchId, TableId};
use crate::domain::instant::Instant;

/// The letters of a batch's id at the end of a job's (`Batch::job_id`).
const BATCH_LETTERS: usize = 32;

/// A job, whoever tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobKey(u128);

impl JobKey {
    /// Of an attempt in the ledger, whatever it was called.
    pub fn of_attempt(batch: &BatchId, number: AttemptNumber) -> Self {
        Self::of_text(&format!("{batch}_{number}"))
    }

    /// Of a job of the project. One that is an attempt has the attempt's key.
    pub fn of_job(id: &str) -> Self {
        Self::of_text(attempt_in(id).unwrap_or(id))
    }

    fn of_text(text: &str) -> Self {
        let digits = Sha256::digest(text.as_bytes());
        Self(digits.iter().take(16).fold(0, |key, byte| (key << 8) | u128::from(*byte)))
    }
}

/// `BATCH_NUMBER`, where the id ends as those of attempts do.
fn attempt_in(id: &str) -> Option<&str> {
    let (rest, number) = id.strip_prefix("lb_").and_then(|rest| rest.rsplit_once('_'))?;
    let (_, batch) = rest.rsplit_once('_')?;
    let is_hex = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    let is_attempt = batch.len() == BATCH_LETTERS
        && batch.bytes().all(is_hex)
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit());
    let at = id.len().checked_sub(batch.len() + 1 + number.len())?;
    is_attempt.then(|| id.get(at..)).flatten()
}

/// A load job that the warehouse's list has, of whoever submitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedJob {
    /// Which.
    pub key: JobKey,
    /// When it was made.
    pub at: Instant,
    /// The table into which it loads, where that is one of the mapping's.
    pub table: Option<TableId>,
}

/// The jobs that were counted, for as long as anybody tells of them.
#[derive(Clone, Debug, Default)]
pub struct Counted(BTreeMap<JobKey, Instant>);

impl Counted {
    /// True of a job that is told for the first time.
    pub fn is_new(&mut self, job: JobKey, now: Instant) -> bool {
        self.0.insert(job, now).is_none()
    }

    /// Forgets what nobody tells of any more: the ledger and the list are asked for a day. What is told is remembered anew.
    pub fn forget(&mut self, now: Instant) {
        let kept = now.minus(DAY + DAY / 24);
        self.0.retain(|_, told| *told >= kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::{Batch, Destination, Manifest};

    #[test]
    fn an_attempt_is_one_job_whoever_tells_of_it() {
        let destination = Destination { dataset: "d".into(), table: "t_1".into(), ..Destination::default() };
        let nothing = Manifest { entries: Vec::new() };
        let table = TableId::new("c", "s", "t");
        let batch = Batch::plan(table, destination, Instant::from_micros(7), None, nothing);
        for number in [1, 12].map(AttemptNumber) {
            let listed = JobKey::of_job(batch.job_id(number).as_str());
            assert_eq!(listed, JobKey::of_attempt(&batch.id, number));
        }
        let (first, second) = (batch.job_id(AttemptNumber(1)), batch.job_id(AttemptNumber(2)));
        assert_ne!(JobKey::of_job(first.as_str()), JobKey::of_job(second.as_str()));
        for other in [format!("{first}_probe"), format!("x{first}"), "lb_d_1".to_owned(), "lb__1".to_owned()]
        {
            assert_eq!(JobKey::of_job(&other), JobKey::of_text(&other), "{other}");
        }
    }

    #[test]
    fn what_is_told_again_is_one_job_for_a_day() {
        let (mut counted, job) = (Counted::default(), JobKey::of_job("a"));
        let at = |hours: u64| Instant::from_micros(0).plus(DAY / 24 * u32::try_from(hours).unwrap());
        assert!(counted.is_new(job, at(0)) && !counted.is_new(job, at(20)));
        counted.forget(at(40));
        assert!(!counted.is_new(job, at(40)));
        counted.forget(at(66));
        assert!(counted.is_new(job, at(66)));
    }
}
