//! The ledger against its own invariants. Everything of a batch was read in one step, so that what contradicts itself
//! here did so at one moment, whatever a running process does.

use super::{BatchAccount, FileHome, Finding, FindingKind};
use crate::domain::batch::Attempt;
use crate::domain::transition::{AttemptOutcome, BatchState};

/// What of a batch contradicts the invariants.
pub fn breaches(account: &BatchAccount) -> Vec<Finding> {
    let mut findings = Vec::new();
    homes(account, &mut findings);
    attempts(account, &mut findings);
    outcomes(account, &mut findings);
    findings
}

/// A file whose ledger entry points to a batch that does not have it (I-1). `batch` is the batch's id, or that it is
/// not there.
pub fn stray(file: String, batch: &str, text: &str) -> Finding {
    Finding {
        kind: FindingKind::Ledger,
        invariant: "I-1",
        file,
        batch: batch.to_owned(),
        job: None,
        rows: 0,
        text: text.to_owned(),
    }
}

fn breach(account: &BatchAccount, invariant: &'static str, text: String) -> Finding {
    Finding {
        kind: FindingKind::Ledger,
        invariant,
        file: String::new(),
        batch: account.batch.id.to_string(),
        job: account.job().cloned(),
        rows: account.batch.manifest.rows(),
        text,
    }
}

/// I-1: the files of a living batch are in it, those of an abandoned one are not.
fn homes(account: &BatchAccount, findings: &mut Vec<Finding>) {
    let living = account.is_living();
    let state = state_name(account.state);
    for (entry, home) in account.batch.manifest.entries.iter().zip(&account.homes) {
        let text = match (living, home) {
            (true, FileHome::Here) | (false, FileHome::Elsewhere | FileHome::Loose) => continue,
            (true, FileHome::Elsewhere) => "has the file, and the ledger has it in another batch",
            (true, FileHome::Loose) => "has the file, and the ledger has it in no batch",
            (true | false, FileHome::Nowhere) => "has the file, and the ledger does not know it",
            (false, FileHome::Here) => "still has the file",
        };
        let file = entry.file.source_file();
        findings.push(Finding {
            file,
            rows: entry.rows,
            ..breach(account, "I-1", format!("the {state} batch {text}"))
        });
    }
}

/// I-2: attempts are numbered from 1, and each is what the batch makes of its number.
fn attempts(account: &BatchAccount, findings: &mut Vec<Finding>) {
    let batch = &account.batch;
    for ((attempt, _), number) in account.attempts.iter().zip(1..) {
        let Attempt { destination, claimed_at, manifest_hash, .. } = attempt;
        let text = if attempt.number.0 != number {
            format!("attempt {number} is not there, attempt {} is", attempt.number)
        } else if attempt.job_id != batch.job_id(attempt.number) {
            format!("attempt {number} has the job {}, which is not the batch's", attempt.job_id)
        } else if **manifest_hash != batch.manifest.hash() {
            format!("attempt {number} is of another manifest: files or row counts were changed")
        } else if *destination != batch.destination || *claimed_at != batch.claimed_at {
            format!("attempt {number} goes elsewhere than its batch")
        } else {
            continue;
        };
        findings.push(breach(account, "I-2", text));
        return;
    }
    if account.attempts.is_empty() && batch.manifest.rows() > 0 {
        let text = format!("a batch of {} rows has no attempt", batch.manifest.rows());
        findings.push(breach(account, "I-2", text));
    }
}

/// I-3: only the last attempt is not known to have failed, and the batch's state follows from it.
fn outcomes(account: &BatchAccount, findings: &mut Vec<Finding>) {
    let failed = |outcome: &AttemptOutcome| matches!(outcome, AttemptOutcome::Failed(_));
    let Some(((_, last), earlier)) = account.attempts.split_last() else { return };
    if let Some((attempt, _)) = earlier.iter().find(|(_, outcome)| !failed(outcome)) {
        let text =
            format!("attempt {} is followed by another and is not known to have failed", attempt.number);
        findings.push(breach(account, "I-3", text));
    }
    let right = match (account.state, last) {
        (BatchState::Open | BatchState::Held, AttemptOutcome::Open | AttemptOutcome::Failed(_))
        | (BatchState::Loaded, AttemptOutcome::Succeeded)
        | (BatchState::Abandoned, AttemptOutcome::Failed(_)) => true,
        (BatchState::Open | BatchState::Held, AttemptOutcome::Succeeded)
        | (BatchState::Loaded, AttemptOutcome::Open | AttemptOutcome::Failed(_))
        | (BatchState::Abandoned, AttemptOutcome::Open | AttemptOutcome::Succeeded) => false,
    };
    if !right {
        let last = match last {
            AttemptOutcome::Open => "is open",
            AttemptOutcome::Failed(_) => "has failed",
            AttemptOutcome::Succeeded => "has succeeded",
        };
        let text = format!("the last attempt of a batch that is {} {last}", state_name(account.state));
        findings.push(breach(account, "I-3", text));
    }
}

const fn state_name(state: BatchState) -> &'static str {
    match state {
        BatchState::Open => "open",
        BatchState::Held => "held",
        BatchState::Loaded => "loaded",
        BatchState::Abandoned => "abandoned",
    }
}
