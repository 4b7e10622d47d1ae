//! The reconciliation as a person reads it, and as a program does.

use super::reconcile::{Reconciliation, Tally};

/// A table per cluster, the verdict, and the culprits if there are any.
pub fn text(result: &Reconciliation) -> String {
    let mut text = String::from(
        "\ncluster      files  loaded  poison  vanished       rows     loaded  missing  doubled   lag p50   p99\n",
    );
    for (name, tally) in
        result.clusters.iter().map(|(name, tally)| (name.as_str(), tally)).chain([("all", &result.total)])
    {
        text.push_str(&line(name, tally));
    }
    let (rows, files) = (&result.total.rows, &result.total.files);
    if result.is_good() {
        text.push_str(&format!(
            "\nmissing 0, duplicated 0: every row of {} files is in the lake exactly once;\n{} poison and {} vanished files are accounted for.\n",
            files.loaded, files.poisoned, files.vanished
        ));
    } else {
        text.push_str(&format!("\nFAILED: missing {}, duplicated {}\n", rows.missing, rows.duplicated));
        for culprit in &result.culprits {
            text.push_str(&format!("  {culprit}\n"));
        }
    }
    text
}

fn line(name: &str, tally: &Tally) -> String {
    let (files, rows) = (&tally.files, &tally.rows);
    format!(
        "{name:<10} {:>7} {:>7} {:>7} {:>9} {:>10} {:>10} {:>8} {:>8} {:>8.1}s {:>4.1}s\n",
        files.announced,
        files.loaded,
        files.poisoned,
        files.vanished,
        rows.announced,
        rows.loaded,
        rows.missing,
        rows.duplicated,
        tally.lag_seconds(0.5),
        tally.lag_seconds(0.99),
    )
}

/// One line of JSON.
pub fn json(result: &Reconciliation) -> String {
    let tally = &result.total;
    let lag = |share| (tally.lag_seconds(share) * 1_000.0).round() / 1_000.0;
    serde_json::json!({
        "files": tally.files,
        "rows": tally.rows,
        "lag_seconds": {"p50": lag(0.5), "p99": lag(0.99)},
    })
    .to_string()
}
