//! Google BigQuery: one load job a batch, under the attempt's job id.
//!
//! The BigQuery client makes the control calls, `rest` uploads. What the service documents of job ids carries the
//! protocol: an id is taken once, for six months, by the last byte of an upload or by a query (bigquery.md, section 2.3).

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use gcp_bigquery_client::Client;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::model::table_schema::TableSchema;
use parquet::file::metadata::ParquetMetaDataReader;

use self::answers::Failure;
use self::rest::Rest;
use self::schema::SqlType;
use self::streams::Streams;
use self::tables::Tables;
use super::{Column, FenceAnswer, JobStatus, Submission, Warehouse};
use crate::cloud::google::Identity;
use crate::columns::body::Body;
use crate::config::types::BigQuery as Settings;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::rate::Rate;
use crate::domain::typed_view::TypedView;
use crate::flow::cpu::blocking;
use crate::flow::meter::Meter;
use crate::flow::pace::Pace;

mod answers;
pub mod audit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod job;
mod jobs;
pub mod reasons;
mod rest;
mod schema;
mod stamps;
mod status;
mod stream_answers;
mod streamed;
mod streams;
mod tables;
mod views;

pub use tables::Keys;

/// Calls of the REST API, all methods together, of one of these. BigQuery takes 100 a second of each method from one account ("Quotas
/// and limits", API): in no second are there more here, though a process has another one for its audits.
pub const REST_RATE: Rate = Rate { per_second: 25, burst: 25 };
/// `CreateWriteStream`: BigQuery slows down those who make more than 40 a second ("Storage Write API best practices"), and takes 10,000 an
/// hour, which the planner counts.
pub const STREAM_RATE: Rate = Rate { per_second: 10, burst: 20 };

/// BigQuery, one project of it.
pub struct BigQuery {
    project: Arc<str>,
    location: Arc<str>,
    client: Arc<Client>,
    rest: Arc<Rest>,
    tables: Tables,
    streams: Streams,
}

impl BigQuery {
    /// Connects with `settings`; nothing is asked of the service yet. `keys` tells by which columns tables that are
    /// created are clustered.
    pub async fn new(settings: &Settings, keys: Keys) -> Result<Self, Fault> {
        Self::metered(settings, keys, &Arc::default()).await
    }

    /// The same, and counts what is asked and sent.
    pub async fn metered(settings: &Settings, keys: Keys, meter: &Arc<Meter>) -> Result<Self, Fault> {
        let identity = Identity::new(&settings.credentials)?.metered(meter);
        let identity = identity.paced(Pace::new("rest", REST_RATE));
        let http = rest::http_client()?;
        let client = ClientBuilder::new()
            .with_v2_base_url(format!("{}/bigquery/v2", settings.endpoint))
            .with_client(http.clone())
            .build_from_authenticator(Arc::new(identity.clone()))
            .await;
        let client = Arc::new(client.map_err(|error| {
            Failure::of("cannot make a BigQuery client", error).fault("cannot make a BigQuery client")
        })?);
        let rest = Arc::new(Rest::new(http, identity.clone(), settings.endpoint.clone(), Arc::clone(meter)));
        let streams = Streams::new(settings.storage_endpoint.clone(), identity, Arc::clone(meter));
        let tables = Tables::new(Arc::clone(&client), Arc::clone(&rest), keys);
        let (project, location) = (Arc::clone(&settings.project), Arc::clone(&settings.location));
        Ok(Self { project, location, client, rest, tables, streams })
    }

    async fn check(body: &Body, columns: Vec<(String, SqlType)>) -> Result<(), Fault> {
        let path = body.path().to_owned();
        blocking("checking a body", move || {
            let open = File::open(&path);
            let file = open.map_err(|error| {
                Fault::from_error(FaultKind::Unavailable, format!("cannot open {}", path.display()), error)
            })?;
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|error| {
                Fault::from_error(FaultKind::Internal, format!("cannot read {}", path.display()), error)
            })?;
            schema::check_file(&metadata, &columns)
        })
        .await
    }
}

