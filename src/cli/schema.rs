//! `landbridge schema`: the columns of a table and how they came to be, by way of the admin API.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::admin::{Target, call, finish, table_path, text};
use super::verify::moment;
use crate::app::SystemClock;
use crate::domain::clock::Clock;
use crate::domain::column_type::ColumnType;
use crate::domain::instant::Instant;
use crate::domain::shape::{Change, Shape, ShapeEntry};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The columns of a table in the destination, and which columns of the files go there
    Show {
        #[command(flatten)]
        asked: Asked,
        /// As they were then: a time (2026-11-23T06:00:00Z), a day, or how long ago (2d)
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// What became of each column of the files, oldest first: when, why, and the first file that had it so
    History {
        #[command(flatten)]
        asked: Asked,
        /// Only since then
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Which columns were added or widened between two times
    Diff {
        #[command(flatten)]
        asked: Asked,
        /// From then
        #[arg(long, value_name = "TIME")]
        since: String,
        /// Until then [default: now]
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// The table, as cluster/schema.table
    table: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Does what the command says.
pub(super) fn schema(command: &Command) -> ExitCode {
    let now = SystemClock.now();
    let time = |text: &Option<String>| text.as_deref().map(|text| moment(text, now)).transpose();
    finish(match command {
        Command::Show { asked, at } => time(at).and_then(|at| show(asked, at)),
        Command::History { asked, since } => time(since).and_then(|since| history(asked, since)),
        Command::Diff { asked, since, at } => moment(since, now)
            .and_then(|since| Ok((since, time(at)?)))
            .and_then(|(since, at)| diff(asked, since, at)),
    })
}

/// What the API answers, as a shape.
fn shape(asked: &Asked) -> Result<Shape, String> {
    let answer = call(&asked.target, Method::GET, &format!("{}/schema", table_path(&asked.table)?))?;
    Ok(shape_of(&answer))
}

fn shape_of(answer: &Value) -> Shape {
    let entries = answer.get("entries").and_then(Value::as_array).into_iter().flatten();
    Shape::new(entries.filter_map(entry))
}

/// An entry that another version of landbridge answers, and this one does not understand, is left out.
fn entry(value: &Value) -> Option<ShapeEntry> {
    let kind = |key| text(value, key)?.parse::<ColumnType>().ok();
    Some(ShapeEntry {
        source: text(value, "column")?.into(),
        kind: kind("type")?,
        target: text(value, "target")?.into(),
        target_kind: kind("target_type")?,
        change: Change::ALL.into_iter().find(|change| Some(change.label()) == text(value, "change"))?,
        at: Instant::from_rfc3339(text(value, "at")?)?,
        file: text(value, "file").map(Into::into),
    })
}

fn shown_json(value: &Value) -> String {
    format!("{value:#}\n")
}

fn entry_json(entry: &ShapeEntry) -> Value {
    json!({"column": entry.source, "type": entry.kind, "target": entry.target, "target_type": entry.target_kind,
        "change": entry.change.label(), "at": entry.at.rfc3339(), "file": entry.file})
}

fn show(asked: &Asked, at: Option<Instant>) -> Result<String, String> {
    let mut shape = shape(asked)?;
    if let Some(at) = at {
        shape = shape.as_of(at);
    }
    if asked.json {
        let columns = shape.columns().into_iter().map(|(name, kind)| json!({"name": name, "type": kind}));
        let entries = shape.entries().iter().map(entry_json);
        return Ok(shown_json(
            &json!({"table": asked.table, "columns": columns.collect::<Value>(), "entries": entries.collect::<Value>()}),
        ));
    }
    Ok(columns_shown(&shape))
}

fn columns_shown(shape: &Shape) -> String {
    let mut rows = vec![["COLUMN", "TYPE", "SINCE", "FROM"].map(str::to_owned)];
    for (name, kind) in shape.columns() {
        let own: Vec<_> = shape.entries().iter().filter(|entry| entry.target == name).collect();
        let from: Vec<_> = own.iter().map(|entry| format!("{} {}", entry.source, entry.kind)).collect();
        let since = own.first().map(|entry| entry.at.rfc3339()).unwrap_or_default();
        rows.push([name.to_string(), kind.to_string(), since, from.join(", ")]);
    }
    if rows.len() == 1 { "no column is known: no file was loaded\n".to_owned() } else { aligned(&rows) }
}

fn history(asked: &Asked, since: Option<Instant>) -> Result<String, String> {
    let shape = shape(asked)?;
    let entries: Vec<_> =
        shape.entries().iter().filter(|entry| since.is_none_or(|since| entry.at >= since)).collect();
    if asked.json {
        let entries: Value = entries.into_iter().map(entry_json).collect();
        return Ok(shown_json(&json!({"table": asked.table, "entries": entries})));
    }
    Ok(history_shown(&entries))
}

fn history_shown(entries: &[&ShapeEntry]) -> String {
    let mut shown = String::new();
    for entry in entries {
        let ShapeEntry { source, kind, target, target_kind, change, at, file } = entry;
        let file = file.as_deref().unwrap_or("no file");
        // Writing into a text cannot fail.
        let _ = writeln!(
            shown,
            "{}  {:<8}  {source} {kind} goes into {target} {target_kind}\n    {file}",
            at.rfc3339(),
            change.label()
        );
    }
    if shown.is_empty() { "nothing has changed\n".to_owned() } else { shown }
}

fn diff(asked: &Asked, since: Instant, at: Option<Instant>) -> Result<String, String> {
    let shape = shape(asked)?;
    let (before, after) = (shape.as_of(since), at.map_or_else(|| shape.clone(), |at| shape.as_of(at)));
    Ok(differences(asked, &before, &after))
}

fn differences(asked: &Asked, before: &Shape, after: &Shape) -> String {
    let old = before.columns();
    let was = |name: &str| old.iter().find(|(own, _)| **own == *name).map(|(_, kind)| *kind);
    let (mut added, mut widened, mut lines) = (Vec::new(), Vec::new(), String::new());
    for (name, kind) in after.columns() {
        match was(&name) {
            None => {
                let _ = writeln!(lines, "+ {name} {kind}");
                added.push(json!({"name": name, "type": kind}));
            }
            Some(was) if was != kind => {
                let _ = writeln!(lines, "~ {name} {was} -> {kind}");
                widened.push(json!({"name": name, "from": was, "to": kind}));
            }
            Some(_) => {}
        }
    }
    if asked.json {
        return shown_json(&json!({"table": asked.table, "added": added, "widened": widened}));
    }
    if lines.is_empty() { "no column was added or widened\n".to_owned() } else { lines }
}

fn aligned(rows: &[[String; 4]]) -> String {
    let mut widths = [0; 4];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 4]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        let entry = |column: &str, kind: &str, target: &str, target_type: &str, change: &str, at: &str| {
            json!({"column": column, "type": kind, "target": target, "target_type": target_type, "change": change,
                "at": at, "file": "b/k@e"})
        };
        json!({"table": "a/s.t", "entries": [
            entry("id", "INT64", "id", "INT64", "added", "2026-11-23T00:00:00.000Z"),
            entry("id", "DECIMAL(20,0)", "id", "DECIMAL(20,0)", "widened", "2026-11-24T00:00:00.000Z"),
            entry("id", "STRING", "id__string", "STRING", "beside", "2026-11-25T00:00:00.000Z"),
            entry("id", "GEOMETRY", "id__x", "GEOMETRY", "beside", "2026-11-25T00:00:00.000Z"),
        ]})
    }

    fn asked(json: bool) -> Asked {
        let target = Target::default();
        Asked { table: "a/s.t".to_owned(), json, target }
    }

    fn day(day: u32) -> Instant {
        Instant::from_rfc3339(&format!("2026-11-{day}T12:00:00Z")).unwrap()
    }

    #[test]
    fn columns_are_shown_with_what_goes_there() {
        let shape = shape_of(&answer());
        let shown = columns_shown(&shape);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(
            shown.contains("id INT64, id DECIMAL(20,0)") && shown.contains("id__string  STRING"),
            "{shown}"
        );
        assert!(columns_shown(&shape.as_of(day(20))).contains("no column is known"));
        let history = history_shown(&shape.entries().iter().collect::<Vec<_>>());
        assert!(
            history.contains("widened   id DECIMAL(20,0) goes into id DECIMAL(20,0)\n    b/k@e"),
            "{history}"
        );
    }

    #[test]
    fn two_times_are_compared() {
        let shape = shape_of(&answer());
        let (before, after) = (shape.as_of(day(23)), shape.as_of(day(25)));
        assert_eq!(
            differences(&asked(false), &before, &after),
            "~ id INT64 -> DECIMAL(20,0)\n+ id__string STRING\n"
        );
        assert_eq!(differences(&asked(false), &after, &after), "no column was added or widened\n");
        let json: Value = serde_json::from_str(&differences(&asked(true), &before, &after)).unwrap();
        assert_eq!(json["widened"][0]["to"], "DECIMAL(20,0)");
    }
}
