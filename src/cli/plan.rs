//! `landbridge plan`: what windows, jobs and freshness to expect, before anything is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::config::cost::prices;
use crate::config::load;
use crate::domain::cost::{Charge, Needed, Prices, bill, total};
use crate::domain::planner::Quotas;
use crate::forecast::{Freshness, Outcome, Scenario, Table, Windows, run};

mod chart;
#[cfg(test)]
mod cost_page;
mod days;

use days::{PAUSED, day, days};

/// `landbridge plan --day`, `landbridge plan --quota --config FILE --rates FILE`
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["day", "quota"])))]
pub(super) struct Arguments {
    /// The day of docs/freshness.md: 70 tables in 6 clusters, 40 million rows, and what is compared with it
    #[arg(long)]
    day: bool,
    /// A day of the tables of a configuration, at these rates. Exit code 1: it does not fit into the quotas
    #[arg(long, requires_all = ["config", "rates"])]
    quota: bool,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rows that change on a day, as `"cluster/schema.table" = 2_000_000`, a line a table
    #[arg(long, value_name = "FILE")]
    rates: Option<PathBuf>,
    /// Seconds from one DMS file of a table to the next, of `--quota`
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
    /// Bytes that a row has on its way out (docs/cost.md)
    #[arg(long, value_name = "BYTES", default_value_t = 75, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    row_bytes: u32,
    /// Bytes that an upload has beside its rows: the job's description, and the frame of a Parquet file (docs/cost.md)
    #[arg(long, value_name = "BYTES", default_value_t = 6_300, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    upload_bytes: u32,
    /// What things cost, instead of config/prices.toml
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Draws the course of the day into this SVG file
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// Draws of chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Prints it. Exit code 1 says that a quota is crossed, or its reserve is used; 2 that it could not be planned.
pub(super) fn plan(arguments: &Arguments) -> ExitCode {
    let planned = prices(arguments.prices.as_deref()).and_then(|prices| Ok((prices, scenarios(arguments)?)));
    let (prices, scenarios) = match planned {
        Ok(planned) => planned,
        Err(told) => {
            eprintln!("{told}");
            return ExitCode::from(2);
        }
    };
    show_head();
    let mut runs = Vec::new();
    for (name, scenario) in scenarios {
        let outcome = run(&scenario);
        show(&name, &outcome);
        runs.push((name, scenario, outcome));
    }
    let needed = runs.first().map(|(_, scenario, outcome)| needed(arguments, scenario, outcome));
    let needed = needed.unwrap_or_default();
    let items = bill(&prices, &needed.month(&prices));
    let mut used_up = prices.clone();
    used_up.aws.data_out_free_gb = 0.0;
    let without_free_data_out = total(&bill(&used_up, &needed.month(&used_up)));
    show_bill(&prices, &items, without_free_data_out);
    if let Some(path) = &arguments.draw
        && let Err(error) = std::fs::write(path, drawn(&runs))
    {
        eprintln!("cannot write {}: {error}", path.display());
        return ExitCode::from(2);
    }
    let fits = !runs.iter().any(is_too_much);
    println!(
        "{}",
        if fits {
            "It fits into the quotas, with their reserve."
        } else {
            "It does not fit into the quotas."
        }
    );
    println!("{}", summary(&runs, &needed, [total(&items), without_free_data_out]));
    if fits { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is planned must stay within the quotas, and keep its reserve.
fn is_too_much((_, scenario, outcome): &Run) -> bool {
    let short = outcome.refused > 0 || outcome.reserve_min < scenario.quotas.reserve;
    short && scenario.windows == Windows::Planned
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// What a day of it needs.
fn needed(arguments: &Arguments, scenario: &Scenario, outcome: &Outcome) -> Needed {
    let days = f64::from(scenario.days);
    let queues: BTreeSet<_> = scenario.tables.iter().map(|table| &table.id.cluster).collect();
    Needed {
        files: outcome.files as f64 / days,
        receives: outcome.receives as f64 / days,
        deletes: outcome.deletes as f64 / days,
        calls: outcome.calls as f64 / days,
        queues: queues.len() as f64,
        bytes_out: outcome.rows / days * f64::from(arguments.row_bytes)
            + outcome.jobs as f64 / days * f64::from(arguments.upload_bytes),
        jobs: outcome.jobs as f64 / days,
    }
}

fn show_bill(prices: &Prices, items: &[Charge], without_free_data_out: f64) {
    println!("\na month of the first, in dollars (prices of {}, config/prices.toml)", prices.date);
    for Charge { item, amount, dollars } in items.iter().filter(|charge| charge.amount > 0.0) {
        let (what, unit) = item.described();
        println!("  {what:<24} {dollars:>8.2}   {amount:>14.0} {unit}");
    }
    println!("  {:<24} {:>8.2}", "in all", total(items));
    println!("  {:<24} {without_free_data_out:>8.2}\n", "with no data out free");
}

fn show_head() {
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
}

type Run = (String, Scenario, Outcome);

/// The same day planned, and by windows of a fixed length.
fn drawn(runs: &[Run]) -> String {
    let named = |part: &str| runs.iter().find(|(name, ..)| name.starts_with(part));
    let both = ["planned", "a window of 60 s"].into_iter().filter_map(named);
    let both: Vec<_> = both.map(|(name, _, outcome)| (name.as_str(), outcome)).collect();
    chart::draw(&both, Quotas::BIGQUERY.jobs_per_day as f64)
}

/// What is told last, for machines.
fn summary(runs: &[Run], needed: &Needed, dollars: [f64; 2]) -> serde_json::Value {
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
    let crossed =
        |outcome: &Outcome| json!({"quota_crossed": outcome.refused > 0, "jobs": outcome.most_jobs_a_day});
    let [cost_month_usd, without_free_data_out] = dollars.map(|dollars| (dollars * 100.0).round() / 100.0);
    let every = |part: &str, every: &str| named(&format!("{part}, files every {every}"));
    let moves = |part: &str| {
        let by = |seconds: &str| moved(every("planned", seconds)?, every(part, seconds)?);
        json!({"60s": by("60"), "10s": by("10")})
    };
    let worked_off = |outcome: &Outcome| {
        json!({
            "quota_crossed": outcome.refused > 0,
            "caught_up_after_seconds": outcome.caught_up.map(|after| after.as_secs()),
            "files_left": outcome.left,
            "memory_max_bytes": outcome.most_memory,
            "objects_disk_max_bytes": outcome.most_objects_disk,
            "bodies_disk_max_bytes": outcome.most_bodies_disk,
            "p99": outcome.all.percentile(0.99),
        })
    };
    let after_outage = |seconds: &str| every("warehouse out for 1 h", seconds).map(worked_off);
    let tenfold = |seconds: &str| every("10 times for 1 h", seconds).map(worked_off);
    let hundredfold = |seconds: &str| every("10 times the rows, 100 for 1 h", seconds).map(worked_off);
    let caught_up =
        |seconds: &str| every("one paused for 6 h", seconds)?.caught_up.map(|after| after.as_secs());
    json!({
        "load_jobs": named("planned").map(load_jobs),
        "load_jobs_10s": named("planned, files every 10").map(load_jobs),
        "storage_write": named("the ten busiest streamed").map(|outcome| of(&outcome.streamed)),
        "fixed_window": named("a job a table a minute").or_else(|| named("a window of 60 s")).map(crossed),
        "window_from_first_file": named("a window of 60 s").map(crossed),
        "outage_of_1h": {"60s": after_outage("60"), "10s": after_outage("10")},
        "tenfold_for_1h": {"60s": tenfold("60"), "10s": tenfold("10")},
        "tenfold_day_hundredfold_for_1h": {"60s": hundredfold("60"), "10s": hundredfold("10")},
        "paused_moves_p99_by": moves("one paused for 6 h"),
        "paused_caught_up_after_seconds": {"60s": caught_up("60"), "10s": caught_up("10")},
        "chance_moves_p99_by": moves("another draw of chance"),
        "day_needs": {
            "files": needed.files.round(),
            "queues": needed.queues,
            "receives": needed.receives.round(),
            "deletes": needed.deletes.round(),
            "bytes_out": needed.bytes_out.round(),
            "calls": needed.calls.round(),
            "jobs": needed.jobs.round(),
        },
        "cost_month_usd": cost_month_usd,
        "cost_month_usd_with_no_data_out_free": without_free_data_out,
    })
}

/// By which share the 99th percentile of the table that moved most is later in `other`; not counting those that were paused.
fn moved(one: &Outcome, other: &Outcome) -> Option<f64> {
    let pairs = one.by_table.iter().zip(&other.by_table);
    let shares = pairs
        .enumerate()
        .filter(|(place, _)| *place != PAUSED)
        .filter_map(|(_, (one, other))| Some(other.percentile(0.99)? / one.percentile(0.99)? - 1.0));
    shares.reduce(f64::max).map(|share| (share * 1e4).round() / 1e4)
}

fn show(name: &str, outcome: &Outcome) {
    let seconds = |freshness: &Freshness, share| {
        freshness.percentile(share).map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"))
    };
    let Outcome { critical, all, from_commit, .. } = outcome;
    println!(
        "{name:<34} {:>9} {:>8} {:>7.1}% {:>8} | {:>6} {:>6} {:>6} | {:>6} {:>6} {:>6} | {:>6} {:>6}{}",
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
        notes(outcome),
    );
}

fn notes(outcome: &Outcome) -> String {
    let left = (outcome.left > 0).then(|| format!("  {} files left", outcome.left));
    let caught_up = outcome.caught_up.map(|after| format!("  caught up after {} s", after.as_secs()));
    let waited = outcome.waited_for_memory;
    let waited = (waited > 0).then(|| format!("  {waited} files waited for memory or disk"));
    left.into_iter().chain(caught_up).chain(waited).collect()
}

fn scenarios(arguments: &Arguments) -> Result<Vec<(String, Scenario)>, String> {
    if arguments.quota
        && let (Some(config), Some(rates)) = (&arguments.config, &arguments.rates)
    {
        let scenario = of_configuration(config, rates, arguments)?;
        let fixed = Scenario { windows: Windows::Fixed(Duration::from_secs(60)), ..scenario.clone() };
        return Ok(vec![("planned".to_owned(), scenario), ("a window of 60 s".to_owned(), fixed)]);
    }
    Ok(days(arguments.seed))
}

/// A day of the tables that a configuration maps.
fn of_configuration(config: &Path, rates: &Path, arguments: &Arguments) -> Result<Scenario, String> {
    let loaded = load(config, std::env::vars()).map_err(|errors| errors.to_string())?;
    let quotas = loaded
        .quotas()
        .ok_or("nothing is planned: `[warehouse]` is no BigQuery, or `planner.windows` is fixed")?;
    let mut rows = rates_of(rates)?;
    let (mut tables, mut told) = (Vec::new(), Vec::new());
    for mapping in &loaded.mappings {
        for (route, settings) in mapping.route.tables.iter().zip(&mapping.tables) {
            let id = route.table.clone();
            match (rows.remove(&id.to_string()), loaded.needs(settings)) {
                (_, None) => told.push(format!("{id} has a `window` of its own, which nobody plans")),
                (None, Some(_)) => told.push(format!(
                    "{} says nothing of {id}: add `\"{id}\" = ROWS` of a day",
                    rates.display()
                )),
                (Some(rows_per_day), Some(needs)) => {
                    tables.push(Table {
                        id,
                        class: needs.class,
                        rows_per_day,
                        max_staleness: needs.max_staleness,
                        carrier: needs.carrier,
                    });
                }
            }
        }
    }
    told.extend(
        rows.keys().map(|name| format!("{}: {name} is no table of the configuration", rates.display())),
    );
    if !told.is_empty() {
        return Err(told.join("\n"));
    }
    Ok(Scenario {
        tables,
        quotas,
        loads_in_flight: loaded.limits.loads_in_flight,
        // The rest is for rebuilds and full loads.
        memory_bytes: loaded.limits.memory_credit_bytes / 2,
        objects_disk_bytes: loaded.spool.objects_limit_bytes / 2,
        bodies_disk_bytes: loaded.spool.limit_bytes / 4 * 3,
        bursts: Vec::new(),
        ..day(arguments.every, 1, 1.0, arguments.seed)
    })
}

/// The most rows of a table and day that are planned with: a million a second.
const ROWS_MAX: f64 = 86_400e6;

/// Rows of a day, by tables.
fn rates_of(path: &Path) -> Result<BTreeMap<String, f64>, String> {
    let example = "expected lines as `\"cluster/schema.table\" = 2_000_000`, with the quotes";
    let told = |error| format!("{}: {error}{example}", path.display());
    let rates: BTreeMap<String, f64> =
        toml::from_str(&read(path)?).map_err(|error: toml::de::Error| told(error.to_string()))?;
    let wrong = rates.iter().find(|(_, rows)| !(0.0..=ROWS_MAX).contains(*rows));
    match wrong {
        Some((name, rows)) => {
            Err(format!("{}: {rows} is no number of rows of a day, of {name}", path.display()))
        }
        None => Ok(rates),
    }
}
