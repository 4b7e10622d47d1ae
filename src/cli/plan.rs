//! `landbridge plan`: what windows, jobs and freshness to expect, before anything is loaded.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::domain::ids::TableId;
use crate::domain::planner::{Class, Quotas};
use crate::forecast::{Burst, Freshness, Outcome, Scenario, Table, Windows, run, zipf};

mod chart;

/// `landbridge plan --day`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The day of docs/freshness.md: 70 tables in 6 clusters, 40 million rows, and what is compared with it
    #[arg(long, required = true)]
    day: bool,
    /// Only the day itself, with files of this many seconds
    #[arg(long, value_name = "SECONDS")]
    only: Option<u64>,
    /// Draws the course of the day into this SVG file
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// Draws of chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints it. Exit code 1 says that a quota is crossed, or its reserve is used.
pub(super) fn plan(arguments: &Arguments) -> ExitCode {
    println!(
        "{:<34} {:>9} {:>8} {:>8} {:>8} | {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} | {:>6} {:>6}",
        "event to queryable, in seconds",
        "jobs/24h",
        "refused",
        "reserve",
        "a table",
        "crit50",
        "p95",
        "p99",
        "all50",
        "p95",
        "p99",
        "cmt50",
        "p99"
    );
    let mut run_all = Vec::new();
    for (name, scenario) in scenarios(arguments) {
        let outcome = run(&scenario);
        show(&name, &outcome);
        run_all.push((name, scenario, outcome));
    }
    let crossed = run_all.iter().any(|(_, scenario, outcome)| {
        let short = outcome.refused > 0 || outcome.reserve_min < scenario.quotas.reserve;
        short && scenario.windows == Windows::Planned
    });
    if let Some(path) = &arguments.draw
        && let Err(error) = std::fs::write(path, drawn(&run_all))
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    println!("{}", summary(&run_all));
    if crossed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

type Run = (String, Scenario, Outcome);

/// The first two, which are of the same day: planned, and by windows of a fixed length.
fn drawn(runs: &[Run]) -> String {
    let first: Vec<_> = runs.iter().take(2).map(|(name, _, outcome)| (name.as_str(), outcome)).collect();
    chart::draw(&first, Quotas::BIGQUERY.jobs_per_day as f64)
}

/// What is told last, for machines.
fn summary(runs: &[Run]) -> serde_json::Value {
    let of =
        |freshness: &Freshness| json!({"p50": freshness.percentile(0.5), "p99": freshness.percentile(0.99)});
    let load_jobs = |outcome: &Outcome| {
        json!({
            "quota_crossed": outcome.refused > 0,
            "reserve_min": (outcome.reserve_min * 1e4).round() / 1e4,
            "critical": of(&outcome.critical),
            "all": of(&outcome.all),
        })
    };
    let named =
        |part: &str| runs.iter().find(|(name, ..)| name.starts_with(part)).map(|(.., outcome)| outcome);
    json!({
        "load_jobs": named("planned, files every 60").or_else(|| named("files")).map(load_jobs),
        "load_jobs_10s": named("planned, files every 10").map(load_jobs),
        "fixed_window": named("a window of 60 s, files every 60").map(|outcome| json!({"quota_crossed": outcome.refused > 0})),
    })
}

fn show(name: &str, outcome: &Outcome) {
    let seconds = |freshness: &Freshness, share| freshness.percentile(share).unwrap_or(0.0);
    let Outcome { critical, all, from_commit, .. } = outcome;
    println!(
        "{name:<34} {:>9} {:>8} {:>7.1}% {:>8} | {:>6.1} {:>6.1} {:>6.1} | {:>6.1} {:>6.1} {:>6.1} | {:>6.1} {:>6.1}{}",
        outcome.most_jobs_a_day,
        outcome.refused,
        outcome.reserve_min * 100.0,
        outcome.most_modifications,
        seconds(critical, 0.5),
        seconds(critical, 0.95),
        seconds(critical, 0.99),
        seconds(all, 0.5),
        seconds(all, 0.95),
        seconds(all, 0.99),
        seconds(from_commit, 0.5),
        seconds(from_commit, 0.99),
        if outcome.left > 0 { format!("  {} files left", outcome.left) } else { String::new() },
    );
}

fn scenarios(arguments: &Arguments) -> Vec<(String, Scenario)> {
    let day = |interval, tables, rows: f64| day(interval, tables, rows, arguments.seed);
    if let Some(interval) = arguments.only {
        return vec![(format!("files every {interval} s"), day(interval, 70, 40e6))];
    }
    let fixed =
        |interval| Scenario { windows: Windows::Fixed(Duration::from_secs(60)), ..day(interval, 70, 40e6) };
    let per_file = |interval| Scenario { windows: Windows::PerFile, ..day(interval, 70, 40e6) };
    let week = |interval| Scenario { days: 7, ..day(interval, 70, 40e6) };
    let paused = |interval| {
        let scenario = day(interval, 70, 40e6);
        let table = scenario.tables.get(19).map(|table| table.id.clone());
        Scenario { paused: table.map(|table| (table, 12, 18)), ..scenario }
    };
    let mut all = Vec::new();
    for interval in [60, 10] {
        let name = |text: &str| format!("{text}, files every {interval} s");
        all.push((name("planned"), day(interval, 70, 40e6)));
        all.push((name("a window of 60 s"), fixed(interval)));
        all.push((name("a job a file"), per_file(interval)));
        all.push((name("7 days"), week(interval)));
        all.push((name("10 times the rows"), day(interval, 70, 400e6)));
        all.push((name("100 times the rows"), day(interval, 70, 4e9)));
        all.push((name("300 tables"), day(interval, 300, 40e6)));
        all.push((name("one paused for 6 h"), paused(interval)));
    }
    all
}

/// The day that this product is made for.
fn day(interval: u64, tables: usize, rows: f64, seed: u64) -> Scenario {
    let table = |(number, rows_per_day): (usize, f64)| Table {
        id: TableId::new(format!("game-{}", number % 6).as_str(), "casino", format!("t{number}").as_str()),
        class: if number < 10 { Class::Critical } else { Class::Normal },
        rows_per_day,
        max_staleness: Duration::from_secs(300),
    };
    let burst = |table, from_hour| Burst { table, from_hour, hours: 1.0, factor: 10.0 };
    Scenario {
        tables: zipf(tables, 1.1, rows).into_iter().enumerate().map(table).collect(),
        days: 1,
        dms_interval: Duration::from_secs(interval),
        peak_to_trough: 5.0,
        bursts: [4, 12, 40].into_iter().flat_map(|table| [burst(table, 10.0), burst(table, 20.0)]).collect(),
        job_seconds: (6.0, 20.0),
        job_failures: 0.005,
        quotas: Quotas::BIGQUERY,
        loads_in_flight: 64,
        windows: Windows::Planned,
        paused: None,
        seed,
    }
}
