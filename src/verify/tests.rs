//! Random ledgers and rows, then one row removed, doubled or made foreign; and a ledger that moves while rows are counted.

use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::sync::mpsc::Sender;

use super::*;
use crate::domain::audit::{Found, Numbers, Runs};
use crate::domain::batch::{Batch, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::AttemptNumber;
use crate::domain::instant::Instant;
use crate::domain::typed_view::Part;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::sqlite::reader::SqliteReader;
use crate::ledger::{Home, Ledger, Verdict};
use crate::warehouse::audit::Survey;

#[derive(Clone, Debug)]
struct Row {
    file: String,
    number: i64,
    batch: String,
    claimed_at: Instant,
}

/// What the running process does.
#[derive(Clone, Debug)]
enum Meanwhile {
    Load(Batch),
    GiveUp(Batch),
}

/// A warehouse of one table. `meanwhile` happens after its rows were counted.
#[derive(Default)]
struct Rows {
    rows: Mutex<Vec<Row>>,
    meanwhile: Mutex<Option<Meanwhile>>,
    ledger: Option<SqliteLedger>,
}

#[async_trait]
impl Audit for Rows {
    async fn rows_by_file(
        &self,
        _: &Destination,
        since: Option<Instant>,
        pages: Sender<Vec<Found>>,
    ) -> Result<Survey, Fault> {
        let rows = self.rows.lock().unwrap().clone();
        // Each row is a part of its own: they are to be put together.
        for row in rows.into_iter().filter(|row| since.is_none_or(|since| row.claimed_at >= since)) {
            let mut runs = Runs::default();
            runs.add(row.number);
            let claimed = Some((row.claimed_at, row.claimed_at));
            let numbers = Numbers::Read(runs);
            pages
                .send(vec![Found { file: row.file, batch: row.batch, rows: 1, numbers, claimed }])
                .await
                .unwrap();
        }
        let meanwhile = self.meanwhile.lock().unwrap().take();
        let now = Instant::from_micros(9);
        match (meanwhile, &self.ledger) {
            (Some(Meanwhile::Load(batch)), Some(ledger)) => {
                claim(ledger, &batch).await;
                ledger.commit(&batch.id, now).await.unwrap();
            }
            (Some(Meanwhile::GiveUp(batch)), Some(ledger)) => {
                ledger.fail_attempt(&batch.id, AttemptNumber(1), "no", None, now).await.unwrap();
                let entries = batch.manifest.entries.iter();
                let homes: Vec<_> = entries.map(|entry| Home::Deferred(entry.file.clone())).collect();
                ledger.rehome(&batch.id, &homes, now).await.unwrap();
            }
            (None, _) | (_, None) => {}
        }
        Ok(Survey { exists: true, bytes: 0 })
    }

    async fn repeats(&self, _: &Destination, key: &[Part], _: Option<Instant>) -> Result<Option<u64>, Fault> {
        Ok(Some(key.len() as u64))
    }
}

fn table() -> TableId {
    TableId::new("a", "s", "t")
}

fn batch(number: usize, files: &[u64]) -> Batch {
    let entries = files.iter().zip(0..).map(|(&rows, index)| {
        let key = format!("{number}-{index}").into();
        let file = FileId { table: table(), bucket: "b".into(), key, etag: "e".into(), size_bytes: 7 };
        ManifestEntry { file, rows }
    });
    let claimed_at = Instant::from_micros(i64::try_from(number).unwrap());
    Batch::plan(table(), Destination::default(), claimed_at, None, Manifest { entries: entries.collect() })
}

fn rows_of(batch: &Batch) -> Vec<Row> {
    let rows = batch.manifest.entries.iter().flat_map(|entry| {
        (0..i64::try_from(entry.rows).unwrap()).map(|number| Row {
            file: entry.file.source_file(),
            number,
            batch: batch.id.to_string(),
            claimed_at: batch.claimed_at,
        })
    });
    rows.collect()
}

async fn claim(ledger: &SqliteLedger, batch: &Batch) {
    let attempt = batch.attempt(AttemptNumber::FIRST, "plan");
    ledger.claim(batch, Some(&attempt), Instant::from_micros(1)).await.unwrap();
}

/// A ledger on disk, its reader, and what is told of them.
struct World {
    _folder: tempfile::TempDir,
    ledger: SqliteLedger,
    reader: SqliteReader,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = SqliteLedger::open(&path).unwrap();
        let reader = SqliteReader::open(&path).unwrap();
        Self { _folder: folder, ledger, reader }
    }

    async fn verify(&self, rows: &Rows, scope: Scope) -> (Line, Vec<Line>) {
        let mut lines = Vec::new();
        let options = Options { scope, findings_max: 2, keys: BTreeMap::new() };
        let configured = [(table(), Destination::default())];
        let mut told = |line: &Line| lines.push(line.clone());
        let total = verify(&self.reader, rows, &configured, &options, &mut told).await.unwrap();
        (total, lines)
    }
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Loaded,
    /// Open, its rows there or not.
    Open(bool),
    /// Given up; its files are loaded by another batch, or in none.
    GivenUp(bool),
}

