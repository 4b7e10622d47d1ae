//! The states of a file and what leads from one to another, asked of the rules themselves: `docs/ledger.md` shows it.

use std::collections::BTreeSet;

use super::rules::{self, Claiming, Misuse, Ruling};
use super::{AttemptOutcome, BatchRecord, BatchState, Home, Mending, Verdict};
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{AttemptNumber, TableId};
use crate::domain::instant::Instant;

const NOW: Instant = Instant::from_micros(1);

fn file() -> FileId {
    let table = TableId::new("c", "s", "t");
    FileId { table, bucket: "b".into(), key: "k".into(), etag: "e".into(), size_bytes: 1 }
}

fn batch(parent: Option<&Batch>) -> Batch {
    let manifest = Manifest { entries: vec![ManifestEntry { file: file(), rows: 1 }] };
    let parent = parent.map(|parent| parent.id.clone());
    Batch::plan(file().table, Destination::default(), NOW, parent, manifest)
}

fn name(state: Option<&FileState>) -> &'static str {
    match state {
        None => "[*]",
        Some(FileState::Claimed { held: true, .. }) => "held",
        Some(state) => state.label(),
    }
}

fn states() -> Vec<Option<FileState>> {
    let id = batch(None).id;
    vec![
        None,
        Some(FileState::Deferred { since: NOW }),
        Some(FileState::Claimed { batch: id.clone(), held: false }),
        Some(FileState::Claimed { batch: id.clone(), held: true }),
        Some(FileState::Loaded { batch: id }),
        Some(FileState::Poison { reason: String::new() }),
        Some(FileState::Vanished { at: NOW }),
    ]
}

/// The record of the batch that a file in this state is in, if it is in one.
fn record(state: Option<&FileState>, outcome: AttemptOutcome) -> Option<BatchRecord> {
    let state = match state? {
        FileState::Claimed { held: false, .. } => BatchState::Open,
        FileState::Claimed { held: true, .. } => BatchState::Held,
        FileState::Loaded { .. } => BatchState::Loaded,
        FileState::Poison { .. } | FileState::Vanished { .. } | FileState::Deferred { .. } => return None,
    };
    let batch = batch(None);
    let attempt = batch.attempt(AttemptNumber::FIRST, "plan");
    let since = batch.claimed_at;
    Some(BatchRecord { batch, state, last_attempt: Some((attempt, outcome)), since })
}

/// Every transition: from, to, and by what.
fn transitions() -> Result<BTreeSet<(&'static str, &'static str, &'static str)>, Misuse> {
    let mut found = BTreeSet::new();
    for state in states() {
        let state = state.as_ref();
        let from = name(state);
        let one = batch(None);
        let attempt = one.attempt(AttemptNumber::FIRST, "plan");
        if rules::claim(&one, Some(&attempt), None, &[state.cloned()])? == Claiming::Write {
            found.insert((from, "claimed", "claim"));
        }
        let verdicts = [
            (Verdict::Defer, "defer"),
            (Verdict::Vanish, "gone"),
            (Verdict::Poison(String::new()), "refuse"),
        ];
        for (verdict, by) in verdicts {
            let settled = rules::settle(state, &verdict, NOW);
            found.extend(settled.map(|settled| (from, name(Some(&settled)), by)));
        }
        let open = record(state, AttemptOutcome::Open);
        if let Ruling::Write(_) = rules::commit(open.as_ref()) {
            found.insert((from, "loaded", "commit"));
        }
        for (held, to, by) in [(true, "held", "hold"), (false, "claimed", "resume")] {
            if let Ruling::Write(_) = rules::hold(open.as_ref(), held) {
                found.insert((from, to, by));
            }
        }
        let failed = record(state, AttemptOutcome::Failed(String::new()));
        let child = batch(Some(&one));
        let attempt = Some(child.attempt(AttemptNumber::FIRST, "plan"));
        let homes = [
            (Home::Batch { batch: child, attempt }, "claimed"),
            (Home::Poison(file(), String::new()), "poison"),
            (Home::Vanished(file()), "vanished"),
            (Home::Deferred(file()), "deferred"),
        ];
        for (home, to) in homes {
            if let Ruling::Write(_) = rules::rehome(failed.as_ref(), None, &[home])? {
                found.insert((from, to, "re-home"));
            }
        }
        for mending in [Mending::Redrive, Mending::Discard] {
            let to = rules::mend(state, mending, NOW);
            found.extend(to.map(|to| (from, name(Some(&to)), mending.label())));
        }
    }
    Ok(found)
}

/// The states as a diagram of Mermaid.
pub fn diagram() -> Result<String, Misuse> {
    let mut text = "```mermaid\nstateDiagram-v2\n".to_owned();
    for (from, to, by) in transitions()? {
        text.push_str(&format!("    {from} --> {to}: {by}\n"));
    }
    Ok(text + "```\n")
}
