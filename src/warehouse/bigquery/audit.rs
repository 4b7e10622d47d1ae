//! Counts the rows of a table with one query over its lineage columns.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use gcp_bigquery_client::model::get_query_results_parameters::GetQueryResultsParameters;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::query_response::QueryResponse;
use gcp_bigquery_client::model::table_row::TableRow;
use tokio::sync::mpsc::Sender;

use super::BigQuery;
use super::answers::Failure;
use super::views::{free_name, identity, nameless};
use crate::domain::audit::{Found, Numbers};
use crate::domain::batch::Destination;
use crate::domain::cost::usage::{Measure, billed_bytes};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::BatchId;
use crate::domain::instant::Instant;
use crate::domain::typed_view::Part;
use crate::warehouse::audit::{Audit, FOUND_PAGE, Survey};
use crate::warehouse::lineage::Lineage;

/// How long one call waits for the query before it is asked again.
const WAIT_MS: i32 = 30_000;
/// How often it is asked: two hours.
const ASKS_MAX: u32 = 240;
/// Tries of one call; a query that only reads may be asked again.
const TRIES_MAX: u32 = 4;
/// Before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// BigQuery, as far as its rows are counted.
pub struct BigQueryAudit {
    warehouse: BigQuery,
    bytes_billed_max: Option<u64>,
}

impl BigQueryAudit {
    /// Counts in `warehouse`. A query that would be billed for more bytes than `bytes_billed_max` is refused by BigQuery
    /// and costs nothing.
    pub fn new(warehouse: BigQuery, bytes_billed_max: Option<u64>) -> Self {
        Self { warehouse, bytes_billed_max }
    }

    fn request(&self, destination: &Destination, statement: String) -> QueryRequest {
        let purposes = [("managed_by", "landbridge"), ("purpose", "verify")];
        QueryRequest {
            location: Some(destination.location.to_string()),
            timeout_ms: Some(WAIT_MS),
            max_results: i32::try_from(FOUND_PAGE).ok(),
            maximum_bytes_billed: self.bytes_billed_max.map(|bytes| bytes.to_string()),
            // A table that somebody changed must not be answered from before.
            use_query_cache: Some(false),
            labels: Some(HashMap::from(purposes.map(|(key, value)| (key.to_owned(), value.to_owned())))),
            ..QueryRequest::new(statement)
        }
    }
}

/// Invariant I-6 as a query. It reads the four lineage columns and no other.
fn statement(destination: &Destination, since: Option<Instant>) -> String {
    let Destination { project, dataset, table, .. } = destination;
    let filter = since.map(|since| format!(" WHERE _claimed_at >= TIMESTAMP_MICROS({})", since.micros()));
    format!(
        "SELECT _source_file, _batch_id, COUNT(*), COUNT(DISTINCT _source_row), MIN(_source_row), MAX(_source_row), \
         UNIX_MICROS(MIN(_claimed_at)), UNIX_MICROS(MAX(_claimed_at)) \
         FROM `{project}.{dataset}.{table}`{} GROUP BY _source_file, _batch_id",
        filter.unwrap_or_default()
    )
}

