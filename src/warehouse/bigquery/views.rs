//! Typed views in GoogleSQL. The statements keep to what runs in the tests' stand-in too, where BigQuery lets them.

use std::collections::HashSet;

use gcp_bigquery_client::model::query_request::QueryRequest;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::BigQuery;
use super::answers::Failure;
use super::schema::SqlType;
use crate::columns::lineage::{CHANGE_SEQ, CLAIMED_AT, OP, SOURCE_FILE, SOURCE_ROW};
use crate::columns::types::ColumnType;
use crate::domain::batch::{Destination, hex};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::typed_view::{Part, Reading, TypedView, ViewColumn, name_of};

/// How long the statement may take.
const TIMEOUT_MS: i32 = 30_000;
/// The label that says what a view was made of: the same need not be made again.
const DIGEST: &str = "landbridge_view";
/// Digits of it.
const DIGEST_DIGITS: usize = 32;
/// SRIDs whose coordinates are longitude and latitude, as the hexadecimal digits of a geometry begin: 0, by use, and 4326.
const SRIDS: &str = "'00000000', 'e6100000'";
/// Digits of a SRID in hexadecimal.
const SRID_DIGITS: usize = 8;

impl BigQuery {
    /// Makes the view, or makes it anew, unless it is this one already.
    pub(super) async fn make_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        let Destination { project, dataset, table, location } = destination;
        let name = name_of(table);
        let context = format!("cannot make the view {project}.{dataset}.{name}");
        let query = query(destination, view);
        let digest = digest(&query, view);
        let path = format!("projects/{project}/datasets/{dataset}/tables/{name}");
        if let Some(found) = self.rest.resource(&context, &path).await? {
            if let Err(text) = check_ours(&found) {
                return Err(Fault::new(FaultKind::DestinationRefused, format!("{context}: {text}")));
            }
            if label(&found, DIGEST) == Some(&digest) {
                return Ok(());
            }
        }
        let request = QueryRequest {
            location: Some(location.to_string()),
            timeout_ms: Some(TIMEOUT_MS),
            ..QueryRequest::new(statement(destination, &query, &digest))
        };
        let answer = self.client.job().query(project, request).await;
        let answer = answer.map_err(|error| Failure::of(&context, error).fault(&context))?;
        if answer.job_complete == Some(false) {
            return Err(Fault::new(FaultKind::Unavailable, format!("{context}: it is not done yet")));
        }
        tracing::info!(
            view = format!("{project}.{dataset}.{name}"),
            columns = view.columns.len(),
            "made the view"
        );
        Ok(())
    }
}

/// What has the view's name may be replaced only where landbridge has made it.
fn check_ours(found: &Value) -> Result<(), &'static str> {
    let is_view = found.get("type").and_then(Value::as_str) == Some("VIEW");
    match (is_view, label(found, "managed_by") == Some("landbridge")) {
        (true, true) => Ok(()),
        (true, false) => {
            Err("a view that landbridge did not make has its name (no label managed_by = landbridge), \
                              and stays as it is: rename or drop it, or say `typed_view = false` for the table")
        }
        (false, _) => Err("what has its name is no view, and stays as it is: rename or drop it, or say \
                           `typed_view = false` for the table"),
    }
}

fn label<'a>(found: &'a Value, key: &str) -> Option<&'a str> {
    found.get("labels")?.get(key)?.as_str()
}

/// Of the query and of the types that the table's columns have: BigQuery keeps those of the view as they were when it was made.
fn digest(query: &str, view: &TypedView) -> String {
    let mut hasher = Sha256::new();
    hasher.update(query);
    for part in view.columns.iter().flat_map(|column| &column.parts) {
        hasher.update([0]);
        hasher.update(SqlType::of(part.kind).name());
    }
    let mut digits = hex(&hasher.finalize());
    digits.truncate(DIGEST_DIGITS);
    digits
}

/// The whole statement. `OR REPLACE` never replaces a table.
fn statement(destination: &Destination, query: &str, digest: &str) -> String {
    let Destination { project, dataset, table, .. } = destination;
    format!(
        "CREATE OR REPLACE VIEW `{project}.{dataset}.{}` OPTIONS (description = '{table} with the types of its source, and \
         each change once. Made by landbridge, which replaces it when the columns change: docs/types.md', \
         labels = [('managed_by', 'landbridge'), ('{DIGEST}', '{digest}')]) AS\n{query}",
        name_of(table)
    )
}