#[async_trait]
impl Warehouse for BigQuery {
    async fn submit(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        let submission = match &attempt.stream {
            Some(stream) => self.append(attempt, stream, body).await,
            None => self.load(attempt, body).await,
        };
        if submission.as_ref().is_err_and(|fault| fault.kind == FaultKind::DestinationRefused) {
            // Somebody may have dropped or changed it.
            self.tables.forget(&attempt.destination);
        }
        submission
    }

    async fn ask(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        if let Some(stream) = &attempt.stream {
            return self.seal(attempt, stream).await;
        }
        let destination = &attempt.destination;
        let (project, location, id) =
            (&*destination.project, &*destination.location, attempt.job_id.as_str());
        let context = format!("cannot ask about {id}");
        let failure = match self.client.job().get_job(project, id, Some(location)).await {
            Ok(job) => {
                let status = job::status(attempt, &job);
                return Ok(self.settled(attempt, status));
            }
            Err(error) => Failure::of(&context, error),
        };
        match failure {
            gone @ (Failure::Refused(_) | Failure::Fault(_)) if gone.is_not_found() => {
                Ok(JobStatus::NotFound)
            }
            Failure::Unreadable(text) => {
                let path = format!("projects/{project}/jobs/{id}?location={location}");
                Err(self.rest.second_look(&context, &path, &text).await)
            }
            failure @ (Failure::Refused(_) | Failure::Fault(_)) => Err(failure.fault(&context)),
        }
    }

    async fn open_stream(&self, destination: &Destination, body: &Body) -> Result<Option<Arc<str>>, Fault> {
        self.stream_for(destination, body).await
    }

    async fn commit_stream(&self, attempt: &Attempt) -> Result<JobStatus, Fault> {
        self.commit(attempt).await
    }

    async fn fence(&self, attempt: &Attempt) -> Result<FenceAnswer, Fault> {
        let context = format!("cannot fence {}", attempt.job_id);
        match self.client.job().insert(&attempt.destination.project, job::fence(attempt)).await {
            Ok(_) => Ok(FenceAnswer::Accepted),
            Err(error) => {
                let failure = Failure::of(&context, error);
                if failure.is_duplicate() { Ok(FenceAnswer::Duplicate) } else { Err(failure.fault(&context)) }
            }
        }
    }

    async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        self.tables.columns(destination).await
    }

    async fn publish_view(&self, destination: &Destination, view: &TypedView) -> Result<(), Fault> {
        self.make_view(destination, view).await
    }
}

impl BigQuery {
    /// The destination's schema, once its table is there and takes the body's columns.
    async fn prepare(&self, destination: &Destination, body: &Body) -> Result<TableSchema, Fault> {
        let columns = schema::wanted(body.plan());
        Self::check(body, columns.clone()).await?;
        self.tables.prepare(destination, &columns).await
    }

    async fn load(&self, attempt: &Attempt, body: &Body) -> Result<Submission, Fault> {
        if body.plan().has_json() {
            // It is built anew for a load job, with text.
            let text = format!("the body of {} is one for a stream (report this)", attempt.job_id);
            return Err(Fault::new(FaultKind::DestinationRefused, text));
        }
        let schema = schema::loadable(self.prepare(&attempt.destination, body).await?);
        let job = serde_json::to_value(job::load(attempt, schema))
            .map_err(|error| Fault::from_error(FaultKind::Internal, "cannot write a job", error))?;
        self.rest.upload(attempt, &job, body).await
    }

    /// A job that does not find a table which was created just now is tried again; one that does not find an older table
    /// means that somebody dropped it.
    fn settled(&self, attempt: &Attempt, status: JobStatus) -> JobStatus {
        match status {
            JobStatus::Failed { kind: FaultKind::DestinationRefused, reason } => {
                let settling = self.tables.is_settling(&attempt.destination);
                if !settling {
                    self.tables.forget(&attempt.destination);
                }
                let kind = if settling { FaultKind::Unavailable } else { FaultKind::DestinationRefused };
                JobStatus::Failed { kind, reason }
            }
            other @ (JobStatus::NotFound
            | JobStatus::Running
            | JobStatus::Sealed { .. }
            | JobStatus::Committed
            | JobStatus::Unsettled { .. }
            | JobStatus::Succeeded { .. }
            | JobStatus::Failed { .. }
            | JobStatus::Fenced) => other,
        }
    }
}
