//! The generator's own record: what it put into the bucket, written down before it did it.
//!
//! `record.jsonl` holds an intent line before each rename or delete and a done line after it. A kill may fall between
//! any two: `open` resolves what was begun by looking at the directory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bucket::local::etag_of;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is to be loaded.
    Good,
    /// It is damaged.
    Poison,
    /// It is announced and gone.
    Vanish,
}

/// A file that was put into the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub number: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// The cluster, which is the bucket's name.
    pub cluster: String,
    /// Its key.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its rows; of a damaged one, those it would have.
    pub rows: u64,
    /// When it was announced.
    pub at: Instant,
}

impl Entry {
    /// The `_source_file` of its rows.
    pub fn source_file(&self) -> String {
        format!("{}/{}@{}", self.cluster, self.key, self.etag)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Intent(Entry),
    Done(u64),
}

/// The record.
#[derive(Debug)]
pub struct Record {
    bucket: PathBuf,
    file: File,
    entries: BTreeMap<u64, Entry>,
}

impl Record {
    /// Opens or begins the record at `path` of what is in the directory `bucket`, and resolves what was begun.
    pub fn open(path: &Path, bucket: &Path) -> Result<Self, Fault> {
        let cannot = |error| Fault::from_io(format!("cannot open the record {}", path.display()), error);
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(cannot(error)),
        };
        // A line without its end was cut by the kill: nothing was done on its strength.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(cannot)?;
        file.set_len(whole as u64).map_err(cannot)?;
        let mut record = Self { bucket: bucket.to_owned(), file, entries: BTreeMap::new() };
        let mut begun: BTreeMap<u64, Entry> = BTreeMap::new();
        for line in text.get(..whole).unwrap_or_default().lines() {
            let line: Line = serde_json::from_str(line).map_err(|error| {
                Fault::from_error(
                    FaultKind::LedgerCorrupt,
                    format!("the record {} is damaged at {line}", path.display()),
                    error,
                )
            })?;
            match line {
                Line::Intent(entry) => {
                    begun.insert(entry.number, entry);
                }
                Line::Done(number) => {
                    record.entries.extend(begun.remove(&number).map(|entry| (number, entry)))
                }
            }
        }
        for entry in begun.into_values() {
            if record.resolve(&entry)? {
                record.done(entry)?;
            }
        }
        Ok(record)
    }

