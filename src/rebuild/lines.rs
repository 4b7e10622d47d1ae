//! One table: what was listed and what was loaded become lines of a ledger.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Present;
use crate::domain::audit::Found;
use crate::domain::batch::{Batch, Destination, FILES_PER_BATCH_MAX, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::route::{FileKind, file_kind};
use crate::domain::summary::EventSpan;
use crate::ledger::archive::{KeptBatch, KeptFile, Line, Place};

/// The hash of column rules of an attempt of which only its rows are known.
const PLAN_HASH: &str = "rebuilt";
/// Why a file of which another version is loaded is not announced again. A listing does not tell a copy from a new object.
const COPY: &str = "another version of this object is loaded: a copy or a re-encryption would double its rows; if it is another file, redrive it";
/// Files that are named of each finding.
const NAMED_MAX: usize = 5;

/// The rows of a table: `_source_file` by `_batch_id`.
#[derive(Debug, Default)]
pub struct Loaded {
    batches: BTreeMap<String, BTreeMap<String, Found>>,
    /// Rows that were not landbridge's.
    foreign_rows: u64,
}

/// What will be written of a table, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePlan {
    /// Files that the warehouse has rows of.
    pub loaded: u64,
    /// Those rows.
    pub rows: u64,
    /// Of the loaded files, those that are not in the bucket any more.
    pub gone: u64,
    /// Files that are announced again.
    pub again: u64,
    /// When the oldest of them was written.
    pub oldest_again: Option<Instant>,
    /// Files without rows whose key has rows under another ETag: poison until somebody says what they are.
    pub copies: u64,
    /// Files without rows that are older than was wished: left alone.
    pub left: u64,
    /// Rows without lineage: another program's.
    pub foreign_rows: u64,
    /// Files whose rows are there more than once, or not all; a few.
    pub strange: Vec<String>,
}

impl Loaded {
    /// Takes in rows; parts of one file and batch are put together.
    pub(super) fn add(&mut self, found: Found) {
        if found.file.is_empty() || found.batch.is_empty() {
            self.foreign_rows += found.rows;
            return;
        }
        match self.batches.entry(found.batch.clone()).or_default().entry(found.file.clone()) {
            Entry::Vacant(place) => {
                place.insert(found);
            }
            Entry::Occupied(mut known) => known.get_mut().merge(found),
        }
    }
}

/// The lines of a table: its loaded batches, then the files without rows, written at `since` or later, as deferred ones.
pub fn lines(
    table: &TableId,
    destination: &Destination,
    mut present: Present,
    loaded: Loaded,
    since: Option<Instant>,
    now: Instant,
) -> (TablePlan, Vec<Line>) {
    let mut plan = TablePlan { foreign_rows: loaded.foreign_rows, ..TablePlan::default() };
    let mut lines = Vec::new();
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for (id, files) in loaded.batches {
        let (mut entries, mut events, mut claimed_at) = (Vec::new(), None, None::<Instant>);
        for (name, found) in files {
            if let Some(other) = places.insert(name.clone(), id.clone()) {
                plan.finds(format!("{name} has rows from batch {other} and from batch {id}"));
                continue;
            }
            if found.numbers.within(found.rows) != found.rows {
                plan.finds(format!("{name} has {} rows from batch {id}, not each once", found.rows));
            }
            let file = match present.remove(&name) {
                Some((file, modified)) => {
                    events = Some(EventSpan::widened(events, modified));
                    file
                }
                None => match gone(table, &name) {
                    Some(file) => {
                        plan.gone += 1;
                        file
                    }
                    None => {
                        plan.foreign_rows += found.rows;
                        continue;
                    }
                },
            };
            keys.insert((Arc::clone(&file.bucket), Arc::clone(&file.key)));
            plan.loaded += 1;
            plan.rows += found.rows;
            claimed_at =
                found.claimed.map(|(from, _)| claimed_at.map_or(from, |at| at.min(from))).or(claimed_at);
            entries.push(ManifestEntry { file, rows: found.rows });
        }
        let claimed_at = claimed_at.unwrap_or(now);
        lines.extend(batches(table, destination, &id, claimed_at, events, &entries));
    }
    for (file, modified) in present.into_values() {
        let is_full_load =
            file_kind(file.key.rsplit('/').next().unwrap_or_default()) == Some(FileKind::FullLoad);
        if !is_full_load && keys.contains(&(Arc::clone(&file.bucket), Arc::clone(&file.key))) {
            plan.copies += 1;
            let place = Place::Poison { reason: COPY.to_owned(), discarded: false };
            lines.push(Line::File(KeptFile { file, place, at: now, event_at: Some(modified) }));
            continue;
        }
        if since.is_some_and(|since| modified < since) {
            plan.left += 1;
            continue;
        }
        plan.again += 1;
        plan.oldest_again = Some(plan.oldest_again.map_or(modified, |oldest| oldest.min(modified)));
        lines.push(Line::File(KeptFile { file, place: Place::Deferred, at: now, event_at: Some(modified) }));
    }
    (plan, lines)
}

