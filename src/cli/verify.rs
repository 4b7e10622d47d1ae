//! `landbridge verify`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Args;

use super::admin::printable;
use crate::app::readers::{audit, ledger_reader};
use crate::app::{SystemClock, tables};
use crate::config::types::Config;
use crate::config::{load, nearest};
use crate::domain::batch::Destination;
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::shape::{Shape, ShapeEntry};
use crate::domain::typed_view::Part;
use crate::ledger::reader::Scope;
use crate::verify::line::Line;
use crate::verify::{Options, known_tables, report, verify as compare};

/// Findings of a table that can be shown, whatever is wished.
const FINDINGS_MAX: usize = 100_000;
/// Something is wrong: with the rows or with the ledger.
const FOUND: u8 = 1;
/// It could not be verified.
const UNVERIFIED: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  landbridge verify --config /etc/landbridge/landbridge.toml
  landbridge verify --config landbridge.toml --table game-a/casino.bet_history --since 2d
  landbridge verify --config landbridge.toml --since 2026-11-23 --json

Exit code: 0 every row is there once, 1 something was found, 2 it could not be verified.
In BigQuery it costs one query a table over four lineage columns, some 150 bytes a row, and where the table has a
key and DMS's change sequence a second one over those; --since reads only the partitions since then. It may run beside landbridge, and writes nothing.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The configuration that landbridge runs with
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One table, as cluster/schema.table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Only batches claimed then or later: a date, a time (RFC 3339), or how long ago (36h, 7d)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Findings of a table that are shown; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    findings: usize,
    /// Let BigQuery refuse a query that would be billed for more, as 50GB
    #[arg(long, value_name = "SIZE")]
    bytes_billed_max: Option<ByteSize>,
}

/// Verifies, and tells.
pub(super) fn verify(arguments: &Arguments) -> ExitCode {
    let result = prepared(arguments).and_then(|(config, since)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("landbridge: cannot start the runtime: {error}"))?;
        runtime.block_on(run(arguments, &config, since))
    });
    match result {
        Ok(total) if total.findings == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FOUND),
        Err(problem) => {
            eprintln!("{}", printable(&problem));
            ExitCode::from(UNVERIFIED)
        }
    }
}

fn prepared(arguments: &Arguments) -> Result<(Config, Option<Instant>), String> {
    let since = arguments.since.as_deref().map(|text| moment(text, SystemClock.now())).transpose()?;
    let config = load(&arguments.config, std::env::vars()).map_err(|errors| errors.to_string())?;
    Ok((config, since))
}

async fn run(arguments: &Arguments, config: &Config, since: Option<Instant>) -> Result<Line, String> {
    let reader = ledger_reader(config).await.map_err(told)?;
    let audit = audit(config, arguments.bytes_billed_max.map(|size| size.as_u64())).await.map_err(told)?;
    let routes = config.mappings.iter().flat_map(|mapping| &mapping.route.tables);
    let configured: Vec<(TableId, Destination)> =
        routes.map(|route| (route.table.clone(), route.destination.clone())).collect();
    let known = known_tables(&*reader, &configured).await.map_err(told)?;
    let names: Vec<_> = known.iter().map(TableId::to_string).collect();
    let table = arguments.table.as_deref().map(|name| named(name, known.iter())).transpose()?;
    let shown = table.as_ref().map_or(names, |table| vec![table.to_string()]);
    let width = shown.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
    let findings_max = arguments.findings.min(FINDINGS_MAX);
    let keys = keys(config, reader.shapes().await.map_err(told)?);
    let options = Options { scope: Scope { table, since, ..Scope::default() }, findings_max, keys };
    if !arguments.json {
        print(&report::head(width));
    }
    let mut tell = |line: &Line| {
        print(&if arguments.json { report::table_json(line) } else { report::table(line, width) });
    };
    let total = compare(&*reader, &*audit, &configured, &options, &mut tell).await.map_err(told)?;
    print(&if arguments.json { report::sum_json(&total) } else { report::sum(&total) });
    Ok(total)
}

