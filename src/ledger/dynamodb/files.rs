//! Single files: one item each, and what a batch says of those that are in it.

use std::collections::{BTreeMap, BTreeSet};

use super::item::{Fields, Item, PK, SK, item, key, number, put, sortable, text};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, READS_MAX, StepError, batches};
use crate::domain::batch::hex;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::transition::{BatchState, DeferredFile, Verdict, rules};
use crate::ledger::reader::LooseFile;
use crate::ledger::stored::{file_key, from_json, table_text, to_json};

/// Where a file is at home.
pub(super) const IN_BATCH: i64 = 0;
pub(super) const POISON: i64 = 1;
pub(super) const VANISHED: i64 = 2;
pub(super) const DEFERRED: i64 = 3;
/// Poison that a person has given up.
pub(super) const DISCARDED: i64 = 4;

/// The sort key of a file's own item.
pub(super) const FILE: &str = "f";
/// That of its strikes.
pub(super) const STRIKES: &str = "s";

/// What the table holds of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredFile {
    pub(super) home: i64,
    pub(super) batch: Option<BatchId>,
    pub(super) reason: String,
    pub(super) at: Option<Instant>,
    /// Of a file that is deferred or poison: when it is said to have been written.
    pub(super) event_at: Option<Instant>,
}

impl StoredFile {
    /// A file that is in the batch.
    pub(super) fn in_batch(batch: BatchId) -> Self {
        Self { home: IN_BATCH, batch: Some(batch), reason: String::new(), at: None, event_at: None }
    }

    fn read(item: &Item) -> Result<Self, StepError> {
        let instant = |name| item.maybe_number(name).map(|at| at.map(Instant::from_micros));
        Ok(Self {
            home: item.number_of("f_home")?,
            batch: item.maybe_text("f_batch")?.map(|id| BatchId::from_stored(id.to_owned())),
            reason: item.maybe_text("f_reason")?.unwrap_or_default().to_owned(),
            at: instant("f_at")?,
            event_at: instant("f_event")?,
        })
    }

    /// The event time of a deferred file; where it was not told, when the file was deferred.
    pub(super) fn deferred_event(&self) -> Option<Instant> {
        self.event_at.or(self.at).filter(|_| self.home == DEFERRED)
    }

    /// The state of the file, whose batch has the state `of_batch`. Nothing where the batch is abandoned or was not
    /// there: then the file has moved on since it was read.
    fn state(&self, file: &FileId, of_batch: Option<BatchState>) -> Result<Option<FileState>, StepError> {
        let corrupt = |what: &str| StepError::Corrupt(format!("the file {file} {what}"));
        Ok(match (self.home, &self.batch) {
            (IN_BATCH, Some(batch)) => of_batch.and_then(|state| state.of_file(batch.clone())),
            (POISON | DISCARDED, None) => Some(FileState::Poison { reason: self.reason.clone() }),
            (VANISHED, None) => {
                Some(FileState::Vanished { at: self.at.ok_or_else(|| corrupt("vanished at no time"))? })
            }
            (DEFERRED, None) => {
                let since = self.at.ok_or_else(|| corrupt("was deferred at no time"))?;
                Some(FileState::Deferred { since })
            }
            (other, _) => return Err(corrupt(&format!("has the unknown home {other}"))),
        })
    }
}

/// A file as it was read, and its state.
pub(super) type Known = Option<(StoredFile, FileState)>;

pub(super) fn file_partition(file: &FileId) -> String {
    format!("F#{}", hex(&file_key(file)))
}

/// A file in no batch, as it is shown.
pub(super) fn loose(file: FileId, item: &Item) -> Result<LooseFile, StepError> {
    let stored = StoredFile::read(item)?;
    let state = stored.state(&file, None)?;
    let state = state.ok_or_else(|| StepError::Corrupt(format!("the file {file} is in no place")))?;
    let at = stored.at.unwrap_or(Instant::from_micros(0));
    Ok(LooseFile { file, state, at, event_at: stored.event_at, discarded: stored.home == DISCARDED })
}

/// A file's new place, written only while it is as it `was`.
fn change(item: Item, was: Option<&StoredFile>) -> Change {
    let change = Change::put(item);
    let Some(was) = was else { return change.when("attribute_not_exists(pk)", Item::new()) };
    let mut values = super::item::item([(":home", number(was.home))]);
    put(&mut values, ":batch", was.batch.as_ref().map(|batch| text(batch.as_str())));
    put(&mut values, ":at", was.at.map(|at| number(at.micros())));
    let condition = match (&was.batch, was.at) {
        (Some(_), None) => "f_home = :home AND f_batch = :batch",
        (None, Some(_)) => "f_home = :home AND f_at = :at",
        (Some(_), Some(_)) => "f_home = :home AND f_batch = :batch AND f_at = :at",
        (None, None) => "f_home = :home",
    };
    change.when(condition, values)
}

/// The file goes into a batch.
pub(super) fn into_batch(file: &FileId, batch: &BatchId, was: Option<&StoredFile>) -> Change {
    let fields = [
        (PK, text(file_partition(file))),
        (SK, text(FILE)),
        ("f_home", number(IN_BATCH)),
        ("f_batch", text(batch.as_str())),
    ];
    change(item(fields), was)
}

