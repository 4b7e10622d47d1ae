//! The words of a message, in Slack's own markup.

use super::digest::Pending;
use super::{Alert, AlertKind};

/// Examples in a message.
pub(super) const EXAMPLES_MAX: usize = 5;

/// Of what a message tells.
pub(super) struct Told<'a> {
    pub(super) kind: AlertKind,
    /// The one table; `None` when they are several.
    pub(super) table: Option<String>,
    pub(super) tables: usize,
    /// True when the tables beyond the bound of memory are among them, uncounted.
    pub(super) more_tables: bool,
    pub(super) pending: &'a Pending,
    /// How long ago the first of them was, in seconds.
    pub(super) since_seconds: u64,
    /// Alerts that no message tells, because too many came at once.
    pub(super) dropped: u64,
}

/// The message.
pub(super) fn write(told: &Told<'_>) -> String {
    let mut text = format!("*landbridge: {}*", headline(told));
    let apart = told.table.is_none();
    for example in &told.pending.examples {
        text.push_str(&format!("\n• {}", line(example, apart)));
    }
    let shown = u64::try_from(told.pending.examples.len()).unwrap_or(u64::MAX);
    let more = told.pending.count.saturating_sub(shown);
    if more > 0 {
        text.push_str(&format!(
            "\n• and {more} more, in the log; the first was {} s ago",
            told.since_seconds
        ));
    }
    text.push_str(&format!("\n*What landbridge did:* {}.", escape(told.kind.done())));
    text.push_str(&format!("\n*What to do:* {}.", escape(told.kind.remedy())));
    if told.dropped > 0 {
        text.push_str(&format!(
            "\n{} came so fast that no message tells of them; the log has them.",
            counted(told.dropped, "further alert")
        ));
    }
    text
}

fn headline(told: &Told<'_>) -> String {
    let count = told.pending.count;
    let of = match &told.table {
        Some(table) => code(table),
        None if told.more_tables => "many tables".to_owned(),
        None => format!("{} tables", told.tables),
    };
    let are = if told.table.is_some() { "is" } else { "are" };
    let files = counted(count, "file");
    match told.kind {
        AlertKind::Quarantined => format!("{of} {are} quarantined"),
        AlertKind::Held => format!("{of} {are} held"),
        AlertKind::Poison if count == 1 => format!("1 file of {of} is poison"),
        AlertKind::Poison => format!("{files} of {of} are poison"),
        AlertKind::Vanished => format!("{files} of {of} vanished"),
        AlertKind::Budget => "the month is going to cost more than its budget".to_owned(),
        AlertKind::Quota => format!("a BigQuery quota is used up for {of} ({})", counted(count, "refusal")),
        AlertKind::Untold => format!("a receiver does not take what it is told of {of}"),
    }
}

fn line(example: &Alert, apart: bool) -> String {
    let mut parts = Vec::new();
    if apart {
        parts.push(code(&example.table.to_string()));
    }
    if !example.subject.is_empty() {
        parts.push(code(&example.subject));
    }
    if !example.reason.is_empty() {
        parts.push(escape(&example.reason));
    }
    if parts.is_empty() { "no reason was given".to_owned() } else { parts.join(": ") }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Slack's three control characters: without it `<!channel>` in a file's name would wake everyone.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// In a fixed-width span, which a backtick would end.
fn code(text: &str) -> String {
    format!("`{}`", escape(text).replace('`', "'"))
}
