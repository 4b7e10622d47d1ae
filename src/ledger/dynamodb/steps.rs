//! Steps on batches: what is read is judged by the rules, and what they say is written while it still holds.

use std::collections::BTreeMap;

use super::batches::{
    ABANDONED, FAILED, HELD, StoredBatch, UNKNOWN, attempt_key, batch_key, new_batch, next_attempt, open_key,
    stored_state,
};
use super::files::{Counts, DEFERRED, IN_BATCH, Known, Loose, POISON, StoredFile, VANISHED, into_batch};
use super::item::{Item, item, number, put, text};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, READS_MAX, StepError};
use crate::domain::batch::{Attempt, Batch};
use crate::domain::file::FileId;
use crate::domain::ids::{AttemptNumber, BatchId};
use crate::domain::instant::Instant;
use crate::domain::summary::EventSpan;
use crate::domain::transition::rules::{self, Claiming, Ruling};
use crate::domain::transition::{Claim, Home, Step};
use crate::domain::watermark::{blocks_from, handed_down};

/// The batch is open or held, and nobody has made another attempt.
const UNDECIDED: &str = "b_state <= :held AND b_attempts = :last";

fn undecided(last: u32) -> Item {
    item([(":held", number(HELD)), (":last", number(last))])
}

impl DynamoDbLedger {
    /// The first try takes it that the ledger knows none of the files, and reads nothing: its conditions say so.
    pub(super) async fn claim_batch(
        &self,
        batch: &Batch,
        attempt: Option<&Attempt>,
        now: Instant,
    ) -> Result<Claim, StepError> {
        let files: Vec<_> = batch.manifest.entries.iter().map(|entry| entry.file.clone()).collect();
        let unknown: Vec<Known> = vec![None; files.len()];
        rules::claim(batch, attempt, None, &vec![None; files.len()])?;
        if self.write_claim(batch, attempt, &unknown, now).await? == Sent::Done {
            return Ok(Claim::Won);
        }
        for _ in 0..READS_MAX {
            let stored = self.stored_batch("claim", &batch.id).await?;
            let known = self.known_files(&files).await?;
            let states: Vec<_> =
                known.iter().map(|known| known.as_ref().map(|(_, state)| state.clone())).collect();
            match rules::claim(batch, attempt, stored.as_ref().map(|stored| &stored.record), &states)? {
                Claiming::Already => return Ok(Claim::Won),
                Claiming::Lost(taken) => return Ok(Claim::Lost(taken)),
                Claiming::Write => {
                    if self.write_claim(batch, attempt, &known, now).await? == Sent::Done {
                        return Ok(Claim::Won);
                    }
                }
            }
        }
        Err(self.contended("claim"))
    }

    async fn write_claim(
        &self,
        batch: &Batch,
        attempt: Option<&Attempt>,
        known: &[Known],
        now: Instant,
    ) -> Result<Sent, StepError> {
        let (mut changes, mut counts, mut events) = (Vec::new(), Counts::default(), batch.events);
        let mut deferred = BTreeMap::new();
        for (entry, known) in batch.manifest.entries.iter().zip(known) {
            let was = known.as_ref().map(|(was, _)| was);
            // Its message is gone: the ledger alone knows how old its event is.
            if let Some(at) = was.and_then(StoredFile::deferred_event) {
                events = Some(EventSpan::widened(events, at));
                deferred.insert(&entry.file, was.and_then(|was| was.event_at));
            }
            changes.push(into_batch(&entry.file, &batch.id, was));
            counts.moved(&batch.table, was.map(|was| was.home), IN_BATCH);
        }
        let from = blocks_from(batch, |file| deferred.get(file).copied());
        let batch = Batch { events, ..batch.clone() };
        changes.extend(new_batch(&batch, attempt, from, now)?);
        changes.extend(counts.changes()?);
        let sent = self.send("claim", &changes).await?;
        if sent == Sent::Done {
            self.remember(&batch, attempt.map_or(0, |attempt| attempt.number.0));
        }
        Ok(sent)
    }

    pub(super) async fn fail(
        &self,
        batch: &BatchId,
        failed: AttemptNumber,
        reason: &str,
        next: Option<&Attempt>,
        now: Instant,
    ) -> Result<Step, StepError> {
        for _ in 0..READS_MAX {
            let stored = self.stored_batch("fail_attempt", batch).await?;
            let ruling = rules::fail_attempt(stored.as_ref().map(|stored| &stored.record), failed, next);
            let (Some(stored), Ruling::Write(failing)) = (&stored, &ruling) else { return Ok(ruling.step()) };
            let failed_now = failing.failed.map(|_| reason);
            let changes = failing_changes(stored, failed_now, failing.next, now)?;
            if self.send("fail_attempt", &changes).await? == Sent::Done {
                self.remember(&stored.record.batch, failing.next.map_or(stored.last(), |next| next.number.0));
                return Ok(ruling.step());
            }
        }
        Err(self.contended("fail_attempt"))
    }

