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
