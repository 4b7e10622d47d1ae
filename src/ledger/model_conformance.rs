//! Random steps against the ledger and against a model that is a map: every answer is the same, and every file is in
//! exactly one state after each step (Invariant I-1).

use std::collections::BTreeMap;

use landbridge::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, TableId};
use landbridge::domain::instant::Instant;
use landbridge::ledger::{Claim, Home, Ledger, Step, Verdict};
use proptest::prelude::*;

const FILES: usize = 4;

/// One step; numbers choose among files and among the batches made so far.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    Claim(u8),
    FailLast { batch: usize, renew: bool },
    Rehome { batch: usize, kind: u8 },
    Commit(usize),
    Hold(usize, bool),
    Settle(usize, u8),
}

pub(crate) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1_u8..1 << FILES).prop_map(Move::Claim),
        2 => (0_usize..6, any::<bool>()).prop_map(|(batch, renew)| Move::FailLast { batch, renew }),
        2 => (0_usize..6, 0_u8..3).prop_map(|(batch, kind)| Move::Rehome { batch, kind }),
        2 => (0_usize..6).prop_map(Move::Commit),
        1 => (0_usize..6, any::<bool>()).prop_map(|(batch, held)| Move::Hold(batch, held)),
        2 => (0..FILES, 0_u8..3).prop_map(|(file, verdict)| Move::Settle(file, verdict)),
    ];
    prop::collection::vec((one, any::<bool>()), 1..40).prop_map(|steps| {
        // Every other step comes twice, as after a lost answer.
        steps.into_iter().flat_map(|(one, twice)| vec![one; 1 + usize::from(twice)]).collect()
    })
}