/// The view's query.
fn query(destination: &Destination, view: &TypedView) -> String {
    let Destination { project, dataset, table, .. } = destination;
    let columns: Vec<_> = view.columns.iter().map(column).collect();
    // A column may be called as its table is. The rows get a name of their own, which none has.
    let alias = free_name(view.columns.iter().map(|column| &*column.name));
    let from = format!("`{project}.{dataset}.{table}` AS `{alias}`");
    let from = match without_repeats(&view.key) {
        Some(condition) => format!("(SELECT * FROM {from} WHERE TRUE QUALIFY {condition}) AS `{alias}`"),
        None => from,
    };
    format!("SELECT\n  {}\nFROM {from}", columns.join(",\n  "))
}

/// A name that none of these is.
pub(super) fn free_name<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: HashSet<_> = names.map(str::to_lowercase).collect();
    let free = (1_u32..).map(|number| format!("rows_{number}"));
    free.into_iter().find(|name| !names.contains(name)).unwrap_or_default()
}

/// True of a row that has nothing of its key.
pub(super) fn nameless(key: &[Part]) -> String {
    let terms: Vec<_> = key.iter().map(|part| format!("`{}` IS NULL", part.name)).collect();
    format!("({})", terms.join(" AND "))
}

/// What holds of every row but DMS's own repeats of one.
fn without_repeats(key: &[Part]) -> Option<String> {
    if key.is_empty() {
        return None;
    }
    Some(format!(
        "`{CHANGE_SEQ}` IS NULL OR {} OR ROW_NUMBER() OVER (PARTITION BY {} ORDER BY `{CLAIMED_AT}`, \
         `{SOURCE_FILE}`, `{SOURCE_ROW}`) = 1",
        nameless(key),
        identity(key)
    ))
}

/// What rows have in common that are one change.
pub(super) fn identity(key: &[Part]) -> String {
    let grouped = |part: &Part| match part.kind {
        // BigQuery forms no groups by them.
        ColumnType::Float64 => format!("CAST(`{}` AS STRING)", part.name),
        ColumnType::Json => json_text(&format!("`{}`", part.name)),
        ColumnType::Int64
        | ColumnType::Decimal { .. }
        | ColumnType::String
        | ColumnType::Bytes
        | ColumnType::Bool
        | ColumnType::Date
        | ColumnType::Datetime
        | ColumnType::Timestamp
        | ColumnType::Time => format!("`{}`", part.name),
    };
    let mut terms: Vec<_> = key.iter().map(grouped).collect();
    terms.extend([CHANGE_SEQ, OP].map(|name| format!("`{name}`")));
    terms.join(", ")
}

fn column(column: &ViewColumn) -> String {
    let terms: Vec<_> = column.parts.iter().map(|part| read(part, column.reading)).collect();
    let whole = match terms.as_slice() {
        [one] => one.clone(),
        terms => format!("COALESCE({})", terms.join(", ")),
    };
    let name = format!("`{}`", column.name);
    if whole == name { name } else { format!("{whole} AS {name}") }
}

/// A column of JSON as text. Of NULL, GoogleSQL's own function makes a text.
fn json_text(name: &str) -> String {
    format!("IF({name} IS NULL, NULL, TO_JSON_STRING({name}))")
}

