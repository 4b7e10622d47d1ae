use std::time::Duration;

use super::*;

fn day(windows: Windows) -> Scenario {
    let rows = zipf(70, 1.1, 40e6);
    let table = |(number, rows_per_day): (usize, f64)| Table {
        id: TableId::new(format!("game-{}", number % 6).as_str(), "casino", format!("t{number}").as_str()),
        class: if number < 10 { Class::Critical } else { Class::Normal },
        rows_per_day,
        max_staleness: Duration::from_secs(300),
        carrier: Carrier::LoadJobs,
    };
    Scenario {
        tables: rows.into_iter().enumerate().map(table).collect(),
        days: 1,
        dms_interval: Duration::from_secs(60),
        peak_to_trough: 5.0,
        bursts: Vec::new(),
        job_seconds: (6.0, 20.0),
        stream_seconds: (1.0, 3.0),
        job_failures: 0.005,
        quotas: Quotas::BIGQUERY,
        loads_in_flight: 64,
        windows,
        skipped: 0.0,
        outage: None,
        memory_bytes: 64 << 20,
        objects_disk_bytes: 1 << 30,
        bodies_disk_bytes: 1 << 30,
        paused: None,
        seed: 1,
    }
}

#[test]
fn the_same_scenario_comes_to_the_same() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(5);
    let (first, second) = (run(&scenario), run(&scenario));
    assert_eq!((first.jobs, first.all.percentile(0.5)), (second.jobs, second.all.percentile(0.5)));
    assert!((first.all.rows() - first.rows).abs() < first.rows * 0.01 && first.left == 0);
    scenario.seed = 2;
    assert_ne!(run(&scenario).course, first.course);
}

/// Hours 12 to 18 of its day.
fn paused(table: usize, scenario: &Scenario) -> Scenario {
    let id = scenario.tables.get(table).map(|table| table.id.clone());
    Scenario { paused: id.map(|id| (id, 12, 18)), ..scenario.clone() }
}

/// Where nothing is scarce, what happens to one table changes nothing for another: not even by chance.
#[test]
fn two_scenarios_that_differ_in_one_table_see_the_same_chance_in_all_others() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(6);
    let (as_usual, other) = (run(&scenario), run(&paused(3, &scenario)));
    let percentiles = |outcome: &Outcome, table: usize| {
        [0.5, 0.99, 1.0].map(|share| outcome.by_table[table].percentile(share))
    };
    for table in 0..6 {
        assert_eq!(percentiles(&as_usual, table) == percentiles(&other, table), table != 3, "table {table}");
    }
}

/// Where jobs are scarce, a table that has six hours to catch up on takes next to nothing from the others.
#[test]
fn a_table_that_was_paused_catches_up_and_no_other_is_later_for_it() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(14);
    scenario.quotas.jobs_per_day = 18_000;
    let (as_usual, other) = (run(&scenario), run(&paused(11, &scenario)));
    assert!(
        as_usual.refused + other.refused + other.left == 0 && as_usual.jobs > 16_000,
        "{}",
        as_usual.jobs
    );
    let caught_up = other.caught_up.unwrap();
    assert!(caught_up <= scenario.tables[11].max_staleness, "{caught_up:?}");
    for (table, (before, after)) in as_usual.by_table.iter().zip(&other.by_table).enumerate() {
        let [before, after] = [before, after].map(|freshness| freshness.percentile(0.99).unwrap());
        assert!(table == 11 || after <= before * 1.1, "table {table}: {before} {after}");
    }
}

/// A job a table a minute, whatever comes: a day of minutes, and the jobs that fail beside. A window from its first file on takes two
/// files, and half as many jobs.
#[test]
fn a_schedule_of_a_minute_needs_a_job_a_table_and_minute() {
    let minute = Duration::from_secs(60);
    let mut scenario = day(Windows::Scheduled(minute));
    scenario.tables.truncate(5);
    scenario.quotas.jobs_per_day = 7_100;
    let scheduled = run(&scenario);
    assert!(scheduled.most_jobs_a_day >= 5 * 1_440 && scheduled.refused > 0, "{}", scheduled.most_jobs_a_day);
    for windows in [Windows::Fixed(minute), Windows::Planned] {
        let other = run(&Scenario { windows, ..scenario.clone() });
        assert!(other.refused == 0 && other.left == 0, "{windows:?}: {}", other.most_jobs_a_day);
    }
}

/// What came while the warehouse was away waits in bounded memory and in the ledger, and is there soon after, within the quotas.
#[test]
fn an_hour_without_a_warehouse_is_worked_off_within_memory_and_quotas() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(5);
    scenario.quotas.jobs_per_day = 7_100;
    scenario.outage = Some((14.0, 1.0));
    scenario.memory_bytes = 4 << 20;
    let outcome = run(&scenario);
    assert_eq!((outcome.refused, outcome.left), (0, 0));
    assert!(
        outcome.waited_for_memory > 0 && outcome.most_memory <= scenario.memory_bytes,
        "{}",
        outcome.most_memory
    );
    let caught_up = outcome.caught_up.unwrap();
    assert!(caught_up > Duration::ZERO && caught_up <= Duration::from_secs(300), "{caught_up:?}");
    assert!((outcome.all.rows() - outcome.rows).abs() < outcome.rows * 0.01);
}

/// Large files go to disk, and wait for it; so do bodies.
#[test]
fn ten_times_the_rows_for_an_hour_are_worked_off_within_the_disk() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(2);
    scenario.quotas.jobs_per_day = 3_000;
    scenario.dms_interval = Duration::from_secs(10);
    for table in &mut scenario.tables {
        table.rows_per_day *= 60.0;
    }
    scenario.bursts = vec![Burst { table: 0, from_hour: 10.0, hours: 1.0, factor: 10.0 }];
    let roomy = run(&scenario);
    let most = (roomy.most_objects_disk, roomy.most_bodies_disk);
    assert!(most.0 > 100_000_000 && most.1 > 200_000_000, "{most:?}");
    scenario.objects_disk_bytes = most.0 / 4 * 3;
    scenario.bodies_disk_bytes = most.1 / 4 * 3;
    let tight = run(&scenario);
    assert_eq!((tight.refused, tight.left), (0, 0));
    assert!(tight.most_objects_disk <= scenario.objects_disk_bytes, "{}", tight.most_objects_disk);
    assert!(tight.most_bodies_disk <= scenario.bodies_disk_bytes, "{}", tight.most_bodies_disk);
    assert!((tight.all.rows() - tight.rows).abs() < tight.rows * 0.01);
}

#[test]
fn what_dms_skips_comes_with_the_next_file() {
    let mut scenario = day(Windows::Planned);
    scenario.tables.truncate(3);
    let (regular, irregular) = (run(&scenario), run(&Scenario { skipped: 0.3, ..scenario.clone() }));
    let share = irregular.files as f64 / regular.files as f64;
    assert!((0.65..0.75).contains(&share), "{share}");
    assert!((irregular.rows / regular.rows - 1.0).abs() < 0.01);
    let late = |outcome: &Outcome| outcome.from_commit.percentile(0.99).unwrap();
    assert!(late(&irregular) > late(&regular) + 60.0);
}
