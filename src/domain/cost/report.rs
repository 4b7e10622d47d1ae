//! What today, this month so far and the whole month cost, by what was done.

use std::collections::BTreeMap;

use super::usage::{Day, KeptUsage, Measure, Tally, Usage};
use super::{Amounts, Charge, Item, Prices, bill, total};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

/// A month is projected by its own days; while it has fewer than these, by so many days, some of them of the month before.
const PROJECTED_BY_DAYS: i64 = 3;
/// What was counted for less is no base for a month.
const LEAST_SECONDS: f64 = 3_600.0;
const DAY_SECONDS: f64 = 86_400.0;

/// The report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When it was made.
    pub at: Instant,
    /// The date of its prices.
    pub prices: String,
    /// What today adds to the month.
    pub today: Vec<Charge>,
    /// The month so far.
    pub month: Vec<Charge>,
    /// The whole month, if it goes on as it did; none until an hour was counted.
    pub projected: Option<Vec<Charge>>,
    /// Days by which it is projected.
    pub projected_by_days: f64,
    /// The month so far of each table, the dearest first.
    pub tables: Vec<TableCost>,
    /// What the month may cost, where somebody has said so.
    pub budget: Option<f64>,
}

/// What a table costs beyond what is there anyway (machine, address, disk, logs).
#[derive(Clone, Debug, PartialEq)]
pub struct TableCost {
    /// The table.
    pub table: TableId,
    /// Files that were opened.
    pub files: u64,
    /// Bytes that came from S3.
    pub bytes_in: u64,
    /// Bytes of it that went to Google.
    pub bytes_out: u64,
    /// In US dollars.
    pub dollars: f64,
}

impl Report {
    /// The first day of which usage is wanted for a report of `now`.
    pub fn since(now: Instant) -> Day {
        let (today, earliest) = (Day::of(now), Day::of(now).month().0);
        earliest.min(today.minus(PROJECTED_BY_DAYS))
    }

    /// The report of `now`, from what every process has done since `since`.
    pub fn new(prices: &Prices, budget: Option<f64>, kept: &[KeptUsage], now: Instant) -> Self {
        let today = Day::of(now);
        let (first, next) = today.month();
        let sum = |wanted: &dyn Fn(Day) -> bool| {
            let mut tally = Tally::default();
            kept.iter().filter(|page| wanted(page.day)).for_each(|page| tally.add_all(&page.tally));
            tally
        };
        let of_month = sum(&|day| day >= first && day <= today);
        let amounts = Amounts::counted(&of_month.whole(), prices);
        let before = Amounts::counted(&sum(&|day| day >= first && day < today).whole(), prices);
        let month = bill(prices, &amounts);
        let by = first.min(today.minus(PROJECTED_BY_DAYS));
        let begun = kept.iter().filter(|page| page.day >= by).map(|page| page.from).min();
        let seconds = begun.map_or(0.0, |begun| now.since(begun.max(by.begins())).as_secs_f64());
        let projected = (seconds >= LEAST_SECONDS).then(|| {
            let base = Amounts::counted(&sum(&|day| day >= by && day <= today).whole(), prices);
            let left = now.until(next.begins()).as_secs_f64();
            bill(prices, &amounts.plus(&base, left / seconds))
        });
        Self {
            at: now,
            prices: prices.date.clone(),
            today: less(&month, &bill(prices, &before)),
            tables: shares(&of_month, &month),
            month,
            projected,
            projected_by_days: seconds / DAY_SECONDS,
            budget,
        }
    }

    /// What the whole month will come to; none until an hour was counted.
    pub fn projected_dollars(&self) -> Option<f64> {
        self.projected.as_deref().map(total)
    }
}

/// Each charge, less that of the same item.
fn less(charges: &[Charge], others: &[Charge]) -> Vec<Charge> {
    let pairs = charges.iter().zip(others);
    pairs
        .map(|(charge, other)| Charge {
            amount: charge.amount - other.amount,
            dollars: charge.dollars - other.dollars,
            ..*charge
        })
        .collect()
}

/// By what an item is shared among tables; nothing of what is there anyway.
fn measure_of(item: Item) -> Option<Measure> {
    match item {
        Item::DataOut => Some(Measure::SentBytes),
        Item::S3Gets | Item::SqsRequests | Item::LedgerWrites | Item::LedgerReads => Some(Measure::Files),
        Item::LoadJobs => Some(Measure::LoadJobs),
        Item::Streamed => Some(Measure::StreamedBytes),
        Item::Machine
        | Item::Address
        | Item::Nat
        | Item::Disk
        | Item::S3Lists
        | Item::Logs
        | Item::Queries => None,
    }
}

/// What leaves for Google, by either way.
fn sent(usage: &Usage) -> u64 {
    usage.of(Measure::SentBytes).saturating_add(usage.of(Measure::StreamedBytes))
}

fn shares(tally: &Tally, month: &[Charge]) -> Vec<TableCost> {
    let part = |usage: &Usage, measure: Measure| {
        if measure == Measure::SentBytes { sent(usage) } else { usage.of(measure) }
    };
    let mut wholes: BTreeMap<Measure, f64> = BTreeMap::new();
    for measure in month.iter().filter_map(|charge| measure_of(charge.item)) {
        wholes
            .entry(measure)
            .or_insert_with(|| tally.tables.values().map(|usage| part(usage, measure) as f64).sum());
    }
    let dollars = |usage: &Usage| -> f64 {
        let of = |charge: &Charge| {
            let measure = measure_of(charge.item)?;
            let whole = wholes.get(&measure).copied().filter(|whole| *whole > 0.0)?;
            Some(charge.dollars * part(usage, measure) as f64 / whole)
        };
        month.iter().filter_map(of).sum()
    };
    let mut tables: Vec<_> = tally
        .tables
        .iter()
        .map(|(table, usage)| TableCost {
            table: table.clone(),
            files: usage.of(Measure::Files),
            bytes_in: usage.of(Measure::FetchedBytes),
            bytes_out: sent(usage),
            dollars: dollars(usage),
        })
        .collect();
    tables.sort_by(|one, other| {
        other
            .dollars
            .total_cmp(&one.dollars)
            .then(other.bytes_out.cmp(&one.bytes_out))
            .then(one.table.cmp(&other.table))
    });
    tables
}