#[async_trait]
impl Audit for BigQueryAudit {
    async fn rows_by_file(
        &self,
        destination: &Destination,
        since: Option<Instant>,
        pages: Sender<Vec<Found>>,
    ) -> Result<Survey, Fault> {
        let Destination { project, location, dataset, table } = destination;
        let context = format!("cannot count the rows of {project}.{dataset}.{table}");
        let request = self.request(destination, statement(destination, since));
        let mut answer = match self.tried(&context, project, &Call::Query(request)).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_not_found() => return Ok(Survey::default()),
            Err(failure) => return Err(failure.fault(&context)),
        };
        let (mut bytes, mut asks) = (0, 0);
        loop {
            if answer.job_complete.unwrap_or(false) {
                bytes = number(answer.total_bytes_processed.as_deref()).unwrap_or(0).max(bytes);
                let rows = answer.rows.take().unwrap_or_default();
                let page = rows.iter().map(|row| found(&context, row)).collect::<Result<Vec<_>, _>>()?;
                if pages.send(page).await.is_err() || answer.page_token.is_none() {
                    return Ok(Survey { exists: true, bytes });
                }
            } else {
                asks += 1;
                if asks > ASKS_MAX {
                    return Err(Fault::new(
                        FaultKind::Unavailable,
                        format!("{context}: the query does not end"),
                    ));
                }
            }
            let job = answer.job_reference.as_ref().and_then(|job| job.job_id.clone());
            let job = job.ok_or_else(|| {
                Fault::new(FaultKind::Unavailable, format!("{context}: the answer names no job"))
            })?;
            let parameters = GetQueryResultsParameters {
                location: Some(location.to_string()),
                max_results: i32::try_from(FOUND_PAGE).ok(),
                page_token: answer.page_token.take(),
                timeout_ms: Some(WAIT_MS),
                ..GetQueryResultsParameters::default()
            };
            let next = self.tried(&context, project, &Call::Results(job, parameters)).await;
            answer = next.map_err(|failure| failure.fault(&context))?;
        }
    }

    async fn repeats(
        &self,
        destination: &Destination,
        key: &[Part],
        since: Option<Instant>,
    ) -> Result<Option<u64>, Fault> {
        let Destination { project, location, dataset, table } = destination;
        let context = format!("cannot count DMS's repeats in {project}.{dataset}.{table}");
        let request = self.request(destination, repeats(destination, key, since));
        let mut answer = self.tried(&context, project, &Call::Query(request)).await;
        for _ in 0..ASKS_MAX {
            let known = answer.map_err(|failure| failure.fault(&context))?;
            if known.job_complete == Some(true) {
                let row = known.rows.unwrap_or_default().into_iter().next();
                let cell = row.and_then(|row| row.columns?.into_iter().next()?.value);
                return Ok(number(cell.as_ref().and_then(|cell| cell.as_str())));
            }
            let job = known.job_reference.and_then(|job| job.job_id);
            let job = job.ok_or_else(|| {
                Fault::new(FaultKind::Unavailable, format!("{context}: the answer names no job"))
            })?;
            let parameters = GetQueryResultsParameters {
                location: Some(location.to_string()),
                timeout_ms: Some(WAIT_MS),
                ..GetQueryResultsParameters::default()
            };
            answer = self.tried(&context, project, &Call::Results(job, parameters)).await;
        }
        Err(Fault::new(FaultKind::Unavailable, format!("{context}: the query does not end")))
    }
}

/// DMS's own repeats as a query. It reads the key's columns and three of lineage.
fn repeats(destination: &Destination, key: &[Part], since: Option<Instant>) -> String {
    let Destination { project, dataset, table, .. } = destination;
    let since = since.map(|since| format!(" AND _claimed_at >= TIMESTAMP_MICROS({})", since.micros()));
    let count = free_name(key.iter().map(|part| &*part.name));
    format!(
        "SELECT COALESCE(SUM(`{count}` - 1), 0) FROM (SELECT COUNT(*) AS `{count}` FROM `{project}.{dataset}.{table}` \
         WHERE _change_seq IS NOT NULL AND NOT {}{} GROUP BY {})",
        nameless(key),
        since.unwrap_or_default(),
        identity(key)
    )
}

/// The question after one file: partitions in which it cannot be are not read, and no column but the three.
fn question(destination: &Destination, source_file: &str, claimed: &Range<Instant>) -> String {
    let Destination { project, dataset, table, .. } = destination;
    // GoogleSQL reads every escape that JSON writes.
    let name = serde_json::Value::from(source_file);
    format!(
        "SELECT _batch_id FROM `{project}.{dataset}.{table}` WHERE _source_file = {name} \
         AND _claimed_at >= TIMESTAMP_MICROS({}) AND _claimed_at < TIMESTAMP_MICROS({}) LIMIT 1",
        claimed.start.micros(),
        claimed.end.micros()
    )
}

#[async_trait]
impl Lineage for BigQueryAudit {
    async fn batch_of(
        &self,
        destination: &Destination,
        source_file: &str,
        claimed: Range<Instant>,
    ) -> Result<Option<BatchId>, Fault> {
        let Destination { project, dataset, table, .. } = destination;
        let context = format!("cannot look for rows of {source_file} in {project}.{dataset}.{table}");
        let request = self.request(destination, question(destination, source_file, &claimed));
        let answer = match self.tried(&context, project, &Call::Query(request)).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure.fault(&context)),
        };
        if answer.job_complete != Some(true) {
            return Err(Fault::new(FaultKind::Unavailable, format!("{context}: the query goes on")));
        }
        let row = answer.rows.unwrap_or_default().into_iter().next();
        let cell = row.and_then(|row| row.columns?.into_iter().next()?.value);
        Ok(cell.map(|batch| BatchId::from_stored(batch.as_str().unwrap_or_default().to_owned())))
    }
}

/// What is asked of BigQuery.
enum Call {
    Query(QueryRequest),
    /// Of a job.
    Results(String, GetQueryResultsParameters),
}

impl Call {
    /// A query is paid for once, however many pages its answer has.
    fn is_first_page(&self) -> bool {
        match self {
            Self::Query(_) => true,
            Self::Results(_, parameters) => parameters.page_token.is_none(),
        }
    }
}

