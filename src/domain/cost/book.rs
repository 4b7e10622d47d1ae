//! What this process has done, day by day, until the ledger has it.

use std::collections::BTreeMap;

use super::usage::{Day, KeptUsage, Measure, Tally};
use crate::domain::instant::Instant;

/// Between two readings no more seconds are taken for running time: a clock that was set is no time that was paid for.
const RUN_SECONDS_MAX: u64 = 3_600;

/// The book of one process.
#[derive(Clone, Debug)]
pub struct Book {
    writer: String,
    /// What had been counted at the last reading, and when that was.
    read: Tally,
    read_at: Instant,
    days: BTreeMap<Day, (Instant, Tally)>,
}

impl Book {
    /// The book of a process that begins `now`, under a name that no other process has.
    pub fn new(writer: String, now: Instant) -> Self {
        Self { writer, read: Tally::default(), read_at: now, days: BTreeMap::new() }
    }

    /// Takes in what has been counted since the process began. What came since the last reading is of the day on which that was:
    /// whoever reads at midnight too has all of it right.
    pub fn read(&mut self, counted: Tally, now: Instant) {
        let mut added = counted.since(&self.read);
        let from = self.read_at;
        let ran = now.micros().div_euclid(1_000_000).saturating_sub(from.micros().div_euclid(1_000_000));
        added.shared.add(Measure::RunSeconds, u64::try_from(ran).unwrap_or(0).min(RUN_SECONDS_MAX));
        let (_, tally) = self.days.entry(Day::of(from)).or_insert_with(|| (from, Tally::default()));
        tally.add_all(&added);
        (self.read, self.read_at) = (counted, now.max(from));
    }

    /// What the ledger is to keep.
    pub fn pages(&self) -> Vec<KeptUsage> {
        let page = |(day, (from, tally)): (&Day, &(Instant, Tally))| KeptUsage {
            day: *day,
            writer: self.writer.clone(),
            from: *from,
            tally: tally.clone(),
        };
        self.days.iter().map(page).collect()
    }

    /// The ledger has that day: if it is over, it is done with.
    pub fn kept(&mut self, day: Day) {
        if day < Day::of(self.read_at) {
            self.days.remove(&day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cost::usage::Usage;

    fn at(text: &str) -> Instant {
        Instant::from_rfc3339(text).unwrap()
    }

    fn counted(files: u64) -> Tally {
        Tally { shared: [(Measure::Files, files)].into_iter().collect::<Usage>(), ..Tally::default() }
    }

    #[test]
    fn each_day_has_what_was_done_on_it_and_goes_when_the_ledger_has_it() {
        let mut book = Book::new("w".to_owned(), at("2026-11-27T23:50:00Z"));
        book.read(counted(3), at("2026-11-27T23:55:00Z"));
        book.read(counted(5), at("2026-11-28T00:00:00Z"));
        book.read(counted(9), at("2026-11-28T00:05:00Z"));
        let pages = book.pages();
        let files = |page: &KeptUsage| page.tally.shared.of(Measure::Files);
        assert_eq!(pages.iter().map(files).collect::<Vec<_>>(), [5, 4]);
        let seconds = |page: &KeptUsage| page.tally.shared.of(Measure::RunSeconds);
        assert_eq!(pages.iter().map(seconds).collect::<Vec<_>>(), [600, 300]);
        assert_eq!(
            pages.iter().map(|page| page.from).collect::<Vec<_>>(),
            [at("2026-11-27T23:50:00Z"), at("2026-11-28T00:00:00Z")]
        );
        pages.iter().for_each(|page| book.kept(page.day));
        book.read(counted(10), at("2026-11-28T00:10:00Z"));
        // Of a day that is not over all of it is written again.
        assert_eq!(book.pages().iter().map(files).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_clock_that_is_put_back_loses_nothing() {
        let mut book = Book::new("w".to_owned(), at("2026-11-28T00:05:00Z"));
        book.read(counted(2), at("2026-11-27T23:00:00Z"));
        book.read(counted(7), at("2026-11-28T00:20:00Z"));
        assert_eq!(book.pages().len(), 1);
        let shared = &book.pages()[0].tally.shared;
        assert_eq!((shared.of(Measure::Files), shared.of(Measure::RunSeconds)), (7, 900));
    }
}
