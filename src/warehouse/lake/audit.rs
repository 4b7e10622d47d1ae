//! Counts the rows of the lake. Nothing is created or removed: a landbridge may run on it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::Sender;

use super::lineage::{Lineage, each_row};
use super::{data_files, path_safe};
use crate::domain::audit::{Found, Numbers, Runs};
use crate::domain::batch::Destination;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::BatchId;
use crate::domain::instant::Instant;
use crate::domain::typed_view::Part;
use crate::flow::cpu::blocking;
use crate::warehouse::audit::{Audit, FOUND_PAGE, Survey};

/// What the names of the folders of a day begin with.
const DAY: &str = "date=";

/// A lake that is only read.
#[derive(Clone, Debug)]
pub struct LakeAudit {
    root: Arc<Path>,
}

impl LakeAudit {
    /// The lake at `root`, which must be there: one whose volume is not mounted holds nothing, and proves nothing.
    pub fn open(root: PathBuf) -> Result<Self, Fault> {
        if root.is_dir() {
            return Ok(Self { root: root.into() });
        }
        Err(Fault::new(FaultKind::Vanished, format!("there is no lake at {}", root.display())))
    }
}

#[async_trait]
impl Audit for LakeAudit {
    async fn rows_by_file(
        &self,
        destination: &Destination,
        since: Option<Instant>,
        pages: Sender<Vec<Found>>,
    ) -> Result<Survey, Fault> {
        let folder = self.root.join(path_safe(&destination.dataset)).join(path_safe(&destination.table));
        blocking("counting rows of the lake", move || {
            if !folder.is_dir() {
                return Ok(Survey::default());
            }
            let mut bytes = 0;
            for path in data_files(&folder)? {
                if is_of_another_day(&path, since) {
                    continue;
                }
                bytes += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                let mut counts = Counts { since, ..Counts::default() };
                each_row(&path, &mut |row| counts.add(row))?;
                for page in counts.pages() {
                    if pages.blocking_send(page).is_err() {
                        return Ok(Survey { exists: true, bytes });
                    }
                }
            }
            Ok(Survey { exists: true, bytes })
        })
        .await
    }

    /// They would have to be sorted by a key of any width: whoever reads the lake with an engine counts them there.
    async fn repeats(&self, _: &Destination, _: &[Part], _: Option<Instant>) -> Result<Option<u64>, Fault> {
        Ok(None)
    }
}

#[async_trait]
impl crate::warehouse::lineage::Lineage for LakeAudit {
    async fn batch_of(
        &self,
        destination: &Destination,
        source_file: &str,
        claimed: Range<Instant>,
    ) -> Result<Option<BatchId>, Fault> {
        let folder = self.root.join(path_safe(&destination.dataset)).join(path_safe(&destination.table));
        let wanted = source_file.to_owned();
        blocking("looking for a file's rows in the lake", move || {
            if !folder.is_dir() {
                return Ok(None);
            }
            for path in data_files(&folder)? {
                if !is_within(&path, &claimed) {
                    continue;
                }
                let mut holder = None;
                each_row(&path, &mut |row| {
                    if row.file == Some(&wanted) {
                        holder = row.batch.map(|batch| BatchId::from_stored(batch.to_owned()));
                    }
                })?;
                if holder.is_some() {
                    return Ok(holder);
                }
            }
            Ok(None)
        })
        .await
    }
}

/// True when the folder does not say that everything in it was claimed before or after.
fn is_within(path: &Path, claimed: &Range<Instant>) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let day = folder.and_then(|folder| folder.strip_prefix(DAY));
    day.is_none_or(|day| *claimed.start.date() <= *day && *day <= *claimed.end.date())
}

/// True when the folder says that everything in it was claimed on a day before.
fn is_of_another_day(path: &Path, since: Option<Instant>) -> bool {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let day = folder.and_then(|folder| folder.strip_prefix(DAY));
    since.zip(day).is_some_and(|(since, day)| *day < *since.date())
}

/// What one file of the lake holds: rows of at most as many files as a batch has, unless somebody else wrote it.
#[derive(Default)]
struct Counts {
    since: Option<Instant>,
    of: HashMap<String, HashMap<String, Count>>,
}

#[derive(Default)]
struct Count {
    rows: u64,
    numbers: Runs,
    claimed: Option<(Instant, Instant)>,
}

impl Counts {
    fn add(&mut self, row: Lineage<'_>) {
        if self.since.is_some_and(|since| row.claimed_at.is_none_or(|at| at < since)) {
            return;
        }
        let (file, batch) = (row.file.unwrap_or_default(), row.batch.unwrap_or_default());
        // The names are the same over many rows: they are copied once.
        if !self.of.contains_key(file) {
            self.of.insert(file.to_owned(), HashMap::new());
        }
        let Some(batches) = self.of.get_mut(file) else { return };
        if !batches.contains_key(batch) {
            batches.insert(batch.to_owned(), Count::default());
        }
        let Some(count) = batches.get_mut(batch) else { return };
        count.rows += 1;
        if let Some(number) = row.row {
            count.numbers.add(number);
        }
        if let Some(at) = row.claimed_at {
            let (from, to) = count.claimed.unwrap_or((at, at));
            count.claimed = Some((from.min(at), to.max(at)));
        }
    }

    fn pages(self) -> Vec<Vec<Found>> {
        let found: Vec<_> = self
            .of
            .into_iter()
            .flat_map(|(file, batches)| {
                batches.into_iter().map(move |(batch, count)| Found {
                    file: file.clone(),
                    batch,
                    rows: count.rows,
                    numbers: Numbers::Read(count.numbers.in_order()),
                    claimed: count.claimed,
                })
            })
            .collect();
        found.chunks(FOUND_PAGE).map(<[_]>::to_vec).collect()
    }
}
