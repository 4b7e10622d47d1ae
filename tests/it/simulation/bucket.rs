//! A bucket in memory: every version that was ever put, and which of them is there now. It outlives processes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use async_trait::async_trait;
use bytes::Bytes;
use landbridge::bucket::{Bucket, Held};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::FileId;
use landbridge::domain::ids::TableId;
use landbridge::domain::object::Object;

use super::chance::Chance;
use super::files::{self, Columns};
use super::kinds::Kind;
use super::process::{Call, Edge, Process};
use super::time::Gate;

/// The one cluster, and its bucket.
pub const CLUSTER: &str = "game-a";
/// Panics of batchers over one file: three would make it poison, and rightly.
const PANICS_PER_FILE: u32 = 2;
/// Panics of batchers in one seed.
const PANICS: u32 = 6;

/// What the seed made of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Good,
    /// Its values are refused by the warehouse.
    Marked,
    Footer,
    Pages,
    Type,
    Panic,
    Empty,
    /// Announced by a copy, so it is poison by design.
    Copied,
    /// Of a table that no mapping names.
    Unmapped,
}

/// A version of an object.
#[derive(Clone, Debug)]
pub struct Version {
    pub file: FileId,
    pub rows: usize,
    pub fate: Fate,
    /// It was removed or overwritten at some time.
    pub ever_gone: bool,
    bytes: Bytes,
    panics: u32,
}

/// What is to be put.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub rows: usize,
    pub fate: Fate,
    pub columns: Columns,
}

/// All versions, and those that are there.
#[derive(Default)]
pub struct Store {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    versions: Vec<Version>,
    current: BTreeMap<Arc<str>, usize>,
    panics: u32,
}

impl Store {
    /// Makes a version, which is not there yet.
    pub fn create(&self, table: &str, key: &str, wanted: Wanted) -> usize {
        let mut inner = self.inner.lock().unwrap();
        let index = inner.versions.len();
        let number = index as u64 + 1;
        let Wanted { rows, fate, columns } = wanted;
        let bytes = match fate {
            Fate::Good | Fate::Panic | Fate::Copied | Fate::Unmapped => {
                files::good(number, rows, columns, false)
            }
            Fate::Marked => files::good(number, rows, columns, true),
            Fate::Type => files::good(number, rows, Columns::Group, false),
            Fate::Footer => files::garbage(number),
            Fate::Pages => files::damaged(number, rows),
            Fate::Empty => Bytes::new(),
        };
        let file = FileId {
            table: TableId::new(CLUSTER, "s", table),
            bucket: CLUSTER.into(),
            key: key.into(),
            etag: format!("{:032x}", u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060)).into(),
            size_bytes: bytes.len() as u64,
        };
        inner.versions.push(Version { file, rows, fate, ever_gone: false, bytes, panics: 0 });
        index
    }

    /// Puts a version, over another one of its key if there is one.
    pub fn put(&self, version: usize) {
        let mut inner = self.inner.lock().unwrap();
        let key = Arc::clone(&inner.versions[version].file.key);
        if let Some(old) = inner.current.insert(key, version).filter(|old| *old != version) {
            inner.versions[old].ever_gone = true;
        }
    }

    /// Removes a version if it is there.
    pub fn remove(&self, version: usize) -> bool {
        let mut inner = self.inner.lock().unwrap();
        let key = Arc::clone(&inner.versions[version].file.key);
        let there = inner.current.get(&key) == Some(&version);
        if there {
            inner.current.remove(&key);
            inner.versions[version].ever_gone = true;
        }
        there
    }

    pub fn is_there(&self, version: usize) -> bool {
        let inner = self.inner.lock().unwrap();
        inner.current.get(&inner.versions[version].file.key) == Some(&version)
    }

    /// True when no other version has the key now.
    pub fn is_free_for(&self, version: usize) -> bool {
        let inner = self.inner.lock().unwrap();
        inner.current.get(&inner.versions[version].file.key).is_none_or(|current| *current == version)
    }

    pub fn version(&self, version: usize) -> Version {
        self.inner.lock().unwrap().versions[version].clone()
    }

    pub fn versions(&self) -> Vec<Version> {
        self.inner.lock().unwrap().versions.clone()
    }

    fn open(&self, file: &FileId, chance: &Arc<Chance>) -> Result<Arc<dyn Object>, Fault> {
        let mut inner = self.inner.lock().unwrap();
        let there = inner.current.get(&file.key).copied();
        let there = there.filter(|there| inner.versions[*there].file == *file);
        let index = there.ok_or_else(|| Fault::new(FaultKind::Vanished, format!("{file} is gone")))?;
        let spare = inner.panics < PANICS && inner.versions[index].panics < PANICS_PER_FILE;
        let panics = spare && chance.draws(Kind::PanicInBatcher, 30);
        inner.panics += u32::from(panics);
        let version = &mut inner.versions[index];
        version.panics += u32::from(panics);
        let fails = chance.draws(Kind::ReadFailed, 100);
        let reads_left = if fails { i64::try_from(chance.between(0..10)).unwrap() } else { i64::MAX };
        Ok(Arc::new(Opened {
            bytes: version.bytes.clone(),
            name: file.to_string(),
            panics_in_batcher: AtomicBool::new(panics),
            panics_in_decoder: version.fate == Fate::Panic,
            reads_left: AtomicI64::new(reads_left),
            actors: std::thread::current().id(),
            chance: Arc::clone(chance),
            gate: Gate::here(),
        }))
    }
}

/// An open object. What it does was drawn when it was opened.
struct Opened {
    bytes: Bytes,
    name: String,
    panics_in_batcher: AtomicBool,
    panics_in_decoder: bool,
    /// Reads until one fails.
    reads_left: AtomicI64,
    actors: ThreadId,
    chance: Arc<Chance>,
    gate: Arc<Gate>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Object for Opened {
    fn size_bytes(&self) -> u64 {
        // The fetcher asks on a blocking thread, the batcher on the actors' own.
        if std::thread::current().id() == self.actors && self.panics_in_batcher.swap(false, Ordering::SeqCst)
        {
            self.chance.count(Kind::PanicInBatcher);
            panic!("on purpose, in the batcher, over {}", self.name);
        }
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        self.gate.pass();
        if self.reads_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.chance.count(Kind::ReadFailed);
            return Err(Fault::new(FaultKind::Unavailable, format!("a read of {} failed", self.name)));
        }
        let from = usize::try_from(offset).unwrap();
        let end = from.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            Fault::new(FaultKind::Unreadable, format!("{length} bytes at {offset} of {}", self.name))
        })?;
        // The magic is at 0, the first page right behind it; the footer is far away.
        if self.panics_in_decoder && (1..100).contains(&offset) && end < self.bytes.len() / 2 {
            panic!("on purpose, in the decoder, over {}", self.name);
        }
        Ok(self.bytes.slice(from..end))
    }
}

/// The bucket of one process.
pub struct BucketPort {
    pub store: Arc<Store>,
    pub process: Arc<Process>,
}

#[async_trait]
impl Bucket for BucketPort {
    fn held(&self, file: &FileId) -> Held {
        Held { memory_bytes: file.size_bytes, disk_bytes: 0 }
    }

    async fn open(&self, file: &FileId) -> Result<Arc<dyn Object>, Fault> {
        let call = Call {
            edge: Edge::Bucket,
            name: "open",
            about: file.to_string(),
            before: (Kind::OpenFailed, 120),
            after: (Kind::OpenFailed, 60),
        };
        self.process.call(call, async { self.store.open(file, &self.process.chance) }).await
    }
}