impl TablePlan {
    /// Adds another table's numbers.
    pub fn add(&mut self, other: &Self) {
        self.loaded += other.loaded;
        self.rows += other.rows;
        self.gone += other.gone;
        self.again += other.again;
        self.left += other.left;
        self.copies += other.copies;
        self.foreign_rows += other.foreign_rows;
        self.oldest_again = self.oldest_again.into_iter().chain(other.oldest_again).min();
    }

    fn finds(&mut self, text: String) {
        if self.strange.len() < NAMED_MAX {
            self.strange.push(text);
        }
    }
}

/// The batch as it was; more than one only where somebody else gave its id to more files than a batch has.
fn batches(
    table: &TableId,
    destination: &Destination,
    id: &str,
    claimed_at: Instant,
    events: Option<EventSpan>,
    entries: &[ManifestEntry],
) -> Vec<Line> {
    let own = BatchId::from_stored(id.to_owned());
    let batch = |(place, entries): (usize, &[ManifestEntry])| {
        let manifest = Manifest { entries: entries.to_vec() };
        let parent = (place > 0).then(|| own.clone());
        let mut batch = Batch::plan(table.clone(), destination.clone(), claimed_at, parent, manifest);
        if place == 0 {
            batch.id = own.clone();
        }
        batch.events = events;
        Line::Batch(KeptBatch::loaded(batch, PLAN_HASH))
    };
    entries.chunks(FILES_PER_BATCH_MAX).enumerate().map(batch).collect()
}

