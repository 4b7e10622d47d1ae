//! The Storage Write API: a PENDING stream an attempt (bigquery.md, section 2.4).
//!
//! Its rows are appended at offsets, and are in the table once the stream is committed, all at once. The service keeps a stream
//! whose rows are no others than those of its offsets, but it says "already exists" of rows that it has **not** when they come a
//! second time as part of a larger request. So nothing is ever appended a second time here, no answer to an append is taken for
//! success but its own, and what counts in the end is how many rows the sealed stream has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use google_cloud_bigquery::client::Write;
use google_cloud_bigquery::error::WriterBuilderError;
use google_cloud_bigquery::model::{ArrowRecordBatch, ArrowSchema};
use google_cloud_bigquery::write::PendingWriter;
use google_cloud_bigquery::write::format::Arrow;
use tokio::sync::OnceCell;

use super::STREAM_RATE;
use super::schema::SqlType;
use super::stream_answers::{Committing, Sealing, appended, built, committed, sealed};
use crate::cloud::google::Identity;
use crate::columns::arrow_rows::{ArrowRows, Piece};
use crate::columns::body::Body;
use crate::domain::batch::{Attempt, Destination};
use crate::domain::cost::usage::Measure;
use crate::domain::fault::{Fault, FaultKind};
use crate::flow::cpu::blocking;
use crate::flow::meter::Meter;
use crate::flow::pace::Pace;
use crate::flow::pulse;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces that are sent and not answered yet.
const UNANSWERED_MAX: usize = 2;

/// To make a stream is one call; to find one again and to use it are two.
const CALLS_TO_MAKE: u64 = 1;
const CALLS_TO_USE: u64 = 2;

type Pending = PendingWriter<Arrow>;

/// The streams of one project.
pub(super) struct Streams {
    endpoint: String,
    identity: Identity,
    meter: Arc<Meter>,
    client: OnceCell<Write>,
    pace: Pace,
}

impl Streams {
    pub(super) fn new(endpoint: String, identity: Identity, meter: Arc<Meter>) -> Self {
        let pace = Pace::new("create_stream", STREAM_RATE);
        Self { endpoint, identity, meter, client: OnceCell::new(), pace }
    }

    /// The client, for one more stream to be made, or found again and used.
    async fn client(&self, calls: u64) -> Result<&Write, Fault> {
        self.meter.add(Measure::GoogleCalls, calls);
        let made = self.client.get_or_try_init(|| async {
            let builder = Write::builder().with_endpoint(&self.endpoint);
            let builder = builder.with_credentials(self.identity.credentials());
            builder.build().await.map_err(|error| {
                let context = format!("cannot make a client of the Storage Write API at {}", self.endpoint);
                Fault::from_error(FaultKind::Unavailable, context, error)
            })
        });
        made.await
    }

    /// Makes a stream into the destination. One that nothing comes of is forgotten by the service.
    pub(super) async fn create(&self, destination: &Destination) -> Result<Arc<str>, Fault> {
        let Destination { project, dataset, table, .. } = destination;
        let parent = format!("projects/{project}/datasets/{dataset}/tables/{table}");
        let context = format!("cannot make a stream into {project}.{dataset}.{table}");
        self.pace.turn().await?;
        let builder = self.client(CALLS_TO_MAKE).await?.create_stream(parent).build_arrow(ArrowSchema::new());
        let writer: Result<Pending, _> = timed(&context, builder).await?;
        let writer = writer.map_err(|error| built(&context, error))?;
        Ok(writer.write_stream().into())
    }

    async fn attach(
        &self,
        stream: &str,
        schema: ArrowSchema,
        context: &str,
    ) -> Result<Result<Pending, WriterBuilderError>, Fault> {
        let builder = self.client(CALLS_TO_USE).await?.attach_to_stream(stream).build_arrow(schema);
        timed(context, builder).await
    }

