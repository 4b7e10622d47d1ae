//! What came out, as a person reads it and as a program does.

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::line::Line;
use crate::domain::audit::{Finding, FindingKind};

/// The heads of the columns after the table's.
const COLUMNS: [&str; 7] = ["FILES", "ROWS", "IN FLIGHT", "MISSING", "DOUBLED", "STRANGE", "REPEATS"];
/// What stands where repeats were not counted.
const UNCOUNTED: &str = "-";

/// The first line, for tables whose names are at most `width` letters long.
pub fn head(width: usize) -> String {
    row("TABLE", width, COLUMNS.map(str::to_owned))
}

/// A table, and below it what is wrong.
pub fn table(line: &Line, width: usize) -> String {
    let counts = [line.files, line.rows, line.in_flight, line.missing, line.doubled, line.strange];
    let [files, rows, in_flight, missing, doubled, strange] = counts.map(|count| count.to_string());
    let repeats = line.repeats.map_or_else(|| UNCOUNTED.to_owned(), |repeats| repeats.to_string());
    let mut text = row(&line.name(), width, [files, rows, in_flight, missing, doubled, strange, repeats]);
    if line.missing > 0 && !line.survey.exists {
        text.push_str(&format!("    the warehouse has no table {}\n", place(line)));
    }
    if let Some(why) = &line.uncounted {
        text.push_str(&format!("    DMS's repeats were not counted, and all else was: {why}\n"));
    }
    for (index, finding) in line.kept.iter().enumerate() {
        text.push_str(&told(finding));
        // The same remedy stands below the last of its kind.
        let next = line.kept.get(index + 1);
        if next.is_none_or(|next| next.kind != finding.kind) {
            text.push_str(&format!("        {}\n", finding.kind.remedy()));
        }
    }
    let untold = line.findings.saturating_sub(line.kept.len() as u64);
    if untold > 0 {
        text.push_str(&format!("    and {untold} more (--findings shows more of them)\n"));
    }
    text
}

fn row(name: &str, width: usize, cells: [String; 7]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>12}")).collect();
    format!("{name:<width$}{}\n", cells.join(""))
}

fn told(finding: &Finding) -> String {
    let Finding { kind, invariant, file, batch, job, text, .. } = finding;
    let part = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("        {name:<6} {value}\n"),
    };
    format!(
        "    {} ({invariant}): {text}\n{}{}{}",
        kind.label(),
        part("file", file),
        part("batch", batch),
        part("job", job.as_ref().map_or("", |job| job.as_str()))
    )
}

/// The sum: the last line, and before it what the warehouse read.
pub fn sum(total: &Line) -> String {
    let mut text = String::new();
    if total.in_flight > 0 {
        text.push_str(&format!(
            "{} files are in flight: their batches are open, and their rows were not judged\n",
            total.in_flight
        ));
    }
    if let Some(repeats) = total.repeats.filter(|repeats| *repeats > 0) {
        text.push_str(&format!(
            "{repeats} rows are changes that DMS has written again: the typed views have each once\n"
        ));
    }
    if total.survey.bytes > 0 {
        text.push_str(&format!("the warehouse read {} for this\n", ByteSize::b(total.survey.bytes)));
    }
    text.push_str(&format!(
        "verified {} rows of {} files in {} tables: missing {}, doubled {}",
        total.rows,
        total.files,
        total.tables.len(),
        total.missing,
        total.doubled
    ));
    if total.strange > 0 {
        text.push_str(&format!(", strange {}", total.strange));
    }
    if total.ledger > 0 {
        text.push_str(&format!(", {} contradictions in the ledger", total.ledger));
    }
    text.push('\n');
    text
}

/// A table and its findings, a line of JSON each.
pub fn table_json(line: &Line) -> String {
    let mut lines = vec![json!({
        "table": line.name(), "destination": place(line), "exists": line.survey.exists, "counts": counts(line),
        "findings": line.findings, "bytes": line.survey.bytes, "uncounted": line.uncounted,
    })];
    lines.extend(line.kept.iter().map(|finding| {
        json!({
            "table": line.name(), "finding": finding.kind.label(), "invariant": finding.invariant,
            "file": finding.file, "batch": finding.batch, "job": finding.job, "rows": finding.rows,
            "text": finding.text, "remedy": finding.kind.remedy(),
        })
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The sum as a line of JSON.
pub fn sum_json(total: &Line) -> String {
    let verified = json!({
        "tables": total.tables.len(), "counts": counts(total), "findings": total.findings,
        "bytes": total.survey.bytes,
    });
    format!("{}\n", json!({ "verified": verified }))
}

fn counts(line: &Line) -> Value {
    json!({
        "files": line.files, "rows": line.rows, "in_flight": line.in_flight,
        FindingKind::Missing.label(): line.missing, FindingKind::Doubled.label(): line.doubled,
        FindingKind::Strange.label(): line.strange, FindingKind::Ledger.label(): line.ledger,
        "repeats": line.repeats,
    })
}

/// `project.dataset.table`, or `dataset.table` in a lake.
fn place(line: &Line) -> String {
    let destination = &line.destination;
    let parts = [&destination.project, &destination.dataset, &destination.table];
    parts.map(|part| &**part).into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}
