use super::report::Report;
use super::usage::{Day, KeptUsage, Measure, Tally, Usage};
use super::*;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

/// The prices that landbridge comes with.
fn prices() -> Prices {
    toml::from_str(include_str!("../../../config/prices.toml")).unwrap()
}

fn dollars(charges: &[Charge], item: Item) -> f64 {
    charges.iter().find(|charge| charge.item == item).unwrap().dollars
}

fn near(one: f64, other: f64) {
    assert!((one - other).abs() < 1e-9, "{one} {other}");
}

/// A second of each price is told apart: no two items share one.
fn strange() -> Prices {
    let mut prices = prices();
    prices.aws = Aws {
        sqs_requests_million: 1.0,
        sqs_requests_free: 1e6,
        s3_gets_thousand: 2.0,
        s3_lists_thousand: 3.0,
        dynamodb_writes_million: 5.0,
        dynamodb_reads_million: 7.0,
        data_out_gb: 11.0,
        data_out_free_gb: 10.0,
        machine_hour: 13.0,
        disk_gb_month: 17.0,
        disk_gb: 2.0,
        public_ipv4_hour: 19.0,
        nat_hour: 0.0,
        nat_gb: 23.0,
        logs_gb: 29.0,
    };
    prices.google = Google {
        load_jobs: 0.0,
        streamed_gib: 31.0,
        streamed_free_gib: 1.0,
        queried_tib: 37.0,
        queried_free_tib: 1.0,
    };
    prices.assumed = Assumed { call_bytes: 1e6, wire_share: 0.5, log_bytes_per_job: 1e3 };
    prices
}

#[test]
fn every_item_is_charged_for_what_was_counted() {
    let prices = strange();
    let usage: Usage = [
        (Measure::SqsRequests, 3_000_000),
        (Measure::S3Gets, 1_000),
        (Measure::S3Lists, 2_000),
        (Measure::SentBytes, 20_000_000_000),
        (Measure::GoogleCalls, 1_000),
        (Measure::DynamoDbWrites, 1_000_000),
        (Measure::DynamoDbHalfReads, 4_000_000),
        (Measure::QueriedBytes, 3 << 40),
        (Measure::StreamedBytes, 0),
        (Measure::LogBytes, 2_000_000_000),
        (Measure::RunSeconds, 7_200),
    ]
    .into_iter()
    .collect();
    let charges = bill(&prices, &Amounts::counted(&usage, &prices));
    for (item, expected) in [
        (Item::DataOut, (30.0 + 1.0 - 10.0) * 11.0),
        (Item::Machine, 26.0),
        (Item::Address, 38.0),
        (Item::Nat, 0.0),
        (Item::Disk, 2.0 * 2.0 / HOURS * 17.0),
        (Item::S3Gets, 2.0),
        (Item::S3Lists, 6.0),
        (Item::SqsRequests, 2.0),
        (Item::LedgerWrites, 5.0),
        (Item::LedgerReads, 14.0),
        (Item::Logs, 58.0),
        (Item::LoadJobs, 0.0),
        (Item::Queries, 74.0),
        (Item::Streamed, 0.0),
    ] {
        near(dollars(&charges, item), expected);
    }
    let with_gateway = Prices { aws: Aws { nat_hour: 1.0, ..prices.aws.clone() }, ..prices.clone() };
    near(dollars(&bill(&with_gateway, &Amounts::counted(&usage, &prices)), Item::Nat), 2.0 + 31.0 * 23.0);
    // What is streamed leaves AWS too.
    let streamed: Usage = [(Measure::StreamedBytes, 20 * (1 << 30))].into_iter().collect();
    let charges = bill(&prices, &Amounts::counted(&streamed, &prices));
    near(dollars(&charges, Item::Streamed), 19.0 * 31.0);
    near(dollars(&charges, Item::DataOut), (20.0 * GIB * 1.5 / 1e9 - 10.0) * 11.0);
}

