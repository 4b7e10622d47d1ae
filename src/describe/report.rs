//! What is said of the changes, for people.

use super::change::{Changes, ColumnChange, TableChange, TableState};

/// Each table of which there is something to say, and a sum. `written` is false when nothing may be written.
pub fn report(changes: &Changes, file: &str, written: bool) -> String {
    let mut text: String = changes.tables.iter().map(table).collect();
    let count = |state: TableState| changes.tables.iter().filter(|table| table.state == state).count();
    let changed =
        changes.tables.iter().filter(|table| table.state == TableState::Kept && table.is_written()).count();
    let read = count(TableState::Added) + count(TableState::Kept);
    text.push_str(&format!(
        "{read} {} described: {} new, {changed} changed; {}\n",
        if read == 1 { "table" } else { "tables" },
        count(TableState::Added),
        match (changes.any_written(), written) {
            (false, _) => format!("{file} is as it should be"),
            (true, true) => format!("{file} is written"),
            (true, false) => format!("nothing was written to {file}"),
        }
    ));
    text
}

fn table(change: &TableChange) -> String {
    let head = match change.state {
        TableState::Added => " (new)",
        TableState::Kept if change.columns.is_empty() && change.key.is_none() && change.notes.is_empty() => {
            return String::new();
        }
        TableState::Kept => "",
        TableState::Gone => " is not at the source, or not shown to this user; its entry stays",
        TableState::Skipped => " is left out",
    };
    let mut text = format!("{}{head}\n", change.name);
    for note in &change.notes {
        text.push_str(&format!("  ! {note}\n"));
    }
    if let Some(key) = &change.key {
        text.push_str(&format!("  + key ({})\n", key.join(", ")));
    }
    let width = change.columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(64);
    for (name, column) in &change.columns {
        let (mark, told) = match column {
            ColumnChange::Added(kind) => ('+', kind.clone()),
            ColumnChange::Changed { from, to } => ('~', format!("{from} → {to}")),
            ColumnChange::Gone => ('-', "gone from the source; it stays, older files may have it".to_owned()),
            ColumnChange::Unknown(kind) => {
                ('!', format!("{kind} is no type that landbridge knows; not written"))
            }
            ColumnChange::NoInstant(kind) => (
                '!',
                format!(
                    "`instants` names it, and the source says {kind}: take it out of `instants`; not written"
                ),
            ),
        };
        text.push_str(&format!("  {mark} {name:<width$}  {told}\n"));
    }
    text
}
