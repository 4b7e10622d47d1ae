//! The generator: writes what is due, records it, and tells what is to be announced by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::generate::file_name;
use super::record::{Entry, Fate, Record};
use super::rows::{Column, Layout, Slice, rows};
use super::world::{ADDED_COLUMN, CLUSTERS, DemoTable, tables};
use super::writer::{Codec, write};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

/// A table writes at most one file in this time.
const FILE_INTERVAL: Duration = Duration::from_secs(2);
/// One file in this many is announced twice.
const REPEATED_ONE_IN: u32 = 8;
/// Rows of the largest full load.
const FULL_LOAD_ROWS: f64 = 20_000.0;

/// What the caller is to announce by hand: a file that is gone, or a repeated notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce(pub Entry);

/// What was written so far, in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
}

struct Stream {
    table: DemoTable,
    /// Rows that are due and not yet written.
    due: f64,
    next_id: u64,
    last_file: Option<Instant>,
    loaded: bool,
}

/// The generator.
pub struct Traffic {
    record: Record,
    streams: Vec<Stream>,
    random: SmallRng,
    rows_per_second: f64,
    started: Instant,
    length: Duration,
    last_step: Instant,
    written: Written,
    poisoned: bool,
    vanished: bool,
}

impl Traffic {
    /// Traffic into `bucket` for `length` from `now`, going on from what the record holds.
    pub fn new(
        record: Record,
        bucket: &Path,
        rows_per_second: f64,
        now: Instant,
        length: Duration,
    ) -> Result<Self, Fault> {
        let mut ids: BTreeMap<(String, String), u64> = BTreeMap::new();
        for entry in record.entries() {
            let table = entry.key.split('/').nth(1).unwrap_or_default().to_owned();
            *ids.entry((entry.cluster.clone(), table)).or_default() += entry.rows;
        }
        let known = |fate| record.entries().any(|entry| entry.fate == fate);
        let (poisoned, vanished) = (known(Fate::Poison), known(Fate::Vanish));
        let streams: Vec<_> = tables()
            .into_iter()
            .map(|table| {
                let next_id = ids.get(&(table.cluster.to_owned(), table.name.to_owned())).copied();
                let last_file = record.latest();
                Stream {
                    table,
                    due: 0.0,
                    next_id: next_id.unwrap_or(0),
                    last_file,
                    loaded: next_id.is_some(),
                }
            })
            .collect();
        for cluster in CLUSTERS {
            for stream in streams.iter().filter(|stream| stream.table.cluster == cluster) {
                let folder = bucket.join(cluster).join(stream.table.prefix());
                fs::create_dir_all(&folder)
                    .map_err(|error| Fault::from_io(format!("cannot create {}", folder.display()), error))?;
            }
        }
        let random = SmallRng::seed_from_u64(record.next_number());
        Ok(Self {
            record,
            streams,
            random,
            rows_per_second,
            started: now,
            length,
            last_step: now,
            written: Written::default(),
            poisoned,
            vanished,
        })
    }

    /// What was written in this run.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Gives the record back.
    pub fn into_record(self) -> Record {
        self.record
    }

    /// Writes what is due at `now`.
    pub fn step(&mut self, now: Instant) -> Result<Vec<Announce>, Fault> {
        let passed = now.since(self.last_step).as_secs_f64();
        self.last_step = now;
        let shares: f64 = self.streams.iter().map(|stream| stream.table.share).sum();
        let mut announce = Vec::new();
        for index in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(index) else { break };
            stream.due += self.rows_per_second * passed * stream.table.share / shares;
            if !stream.loaded {
                stream.loaded = true;
                let count = (FULL_LOAD_ROWS * stream.table.share).max(5.0);
                announce.extend(self.write(index, count, Layout::FullLoad, Fate::Good, now)?);
                continue;
            }
            let rested = stream.last_file.is_none_or(|last| now.since(last) >= FILE_INTERVAL);
            if rested && stream.due >= 1.0 {
                let (count, fate) = (stream.due.floor(), Fate::Good);
                stream.due -= count;
                announce.extend(self.write(index, count, Layout::Changes, fate, now)?);
            }
        }
        if now.since(self.started) >= self.length / 2 {
            if !self.poisoned {
                self.poisoned = true;
                announce.extend(self.write(1, 40.0, Layout::Changes, Fate::Poison, now)?);
            }
            if !self.vanished {
                self.vanished = true;
                announce.extend(self.write(2, 30.0, Layout::Changes, Fate::Vanish, now)?);
            }
        }
        Ok(announce)
    }

    fn write(
        &mut self,
        index: usize,
        count: f64,
        layout: Layout,
        fate: Fate,
        now: Instant,
    ) -> Result<Option<Announce>, Fault> {
        let changed = now.since(self.started) >= self.length / 3;
        let Some(stream) = self.streams.get_mut(index) else { return Ok(None) };
        let mut columns: Vec<Column> = stream.table.columns.clone();
        if changed && index == 0 {
            columns.push(ADDED_COLUMN);
        }
        let count = count as u64;
        let slice = Slice {
            first: stream.next_id,
            rows: usize::try_from(count).unwrap_or(0),
            commit: now,
            step_micros: 1,
            seed: self.random.random_range(0..=u64::MAX),
        };
        // Two files of a table never share a name: each is a millisecond later than the one before.
        let earliest = stream.last_file.map_or(now, |last| last.plus(Duration::from_millis(1)));
        let at = now.max(earliest);
        stream.last_file = Some(at);
        stream.next_id += count;
        let name = if layout == Layout::FullLoad { "LOAD00000001.parquet".to_owned() } else { file_name(at) };
        let (cluster, key) = (stream.table.cluster, format!("{}{name}", stream.table.prefix()));
        let rows = rows(&columns, layout, slice)
            .map_err(|error| Fault::from_error(FaultKind::Internal, "cannot make rows", error))?;
        let temporary = self.record.temporary(cluster, &key);
        write(&temporary, &rows, if index.is_multiple_of(2) { Codec::Gzip } else { Codec::None })?;
        if fate == Fate::Poison {
            cut_in_half(&temporary)?;
        }
        let entry = self.record.put(cluster, &key, count, fate, at)?;
        self.written.files += 1;
        self.written.rows += count;
        let repeated = fate == Fate::Good && self.random.random_range(0..REPEATED_ONE_IN) == 0;
        Ok((repeated || fate == Fate::Vanish).then_some(Announce(entry)))
    }
}

/// What a transfer that broke off leaves.
fn cut_in_half(path: &Path) -> Result<(), Fault> {
    let cannot = |error| Fault::from_io(format!("cannot cut {}", path.display()), error);
    let file = fs::OpenOptions::new().write(true).open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    file.set_len(size / 2).map_err(cannot)
}