#[test]
fn a_forecast_and_the_meter_have_the_same_items() {
    let prices = strange();
    let needed = Needed {
        files: 1e3,
        queues: 1.0,
        receives: 5e3,
        deletes: 100.0,
        bytes_out: 1e9,
        calls: 1e3,
        jobs: 500.0,
    };
    let forecast = needed.month(&prices);
    // A day of it, as it would be counted.
    let usage: Usage = [
        (Measure::SqsRequests, 5_000 + 100 + 1_440),
        (Measure::S3Gets, 1_000),
        (Measure::SentBytes, 1_000_000_000),
        (Measure::GoogleCalls, 1_000),
        (Measure::LoadJobs, 500),
        (Measure::LogBytes, 500_000),
        (Measure::RunSeconds, 86_400),
    ]
    .into_iter()
    .collect();
    let counted = Amounts::default().plus(&Amounts::counted(&usage, &prices), DAYS);
    for item in Item::ALL {
        near(forecast.of(item), counted.of(item));
    }
}

fn page(day: &str, writer: &str, table: &str, sent: u64) -> KeptUsage {
    let from = Instant::from_rfc3339(&format!("{day}T00:00:00Z")).unwrap();
    let usage: Usage = [(Measure::SentBytes, sent), (Measure::Files, 1)].into_iter().collect();
    let table = TableId::new("a", "s", table);
    let tally = Tally { shared: Usage::default(), tables: [(table, usage)].into_iter().collect() };
    KeptUsage { day: Day::of(from), writer: writer.to_owned(), from, tally }
}

fn free_of_wires() -> Prices {
    let mut prices = strange();
    prices.assumed.wire_share = 0.0;
    prices
}

#[test]
fn a_month_is_projected_by_its_days_so_far_and_what_is_free_is_free_once() {
    const GIGA: u64 = 1_000_000_000;
    let prices = free_of_wires();
    let kept = [
        page("2026-10-31", "w", "t", 900 * GIGA),
        page("2026-11-01", "w", "t", 4 * GIGA),
        page("2026-11-09", "w", "t", 4 * GIGA),
        page("2026-11-10", "w", "t", 2 * GIGA),
        page("2026-11-10", "v", "u", 4 * GIGA),
    ];
    let now = Instant::from_rfc3339("2026-11-11T00:00:00Z").unwrap();
    assert_eq!(Report::since(now), Day::of(Instant::from_rfc3339("2026-11-01T00:00:00Z").unwrap()));
    let report = Report::new(&prices, Some(15.0), &kept, Instant::from_micros(now.micros() - 1));
    near(dollars(&report.month, Item::DataOut), 4.0 * 11.0);
    // Ten gigabytes are free, and eight of them were used before today.
    near(dollars(&report.today, Item::DataOut), 4.0 * 11.0);
    let projected = dollars(report.projected.as_deref().unwrap(), Item::DataOut);
    assert!((projected - (42.0 - 10.0) * 11.0).abs() < 1e-3, "{projected}");
    // The dearest first; of the bytes it has 10 of 14.
    assert_eq!(&*report.tables[0].table.table, "t");
    let files = report.tables[0].dollars - 44.0 * 10.0 / 14.0;
    assert!((0.0..1.0).contains(&files), "{files}");
}

#[test]
fn a_young_month_is_projected_by_three_days_and_a_young_ledger_by_what_it_has() {
    const GIGA: u64 = 1_000_000_000;
    let mut prices = free_of_wires();
    prices.aws.data_out_free_gb = 0.0;
    let now = Instant::from_rfc3339("2026-12-01T12:00:00Z").unwrap();
    assert_eq!(Report::since(now), Day::of(now).minus(3));
    let days = ["2026-11-27", "2026-11-28", "2026-11-29", "2026-11-30", "2026-12-01"];
    let kept: Vec<_> = days.iter().map(|day| page(day, "w", "t", 7 * GIGA)).collect();
    let report = Report::new(&prices, None, &kept, now);
    near(report.projected_by_days, 3.5);
    near(dollars(report.projected.as_deref().unwrap(), Item::DataOut), (7.0 + 8.0 * 30.5) * 11.0);
    // It began to count at ten: two hours are the base.
    let mut young = page("2026-12-01", "w", "t", GIGA);
    young.from = Instant::from_rfc3339("2026-12-01T10:00:00Z").unwrap();
    let report = Report::new(&prices, None, &[young.clone()], now);
    near(dollars(report.projected.as_deref().unwrap(), Item::DataOut), (1.0 + 30.5 * 12.0) * 11.0);
    young.from = Instant::from_rfc3339("2026-12-01T11:30:00Z").unwrap();
    assert_eq!(Report::new(&prices, None, &[young], now).projected, None);
    assert_eq!(Report::new(&prices, None, &[], now).projected, None);
}
