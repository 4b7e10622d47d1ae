//! The days of `landbridge plan --day`.

use std::time::Duration;

use crate::domain::ids::TableId;
use crate::domain::planner::{Carrier, Class, Quotas};
use crate::forecast::{Burst, Scenario, Table, Windows, zipf};

/// What changes have of `limits.memory_credit`.
const MEMORY_BYTES: u64 = 64 << 20;
/// And of `spool.objects_limit` and `spool.limit`.
const OBJECTS_DISK_BYTES: u64 = 2 << 30;
const BODIES_DISK_BYTES: u64 = 3 << 30;

/// The table that is paused, by its place.
pub(super) const PAUSED: usize = 19;

pub(super) fn days(seed: u64) -> Vec<(String, Scenario)> {
    let day = |interval, tables, rows: f64| day(interval, tables, rows, seed);
    let fixed =
        |interval| Scenario { windows: Windows::Fixed(Duration::from_secs(60)), ..day(interval, 70, 40e6) };
    let scheduled = |interval| Scenario {
        windows: Windows::Scheduled(Duration::from_secs(60)),
        ..day(interval, 70, 40e6)
    };
    let per_file = |interval| Scenario { windows: Windows::PerFile, ..day(interval, 70, 40e6) };
    let week = |interval| Scenario { days: 7, ..day(interval, 70, 40e6) };
    // So many tables that speak every minute need four times the quota: most of them must wait.
    let many = |interval| {
        let mut scenario = day(interval, 300, 40e6);
        scenario.tables.iter_mut().for_each(|table| table.max_staleness = Duration::from_secs(900));
        scenario
    };
    let paused = |interval| {
        let scenario = day(interval, 70, 40e6);
        let table = scenario.tables.get(PAUSED).map(|table| table.id.clone());
        Scenario { paused: table.map(|table| (table, 12, 18)), ..scenario }
    };
    // The Storage Write API for those on which most depends.
    let streamed = |interval| {
        let mut scenario = day(interval, 70, 40e6);
        let critical = scenario.tables.iter_mut().filter(|table| table.class == Class::Critical);
        critical.for_each(|table| table.carrier = Carrier::StorageWrite);
        scenario
    };
    let skipping = |interval| Scenario { skipped: 0.3, ..day(interval, 70, 40e6) };
    let outage = |interval| Scenario { outage: Some((14.0, 1.0)), ..day(interval, 70, 40e6) };
    let tenfold = |interval, rows| {
        let burst = |table| Burst { table, from_hour: 14.0, hours: 1.0, factor: 10.0 };
        Scenario { bursts: (0..70).map(burst).collect(), ..day(interval, 70, rows) }
    };
    let mut all = Vec::new();
    for interval in [60, 10] {
        let name = |text: &str| format!("{text}, files every {interval} s");
        all.push((name("planned"), day(interval, 70, 40e6)));
        all.push((name("the ten busiest streamed"), streamed(interval)));
        all.push((name("a window of 60 s"), fixed(interval)));
        all.push((name("a job a table a minute"), scheduled(interval)));
        if interval == 60 {
            // Every ten seconds six times as many would be refused again and again.
            all.push((name("a job a file"), per_file(interval)));
        }
        all.push((name("7 days"), week(interval)));
        all.push((name("10 times the rows"), day(interval, 70, 400e6)));
        // So much needs more memory than the default, `limits.memory_credit = "1GiB"`: else windows close before their time.
        let large = Scenario { memory_bytes: 512 << 20, ..day(interval, 70, 4e9) };
        all.push((name("100 times the rows, 1 GiB"), large));
        all.push((name("300 tables, 15 min"), many(interval)));
        all.push((name("one paused for 6 h"), paused(interval)));
        all.push((name("DMS skips 3 of 10"), skipping(interval)));
        all.push((name("warehouse out for 1 h"), outage(interval)));
        all.push((name("10 times for 1 h"), tenfold(interval, 40e6)));
        // More than the memory holds.
        all.push((name("10 times the rows, 100 for 1 h"), tenfold(interval, 400e6)));
        // How much chance alone moves.
        all.push((name("another draw of chance"), Scenario { seed: seed + 1, ..day(interval, 70, 40e6) }));
    }
    all
}

/// The day that this product is made for.
pub(super) fn day(interval: u64, tables: usize, rows: f64, seed: u64) -> Scenario {
    let table = |(number, rows_per_day): (usize, f64)| Table {
        id: TableId::new(format!("game-{}", number % 6).as_str(), "casino", format!("t{number}").as_str()),
        class: if number < 10 { Class::Critical } else { Class::Normal },
        rows_per_day,
        max_staleness: Duration::from_secs(300),
        carrier: Carrier::LoadJobs,
    };
    let burst = |table, from_hour| Burst { table, from_hour, hours: 1.0, factor: 10.0 };
    Scenario {
        tables: zipf(tables, 1.1, rows).into_iter().enumerate().map(table).collect(),
        days: 1,
        dms_interval: Duration::from_secs(interval),
        peak_to_trough: 5.0,
        bursts: [4, 12, 40].into_iter().flat_map(|table| [burst(table, 10.0), burst(table, 20.0)]).collect(),
        job_seconds: (6.0, 20.0),
        stream_seconds: (1.0, 3.0),
        job_failures: 0.005,
        quotas: Quotas::BIGQUERY,
        loads_in_flight: 64,
        windows: Windows::Planned,
        skipped: 0.0,
        outage: None,
        memory_bytes: MEMORY_BYTES,
        objects_disk_bytes: OBJECTS_DISK_BYTES,
        bodies_disk_bytes: BODIES_DISK_BYTES,
        paused: None,
        seed,
    }
}