    /// Appends all rows of the body, each once.
    pub(super) async fn append(
        &self,
        attempt: &Attempt,
        stream: &str,
        body: &Body,
        types: Vec<DataType>,
    ) -> Result<(), Fault> {
        let context = format!("cannot append to the stream of {}", attempt.job_id);
        let path = body.path().to_owned();
        let opened = blocking("opening a body", move || {
            let rows = ArrowRows::open(&path, &types)?;
            let schema = rows.schema()?;
            Ok((rows, schema))
        });
        let (mut rows, schema) = opened.await?;
        let schema = ArrowSchema::new().set_serialized_schema(schema);
        let writer = self.attach(stream, schema, &context).await?.map_err(|error| built(&context, error))?;
        let (mut offset, mut unanswered) = (0_u64, VecDeque::new());
        loop {
            let read = blocking("reading rows of a body", move || Ok((rows.piece()?, rows)));
            let (piece, rest) = read.await?;
            rows = rest;
            let Some(Piece { rows: count, message }) = piece else { break };
            self.meter.streamed(&attempt.destination, message.len() as u64);
            let batch = ArrowRecordBatch::new().set_serialized_record_batch(message);
            let at = i64::try_from(offset).unwrap_or(i64::MAX);
            unanswered.push_back((at, writer.append(batch).set_offset(at).send()));
            offset += count;
            if unanswered.len() >= UNANSWERED_MAX
                && let Some((at, answer)) = unanswered.pop_front()
            {
                appended(&context, at, timed(&context, answer).await?)?;
            }
        }
        while let Some((at, answer)) = unanswered.pop_front() {
            appended(&context, at, timed(&context, answer).await?)?;
        }
        Ok(())
    }

    /// Seals the stream: it takes no more rows. Answers how many it has. To seal it again is the same question again.
    pub(super) async fn seal(&self, attempt: &Attempt, stream: &str) -> Result<Sealing, Fault> {
        let context = format!("cannot seal the stream of {}", attempt.job_id);
        match self.attach(stream, ArrowSchema::new(), &context).await? {
            Ok(writer) => sealed(&context, timed(&context, writer.finalize()).await?),
            Err(WriterBuilderError::Rpc { source, .. }) => sealed(&context, Err(source)),
            Err(other) => Err(Fault::from_error(FaultKind::Unavailable, context, other)),
        }
    }

    /// Commits the sealed stream.
    pub(super) async fn commit(&self, attempt: &Attempt, stream: &str) -> Result<Committing, Fault> {
        let context = format!("cannot commit the stream of {}", attempt.job_id);
        match self.attach(stream, ArrowSchema::new(), &context).await? {
            Ok(writer) => committed(&context, timed(&context, writer.commit()).await?),
            Err(WriterBuilderError::Rpc { source, .. }) => committed(&context, Err(source.into())),
            Err(other) => Err(Fault::from_error(FaultKind::Unavailable, context, other)),
        }
    }
}

/// The Arrow type as which a column of this type is sent (Google Cloud, BigQuery: "Supported protocol buffer and Arrow data types").
pub(super) fn arrow_type(kind: SqlType) -> DataType {
    match kind {
        SqlType::Int64 => DataType::Int64,
        SqlType::Numeric => DataType::Decimal128(38, 9),
        SqlType::Bignumeric => DataType::Decimal256(76, 38),
        SqlType::String | SqlType::Json => DataType::Utf8,
        SqlType::Bytes => DataType::Binary,
        SqlType::Bool => DataType::Boolean,
        SqlType::Float64 => DataType::Float64,
        SqlType::Date => DataType::Date32,
        SqlType::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
        SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        SqlType::Time => DataType::Time64(TimeUnit::Microsecond),
    }
}

/// The answer to a call, or that none came in time.
async fn timed<T>(context: &str, call: impl IntoFuture<Output = T>) -> Result<T, Fault> {
    pulse::moved();
    let answer = tokio::time::timeout(CALL_TIMEOUT, call.into_future()).await;
    pulse::moved();
    answer.map_err(|_| {
        let text = format!("{context}: no answer within {} s", CALL_TIMEOUT.as_secs());
        Fault::new(FaultKind::Unavailable, text)
    })
}
