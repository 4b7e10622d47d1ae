//! `landbridge ledger`: a ledger on which no landbridge runs is copied, or made anew.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::printable;
use super::verify::moment;
use crate::app::SystemClock;
use crate::app::ledger::{Wish, export, import, rebuild};
use crate::config::load;
use crate::config::types::{Config, Ledger as LedgerConfig};
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::TableId;
use crate::ledger::archive::Counts;
use crate::rebuild::TablePlan;
use crate::web::human::number;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write the ledger to a file, once every landbridge on it is stopped
    Export {
        #[command(flatten)]
        target: Target,
        /// The new file: one JSON object a line
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Read an exported ledger into a new one, of either kind; the old one is refused from then on
    Import {
        #[command(flatten)]
        target: Target,
        /// The exported file
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Make a lost ledger anew from the rows in the warehouse and a listing of the buckets
    #[command(after_help = REBUILD)]
    Rebuild {
        #[command(flatten)]
        target: Target,
        /// Leave files without rows alone that were written before: a date, a time (RFC 3339), or how long ago (36h, 7d)
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Write it; without, it is only shown
        #[arg(long)]
        yes: bool,
    },
}

const REBUILD: &str = "\
Stop every landbridge, and wait a minute, first. Files that have rows in the warehouse are loaded; all others in the
buckets are announced again, those that landbridge never loaded among them: with --since only those written since.
What only the ledger knew is gone: poison is tried again, pauses and holds are over. docs/ledger.md says more.

Examples:
  landbridge ledger rebuild --config landbridge.toml                     show what would be written
  landbridge ledger rebuild --config landbridge.toml --since 30d --yes   write it";

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The configuration, which names the ledger
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Does what the command says.
pub(super) fn ledger(command: &Command) -> ExitCode {
    let result = match command {
        Command::Export { target, to } => with(target, async |config| {
            let counts = export(config, to).await.map_err(told)?;
            println!("exported {} to {}", shown(&counts), to.display());
            Ok(())
        }),
        Command::Import { target, from } => with(target, async |config| {
            let counts = import(config, from).await.map_err(told)?;
            println!("imported {} into {}", shown(&counts), name(config));
            println!("the ledger that it came from is refused from now on");
            Ok(())
        }),
        Command::Rebuild { target, since, yes } => {
            with(target, async |config| rebuilt(config, since.as_deref(), *yes).await)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}", printable(&problem));
            ExitCode::FAILURE
        }
    }
}

fn with(target: &Target, act: impl AsyncFnOnce(&Config) -> Result<(), String>) -> Result<(), String> {
    let config = load(&target.config, std::env::vars()).map_err(|errors| errors.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("landbridge: cannot start the runtime: {error}"))?;
    runtime.block_on(act(&config))
}

async fn rebuilt(config: &Config, since: Option<&str>, write: bool) -> Result<(), String> {
    let since = since.map(|text| moment(text, SystemClock.now())).transpose()?;
    let mut sum = TablePlan::default();
    println!(
        "{:<40} {:>10} {:>14} {:>8} {:>10} {:>8} {:>8}  OLDEST AGAIN",
        "TABLE", "LOADED", "ROWS", "GONE", "AGAIN", "COPIES", "LEFT"
    );
    let mut tell = |table: &TableId, plan: &TablePlan| {
        println!("{}", line(&table.to_string(), plan));
        plan.strange.iter().for_each(|finding| println!("    {}", printable(finding)));
        sum.add(plan);
    };
    rebuild(config, Wish { since, write }, &mut tell).await.map_err(told)?;
    println!("{}", line("all", &sum));
    if sum.foreign_rows > 0 {
        println!(
            "{} rows have no lineage: another program wrote them; they do not count",
            number(sum.foreign_rows)
        );
    }
    if write {
        println!("written into {}; AGAIN is taken up when landbridge starts", name(config));
        println!(
            "not known any more: which files were poison (tried again), pauses and holds (over), strikes"
        );
    } else {
        println!("nothing was written; --yes writes it into {}", name(config));
    }
    Ok(())
}

fn line(name: &str, plan: &TablePlan) -> String {
    let oldest = plan.oldest_again.map_or(String::new(), |at| format!("  {}", at.rfc3339()));
    let numbers = [plan.loaded, plan.rows, plan.gone, plan.again, plan.copies, plan.left].map(number);
    let [loaded, rows, gone, again, copies, left] = &numbers;
    format!("{name:<40} {loaded:>10} {rows:>14} {gone:>8} {again:>10} {copies:>8} {left:>8}{oldest}")
}

fn shown(counts: &Counts) -> String {
    let Counts { batches, files_in_batches, files, modes, dead_letters, shapes, usage, watermarks } = *counts;
    let several = |count: u64, one: &str, more: &str| {
        format!("{} {}", number(count), if count == 1 { one } else { more })
    };
    format!(
        "{} with {}, {} in none, {}, {}, {}, {}, {}",
        several(batches, "batch", "batches"),
        several(files_in_batches, "file", "files"),
        several(files, "file", "files"),
        several(modes, "table that does not run", "tables that do not run"),
        several(shapes, "table with a shape", "tables with shapes"),
        several(dead_letters, "dead letter", "dead letters"),
        several(usage, "day of usage", "days of usage"),
        several(watermarks, "watermark", "watermarks")
    )
}

fn name(config: &Config) -> String {
    match &config.ledger {
        LedgerConfig::Sqlite { path, .. } => path.display().to_string(),
        LedgerConfig::DynamoDb { table, .. } => format!("DynamoDB's table {table}"),
    }
}

/// What kept it from being done, and what to do.
fn told(fault: Fault) -> String {
    let remedy = match fault.kind {
        FaultKind::Unavailable | FaultKind::Throttled | FaultKind::QuotaExceeded => "then do it again",
        FaultKind::AccessDenied => "correct it, or grant what is named, then do it again",
        FaultKind::LedgerCorrupt => "nothing was given away: begin again with a new ledger",
        FaultKind::Vanished => {
            "name the configuration that landbridge runs with, on the machine where it runs"
        }
        FaultKind::Unreadable
        | FaultKind::UnsupportedType
        | FaultKind::SchemaConflict
        | FaultKind::ContentRefused
        | FaultKind::AlreadyLoaded
        | FaultKind::DestinationRefused
        | FaultKind::DiskFull
        | FaultKind::Internal => fault.kind.remedy(),
    };
    format!("landbridge: {}\n    {remedy}", fault.chain())
}
