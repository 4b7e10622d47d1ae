//! `landbridge describe`: what the source database says of its tables goes into the mapping.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::admin::printable;
use crate::config::secret::Secret;
use crate::config::table_errors;
use crate::describe::change::Changes;
use crate::describe::file::MappingFile;
use crate::describe::mapping::{named, update};
use crate::describe::report::report;
use crate::describe::selection::Selection;
use crate::domain::fault::{Fault, FaultKind};
use crate::source::SourceTable;
use crate::source::address::{Address, Tls};
use crate::source::mysql::Database;

/// Mapping and source differ, and nothing was written; or a person has to say who is right.
const DIFFERS: u8 = 1;
/// It could not be done.
const UNDONE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  landbridge describe --source mysql://reader@db.example.com/casino --config landbridge.toml --password-env DB_PASSWORD
  landbridge describe --source mysql://reader@db.example.com --mapping tables/game-a.toml --table 'casino.*'
  landbridge describe --source mysql://reader@db.example.com?ssl=verified --ca rds.pem --config landbridge.toml --check

Written are tables that are new, a key where none is named, and the type of every column; all else stays as it is. Without
--table, the tables that the mapping names are described; where it names none, all of the database in the address.
The user needs SELECT on the tables. Exit code: 0 done, 1 mapping and source differ (--check, or a person has to say who is
right), 2 it could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The database that DMS reads: mysql://USER@HOST:PORT/DATABASE, with ?ssl=preferred, required, verified or off
    #[arg(long, value_name = "ADDRESS")]
    source: String,
    /// The configuration whose mapping is written
    #[arg(long, value_name = "FILE", required_unless_present = "mapping", conflicts_with = "mapping")]
    config: Option<PathBuf>,
    /// The mapping file that is written; made where there is none
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The cluster, where there are several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Tables, as database.table, where * stands for any letters and ? for one; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    table: Vec<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "NAME", conflicts_with = "password_file")]
    password_env: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The certificates that the server's is checked by (Amazon's are its global-bundle.pem); needs ?ssl=verified
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Write nothing; exit with 1 if something would be written
    #[arg(long, visible_alias = "dry-run")]
    check: bool,
}

/// Describes, and tells.
pub(super) fn describe(arguments: &Arguments) -> ExitCode {
    match described(arguments) {
        Ok(changes) if changes.any_contradicted() => ExitCode::from(DIFFERS),
        Ok(changes) if arguments.check && changes.any_written() => ExitCode::from(DIFFERS),
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("landbridge: {}", printable(&problem));
            ExitCode::from(UNDONE)
        }
    }
}

fn described(arguments: &Arguments) -> Result<Changes, String> {
    let address = Address::parse(&arguments.source)?;
    if arguments.ca.is_some() && address.tls != Tls::Verified {
        return Err(
            "--ca checks the server's certificate only with `?ssl=verified` in the address".to_owned()
        );
    }
    let password = password(arguments)?;
    let mapping = match (&arguments.mapping, &arguments.config) {
        (Some(path), _) => MappingFile::open(path, arguments.cluster.as_deref())?,
        (None, Some(path)) => MappingFile::find(path, arguments.cluster.as_deref())?,
        (None, None) => return Err("name the mapping's file with --mapping or --config".to_owned()),
    };
    let within = |problem: String| format!("{}: {problem}", mapping.path.display());
    let cluster = mapping.cluster.as_deref().filter(|_| !mapping.is_new);
    let mapped = named(&mapping.text, cluster).map_err(within)?;
    let selection = Selection::new(&arguments.table, address.database.as_deref(), mapped)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let asked = ask(&address, password.as_ref(), arguments.ca.as_deref(), &selection);
    let tables = runtime.block_on(asked)?;
    if tables.is_empty() {
        return Err("the source has no such table, or does not show it to this user\n    \
                    name others with --table, or grant SELECT on them"
            .to_owned());
    }
    let meant = |name: &str| selection.takes_name(name);
    let (text, changes) = update(&mapping.text, cluster, &tables, meant).map_err(within)?;
    refuse_what_would_not_load(&mapping, &text)?;
    let writes = changes.any_written() && !arguments.check;
    if writes {
        mapping.write(&text)?;
    }
    print!("{}", printable(&report(&changes, &mapping.path.display().to_string(), writes)));
    if mapping.is_new && writes {
        println!("fill in what is in capitals, then see whether it is good: landbridge check --config FILE");
    }
    Ok(changes)
}

async fn ask(
    address: &Address,
    password: Option<&Secret>,
    ca: Option<&Path>,
    selection: &Selection,
) -> Result<Vec<SourceTable>, String> {
    let told = |fault: Fault| {
        let remedy = if fault.kind == FaultKind::AccessDenied {
            "name the password with --password-env or --password-file; grant SELECT on the tables"
        } else {
            "see whether this machine reaches the server, then do it again"
        };
        format!("{}\n    {remedy}", fault.chain())
    };
    let mut database = Box::pin(Database::connect(address, password, ca)).await.map_err(told)?;
    if !database.is_encrypted && address.tls == Tls::Preferred {
        eprintln!("note: the server offers no TLS: the connection is not encrypted");
    }
    let found =
        Box::pin(database.tables(|schema, table| selection.takes(schema, table))).await.map_err(told)?;
    let tables = Box::pin(database.describe(&found)).await.map_err(told)?;
    database.close().await;
    Ok(tables)
}

/// The password, from where it is said to be. No message holds any of it.
fn password(arguments: &Arguments) -> Result<Option<Secret>, String> {
    if let Some(name) = &arguments.password_env {
        // The name is not repeated: whoever gave the password in its place need not read it in a log.
        let value = std::env::var(name).map_err(
            |_| "--password-env: the environment has no variable of that name\n    set it, then do it again",
        )?;
        return Ok(Some(Secret::new(value)));
    }
    let Some(path) = &arguments.password_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("--password-file: cannot read {}: {error}", path.display()))?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
}

/// What is written must be what landbridge loads.
fn refuse_what_would_not_load(mapping: &MappingFile, text: &str) -> Result<(), String> {
    let before: Vec<_> = table_errors(&mapping.path, &mapping.text)
        .into_iter()
        .map(|error| (error.key, error.problem))
        .collect();
    let fresh = table_errors(&mapping.path, text);
    let told: Vec<_> = fresh
        .into_iter()
        .filter(|error| !before.contains(&(error.key.clone(), error.problem.clone())))
        .map(|error| error.to_string())
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(format!("nothing is written, because landbridge would refuse it:\n{}", told.join("\n")))
}
