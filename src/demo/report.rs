//! The reconciliation as a person reads it, and as a program does.

use serde::Serialize;

use super::reconcile::{Files, Reconciliation, Rows, Tally};

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

/// The JSON line's fields, in their order.
#[derive(Serialize)]
struct Json {
    files: Files,
    rows: Rows,
    lag_seconds: LagSeconds,
}

#[derive(Serialize)]
struct LagSeconds {
    p50: f64,
    p99: f64,
}

/// One line of JSON.
pub fn json(result: &Reconciliation) -> String {
    let tally = &result.total;
    let lag = |share| (tally.lag_seconds(share) * 1_000.0).round() / 1_000.0;
    let lag_seconds = LagSeconds { p50: lag(0.5), p99: lag(0.99) };
    let json = Json { files: tally.files, rows: tally.rows, lag_seconds };
    // Plain numbers always serialise.
    serde_json::to_string(&json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_line_has_the_documented_fields_in_order() {
        let expected = r#"{"files":{"announced":0,"loaded":0,"poisoned":0,"vanished":0},"rows":{"announced":0,"loaded":0,"poisoned":0,"vanished":0,"missing":0,"duplicated":0},"lag_seconds":{"p50":0.0,"p99":0.0}}"#;
        assert_eq!(json(&Reconciliation::default()), expected);
    }

    #[test]
    fn the_verdict_is_plain() {
        let mut result = Reconciliation::default();
        assert!(text(&result).contains("missing 0, duplicated 0: every row of 0 files"));
        result.total.rows.duplicated = 2;
        result.culprits.push("a/x@e: 0 rows missing, 2 beyond".to_owned());
        let text = text(&result);
        assert!(text.contains("FAILED: missing 0, duplicated 2") && text.contains("a/x@e"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }
}
