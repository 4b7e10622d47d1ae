//! The board asks only for metrics and labels that there are, and every panel says what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use landbridge::telemetry::catalogue::{CATALOGUE, Kind};
use serde_json::Value;

/// What PromQL itself brings, of which the board uses these.
const FUNCTIONS: &[&str] =
    &["sum", "min", "max", "rate", "increase", "round", "time", "topk", "vector", "histogram_quantile"];
const GROUPINGS: &[&str] = &["by", "without"];
const OPERATORS: &[&str] = &["or", "and", "unless"];
/// Labels that Prometheus gives every series of a scrape.
const SCRAPE_LABELS: &[&str] = &["job", "instance"];

/// The series of the catalogue, as Prometheus shows them, and their labels.
fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut series = BTreeMap::from([("up".to_owned(), BTreeSet::new())]);
    for metric in CATALOGUE {
        let labels: BTreeSet<_> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        if metric.kind == Kind::Histogram {
            let with_le = labels.iter().cloned().chain(["le".to_owned()]).collect();
            series.insert(format!("{}_bucket", metric.name), with_le);
            series.insert(format!("{}_sum", metric.name), labels.clone());
            series.insert(format!("{}_count", metric.name), labels);
        } else {
            series.insert(metric.name.to_owned(), labels);
        }
    }
    series
}

/// The words and signs of an expression, without texts in quotes, ranges in brackets and numbers.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(letter) = rest.next() {
        let closing = match letter {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(closing) = closing {
            while rest.next_if(|next| *next != closing).is_some() {}
            assert_eq!(rest.next(), Some(closing), "{expression}");
        } else if letter.is_ascii_alphabetic() || letter == '_' {
            let mut word = letter.to_string();
            while let Some(next) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                word.push(next);
            }
            tokens.push(word);
        } else if "(){},".contains(letter) {
            tokens.push(letter.to_string());
        }
    }
    tokens
}

/// What an expression names wrongly.
fn mistakes(expression: &str) -> Vec<String> {
    let series = series();
    let tokens = tokens(expression);
    let is_word = |token: &str| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let metrics: Vec<_> = tokens.iter().filter_map(|token| series.get(token)).collect();
    let mut mistakes = Vec::new();
    if metrics.is_empty() {
        mistakes.push(format!("{expression} names no metric"));
    }
    if tokens.iter().filter(|token| "({".contains(*token)).count()
        != tokens.iter().filter(|token| ")}".contains(*token)).count()
    {
        mistakes.push(format!("{expression} has brackets without their counterpart"));
    }
    // Labels stand in `{…}` after a metric, which must have them, and in `by (…)`, where any metric's will do.
    let mut within: Option<BTreeSet<String>> = None;
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(String::as_str).unwrap_or_default();
        let before = at.checked_sub(1).map(|before| tokens[before].as_str()).unwrap_or_default();
        match token.as_str() {
            "{" => within = Some(series.get(before).cloned().unwrap_or_default()),
            "(" if GROUPINGS.contains(&before) => {
                within = Some(metrics.iter().flat_map(|labels| labels.iter().cloned()).collect());
            }
            "}" | ")" => within = None,
            word if !is_word(word) => {}
            word if let Some(labels) = &within => {
                if !labels.contains(word) && !SCRAPE_LABELS.contains(&word) {
                    mistakes.push(format!("{expression}: no label {word}"));
                }
            }
            word => {
                let is_call = FUNCTIONS.contains(&word) || GROUPINGS.contains(&word);
                let known = if next == "(" { is_call || OPERATORS.contains(&word) } else { false };
                // `sum by (x) (…)`: the function stands before its grouping.
                let grouped = FUNCTIONS.contains(&word) && GROUPINGS.contains(&next);
                if !known && !grouped && !OPERATORS.contains(&word) && !series.contains_key(word) {
                    mistakes.push(format!("{expression}: no metric {word}"));
                }
            }
        }
    }
    mistakes
}

fn board() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/landbridge.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn panels(board: &Value) -> Vec<&Value> {
    let panels = board["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn the_board_asks_only_for_what_there_is() {
    let board = board();
    let mut all = Vec::new();
    for panel in panels(&board) {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", text(panel, "/title"));
        for target in targets {
            let expression = text(target, "/expr");
            all.extend(mistakes(expression));
            for label in text(target, "/legendFormat").split("{{").skip(1) {
                let label = label.split("}}").next().unwrap().to_owned();
                let known = series().values().any(|labels| labels.contains(&label));
                assert!(known || SCRAPE_LABELS.contains(&label.as_str()), "no label {label}");
            }
            assert_eq!(text(target, "/datasource/uid"), "${datasource}");
        }
    }
    for variable in board["templating"]["list"].as_array().unwrap() {
        if let Some(query) = text(variable, "/definition").strip_prefix("label_values(") {
            let (selector, label) = query.trim_end_matches(')').rsplit_once(", ").unwrap();
            all.extend(mistakes(selector));
            all.extend(mistakes(&format!("sum by ({label}) ({selector})")));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_mistake_in_a_query_is_found() {
    for good in [
        "sum by (table) (rate(landbridge_rows_total{table=~\"$table\", job=\"x\"}[5m])) > 0 or vector(0)",
        "histogram_quantile(0.99, sum by (le) (rate(landbridge_lag_seconds_bucket[5m])))",
    ] {
        assert_eq!(mistakes(good), Vec::<String>::new());
    }
    for bad in [
        "sum(landbridge_row_total)",
        "landbridge_lag_seconds",
        "landbridge_rows_total{tabel=\"x\"}",
        "sum by (queue) (landbridge_rows_total)",
        "summ(landbridge_rows_total)",
        "sum(landbridge_rows_total",
        "sum by (le) (landbridge_lag_seconds_sum)",
        "vector(1)",
    ] {
        assert!(!mistakes(bad).is_empty(), "{bad}");
    }
}

#[test]
fn every_panel_has_a_place_a_unit_and_says_what_to_do() {
    let board = board();
    let all = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "ids are unique");
    let mut cells = BTreeMap::new();
    for panel in all {
        let title = text(panel, "/title");
        assert!(!title.is_empty());
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24 && side("w") > 0 && side("h") > 0, "{title}");
        for cell in (side("x")..side("x") + side("w"))
            .flat_map(|x| (side("y")..side("y") + side("h")).map(move |y| (x, y)))
        {
            let other = cells.insert(cell, title);
            assert_eq!(other, None, "{title} lies over another panel");
        }
    }
    let known_units = ["short", "s", "bytes", "Bps", "percentunit", "rowsps", "currencyUSD"]
        .into_iter()
        .collect::<BTreeSet<_>>();
    for panel in panels(&board) {
        let title = text(panel, "/title");
        let description = text(panel, "/description");
        assert!(description.contains("What to do: "), "{title}: {description}");
        assert!(known_units.contains(text(panel, "/fieldConfig/defaults/unit")), "{title}");
        assert_eq!(text(panel, "/datasource/uid"), "${datasource}", "{title}");
    }
    let names: Vec<_> = board["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| text(variable, "/name"))
        .collect();
    assert_eq!(names, ["datasource", "cluster", "table"]);
}

#[test]
fn the_board_asks_for_the_job_that_the_example_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scrape = fs::read_to_string(root.join("deploy/prometheus/scrape.yml")).unwrap();
    assert!(scrape.contains("job_name: landbridge\n"));
    let board = fs::read_to_string(root.join("deploy/grafana/landbridge.json")).unwrap();
    assert!(board.contains("up{job=\\\"landbridge\\\"}"));
}