/// A loaded file that is not in its bucket any more. Its size is not known, so that it is never taken for one that is
/// announced; nor can its object be loaded again.
fn gone(table: &TableId, source_file: &str) -> Option<FileId> {
    let (path, etag) = source_file.rsplit_once('@')?;
    let (bucket, key) = path.split_once('/')?;
    let (bucket, key, etag) = (Arc::from(bucket), Arc::from(key), Arc::from(etag));
    Some(FileId { table: table.clone(), bucket, key, etag, size_bytes: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Numbers;

    fn found(file: &str, batch: &str, rows: u64, distinct: u64) -> Found {
        let numbers = Numbers::Counted { distinct, least: 0, most: i64::try_from(distinct).unwrap() - 1 };
        let claimed = Some((Instant::from_micros(50), Instant::from_micros(60)));
        Found { file: file.into(), batch: batch.into(), rows, numbers, claimed }
    }

    fn present(names: &[(&str, i64)]) -> Present {
        let entry = |(name, modified): &(&str, i64)| {
            let file = FileId { size_bytes: 9, ..gone(&table(), name).unwrap() };
            ((*name).to_owned(), (file, Instant::from_micros(*modified)))
        };
        names.iter().map(entry).collect()
    }

    fn table() -> TableId {
        TableId::new("a", "s", "t")
    }

    fn of(present: Present, found: &[Found], since: Option<i64>) -> (TablePlan, Vec<Line>) {
        let mut loaded = Loaded::default();
        found.iter().for_each(|found| loaded.add(found.clone()));
        let since = since.map(Instant::from_micros);
        lines(&table(), &Destination::default(), present, loaded, since, Instant::from_micros(99))
    }

    #[test]
    fn what_has_rows_is_loaded_and_what_has_none_is_announced_again() {
        let load = "b/LOAD00000001.parquet";
        let [load_1, load_2] = [1, 2].map(|etag| format!("{load}@{etag}"));
        let files = present(&[
            ("b/x@1", 10),
            ("b/x@2", 20),
            ("b/y@1", 30),
            ("b/old@1", 1),
            (&load_1, 5),
            (&load_2, 40),
        ]);
        let rows = [
            found("b/x@1", "one", 5, 5),
            found("b/gone@7", "one", 3, 3),
            found(&load_1, "one", 1, 1),
            found("", "", 8, 0),
        ];
        let (plan, lines) = of(files, &rows, Some(5));
        assert_eq!((plan.loaded, plan.rows, plan.gone, plan.again), (3, 9, 1, 2));
        assert_eq!((plan.left, plan.foreign_rows, plan.copies, plan.strange.len()), (1, 8, 1, 0));
        assert_eq!(plan.oldest_again, Some(Instant::from_micros(30)));
        let [Line::Batch(kept), Line::File(first), Line::File(second), Line::File(third)] = lines.as_slice()
        else {
            panic!("{lines:?}")
        };
        assert_eq!((kept.batch.id.as_str(), kept.batch.claimed_at.micros()), ("one", 50));
        // A full load is written again under its name; what else has a loaded version is a copy, or for a person to judge.
        assert_eq!((first.file.source_file(), &first.place), (load_2, &Place::Deferred));
        assert_eq!(second.file.source_file(), "b/x@2");
        assert!(matches!(second.place, Place::Poison { .. }), "{second:?}");
        assert_eq!((third.file.source_file().as_str(), &third.place), ("b/y@1", &Place::Deferred));
        let sizes: Vec<_> = kept.batch.manifest.entries.iter().map(|entry| entry.file.size_bytes).collect();
        assert_eq!(sizes, [9, 0, 9]);
    }

    #[test]
    fn rows_that_are_there_twice_are_told_and_their_file_is_in_one_batch() {
        let rows = [found("b/x@1", "one", 5, 5), found("b/x@1", "two", 5, 5), found("b/y@1", "two", 6, 3)];
        let (plan, lines) = of(present(&[("b/x@1", 10), ("b/y@1", 10)]), &rows, None);
        assert_eq!((plan.loaded, plan.strange.len(), lines.len()), (2, 2, 2), "{plan:?}");
        assert!(plan.strange[0].contains("batch one and from batch two"), "{plan:?}");
    }

    #[test]
    fn parts_of_one_file_are_put_together_and_no_batch_is_too_large() {
        let many: Vec<_> = (0..200).map(|n| found(&format!("b/{n}@1"), "one", 2, 2)).collect();
        let (plan, lines) = of(present(&[]), &many, None);
        assert_eq!((plan.loaded, lines.len()), (200, 3));
        let id = |line: &Line| match line {
            Line::Batch(kept) => Some(kept.batch.id.clone()),
            Line::Ledger(_)
            | Line::File(_)
            | Line::Mode { .. }
            | Line::Shape { .. }
            | Line::DeadLetter(_)
            | Line::Usage(_)
            | Line::Watermark { .. }
            | Line::End(_) => None,
        };
        let ids: std::collections::BTreeSet<_> = lines.iter().filter_map(id).collect();
        assert_eq!(ids.len(), 3);
    }
}
