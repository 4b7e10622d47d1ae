//! Ledger against warehouse, file by file: Invariant I-6, and the ledger's own invariants.
//!
//! A landbridge may run meanwhile. The ledger is read, then a table of the warehouse, then the ledger again: the batches
//! made since, and every batch of which something seems wrong. What one of the two readings excuses is no finding.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc;

use self::line::Line;
use self::workbook::{Mark, Workbook};
use crate::domain::audit::{BatchAccount, Expected, FindingKind, Found, books, compare, stranger};
use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::transition::BatchState;
use crate::domain::typed_view::Part;
use crate::ledger::reader::{BatchCursor, LedgerReader, Scope};
use crate::warehouse::audit::Audit;

pub mod line;
pub mod report;
mod workbook;

/// Batches that are read from the ledger at one time, each of at most 90 files.
const BATCHES_AT_ONCE: usize = 50;
/// Entries of files that are read, or compared, at one time.
const FILES_AT_ONCE: usize = 1_000;
/// Pages of the warehouse that wait to be written down.
const PAGES_WAITING: usize = 2;

/// What is verified, and how much is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tables and batches.
    pub scope: Scope,
    /// The most findings of a table that are kept; all are counted.
    pub findings_max: usize,
    /// The columns by which DMS's own repeats are known, of the tables that have them.
    pub keys: BTreeMap<TableId, Vec<Part>>,
}

/// Compares every table that the ledger has loaded something into, and those of `configured`. `told` hears of each when
/// it is done. Answers the sum of all.
pub async fn verify(
    reader: &dyn LedgerReader,
    audit: &dyn Audit,
    configured: &[(TableId, Destination)],
    options: &Options,
    told: &mut (dyn FnMut(&Line) + Send),
) -> Result<Line, Fault> {
    let mut verifier = Verifier {
        reader,
        audit,
        options,
        book: Workbook::new()?,
        places: Vec::new(),
        numbers: BTreeMap::new(),
        homeless: Line::new(Destination::default(), options.findings_max),
        next: BatchCursor::new(),
        reading: 0,
        loose_known: false,
    };
    for (table, destination) in configured {
        if options.scope.table.as_ref().is_none_or(|wanted| wanted == table) {
            verifier.place(table, destination);
        }
    }
    verifier.read_batches().await?;
    if options.scope.since.is_none() {
        verifier.read_files().await?;
    }
    let mut order: Vec<_> = (0..verifier.places.len()).collect();
    order.sort_by_key(|&place| verifier.places.get(place).map(|line| line.name()));
    let mut total = Line::new(Destination::default(), 0);
    for place in order {
        let mark = verifier.survey(place).await?;
        verifier.compare(place, mark).await?;
        verifier.strangers(place).await?;
        verifier.repeats(place).await;
        if let Some(line) = verifier.places.get(place) {
            told(line);
            total.add(line);
        }
    }
    if verifier.homeless.findings > 0 {
        told(&verifier.homeless);
        total.add(&verifier.homeless);
    }
    Ok(total)
}

struct Verifier<'a> {
    reader: &'a dyn LedgerReader,
    audit: &'a dyn Audit,
    options: &'a Options,
    book: Workbook,
    /// The tables of the warehouse.
    places: Vec<Line>,
    /// Where each is among them.
    numbers: BTreeMap<Destination, usize>,
    /// What concerns no table.
    homeless: Line,
    /// Up to where the ledger's batches are read.
    next: BatchCursor,
    /// Counts the times that the ledger was read on.
    reading: u64,
    /// The files in no batch are written down.
    loose_known: bool,
}