impl BigQueryAudit {
    /// Makes a call, and again when the service is unavailable or busy.
    async fn tried(&self, context: &str, project: &str, call: &Call) -> Result<QueryResponse, Failure> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES_MAX {
            match self.ask(context, project, call).await {
                Err(failure) if failure.is_passing() => tokio::time::sleep(pause).await,
                ended => return ended,
            }
            pause *= 2;
        }
        self.ask(context, project, call).await
    }

    async fn ask(&self, context: &str, project: &str, call: &Call) -> Result<QueryResponse, Failure> {
        let jobs = self.warehouse.client.job();
        let answer = match call {
            Call::Query(request) => jobs.query(project, request.clone()).await,
            Call::Results(job, parameters) => {
                jobs.get_query_results(project, job, parameters.clone()).await.map(QueryResponse::from)
            }
        };
        let answer = answer.map_err(|error| Failure::of(context, error))?;
        if answer.job_complete == Some(true) && call.is_first_page() {
            let read = number(answer.total_bytes_processed.as_deref()).unwrap_or(0);
            self.warehouse.rest.meter.add(Measure::QueriedBytes, billed_bytes(read, 1));
        }
        Ok(answer)
    }
}

fn number<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

/// A row of the answer. BigQuery writes numbers as texts.
fn found(context: &str, row: &TableRow) -> Result<Found, Fault> {
    let cells = row.columns.as_deref().unwrap_or_default();
    let cell = |index: usize| cells.get(index).and_then(|cell| cell.value.as_ref()?.as_str());
    let rows = number(cell(2));
    let (Some(rows), 8) = (rows, cells.len()) else {
        let text = format!("{context}: the answer has a row that is none of the query's");
        return Err(Fault::new(FaultKind::Unavailable, text));
    };
    let instant = |index| number(cell(index)).map(Instant::from_micros);
    Ok(Found {
        file: cell(0).unwrap_or_default().to_owned(),
        batch: cell(1).unwrap_or_default().to_owned(),
        rows,
        numbers: Numbers::Counted {
            distinct: number(cell(3)).unwrap_or(0),
            least: number(cell(4)).unwrap_or(0),
            most: number(cell(5)).unwrap_or(0),
        },
        claimed: instant(6).zip(instant(7)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::columns::types::ColumnType;

    #[test]
    fn the_query_reads_lineage_alone_and_prunes_by_claim() {
        let destination = Destination {
            project: "p".into(),
            location: "EU".into(),
            dataset: "d".into(),
            table: "t".into(),
        };
        let whole = statement(&destination, None);
        assert!(whole.ends_with("FROM `p.d.t` GROUP BY _source_file, _batch_id"), "{whole}");
        let claimed = Instant::from_micros(5)..Instant::from_micros(9);
        let one = question(&destination, "b/it's \"quoted\"@1", &claimed);
        assert!(
            one.contains(r#"_source_file = "b/it's \"quoted\"@1" AND"#) && one.contains("MICROS(9)"),
            "{one}"
        );
        let key = [Part { name: "rows_1".into(), kind: ColumnType::Int64 }];
        assert_eq!(
            repeats(&destination, &key, Some(Instant::from_micros(5))),
            "SELECT COALESCE(SUM(`rows_2` - 1), 0) FROM (SELECT COUNT(*) AS `rows_2` FROM `p.d.t` WHERE _change_seq IS NOT \
             NULL AND NOT (`rows_1` IS NULL) AND _claimed_at >= TIMESTAMP_MICROS(5) GROUP BY `rows_1`, `_change_seq`, `_op`)"
        );
        let part = statement(&destination, Some(Instant::from_micros(5)));
        assert!(part.contains("FROM `p.d.t` WHERE _claimed_at >= TIMESTAMP_MICROS(5) GROUP BY"), "{part}");
    }

    #[test]
    fn rows_without_lineage_are_found_too_and_foreign_answers_are_refused() {
        let row = |cells: serde_json::Value| serde_json::from_value::<TableRow>(json!({"f": cells})).unwrap();
        let value = |text: Option<&str>| json!({"v": text});
        let cells = [Some("f"), Some("b"), Some("3"), Some("2"), Some("0"), Some("4"), Some("7"), Some("8")];
        let read = found("c", &row(cells.map(value).to_vec().into())).unwrap();
        assert_eq!((read.file.as_str(), read.rows, read.numbers.within(4)), ("f", 3, 1));
        assert_eq!(read.claimed, Some((Instant::from_micros(7), Instant::from_micros(8))));
        let bare = [None, None, Some("3"), Some("0"), None, None, None, None];
        let read = found("c", &row(bare.map(value).to_vec().into())).unwrap();
        assert_eq!((read.file.as_str(), read.numbers.within(4), read.claimed), ("", 0, None));
        assert!(found("c", &row(json!([{"v": "f"}]))).is_err());
    }
}