/// One column, read so. Nothing here raises, whatever its value is.
fn read(part: &Part, reading: Reading) -> String {
    let name = format!("`{}`", part.name);
    let is = |kind| part.kind == kind;
    let safe = |kind: SqlType| format!("SAFE_CAST({name} AS {})", kind.name());
    match reading {
        Reading::AsIs => name,
        Reading::Text if is(ColumnType::String) => name,
        Reading::Text if is(ColumnType::Bytes) => format!("TO_BASE64({name})"),
        Reading::Text if is(ColumnType::Json) => json_text(&name),
        Reading::Text => format!("CAST({name} AS STRING)"),
        // MySQL's numbers are of any length in a JSON, BigQuery's are not: without the mode such a text is none at all.
        Reading::Json if is(ColumnType::Json) => name,
        Reading::Json => format!("SAFE.PARSE_JSON({name}, wide_number_mode => 'round')"),
        Reading::Set => format!("IF({name} = '', ARRAY<STRING>[], SPLIT({name}, ','))"),
        Reading::Geography => {
            let from = SRID_DIGITS + 1;
            format!(
                "IF(SUBSTR(TO_HEX({name}), 1, {SRID_DIGITS}) IN ({SRIDS}), \
                 SAFE.ST_GEOGFROMWKB(FROM_HEX(SUBSTR(TO_HEX({name}), {from}))), NULL)"
            )
        }
        Reading::Bits if is(ColumnType::Bytes) => format!("SAFE_CAST(CONCAT('0x', TO_HEX({name})) AS INT64)"),
        Reading::Bits if is(ColumnType::Bool) => format!("CAST({name} AS INT64)"),
        Reading::Bits => name,
        Reading::Number(kind) if is(ColumnType::String) => safe(SqlType::of(kind)),
        Reading::Number(_) => name,
        Reading::Date if is(ColumnType::String) => safe(SqlType::Date),
        Reading::Date => name,
        Reading::Time if is(ColumnType::String) => safe(SqlType::Time),
        Reading::Time => name,
        Reading::Datetime if is(ColumnType::String) => safe(SqlType::Datetime),
        Reading::Datetime if is(ColumnType::Timestamp) => format!("DATETIME({name}, 'UTC')"),
        Reading::Datetime => name,
        Reading::Timestamp if is(ColumnType::String) => safe(SqlType::Timestamp),
        Reading::Timestamp if is(ColumnType::Datetime) => format!("TIMESTAMP({name}, 'UTC')"),
        Reading::Timestamp => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn destination() -> Destination {
        Destination { project: "p".into(), location: "EU".into(), dataset: "d".into(), table: "t".into() }
    }

    fn part(name: &str, kind: ColumnType) -> Part {
        Part { name: name.into(), kind }
    }

    fn spelled(kinds: &[ColumnType], reading: Reading) -> String {
        let names = ["c", "c__x", "c__y"];
        let parts = kinds.iter().zip(names).map(|(kind, name)| part(name, *kind)).collect();
        column(&ViewColumn { name: "c".into(), parts, reading })
    }

    #[test]
    fn every_reading_is_spelled_so_that_it_does_not_raise() {
        use ColumnType::{Bool, Bytes, Date, Datetime, Float64, Int64, Json, String, Time, Timestamp};
        let long = ColumnType::Decimal { precision: 65, scale: 30 };
        let short = ColumnType::Decimal { precision: 10, scale: 2 };
        let cases: [(&[ColumnType], Reading, &str); 23] = [
            (&[Int64], Reading::AsIs, "`c`"),
            (&[Int64, long], Reading::AsIs, "COALESCE(`c`, `c__x`) AS `c`"),
            (
                &[Int64, String, Bytes],
                Reading::Text,
                "COALESCE(CAST(`c` AS STRING), `c__x`, TO_BASE64(`c__y`)) AS `c`",
            ),
            (
                &[Float64, Bool, Timestamp],
                Reading::Text,
                "COALESCE(CAST(`c` AS STRING), CAST(`c__x` AS STRING), CAST(`c__y` AS STRING)) AS `c`",
            ),
            (&[String], Reading::Json, "SAFE.PARSE_JSON(`c`, wide_number_mode => 'round') AS `c`"),
            (
                &[Json, String],
                Reading::Json,
                "COALESCE(`c`, SAFE.PARSE_JSON(`c__x`, wide_number_mode => 'round')) AS `c`",
            ),
            (
                &[Json, String],
                Reading::Text,
                "COALESCE(IF(`c` IS NULL, NULL, TO_JSON_STRING(`c`)), `c__x`) AS `c`",
            ),
            (&[String], Reading::Set, "IF(`c` = '', ARRAY<STRING>[], SPLIT(`c`, ',')) AS `c`"),
            (
                &[Bytes],
                Reading::Geography,
                "IF(SUBSTR(TO_HEX(`c`), 1, 8) IN ('00000000', 'e6100000'), \
                 SAFE.ST_GEOGFROMWKB(FROM_HEX(SUBSTR(TO_HEX(`c`), 9))), NULL) AS `c`",
            ),
            (
                &[Bytes, Int64, Bool],
                Reading::Bits,
                "COALESCE(SAFE_CAST(CONCAT('0x', TO_HEX(`c`)) AS INT64), `c__x`, CAST(`c__y` AS INT64)) AS `c`",
            ),
            (&[String], Reading::Number(long), "SAFE_CAST(`c` AS BIGNUMERIC) AS `c`"),
            (&[String], Reading::Number(short), "SAFE_CAST(`c` AS NUMERIC) AS `c`"),
            (
                &[short, String],
                Reading::Number(long),
                "COALESCE(`c`, SAFE_CAST(`c__x` AS BIGNUMERIC)) AS `c`",
            ),
            (&[String], Reading::Date, "SAFE_CAST(`c` AS DATE) AS `c`"),
            (&[Date, String], Reading::Date, "COALESCE(`c`, SAFE_CAST(`c__x` AS DATE)) AS `c`"),
            (&[Timestamp], Reading::Datetime, "DATETIME(`c`, 'UTC') AS `c`"),
            (&[Datetime, Timestamp], Reading::Datetime, "COALESCE(`c`, DATETIME(`c__x`, 'UTC')) AS `c`"),
            (&[String], Reading::Datetime, "SAFE_CAST(`c` AS DATETIME) AS `c`"),
            (&[Datetime], Reading::Timestamp, "TIMESTAMP(`c`, 'UTC') AS `c`"),
            (&[Timestamp, Datetime], Reading::Timestamp, "COALESCE(`c`, TIMESTAMP(`c__x`, 'UTC')) AS `c`"),
            (&[String], Reading::Timestamp, "SAFE_CAST(`c` AS TIMESTAMP) AS `c`"),
            (&[String], Reading::Time, "SAFE_CAST(`c` AS TIME) AS `c`"),
            (&[Time, String], Reading::Time, "COALESCE(`c`, SAFE_CAST(`c__x` AS TIME)) AS `c`"),
        ];
        for (kinds, reading, expected) in cases {
            assert_eq!(spelled(kinds, reading), expected, "{kinds:?} {reading:?}");
        }
    }

    #[test]
    fn repeats_are_left_out_by_key_sequence_and_operation() {
        let id = part("rows_1", ColumnType::Int64);
        let columns =
            vec![ViewColumn { name: "rows_1".into(), parts: vec![id.clone()], reading: Reading::AsIs }];
        let plain = TypedView { columns, key: Vec::new() };
        assert_eq!(query(&destination(), &plain), "SELECT\n  `rows_1`\nFROM `p.d.t` AS `rows_2`");
        let once = TypedView { key: vec![id, part("at", ColumnType::Float64)], ..plain };
        assert_eq!(
            query(&destination(), &once),
            "SELECT\n  `rows_1`\nFROM (SELECT * FROM `p.d.t` AS `rows_2` WHERE TRUE QUALIFY `_change_seq` IS NULL OR \
             (`rows_1` IS NULL AND `at` IS NULL) OR ROW_NUMBER() OVER (PARTITION BY `rows_1`, CAST(`at` AS STRING), \
             `_change_seq`, `_op` ORDER BY `_claimed_at`, `_source_file`, `_source_row`) = 1) AS `rows_2`"
        );
    }

    #[test]
    fn the_statement_bears_whose_it_is_and_of_what_it_was_made() {
        let of = |kind| {
            let columns =
                vec![ViewColumn { name: "c".into(), parts: vec![part("c", kind)], reading: Reading::AsIs }];
            digest("SELECT 1", &TypedView { columns, key: Vec::new() })
        };
        let made_of = of(ColumnType::Int64);
        let text = statement(&destination(), "SELECT 1", &made_of);
        assert!(
            text.starts_with("CREATE OR REPLACE VIEW `p.d.t_typed` OPTIONS (description = 't with"),
            "{text}"
        );
        assert!(text.contains("('managed_by', 'landbridge'), ('landbridge_view', '"), "{text}");
        assert!(text.ends_with("')]) AS\nSELECT 1"), "{text}");
        // A column that was widened is read as before, and is another one.
        assert_ne!(made_of, of(ColumnType::Decimal { precision: 20, scale: 0 }));
        assert_eq!(made_of, of(ColumnType::Int64));
    }

    #[test]
    fn only_what_landbridge_made_is_replaced() {
        let found = |kind: &str, labels: Value| check_ours(&json!({"type": kind, "labels": labels}));
        assert_eq!(found("VIEW", json!({"managed_by": "landbridge"})), Ok(()));
        let foreign = found("VIEW", json!({"managed_by": "dbt"})).unwrap_err();
        assert!(foreign.contains("did not make") && foreign.contains("typed_view = false"), "{foreign}");
        // A table of that name may even be one that landbridge loads.
        for labels in [json!({"managed_by": "landbridge"}), Value::Null] {
            assert!(found("TABLE", labels).unwrap_err().contains("no view"));
        }
        assert!(check_ours(&json!({})).is_err());
    }
}