/// A place outside batches.
pub(super) struct Loose<'a> {
    pub(super) home: i64,
    pub(super) reason: Option<&'a str>,
    pub(super) at: Instant,
    /// When a file that is deferred or poison is said to have been written.
    pub(super) event_at: Option<Instant>,
}

impl Loose<'_> {
    pub(super) fn change(&self, file: &FileId, was: Option<&StoredFile>) -> Result<Change, StepError> {
        let table = table_text(&file.table)?;
        let (pk, at) = (file_partition(file), self.at.micros());
        let mut fields = item([
            (SK, text(FILE)),
            ("f_home", number(self.home)),
            ("f_identity", text(to_json(file)?)),
            ("f_at", number(at)),
            // Index `loose`: the files of a table in no batch, by what they are and since when.
            ("loose_table", text(&table)),
            ("loose_order", text(format!("{}#{}#{pk}", self.home, sortable(at)))),
        ]);
        put(&mut fields, PK, Some(text(pk)));
        put(&mut fields, "f_reason", self.reason.map(text));
        put(&mut fields, "f_event", self.event_at.map(|at| number(at.micros())));
        if self.home == DEFERRED {
            // Index `waiting`: the deferred files of a table by their event times.
            put(&mut fields, "wait_table", Some(text(table)));
            put(&mut fields, "wait_since", Some(number(self.event_at.unwrap_or(self.at).micros())));
        }
        Ok(change(fields, was))
    }
}

/// How the numbers of files in no batch change, by table.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<TableId, [i64; 4]>);

impl Counts {
    /// A file moves from one home to another; `None` is a file that was not known.
    pub(super) fn moved(&mut self, table: &TableId, from: Option<i64>, to: i64) {
        for (home, by) in [(from.unwrap_or(IN_BATCH), -1), (to, 1)] {
            if let Some(place) = usize::try_from(home - POISON).ok().filter(|place| *place < 4) {
                let counts = self.0.entry(table.clone()).or_default();
                counts.iter_mut().skip(place).take(1).for_each(|count| *count += by);
            }
        }
    }

    /// A file is forgotten.
    pub(super) fn left(&mut self, table: &TableId, home: i64) {
        self.moved(table, Some(home), IN_BATCH);
    }

    pub(super) fn changes(self) -> Result<Vec<Change>, StepError> {
        let changed = self.0.into_iter().filter(|(_, counts)| *counts != [0; 4]);
        changed
            .map(|(table, [poison, vanished, deferred, discarded])| {
                let values = [
                    (":poison", poison),
                    (":vanished", vanished),
                    (":deferred", deferred),
                    (":discarded", discarded),
                ]
                .map(|(name, by)| (name, number(by)));
                let expression = "ADD n_poison :poison, n_vanished :vanished, n_deferred :deferred, n_discarded :discarded";
                Ok(Change::update(key("TABLES", table_text(&table)?), expression, item(values)))
            })
            .collect()
    }
}

impl DynamoDbLedger {
    /// The items of the files, in order.
    async fn stored_files(&self, files: &[FileId]) -> Result<Vec<Option<StoredFile>>, StepError> {
        let keys = files.iter().map(|file| key(file_partition(file), FILE)).collect();
        let found = self.get_many("lookup", keys, None).await?;
        let found = files.iter().map(|file| found.get(&(file_partition(file), FILE.to_owned())));
        found.map(|item| item.map(StoredFile::read).transpose()).collect()
    }

    /// The files as they are, in order. Item and batch are read one after the other: a file whose batch was given up in
    /// between is read again.
    pub(super) async fn known_files(&self, files: &[FileId]) -> Result<Vec<Known>, StepError> {
        let mut lost = String::new();
        for _ in 0..READS_MAX {
            let stored = self.stored_files(files).await?;
            let batches: BTreeSet<_> =
                stored.iter().flatten().filter_map(|file| file.batch.clone()).collect();
            let states = self.batch_states(&batches).await?;
            let mut known = Vec::with_capacity(files.len());
            for (file, stored) in files.iter().zip(stored) {
                let Some(stored) = stored else {
                    known.push(None);
                    continue;
                };
                let of_batch = stored.batch.as_ref().and_then(|batch| states.get(batch).copied());
                match stored.state(file, of_batch)? {
                    Some(state) => known.push(Some((stored, state))),
                    None => {
                        lost = format!(
                            "the file {file} is in batch {:?}, which is not there or abandoned",
                            stored.batch
                        )
                    }
                }
            }
            if known.len() == files.len() {
                return Ok(known);
            }
        }
        Err(StepError::Corrupt(lost))
    }

    async fn batch_states(
        &self,
        batches: &BTreeSet<BatchId>,
    ) -> Result<BTreeMap<BatchId, BatchState>, StepError> {
        let keys = batches.iter().map(batches::batch_key).collect();
        let found = self.get_many("lookup", keys, Some("pk, sk, b_state")).await?;
        let mut states = BTreeMap::new();
        for batch in batches {
            let key = (batches::partition(batch), batches::BATCH.to_owned());
            if let Some(item) = found.get(&key) {
                states.insert(batch.clone(), batches::state_of(item)?);
            }
        }
        Ok(states)
    }

