//! `landbridge cost`: what today, this month and the whole month cost.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::admin::{Asked, call_asked, count, finish, text};
use crate::app::SystemClock;
use crate::app::readers::ledger_reader;
use crate::config::cost::prices;
use crate::config::load;
use crate::domain::clock::Clock;
use crate::domain::cost::report::Report;
use crate::domain::fault::FaultKind;
use crate::web::cost::CostView;
use crate::web::human::number;

/// Tables that are shown, the dearest first; `--json` has all.
const TABLES_SHOWN: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Read the ledger of this configuration instead of asking a landbridge that runs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "token_file"])]
    config: Option<PathBuf>,
    /// With --config: what things cost, instead of what `[cost] prices` says
    #[arg(long, value_name = "FILE", requires = "config")]
    prices: Option<PathBuf>,
    /// All of it, for machines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// Prints it.
pub(super) fn cost(arguments: &Arguments) -> ExitCode {
    let answer = match &arguments.config {
        Some(config) => of_ledger(config, arguments.prices.as_deref()),
        None => call_asked(&arguments.asked, Method::GET, "cost"),
    };
    finish(answer.map(|answer| if arguments.json { format!("{answer:#}\n") } else { shown(&answer) }))
}

/// What the ledger has: of a landbridge that runs, all but the last minutes.
fn of_ledger(config: &std::path::Path, other: Option<&std::path::Path>) -> Result<Value, String> {
    let config = load(config, std::env::vars()).map_err(|errors| errors.to_string())?;
    let prices = match other {
        Some(path) => prices(Some(path))?,
        None => config.cost.prices.clone(),
    };
    let now = SystemClock.now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let kept = runtime.block_on(async { ledger_reader(&config).await?.usage(Report::since(now)).await });
    let kept = kept.map_err(|fault| {
        // A ledger that is not there: nobody has run with this configuration here.
        let remedy = if fault.kind == FaultKind::Vanished {
            "look at `ledger.path`, and whether landbridge has run with it here"
        } else {
            fault.kind.remedy()
        };
        format!("{}\n    {remedy}; or ask a landbridge that runs: leave --config out", fault.chain())
    })?;
    let view = CostView::of(&Report::new(&prices, config.cost.budget_usd_month, &kept, now));
    serde_json::to_value(view).map_err(|error| error.to_string())
}

fn dollars(of: &Value, key: &str) -> String {
    of.get(key).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |dollars| format!("{dollars:.2}"))
}

fn listed<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn shown(answer: &Value) -> String {
    let mut lines = vec![format!(
        "{:<28} {:>10} {:>10} {:>10}   {:>16}",
        "US DOLLARS", "TODAY", "MONTH", "PROJECTED", "THIS MONTH"
    )];
    let columns = |of: &Value| ["today_usd", "month_usd", "projected_usd"].map(|key| dollars(of, key));
    for item in listed(answer, "items") {
        let amount = item.get("month").and_then(Value::as_f64).unwrap_or_default();
        if amount <= 0.0 {
            continue;
        }
        let [today, month, projected] = columns(item);
        let amount = if amount < 100.0 { format!("{amount:.2}") } else { format!("{amount:.0}") };
        let (what, unit) = (text(item, "what").unwrap_or_default(), text(item, "unit").unwrap_or_default());
        lines.push(format!("{what:<28} {today:>10} {month:>10} {projected:>10}   {amount:>16} {unit}"));
    }
    let [today, month, projected] = columns(answer);
    lines.push(format!("{:<28} {today:>10} {month:>10} {projected:>10}", "in all"));
    if answer.get("budget_usd").is_some_and(Value::is_number) {
        lines.push(format!("{:<28} {:>32}", "budget", dollars(answer, "budget_usd")));
    }
    let by = answer.get("projected_by_days").and_then(Value::as_f64).unwrap_or_default();
    lines.push(format!(
        "\nas of {}, prices of {}; projected by the last {by:.1} days",
        text(answer, "at").unwrap_or_default(),
        text(answer, "prices_of").unwrap_or_default()
    ));
    let tables: Vec<_> = listed(answer, "tables").collect();
    if !tables.is_empty() {
        lines.push(format!(
            "\n{:<40} {:>10} {:>12} {:>12} {:>10}",
            "TABLE, THIS MONTH", "FILES", "MB IN", "MB OUT", "DOLLARS"
        ));
    }
    for table in tables.iter().take(TABLES_SHOWN) {
        let megabytes = |key: &str| number(count(table, key) / 1_000_000);
        lines.push(format!(
            "{:<40} {:>10} {:>12} {:>12} {:>10}",
            text(table, "table").unwrap_or_default(),
            number(count(table, "files")),
            megabytes("bytes_in"),
            megabytes("bytes_out"),
            dollars(table, "month_usd")
        ));
    }
    if let Some(more) = tables.len().checked_sub(TABLES_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more, with --json"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_nothing_is_left_out_and_what_is_not_known_is_a_dash() {
        let answer = json!({"at": "2026-11-27T00:00:00.000Z", "prices_of": "2026-11-27", "today_usd": 0.1, "month_usd": 1.234,
            "projected_usd": null, "projected_by_days": 0.02, "budget_usd": 15.0,
            "items": [{"what": "the machine", "unit": "hours", "month": 2.5, "today_usd": 0.1, "month_usd": 1.234, "projected_usd": null},
                {"what": "logs", "unit": "GB", "month": 0.0, "today_usd": 0.0, "month_usd": 0.0, "projected_usd": null}],
            "tables": [{"table": "a/s.t", "files": 3, "bytes_in": 5_000_000, "bytes_out": 7_999_999, "month_usd": 0.5}]});
        let shown = shown(&answer);
        assert!(!shown.contains("logs") && shown.contains("budget"), "{shown}");
        let line = |name: &str| {
            shown.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(line("the machine"), ["the", "machine", "0.10", "1.23", "-", "2.50", "hours"]);
        assert_eq!(line("a/s.t"), ["a/s.t", "3", "5", "7", "0.50"]);
    }
}