    pub(super) async fn hold_batch(
        &self,
        batch: &BatchId,
        held: bool,
        now: Instant,
    ) -> Result<Step, StepError> {
        for _ in 0..READS_MAX {
            let stored = self.stored_batch("hold", batch).await?;
            let ruling = rules::hold(stored.as_ref().map(|stored| &stored.record), held);
            let (Some(stored), Ruling::Write(state)) = (&stored, &ruling) else { return Ok(ruling.step()) };
            let values = item([
                (":state", number(stored_state(*state))),
                (":was", number(stored_state(stored.record.state))),
                (":now", number(now.micros())),
            ]);
            let change =
                Change::update(batch_key(batch), "SET b_state = :state, b_updated = :now", Item::new())
                    .when("b_state = :was", values);
            if self.send("hold", &[change]).await? == Sent::Done {
                return Ok(ruling.step());
            }
        }
        Err(self.contended("hold"))
    }

    pub(super) async fn rehome_batch(
        &self,
        batch: &BatchId,
        homes: &[Home],
        now: Instant,
    ) -> Result<Step, StepError> {
        for _ in 0..READS_MAX {
            let stored = self.stored_batch("rehome", batch).await?;
            let mark = stored.as_ref().and_then(|stored| stored.mark.as_deref());
            let ruling = rules::rehome(stored.as_ref().map(|stored| &stored.record), mark, homes)?;
            let (Some(stored), Ruling::Write(rehoming)) = (&stored, &ruling) else {
                return Ok(ruling.step());
            };
            let parent = &stored.record.batch;
            let (mut changes, mut counts) = (Vec::new(), Counts::default());
            for home in homes {
                move_in(&mut changes, &mut counts, parent, home, now)?;
            }
            let values = item([
                (":state", number(ABANDONED)),
                (":mark", text(&*rehoming.mark)),
                (":now", number(now.micros())),
            ]);
            let expression = "SET b_state = :state, b_homes = :mark, b_updated = :now";
            changes.push(
                Change::update(batch_key(batch), expression, values)
                    .when(UNDECIDED, undecided(stored.last())),
            );
            changes.push(Change::delete(open_key(batch, parent.claimed_at)));
            changes.extend(counts.changes()?);
            if self.send("rehome", &changes).await? == Sent::Done {
                self.forget(batch);
                return Ok(ruling.step());
            }
        }
        Err(self.contended("rehome"))
    }
}

/// The last attempt is failed from now on, for the reason, where it was open; and the next one is written.
fn failing_changes(
    stored: &StoredBatch,
    reason: Option<&str>,
    next: Option<&Attempt>,
    now: Instant,
) -> Result<Vec<Change>, StepError> {
    let (batch, last) = (&stored.record.batch, stored.last());
    let mut values = item([
        (":now", number(now.micros())),
        (":attempts", number(next.map_or(last, |next| next.number.0))),
    ]);
    let mut expression = "SET b_attempts = :attempts, b_updated = :now".to_owned();
    let mut condition = UNDECIDED.to_owned();
    let mut changes = Vec::new();
    if let Some(reason) = reason {
        let (failing, open) = (", a_outcome = :failed, a_reason = :reason, a_at = :now", "a_outcome = :open");
        let mut outcome =
            item([(":failed", number(FAILED)), (":reason", text(reason)), (":open", number(UNKNOWN))]);
        if last == 1 {
            expression.push_str(failing);
            condition.push_str(&format!(" AND {open}"));
            values.extend(outcome);
        } else {
            put(&mut outcome, ":now", Some(number(now.micros())));
            let failing = format!("SET {}", failing.trim_start_matches(", "));
            changes
                .push(Change::update(attempt_key(&batch.id, last), failing, outcome).when(open, Item::new()));
        }
    }
    changes.push(Change::update(batch_key(&batch.id), expression, values).when(condition, undecided(last)));
    if let Some(next) = next {
        changes.push(next_attempt(batch, next, now)?);
    }
    Ok(changes)
}

/// Writes one new home of files of `parent`.
fn move_in(
    changes: &mut Vec<Change>,
    counts: &mut Counts,
    parent: &Batch,
    home: &Home,
    now: Instant,
) -> Result<(), StepError> {
    let was = StoredFile::in_batch(parent.id.clone());
    let mut put_loose = |file: &FileId, home, reason: Option<&str>, event_at| -> Result<(), StepError> {
        counts.moved(&file.table, Some(IN_BATCH), home);
        changes.push(Loose { home, reason, at: now, event_at }.change(file, Some(&was))?);
        Ok(())
    };
    match home {
        Home::Batch { batch, attempt } => {
            let entries = batch.manifest.entries.iter();
            changes.extend(entries.map(|entry| into_batch(&entry.file, &batch.id, Some(&was))));
            let part = batch.clone().part_of(parent);
            changes.extend(new_batch(&part, attempt.as_ref(), blocks_from(&part, |_| None), now)?);
            Ok(())
        }
        Home::Poison(file, reason) => put_loose(file, POISON, Some(reason), handed_down(parent, file)),
        Home::Vanished(file) => put_loose(file, VANISHED, None, None),
        Home::Deferred(file) => put_loose(file, DEFERRED, None, handed_down(parent, file)),
    }
}