    /// A file may come twice, with one verdict or two: it is settled in turns, since no transaction writes an item twice.
    pub(super) async fn settle_files(
        &self,
        files: &[(FileId, Verdict)],
        now: Instant,
    ) -> Result<Vec<FileState>, StepError> {
        let mut states = vec![None; files.len()];
        let mut left: Vec<_> = files.iter().enumerate().collect();
        while !left.is_empty() {
            let mut seen = BTreeSet::new();
            let (turn, later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, (file, _))| seen.insert(file));
            let some: Vec<_> = turn.iter().map(|(_, one)| (*one).clone()).collect();
            for ((place, _), state) in turn.iter().zip(self.settle_distinct(&some, now).await?) {
                states.iter_mut().skip(*place).take(1).for_each(|known| *known = Some(state.clone()));
            }
            left = later;
        }
        Ok(states.into_iter().flatten().collect())
    }

    async fn settle_distinct(
        &self,
        files: &[(FileId, Verdict)],
        now: Instant,
    ) -> Result<Vec<FileState>, StepError> {
        let names: Vec<_> = files.iter().map(|(file, _)| file.clone()).collect();
        for _ in 0..READS_MAX {
            let known = self.known_files(&names).await?;
            let (mut changes, mut counts) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Counts>::new());
            let mut states = Vec::with_capacity(files.len());
            for ((file, verdict), known) in files.iter().zip(&known) {
                let (was, state) = known.as_ref().map(|(was, state)| (was, state)).unzip();
                let Some(settled) = rules::settle(state, verdict, now) else {
                    // A verdict always applies to a file that the ledger does not know.
                    let none = || StepError::Misused(format!("no verdict applies to the file {file}"));
                    states.push(state.cloned().ok_or_else(none)?);
                    continue;
                };
                let (home, reason) = match verdict {
                    Verdict::Poison(reason) => (POISON, Some(reason.as_str())),
                    Verdict::Vanish => (VANISHED, None),
                    Verdict::Defer => (DEFERRED, None),
                };
                let event_at = match verdict {
                    Verdict::Poison(_) | Verdict::Defer => was.and_then(|was| was.event_at),
                    Verdict::Vanish => None,
                };
                let loose = Loose { home, reason, at: now, event_at };
                changes.entry(&file.table).or_default().push(loose.change(file, was)?);
                counts.entry(&file.table).or_default().moved(&file.table, was.map(|was| was.home), home);
                states.push(settled);
            }
            // One step a table. What is written when another is refused is not written again: its state says so.
            let mut refused = false;
            for (table, mut changes) in changes {
                changes.extend(counts.remove(table).unwrap_or_default().changes()?);
                refused |= self.send("settle", &changes).await? != Sent::Done;
            }
            if !refused {
                return Ok(states);
            }
        }
        Err(self.contended("settle"))
    }

    /// The items of a table's files that have this home in no batch, oldest first. The index may be late: the files' own
    /// items have the last word.
    pub(super) async fn loose_items(
        &self,
        step: &str,
        table: &TableId,
        home: i64,
        limit: usize,
    ) -> Result<Vec<Item>, StepError> {
        let values = item([(":table", text(table_text(table)?)), (":home", text(format!("{home}#")))]);
        let condition = "loose_table = :table AND begins_with(loose_order, :home)";
        let (mut found, mut from, mut seen) = (Vec::new(), None, BTreeSet::new());
        while found.len() < limit {
            let wanted = limit.saturating_sub(found.len()).min(super::calls::GETS_MAX);
            let page = self.page(step, Some("loose"), condition, values.clone(), wanted, from).await?;
            let keys = page.items.iter().map(|item| Ok(key(item.text_of(PK)?, FILE)));
            let mut items = self.get_many(step, keys.collect::<Result<_, StepError>>()?, None).await?;
            for one in &page.items {
                let pk = one.text_of(PK)?.to_owned();
                // An index that is late may show one file at two places.
                if !seen.insert(pk.clone()) {
                    continue;
                }
                let Some(item) = items.remove(&(pk, FILE.to_owned())) else { continue };
                if item.number_of::<i64>("f_home")? == home {
                    found.push(item);
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Deferred files of a table, oldest first.
    pub(super) async fn deferred_files(
        &self,
        table: &TableId,
        limit: usize,
    ) -> Result<Vec<DeferredFile>, StepError> {
        let items = self.loose_items("deferred", table, DEFERRED, limit).await?;
        let deferred = items.iter().map(|item| {
            let file = from_json("a deferred file", item.text_of("f_identity")?)?;
            let since = Instant::from_micros(item.number_of("f_at")?);
            let event_at = item.maybe_number("f_event")?.map(Instant::from_micros);
            Ok(DeferredFile { file, since, event_at })
        });
        deferred.collect()
    }
}
