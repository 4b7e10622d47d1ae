//! Lines become a ledger again, by the steps that any process takes: what each store keeps beside them, its counts and
//! indexes, is right by construction. A step that was taken before answers as if it were taken now, so that a replay
//! that was interrupted is begun again.

use super::{KeptBatch, KeptFile, KeptState, Line, Place};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;
use crate::domain::transition::{Claim, Mending, Step, TableMode, Verdict};
use crate::ledger::Ledger;

/// Writes one line into the ledger. The first and the last line write nothing.
pub async fn replay(ledger: &dyn Ledger, line: Line, now: Instant) -> Result<(), Fault> {
    match line {
        Line::Batch(kept) => batch(ledger, &kept).await,
        Line::File(kept) => file(ledger, kept, now).await,
        Line::Mode { table, mode, reason } => {
            let mode = match mode.as_str() {
                "paused" => TableMode::Paused,
                "quarantined" => TableMode::Quarantined(reason),
                "held" => TableMode::Held(reason),
                other => return Err(unlike(format!("the table {table} has the unknown mode {other}"))),
            };
            ledger.set_mode(&table, &mode, now).await
        }
        Line::Shape { table, entries } => {
            if ledger.grow_shape(&table, 0, &entries).await? {
                return Ok(());
            }
            Err(unlike(format!("the ledger has another shape of the table {table}")))
        }
        Line::DeadLetter(letter) => {
            ledger.dead_letter(&letter.queue, &letter.body, &letter.reason, letter.at).await
        }
        // After the batches: a table has none before it has loaded something.
        Line::Watermark { table, at } => ledger.raise_watermarks(&[(table, at)]).await,
        Line::Usage(usage) => ledger.keep_usage(&usage).await,
        Line::Ledger(_) | Line::End(_) => Ok(()),
    }
}

async fn batch(ledger: &dyn Ledger, kept: &KeptBatch) -> Result<(), Fault> {
    let (id, at) = (&kept.batch.id, kept.at);
    let refused = |step: &str| unlike(format!("the ledger refuses to {step} batch {id}"));
    if let Some(record) = ledger.batch(id).await? {
        // Of an earlier replay: what is done is done, and the rest is repeated.
        if record.state != crate::domain::transition::BatchState::Open {
            return Ok(());
        }
    } else {
        let claim = ledger.claim(&kept.batch, kept.attempt(0).as_ref(), at).await?;
        if let Claim::Lost(taken) = claim {
            let file = taken.first().map(|(file, state)| format!("{file} is {} already", state.label()));
            return Err(unlike(format!("batch {id}: {}", file.unwrap_or("it is another one".to_owned()))));
        }
    }
    for (index, attempt) in kept.attempts.iter().enumerate() {
        let Some(reason) = &attempt.failed else { continue };
        let (Some(failed), next) = (kept.attempt(index), kept.attempt(index.saturating_add(1))) else {
            continue;
        };
        let step = ledger.fail_attempt(id, failed.number, reason, next.as_ref(), at).await?;
        let last = ledger.batch(id).await?.and_then(|record| record.last_attempt);
        let went_on = last.is_some_and(|(last, _)| last.number > failed.number);
        if step == Step::Refused && !went_on {
            return Err(refused("fail an attempt of"));
        }
    }
    let step = match kept.state {
        KeptState::Open => Step::Done,
        KeptState::Held => ledger.hold(id, true, at).await?,
        KeptState::Loaded => {
            let notices: Vec<_> = kept.notices.iter().map(|notice| notice.of_batch(&kept.batch)).collect();
            ledger.commit_telling(id, &notices, at).await?
        }
    };
    if step == Step::Refused { Err(refused("end")) } else { Ok(()) }
}

async fn file(ledger: &dyn Ledger, kept: KeptFile, now: Instant) -> Result<(), Fault> {
    let KeptFile { file, place, at, event_at } = kept;
    let (verdict, discarded) = match place {
        Place::Poison { reason, discarded } => (Verdict::Poison(reason), discarded),
        Place::Vanished => (Verdict::Vanish, false),
        Place::Deferred => (Verdict::Defer, false),
    };
    ledger.settle(&[(file.clone(), verdict)], at).await?;
    if let Some(event_at) = event_at {
        ledger.note_events(&[(file.clone(), event_at)]).await?;
    }
    if discarded {
        ledger.mend(&[(file, at)], Mending::Discard, now).await?;
    }
    Ok(())
}

fn unlike(text: String) -> Fault {
    Fault::new(
        FaultKind::LedgerCorrupt,
        format!("{text}: is this ledger a new one, and are the lines whole?"),
    )
}