fn file(index: usize) -> FileId {
    let key = format!("f{index}").into();
    FileId { table: TableId::new("a", "s", "t"), bucket: "b".into(), key, etag: "e".into(), size_bytes: 7 }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Batches {
    Open,
    Held,
    Loaded,
    Abandoned,
}

/// The model: where each file is, what each batch is, and its last attempt with whether it failed.
#[derive(Default)]
struct Model {
    files: BTreeMap<FileId, FileState>,
    batches: Vec<Known>,
}

#[derive(Clone)]
struct Known {
    batch: Batch,
    state: Batches,
    last: u32,
    failed: bool,
    homes: Option<Vec<Home>>,
}

impl Known {
    fn claimed(batch: Batch) -> Self {
        Self { batch, state: Batches::Open, last: 1, failed: false, homes: None }
    }
}

impl Model {
    fn house(&mut self, index: usize) {
        let Known { batch, state, .. } = self.batches[index].clone();
        for entry in &batch.manifest.entries {
            let id = batch.id.clone();
            let state = match state {
                Batches::Open => FileState::Claimed { batch: id, held: false },
                Batches::Held => FileState::Claimed { batch: id, held: true },
                Batches::Loaded => FileState::Loaded { batch: id },
                Batches::Abandoned => continue,
            };
            self.files.insert(entry.file.clone(), state);
        }
    }

    fn open(&self, index: usize) -> bool {
        matches!(self.batches[index].state, Batches::Open | Batches::Held)
    }
}

fn plan(files: &[usize], parent: Option<&Batch>, now: i64) -> Batch {
    let entries = files.iter().map(|index| ManifestEntry { file: file(*index), rows: 2 }).collect();
    let destination =
        Destination { project: "p".into(), location: "l".into(), dataset: "d".into(), table: "t".into() };
    let table = TableId::new("a", "s", "t");
    Batch::plan(
        table,
        destination,
        Instant::from_micros(now),
        parent.map(|parent| parent.id.clone()),
        Manifest { entries },
    )
}

fn indices(batch: &Batch) -> Vec<usize> {
    (0..FILES).filter(|index| batch.manifest.entries.iter().any(|entry| entry.file == file(*index))).collect()
}

async fn claim(ledger: &dyn Ledger, model: &mut Model, mask: u8, now: Instant) {
    let files: Vec<_> = (0..FILES).filter(|index| mask & (1 << index) != 0).collect();
    let batch = plan(&files, None, now.micros());
    let answer = ledger.claim(&batch, Some(&batch.attempt(AttemptNumber(1), "plan")), now).await.unwrap();
    let taken: Vec<_> = files
        .iter()
        .filter_map(|index| {
            let state = model.files.get(&file(*index))?;
            let free = matches!(state, FileState::Vanished { .. } | FileState::Deferred { .. });
            (!free).then(|| (file(*index), state.clone()))
        })
        .collect();
    if !taken.is_empty() {
        assert_eq!(answer, Claim::Lost(taken));
        return;
    }
    assert_eq!(answer, Claim::Won);
    model.batches.push(Known::claimed(batch));
    model.house(model.batches.len() - 1);
}

async fn rehome(ledger: &dyn Ledger, model: &mut Model, index: usize, kind: u8, now: Instant) {
    let Known { batch, state, failed, homes: before, .. } = model.batches[index].clone();
    let files = indices(&batch);
    let (first, rest) = files.split_first().unwrap();
    let mut homes = match kind {
        0 => vec![Home::Poison(file(*first), "bad".to_owned())],
        1 => vec![Home::Vanished(file(*first))],
        _ => vec![Home::Deferred(file(*first))],
    };
    // The same child whenever it is asked for, as a repeated step has.
    let child = (!rest.is_empty()).then(|| plan(rest, Some(&batch), batch.claimed_at.micros()));
    if let Some(child) = &child {
        let attempt = Some(child.attempt(AttemptNumber(1), "plan"));
        homes.push(Home::Batch { batch: child.clone(), attempt });
    }
    let answer = ledger.rehome(&batch.id, &homes, now).await.unwrap();
    let expected = match state {
        Batches::Abandoned if before.as_ref() == Some(&homes) => Step::Done,
        Batches::Open | Batches::Held if failed => Step::Done,
        Batches::Abandoned | Batches::Open | Batches::Held | Batches::Loaded => Step::Refused,
    };
    assert_eq!(answer, expected, "{homes:?}");
    if answer == Step::Refused || state == Batches::Abandoned {
        return;
    }
    (model.batches[index].state, model.batches[index].homes) = (Batches::Abandoned, Some(homes));
    let state = match kind {
        0 => FileState::Poison { reason: "bad".into() },
        1 => FileState::Vanished { at: now },
        _ => FileState::Deferred { since: now },
    };
    model.files.insert(file(*first), state);
    if let Some(child) = child {
        model.batches.push(Known::claimed(child));
        model.house(model.batches.len() - 1);
    }
}

async fn settle(ledger: &dyn Ledger, model: &mut Model, index: usize, kind: u8, now: Instant) {
    let verdict = match kind {
        0 => Verdict::Poison("bad".to_owned()),
        1 => Verdict::Vanish,
        _ => Verdict::Defer,
    };
    let states = ledger.settle(&[(file(index), verdict)], now).await.unwrap();
    let known = model.files.get(&file(index)).cloned();
    // What a verdict may replace is the ledger's own suite's matter; here it must leave one state, and batches alone.
    let in_batch = matches!(known, Some(FileState::Claimed { .. } | FileState::Loaded { .. }));
    assert!(!in_batch || Some(&states[0]) == known.as_ref(), "{states:?} of {known:?}");
    model.files.insert(file(index), states[0].clone());
}

async fn step(ledger: &dyn Ledger, model: &mut Model, one: Move, now: Instant) {
    let count = model.batches.len();
    match one {
        Move::Claim(mask) => claim(ledger, model, mask, now).await,
        Move::Settle(index, kind) => settle(ledger, model, index, kind, now).await,
        Move::FailLast { batch, .. } | Move::Rehome { batch, .. } if batch >= count => {}
        Move::Commit(batch) | Move::Hold(batch, _) if batch >= count => {}
        Move::FailLast { batch: index, renew } => {
            let Known { batch, last, failed, .. } = model.batches[index].clone();
            let next = renew.then(|| batch.attempt(AttemptNumber(last + 1), "plan"));
            let answer =
                ledger.fail_attempt(&batch.id, AttemptNumber(last), "no", next.as_ref(), now).await.unwrap();
            assert_eq!(answer, if model.open(index) { Step::Done } else { Step::Refused });
            if answer == Step::Done {
                let one = &mut model.batches[index];
                (one.last, one.failed) = if renew { (last + 1, false) } else { (last, true) };
            }
            assert!(answer == Step::Done || model.batches[index].failed == failed);
        }
        Move::Rehome { batch, kind } => rehome(ledger, model, batch, kind, now).await,
        Move::Commit(index) => {
            let answer = ledger.commit(&model.batches[index].batch.id, now).await.unwrap();
            let loads = model.open(index) && !model.batches[index].failed;
            let done = loads || model.batches[index].state == Batches::Loaded;
            assert_eq!(answer, if done { Step::Done } else { Step::Refused });
            if loads {
                model.batches[index].state = Batches::Loaded;
                model.house(index);
            }
        }
        Move::Hold(index, held) => {
            let answer = ledger.hold(&model.batches[index].batch.id, held, now).await.unwrap();
            assert_eq!(answer, if model.open(index) { Step::Done } else { Step::Refused });
            if model.open(index) {
                model.batches[index].state = if held { Batches::Held } else { Batches::Open };
                model.house(index);
            }
        }
    }
}

/// Takes these steps on an empty ledger, and looks after each where every file is.
pub(crate) async fn every_file_is_where_the_model_says(ledger: &dyn Ledger, moves: Vec<Move>) {
    let mut model = Model::default();
    let all: Vec<_> = (0..FILES).map(file).collect();
    for (now, one) in moves.into_iter().enumerate() {
        let now = Instant::from_micros(i64::try_from(now).unwrap());
        step(ledger, &mut model, one, now).await;
        let found = ledger.lookup(&all).await.unwrap();
        let expected: Vec<_> = all.iter().map(|file| model.files.get(file).cloned()).collect();
        assert_eq!(found, expected);
    }
}