fn fates() -> impl Strategy<Value = Vec<(Vec<u64>, Fate)>> {
    let fate = prop_oneof![
        4 => Just(Fate::Loaded),
        1 => any::<bool>().prop_map(Fate::Open),
        1 => any::<bool>().prop_map(Fate::GivenUp),
    ];
    prop::collection::vec((prop::collection::vec(0_u64..5, 1..4), fate), 1..6)
}

/// Plays the fates. Answers the rows of loaded files, and the others that are there.
async fn play(world: &World, fates: &[(Vec<u64>, Fate)]) -> (Vec<Row>, Vec<Row>) {
    let (mut loaded, mut others) = (Vec::new(), Vec::new());
    let now = Instant::from_micros(7);
    for (number, (files, fate)) in fates.iter().enumerate() {
        let batch = batch(number, files);
        claim(&world.ledger, &batch).await;
        match fate {
            Fate::Loaded => {
                world.ledger.commit(&batch.id, now).await.unwrap();
                loaded.extend(rows_of(&batch));
            }
            Fate::Open(true) => others.extend(rows_of(&batch)),
            Fate::Open(false) => {}
            Fate::GivenUp(again) => {
                world.ledger.fail_attempt(&batch.id, AttemptNumber(1), "no", None, now).await.unwrap();
                let id = Some(batch.id.clone());
                let (to, claimed_at) = (batch.destination.clone(), batch.claimed_at);
                let child = Batch::plan(table(), to, claimed_at, id, batch.manifest.clone());
                let attempt = child.attempt(AttemptNumber::FIRST, "plan");
                let entries = batch.manifest.entries.iter();
                let homes = if *again {
                    vec![Home::Batch { batch: child.clone(), attempt: Some(attempt) }]
                } else {
                    entries.map(|entry| Home::Poison(entry.file.clone(), "bad".into())).collect()
                };
                world.ledger.rehome(&batch.id, &homes, now).await.unwrap();
                if *again {
                    world.ledger.commit(&child.id, now).await.unwrap();
                    loaded.extend(rows_of(&child));
                }
            }
        }
    }
    (loaded, others)
}

fn run<T>(main: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(main)
}