impl Verifier<'_> {
    /// The number of a destination, to which `table` is loaded.
    fn place(&mut self, table: &TableId, destination: &Destination) -> usize {
        let new = self.places.len();
        let place = *self.numbers.entry(destination.clone()).or_insert(new);
        if place == new {
            self.places.push(Line::new(destination.clone(), self.options.findings_max));
        }
        if let Some(line) = self.places.get_mut(place) {
            line.tables.insert(table.clone());
        }
        place
    }

    /// Reads the batches that were made since the last time.
    async fn read_batches(&mut self) -> Result<(), Fault> {
        self.reading = self.reading.saturating_add(1);
        loop {
            let page = self.reader.batches(&self.options.scope, &self.next, BATCHES_AT_ONCE).await?;
            self.next = page.next;
            for account in &page.batches {
                if self.book.is_new(&account.batch.id)? {
                    self.take_in(account)?;
                }
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn take_in(&mut self, account: &BatchAccount) -> Result<(), Fault> {
        let place = self.place(&account.batch.table, &account.batch.destination);
        if let Some(line) = self.places.get_mut(place) {
            books::breaches(account).into_iter().for_each(|breach| line.find(breach));
        }
        if account.is_living() {
            self.book.expect(place, self.reading, account.expected())?;
        }
        Ok(())
    }

    /// Reads the entries of files: those in no batch, and those that point where they should not.
    async fn read_files(&mut self) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = self.reader.files(&self.options.scope, after.as_ref(), FILES_AT_ONCE).await?;
            self.book.loose(&page.loose)?;
            for stray in page.stray {
                let finding = books::stray(stray.key, &stray.batch, stray.text);
                let of_table =
                    |line: &&mut Line| stray.table.as_ref().is_some_and(|table| line.tables.contains(table));
                let line = self.places.iter_mut().find(of_table);
                line.unwrap_or(&mut self.homeless).find(finding);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        self.loose_known = true;
        Ok(())
    }

    /// Counts the rows of a table, then reads the ledger on. Answers how often it had been read before.
    async fn survey(&mut self, place: usize) -> Result<u64, Fault> {
        let mark = self.reading;
        let Some(line) = self.places.get_mut(place) else { return Ok(mark) };
        self.book.turn_over()?;
        let (pages, mut coming) = mpsc::channel(PAGES_WAITING);
        let counting = self.audit.rows_by_file(&line.destination, self.options.scope.since, pages);
        let book = &mut self.book;
        let writing = async move {
            while let Some(page) = coming.recv().await {
                book.found(page)?;
            }
            Ok(())
        };
        let (survey, written): (_, Result<(), Fault>) = tokio::join!(counting, writing);
        written?;
        line.survey = survey?;
        self.read_batches().await?;
        Ok(mark)
    }

    /// Counts DMS's own repeats. They are told and no more: where they cannot be counted, nothing is wrong with the rows.
    async fn repeats(&mut self, place: usize) {
        let Some(line) = self.places.get_mut(place).filter(|line| line.survey.exists) else { return };
        let mut keys = line.tables.iter().map(|table| self.options.keys.get(table));
        let (Some(Some(key)), None) = (keys.next(), keys.next()) else { return };
        match self.audit.repeats(&line.destination, key, self.options.scope.since).await {
            Ok(repeats) => line.repeats = repeats,
            Err(fault) => line.uncounted = Some(fault.chain()),
        }
    }

    /// What the ledger has against what was found.
    async fn compare(&mut self, place: usize, mark: u64) -> Result<(), Fault> {
        let mut after = Mark::default();
        loop {
            let pairs = self.book.pairs(place, &after, FILES_AT_ONCE)?;
            let Some(last) = pairs.last() else { return Ok(()) };
            after = (last.expected.file.clone(), last.expected.batch.to_string());
            // All of them are read after the rows were counted: one answer does for the files of a batch.
            let mut states = BTreeMap::new();
            for pair in pairs {
                let mut expected = pair.expected;
                if pair.reading > mark {
                    // The rows were counted before the ledger told of it: they may have come since.
                    expected.state = BatchState::Open;
                }
                let comparison = compare(&expected, pair.found.as_ref());
                let mut holding = Vec::new();
                if !comparison.findings.is_empty() {
                    let state = match states.get(&expected.batch) {
                        Some(state) => *state,
                        None => self.state_now(&expected.batch).await?,
                    };
                    states.insert(expected.batch.clone(), state);
                    let now = Expected { state, ..expected.clone() };
                    let again = compare(&now, pair.found.as_ref()).findings;
                    let holds = |kind: FindingKind| again.iter().any(|finding| finding.kind == kind);
                    holding = comparison.findings;
                    holding.retain(|finding| holds(finding.kind));
                }
                if let Some(line) = self.places.get_mut(place) {
                    line.count(&expected, comparison.present);
                    holding.into_iter().for_each(|finding| line.find(finding));
                }
            }
        }
    }

    /// The batch's state as the ledger has it now.
    async fn state_now(&self, batch: &BatchId) -> Result<BatchState, Fault> {
        Ok(self.reader.batch(batch).await?.map_or(BatchState::Abandoned, |account| account.state))
    }

    /// Rows that the ledger accounts for nowhere, also not now.
    async fn strangers(&mut self, place: usize) -> Result<(), Fault> {
        let mut after: Option<Mark> = None;
        loop {
            let page = self.book.strangers(place, after.as_ref(), FILES_AT_ONCE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.file.clone(), last.batch.clone()));
            if !self.loose_known {
                self.read_files().await?;
            }
            for found in page {
                let standing = self.book.standing(place, &found.file)?;
                let account = self.reader.batch(&BatchId::from_stored(found.batch.as_str())).await?;
                if let Some(line) = self.places.get_mut(place) {
                    if let Some(expected) =
                        account.as_ref().and_then(|account| overlooked(account, line, &found))
                    {
                        let comparison = compare(&expected, Some(&found));
                        line.count(&expected, comparison.present);
                        comparison.findings.into_iter().for_each(|finding| line.find(finding));
                        continue;
                    }
                    line.find(stranger(&found, &standing, account.as_ref()));
                }
            }
        }
    }
}

/// What a batch expects of the rows that were found: an index may show it later than it was made.
fn overlooked(account: &BatchAccount, line: &Line, found: &Found) -> Option<Expected> {
    let here = account.is_living() && account.batch.destination == line.destination;
    let mut expected = account.expected().filter(|expected| here && expected.file == found.file);
    Some(Expected { state: BatchState::Open, ..expected.next()? })
}

/// The tables that can be verified: those of the configuration and those of the ledger.
pub async fn known_tables(
    reader: &dyn LedgerReader,
    configured: &[(TableId, Destination)],
) -> Result<BTreeSet<TableId>, Fault> {
    let known = reader.tables().await?;
    Ok(configured.iter().map(|(table, _)| table.clone()).chain(known).collect())
}

#[cfg(test)]
mod tests;