    /// All files that were put into the bucket.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The number of the next file.
    pub fn next_number(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(number, _)| number + 1)
    }

    /// The latest time in the record.
    pub fn latest(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.at).max()
    }

    /// Where a file of `cluster` is written before it is renamed.
    pub fn temporary(&self, cluster: &str, key: &str) -> PathBuf {
        let path = self.path(cluster, key);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.with_file_name(format!(".{name}.tmp"))
    }

    fn path(&self, cluster: &str, key: &str) -> PathBuf {
        self.bucket.join(cluster).join(key)
    }

    /// Puts a finished temporary file into the bucket, or makes it vanish, as its fate says.
    pub fn put(
        &mut self,
        cluster: &str,
        key: &str,
        rows: u64,
        fate: Fate,
        at: Instant,
    ) -> Result<Entry, Fault> {
        let temporary = self.temporary(cluster, key);
        let metadata = fs::metadata(&temporary)
            .map_err(|error| Fault::from_io(format!("cannot read {}", temporary.display()), error))?;
        let entry = Entry {
            number: self.next_number(),
            fate,
            cluster: cluster.to_owned(),
            key: key.to_owned(),
            // Modification time, inode and size stay through the rename.
            etag: etag_of(&metadata),
            size_bytes: metadata.len(),
            rows,
            at,
        };
        self.append(&Line::Intent(entry.clone()))?;
        self.perform(&entry)?;
        self.done(entry.clone())?;
        Ok(entry)
    }

    fn perform(&self, entry: &Entry) -> Result<(), Fault> {
        let temporary = self.temporary(&entry.cluster, &entry.key);
        let performed = match entry.fate {
            Fate::Good | Fate::Poison => fs::rename(&temporary, self.path(&entry.cluster, &entry.key)),
            Fate::Vanish => fs::remove_file(&temporary),
        };
        performed.map_err(|error| Fault::from_io(format!("cannot finish {}", temporary.display()), error))
    }

    /// Finishes what was begun; false when it never happened.
    fn resolve(&self, entry: &Entry) -> Result<bool, Fault> {
        let is_there =
            |path: &Path| fs::metadata(path).is_ok_and(|metadata| etag_of(&metadata) == entry.etag);
        if is_there(&self.temporary(&entry.cluster, &entry.key)) {
            self.perform(entry)?;
            return Ok(true);
        }
        Ok(entry.fate == Fate::Vanish || is_there(&self.path(&entry.cluster, &entry.key)))
    }

    fn done(&mut self, entry: Entry) -> Result<(), Fault> {
        self.append(&Line::Done(entry.number))?;
        self.entries.insert(entry.number, entry);
        Ok(())
    }

    /// One write call: the line survives a kill of this process whole, or not at all.
    fn append(&mut self, line: &Line) -> Result<(), Fault> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| Fault::from_error(FaultKind::Internal, "cannot write the record", error))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| Fault::from_io("cannot write the record", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("bucket/a/s/t")).unwrap();
            Self { folder }
        }

        fn record(&self) -> Record {
            Record::open(&self.folder.path().join("record.jsonl"), &self.folder.path().join("bucket"))
                .unwrap()
        }

        fn text(&self) -> String {
            fs::read_to_string(self.folder.path().join("record.jsonl")).unwrap()
        }

        fn set_text(&self, text: &str) {
            fs::write(self.folder.path().join("record.jsonl"), text).unwrap();
        }
    }

    fn put(record: &mut Record, fate: Fate) -> Entry {
        fs::write(record.temporary("a", "s/t/x.parquet"), "xyz").unwrap();
        record.put("a", "s/t/x.parquet", 7, fate, Instant::from_micros(5)).unwrap()
    }

    #[test]
    fn what_was_put_is_remembered() {
        let place = Place::new();
        let entry = put(&mut place.record(), Fate::Good);
        let record = place.record();
        assert_eq!(record.entries().collect::<Vec<_>>(), [&entry]);
        assert_eq!((record.next_number(), record.latest()), (1, Some(Instant::from_micros(5))));
        let metadata = fs::metadata(place.folder.path().join("bucket/a/s/t/x.parquet")).unwrap();
        assert_eq!(etag_of(&metadata), entry.etag);
    }

    #[test]
    fn a_kill_after_the_intent_is_resolved_by_looking() {
        for (fate, happened) in
            [(Fate::Good, true), (Fate::Good, false), (Fate::Vanish, true), (Fate::Vanish, false)]
        {
            let place = Place::new();
            let mut record = place.record();
            fs::write(record.temporary("a", "s/t/x.parquet"), "xyz").unwrap();
            let kept = place.folder.path().join("kept");
            fs::hard_link(record.temporary("a", "s/t/x.parquet"), &kept).unwrap();
            record.put("a", "s/t/x.parquet", 7, fate, Instant::from_micros(5)).unwrap();
            // The kill fell after the intent: there is no done line, and perhaps nothing was done.
            let intent = place.text().lines().next().unwrap().to_owned() + "\n";
            place.set_text(&intent);
            let target = place.folder.path().join("bucket/a/s/t/x.parquet");
            if !happened {
                let _ = fs::remove_file(&target);
                fs::hard_link(&kept, record.temporary("a", "s/t/x.parquet")).unwrap();
            }
            let again = place.record();
            assert_eq!(again.entries().count(), 1, "{fate:?} {happened}");
            assert_eq!(target.exists(), fate == Fate::Good);
            assert!(!again.temporary("a", "s/t/x.parquet").exists());
        }
    }

    #[test]
    fn an_intent_whose_file_is_nowhere_never_happened() {
        let place = Place::new();
        put(&mut place.record(), Fate::Good);
        let intent = place.text().lines().next().unwrap().to_owned() + "\n";
        place.set_text(&intent);
        fs::remove_file(place.folder.path().join("bucket/a/s/t/x.parquet")).unwrap();
        assert_eq!(place.record().entries().count(), 0);
    }

    #[test]
    fn a_torn_line_is_cut_off() {
        let place = Place::new();
        put(&mut place.record(), Fate::Good);
        place.set_text(&(place.text() + "{\"intent\":{\"numb"));
        assert_eq!(place.record().entries().count(), 1);
        assert!(place.text().ends_with('\n'));
        put(&mut place.record(), Fate::Good);
        assert_eq!(place.record().entries().count(), 2);
    }
}
