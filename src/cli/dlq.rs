//! `landbridge dlq`: poison files, by way of the admin API.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::{Target, call, call_with, count, finish, table_path, text};
use super::check::counted;
use crate::app::readers::ledger_reader;
use crate::config::load;
use crate::domain::fault::Fault;
use crate::domain::transition::Mending;
use crate::ledger::reader::DeadLetter;

/// Messages that are shown, and how much of each.
const MESSAGES_MAX: usize = 1_000;
const MESSAGE_LETTERS: usize = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The poison files of a table, or of all tables
    List {
        /// The table, as cluster/schema.table
        table: Option<String>,
        /// The API's answers as they are, one a table
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// One poison file, with all that is known of it
    Show {
        /// The table, as cluster/schema.table
        table: String,
        /// The file, as `dlq list` names it
        file: String,
        #[command(flatten)]
        target: Target,
    },
    /// Messages that could not be parsed, oldest first, read from the ledger beside landbridge
    Messages {
        /// The configuration that landbridge runs with
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One JSON object a line, with the whole message
        #[arg(long)]
        json: bool,
    },
    /// Load poison files after all: once what was wrong is mended
    Redrive(MendArguments),
    /// Give poison files up: they are never loaded, and counted no more
    Discard(MendArguments),
}

#[derive(Debug, Args)]
pub(super) struct MendArguments {
    /// The table, as cluster/schema.table
    table: String,
    /// The files, as `dlq list` names them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    files: Vec<String>,
    /// All poison files of the table that are not discarded
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    target: Target,
}

/// Does what the command says.
pub(super) fn dlq(command: &Command) -> ExitCode {
    finish(match command {
        Command::List { table, json, target } => list(table.as_deref(), *json, target),
        Command::Show { table, file, target } => show(table, file, target),
        Command::Messages { config, json } => messages(config, *json),
        Command::Redrive(arguments) => mend(arguments, Mending::Redrive),
        Command::Discard(arguments) => mend(arguments, Mending::Discard),
    })
}

fn poison(table: &str, target: &Target) -> Result<Value, String> {
    call(target, Method::GET, &format!("{}/poison", table_path(table)?))
}

fn files(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("files").and_then(Value::as_array).into_iter().flatten()
}

fn list(table: Option<&str>, json: bool, target: &Target) -> Result<String, String> {
    let tables = match table {
        Some(table) => vec![table.to_owned()],
        None => {
            let overview = call(target, Method::GET, "tables")?;
            let tables = overview.get("tables").and_then(Value::as_array).into_iter().flatten();
            let poisoned = tables.filter(|table| count(table, "poison") > 0);
            poisoned.filter_map(|table| text(table, "name")).map(str::to_owned).collect()
        }
    };
    let mut shown = String::new();
    for table in &tables {
        let answer = poison(table, target)?;
        shown.push_str(&if json { format!("{answer}\n") } else { listed(table, &answer) });
    }
    Ok(if shown.is_empty() { "no file is poison\n".to_owned() } else { shown })
}

fn listed(table: &str, answer: &Value) -> String {
    let mut shown = format!("{table}\n");
    for file in files(answer) {
        let discarded = file.get("discarded").and_then(Value::as_bool) == Some(true);
        shown.push_str(&format!(
            "  {}  since {}{}\n    {}\n",
            text(file, "file").unwrap_or_default(),
            text(file, "poison_since").unwrap_or_default(),
            if discarded { ", discarded" } else { "" },
            text(file, "reason").unwrap_or_default(),
        ));
    }
    if files(answer).next().is_none() {
        shown.push_str("  no file is poison\n");
    }
    shown
}

fn show(table: &str, name: &str, target: &Target) -> Result<String, String> {
    let answer = poison(table, target)?;
    let found = files(&answer).find(|file| text(file, "file") == Some(name));
    let file = found.ok_or_else(|| {
        format!(
            "{table} has no poison file {name}\n    `landbridge dlq list {table}` names those that it has"
        )
    })?;
    let discarded = file.get("discarded").and_then(Value::as_bool) == Some(true);
    Ok(format!(
        "{name}\ntable      {table}\nsize       {} bytes\npoison     since {}{}\nreason     {}\n\
         mended?    landbridge dlq redrive {table} '{name}'\nunwanted?  landbridge dlq discard {table} '{name}'\n",
        count(file, "size_bytes"),
        text(file, "poison_since").unwrap_or_default(),
        if discarded { ", discarded" } else { "" },
        text(file, "reason").unwrap_or_default(),
    ))
}

/// They are in the ledger because no queue of landbridge's takes them: there is nothing to redrive.
fn messages(config: &Path, json: bool) -> Result<String, String> {
    let config = load(config, std::env::vars()).map_err(|errors| errors.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let letters = runtime.block_on(async {
        let (reader, mut letters, mut after) = (ledger_reader(&config).await?, Vec::new(), None);
        while letters.len() < MESSAGES_MAX {
            let page = reader.dead_letters(after.as_ref(), MESSAGES_MAX - letters.len()).await?;
            letters.extend(page.letters);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(letters)
    });
    let letters =
        letters.map_err(|fault: Fault| format!("{}\n    {}", fault.chain(), fault.kind.remedy()))?;
    if json {
        let line = |letter: &DeadLetter| serde_json::to_string(letter).map(|line| line + "\n");
        return letters.iter().map(line).collect::<Result<_, _>>().map_err(|error| error.to_string());
    }
    let shown: String = letters.iter().map(one_message).collect();
    Ok(if shown.is_empty() { "no message was put aside\n".to_owned() } else { shown })
}

fn one_message(letter: &DeadLetter) -> String {
    let text: String = letter.body.chars().take(MESSAGE_LETTERS).collect();
    let cut = if letter.body.chars().nth(MESSAGE_LETTERS).is_some() { "…" } else { "" };
    format!("{}  queue {}\n    {}\n    {text}{cut}\n", letter.at.rfc3339(), letter.queue, letter.reason)
}

fn mend(arguments: &MendArguments, mending: Mending) -> Result<String, String> {
    let table = &arguments.table;
    let path = format!("{}/poison/{}", table_path(table)?, mending.label());
    let body = if arguments.all { json!({"all": true}) } else { json!({"files": arguments.files}) };
    let answer = call_with(&arguments.target, Method::POST, &path, Some(&body))?;
    let warning = text(&answer, "warning").map(|warning| format!("note: {warning}\n")).unwrap_or_default();
    let done = match mending {
        Mending::Redrive | Mending::SendBack => "redriven: taken up with the table's next window",
        Mending::Discard => "discarded: never loaded, and counted no more",
    };
    Ok(format!(
        "{table}: {} {done}\n{warning}",
        counted(usize::try_from(count(&answer, "files")).unwrap_or(usize::MAX), "file")
    ))
}