/// By which columns DMS's own repeats are known, of the tables that have such.
fn keys(config: &Config, shapes: Vec<(TableId, Vec<ShapeEntry>)>) -> BTreeMap<TableId, Vec<Part>> {
    let tables = tables(config);
    let keys = shapes.into_iter().filter_map(|(table, entries)| {
        let key = tables.get(&table)?.view(&Shape::new(entries)).key;
        (!key.is_empty()).then_some((table, key))
    });
    keys.collect()
}

/// The table of this name, `cluster/schema.table` or `cluster.schema.table`.
fn named<'a>(name: &str, known: impl Iterator<Item = &'a TableId> + Clone) -> Result<TableId, String> {
    let dotted = |table: &TableId| format!("{}.{}.{}", table.cluster, table.schema, table.table);
    if let Some(table) = known.clone().find(|table| table.to_string() == name || dotted(table) == name) {
        return Ok(table.clone());
    }
    let names: Vec<_> = known.map(TableId::to_string).collect();
    let remedy = match nearest(name, names.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "name one of the configuration or the ledger, as cluster/schema.table".to_owned(),
    };
    Err(format!("landbridge: there is no table \"{name}\"\n    {remedy}"))
}

/// A moment as a person writes it.
pub(super) fn moment(text: &str, now: Instant) -> Result<Instant, String> {
    let day = || Instant::from_rfc3339(&format!("{text}T00:00:00Z"));
    let ago = || {
        let length = humantime::parse_duration(text).ok()?;
        let micros = i64::try_from(length.as_micros()).ok()?;
        Some(Instant::from_micros(now.micros().checked_sub(micros)?))
    };
    Instant::from_rfc3339(text).or_else(day).or_else(ago).ok_or_else(|| {
        format!(
            "landbridge: \"{text}\" is no time\n    expected a date (2026-11-23), a time (2026-11-23T06:00:00Z), or how long ago (36h, 7d)"
        )
    })
}

/// What kept it from verifying, and what to do.
fn told(fault: Fault) -> String {
    let remedy = match fault.kind {
        FaultKind::Unavailable | FaultKind::Throttled => {
            "nothing was written; look at the network or the service, and verify again"
        }
        FaultKind::AccessDenied => {
            "grant the permission named in the error (docs/verify.md says which), and verify again"
        }
        FaultKind::Vanished => {
            "nothing was created; name the configuration that landbridge runs with, on the machine where it runs"
        }
        FaultKind::Unreadable => "restore the file, or take it out of the lake, and verify again",
        FaultKind::ContentRefused => "the warehouse refused the query: look at its words above",
        FaultKind::DiskFull => "free disk space, or name another folder with TMPDIR, and verify again",
        kind @ (FaultKind::QuotaExceeded
        | FaultKind::UnsupportedType
        | FaultKind::SchemaConflict
        | FaultKind::AlreadyLoaded
        | FaultKind::DestinationRefused
        | FaultKind::LedgerCorrupt
        | FaultKind::Internal) => kind.remedy(),
    };
    format!("landbridge: not verified: {}\n    {remedy}", fault.chain())
}

fn print(text: &str) {
    // Who closes the pipe does not want the rest.
    let _ = std::io::stdout().write_all(printable(text).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Instant::from_micros(10_000_000_000);
        assert_eq!(moment("1970-01-01", now), Ok(Instant::from_micros(0)));
        assert_eq!(moment("1970-01-01T00:00:01+00:00", now), Ok(Instant::from_micros(1_000_000)));
        assert_eq!(moment("2h", now), Ok(Instant::from_micros(2_800_000_000)));
        assert!(moment("yesterday", now).unwrap_err().contains("is no time"));
        assert!(moment("99999999999999y", now).is_err());
    }

    #[test]
    fn a_table_is_found_by_either_name_or_the_nearest_is_told() {
        let known = [TableId::new("a", "s", "bets"), TableId::new("a", "s", "users")];
        assert_eq!(named("a/s.bets", known.iter()).as_ref(), Ok(&known[0]));
        assert_eq!(named("a.s.users", known.iter()).as_ref(), Ok(&known[1]));
        assert!(named("a/s.bet", known.iter()).unwrap_err().contains("did you mean `a/s.bets`?"));
        assert!(named("nothing like it", known.iter()).unwrap_err().contains("cluster/schema.table"));
    }
}