fn verdict(total: &Line) -> (u64, u64, u64, u64) {
    (total.missing, total.doubled, total.strange, total.ledger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn one_wrong_row_is_found_and_none_where_all_are_right(fates in fates(), pick in any::<prop::sample::Index>()) {
        run(async {
            let world = World::new();
            let (loaded, others) = play(&world, &fates).await;
            let with = |change: &dyn Fn(&mut Vec<Row>)| {
                let mut rows = loaded.clone();
                change(&mut rows);
                rows.extend(others.iter().cloned());
                Rows { rows: Mutex::new(rows), ..Rows::default() }
            };
            let (good, _) = world.verify(&with(&|_| {}), Scope::default()).await;
            assert_eq!((verdict(&good), good.rows, good.findings), ((0, 0, 0, 0), loaded.len() as u64, 0));
            if loaded.is_empty() {
                return;
            }
            let chosen = pick.index(loaded.len());
            let ruined = async |change: &dyn Fn(&mut Vec<Row>)| {
                let (total, lines) = world.verify(&with(change), Scope::default()).await;
                assert!(lines[0].kept.iter().all(|finding| !finding.batch.is_empty()));
                verdict(&total)
            };
            assert_eq!(ruined(&|rows| { rows.remove(chosen); }).await, (1, 0, 0, 0));
            assert_eq!(ruined(&|rows| rows.push(rows[chosen].clone())).await, (0, 1, 0, 0));
            assert_eq!(ruined(&|rows| rows[chosen].file = "b/foreign@e".into()).await, (1, 0, 1, 0));
            assert_eq!(ruined(&|rows| rows[chosen].batch = "another".into()).await, (1, 1, 0, 0));
            assert_eq!(ruined(&|rows| rows[chosen].number = 1_000).await, (1, 1, 0, 0));
        });
    }
}

#[test]
fn what_is_loaded_while_rows_are_counted_is_no_finding() {
    run(async {
        let world = World::new();
        let rows = Rows { ledger: Some(world.ledger.clone()), ..Rows::default() };
        // Claimed and loaded after the first reading; its rows were not there, or there before the ledger was read again.
        for (number, visible) in [(1, false), (2, true)] {
            let batch = batch(number, &[3, 2]);
            if visible {
                rows.rows.lock().unwrap().extend(rows_of(&batch));
            }
            *rows.meanwhile.lock().unwrap() = Some(Meanwhile::Load(batch.clone()));
            let (total, _) = world.verify(&rows, Scope::default()).await;
            assert_eq!((verdict(&total), total.in_flight), ((0, 0, 0, 0), 2), "{number}");
            if !visible {
                rows.rows.lock().unwrap().extend(rows_of(&batch));
            }
        }
        let (total, _) = world.verify(&rows, Scope::default()).await;
        assert_eq!((verdict(&total), total.files, total.rows, total.in_flight), ((0, 0, 0, 0), 4, 10, 0));
    });
}

#[test]
fn what_the_second_reading_excuses_is_no_finding() {
    run(async {
        let world = World::new();
        let batch = batch(1, &[3]);
        claim(&world.ledger, &batch).await;
        let part = rows_of(&batch).into_iter().take(1).collect();
        let rows = Rows { rows: Mutex::new(part), ledger: Some(world.ledger.clone()), ..Rows::default() };
        assert_eq!(verdict(&world.verify(&rows, Scope::default()).await.0), (2, 0, 0, 0));
        *rows.meanwhile.lock().unwrap() = Some(Meanwhile::GiveUp(batch));
        assert_eq!(verdict(&world.verify(&rows, Scope::default()).await.0), (0, 0, 0, 0));
        // What it left behind is told the next time.
        assert_eq!(verdict(&world.verify(&rows, Scope::default()).await.0), (0, 0, 1, 0));
    });
}

#[test]
fn a_scope_leaves_the_rest_out_and_findings_are_bounded() {
    run(async {
        let world = World::new();
        let mut rows = Vec::new();
        for number in 1..6 {
            let batch = batch(number, &[2]);
            claim(&world.ledger, &batch).await;
            world.ledger.commit(&batch.id, Instant::from_micros(9)).await.unwrap();
            rows.extend(rows_of(&batch).into_iter().skip(1));
        }
        let rows = Rows { rows: Mutex::new(rows), ..Rows::default() };
        let (total, lines) = world.verify(&rows, Scope::default()).await;
        assert_eq!((total.missing, total.findings, lines[0].kept.len()), (5, 5, 2));
        let since = Scope { since: Some(Instant::from_micros(4)), ..Scope::default() };
        assert_eq!(world.verify(&rows, since).await.0.missing, 2);
        let other = Scope { table: Some(TableId::new("a", "s", "u")), ..Scope::default() };
        let (total, lines) = world.verify(&rows, other).await;
        assert_eq!((total.findings, lines.len()), (0, 0));
    });
}

#[test]
fn rows_of_a_poison_file_are_told_with_its_state() {
    run(async {
        let world = World::new();
        let poison = batch(1, &[2]);
        let verdicts = [(poison.manifest.entries[0].file.clone(), Verdict::Poison("bad".into()))];
        world.ledger.settle(&verdicts, Instant::from_micros(1)).await.unwrap();
        let rows = Rows { rows: Mutex::new(rows_of(&poison)), ..Rows::default() };
        let (total, lines) = world.verify(&rows, Scope::default()).await;
        assert_eq!(verdict(&total), (0, 0, 2, 0));
        assert!(lines[0].kept[0].text.contains("has the file as poison"), "{:?}", lines[0].kept);
        let shown = report::table(&lines[0], 8);
        assert!(
            shown.contains("strange (I-6): 2 rows") && shown.contains("find out who wrote them"),
            "{shown}"
        );
        assert!(
            report::sum(&total)
                .starts_with("verified 0 rows of 0 files in 1 tables: missing 0, doubled 0, strange 2")
        );
    });
}

#[test]
fn a_ledger_that_contradicts_itself_is_found() {
    run(async {
        let world = World::new();
        let batch = batch(1, &[2]);
        claim(&world.ledger, &batch).await;
        world.ledger.commit(&batch.id, Instant::from_micros(9)).await.unwrap();
        let rows = Rows { rows: Mutex::new(rows_of(&batch)), ..Rows::default() };
        let spoil = |statement: &str| {
            let path = world._folder.path().join("ledger.db");
            rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
        };
        spoil("UPDATE attempts SET outcome = 0");
        let (total, lines) = world.verify(&rows, Scope::default()).await;
        assert_eq!((verdict(&total), lines[0].kept[0].invariant), ((0, 0, 0, 1), "I-3"));
        spoil("UPDATE attempts SET outcome = 2; DELETE FROM files");
        let (total, lines) = world.verify(&rows, Scope::default()).await;
        assert_eq!((verdict(&total), lines[0].kept[0].invariant), ((0, 0, 0, 1), "I-1"));
        spoil("PRAGMA foreign_keys = OFF; INSERT INTO files (key, home, batch) VALUES (x'00', 0, 99)");
        let (total, lines) = world.verify(&rows, Scope::default()).await;
        assert_eq!((total.ledger, lines[1].name().as_str()), (2, "(ledger)"));
    });
}
