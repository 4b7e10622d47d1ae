//! What is in the lake against what the generator recorded. Landbridge's own counters and ledger are not asked.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::record::{Entry, Fate, Record};
use crate::domain::fault::Fault;
use crate::domain::instant::Instant;
use crate::warehouse::lake::data_files;
use crate::warehouse::lake::lineage::each_row;

/// Counts of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// In the record.
    pub announced: u64,
    /// With all their rows in the lake.
    pub loaded: u64,
    /// Damaged ones with rows that are not in the lake.
    pub poisoned: u64,
    /// Vanished ones with rows that are not in the lake.
    pub vanished: u64,
}

/// Counts of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// In the record.
    pub announced: u64,
    /// Distinct rows of recorded files in the lake.
    pub loaded: u64,
    /// Of damaged files, and not in the lake.
    pub poisoned: u64,
    /// Of vanished files, and not in the lake.
    pub vanished: u64,
    /// Of good files, and not in the lake.
    pub missing: u64,
    /// In the lake beyond the distinct recorded ones.
    pub duplicated: u64,
}

/// One side of the reconciliation: a cluster's, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: Files,
    /// Rows.
    pub rows: Rows,
    /// From a file's announcement to its rows in the lake, ascending.
    pub lags: Vec<Duration>,
}

impl Tally {
    /// The lag that this share (0 to 1) of the files did not exceed, in seconds.
    pub fn lag_seconds(&self, share: f64) -> f64 {
        let last = self.lags.len().saturating_sub(1);
        let rank = (share * last as f64).ceil() as usize;
        self.lags.get(rank.min(last)).map_or(0.0, Duration::as_secs_f64)
    }
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// By cluster.
    pub clusters: BTreeMap<String, Tally>,
    /// All together.
    pub total: Tally,
    /// Up to ten files of which rows are missing or doubled, with what is wrong.
    pub culprits: Vec<String>,
}

impl Reconciliation {
    /// No row is missing, none is doubled.
    pub fn is_good(&self) -> bool {
        self.total.rows.missing == 0 && self.total.rows.duplicated == 0
    }
}

/// What the lake holds of one file.
#[derive(Default)]
struct Found {
    /// Which rows were seen.
    seen: Vec<bool>,
    distinct: u64,
    beyond: u64,
    visible_at: Option<Instant>,
}

/// Reads all of the lake and compares it with the record.
pub fn reconcile(record: &Record, lake: &Path) -> Result<Reconciliation, Fault> {
    let mut found: HashMap<String, Found> = HashMap::new();
    for entry in record.entries() {
        let rows = usize::try_from(entry.rows).unwrap_or(0);
        found.insert(entry.source_file(), Found { seen: vec![false; rows], ..Found::default() });
    }
    let mut unknown: BTreeMap<String, u64> = BTreeMap::new();
    if lake.is_dir() {
        for path in data_files(lake)? {
            read(&path, &mut found, &mut unknown)?;
        }
    }
    let mut result = Reconciliation::default();
    for entry in record.entries() {
        let found = found.remove(&entry.source_file()).unwrap_or_default();
        tally(&mut result, entry, &found);
    }
    for (file, rows) in unknown {
        result.total.rows.duplicated += rows;
        blame(&mut result.culprits, || format!("{file}: {rows} rows of a file that was never announced"));
    }
    result.total.lags.sort();
    result.clusters.values_mut().for_each(|tally| tally.lags.sort());
    Ok(result)
}

fn blame(culprits: &mut Vec<String>, text: impl FnOnce() -> String) {
    if culprits.len() < 10 {
        culprits.push(text());
    }
}

fn tally(result: &mut Reconciliation, entry: &Entry, found: &Found) {
    let absent = entry.rows - found.distinct.min(entry.rows);
    let lag = found.visible_at.map(|at| at.since(entry.at));
    let cluster = result.clusters.entry(entry.cluster.clone()).or_default();
    for tally in [cluster, &mut result.total] {
        tally.files.announced += 1;
        tally.rows.announced += entry.rows;
        tally.rows.loaded += found.distinct;
        tally.rows.duplicated += found.beyond;
        tally.lags.extend(lag);
        match (absent, entry.fate) {
            (0, _) => tally.files.loaded += 1,
            (_, Fate::Good) => tally.rows.missing += absent,
            (_, Fate::Poison) => {
                tally.files.poisoned += 1;
                tally.rows.poisoned += absent;
            }
            (_, Fate::Vanish) => {
                tally.files.vanished += 1;
                tally.rows.vanished += absent;
            }
        }
    }
    if (absent > 0 && entry.fate == Fate::Good) || found.beyond > 0 {
        let name = entry.source_file();
        blame(&mut result.culprits, || format!("{name}: {absent} rows missing, {} beyond", found.beyond));
    }
}

/// Adds what one file of the lake holds.
fn read(
    path: &Path,
    found: &mut HashMap<String, Found>,
    unknown: &mut BTreeMap<String, u64>,
) -> Result<(), Fault> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| Fault::from_io(format!("cannot read {}", path.display()), error))?;
    // A file of the lake becomes visible by a link, which changes its inode and nothing else.
    let visible_at = Instant::from_micros(
        metadata.ctime().saturating_mul(1_000_000).saturating_add(metadata.ctime_nsec() / 1_000),
    );
    each_row(path, &mut |row| {
        let source = row.file.unwrap_or_default();
        let Some(found) = found.get_mut(source) else {
            *unknown.entry(source.to_owned()).or_default() += 1;
            return;
        };
        found.visible_at = found.visible_at.max(Some(visible_at));
        let number = row.row.and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
        match found.seen.get_mut(number) {
            Some(seen) if !*seen => {
                *seen = true;
                found.distinct += 1;
            }
            Some(_) | None => found.beyond += 1,
        }
    })
}

#[cfg(test)]
mod tests;
