//! Our own calls: uploads, which the client does not have, and a second look at answers that it could not read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MATCH, LOCATION, RANGE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

use super::answers::{ANSWER_BYTES_MAX, Refusal, transport};
use crate::cloud::google::Identity;
use crate::columns::body::Body;
use crate::domain::batch::Attempt;
use crate::domain::cost::usage::Measure;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::job::Submission;
use crate::flow::cpu::blocking;
use crate::flow::meter::Meter;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call may take, an upload's piece of 8 MiB included.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Bodies up to this size go in one call; a failure sends all of it again.
const MULTIPART_BYTES_MAX: u64 = 8 << 20;
/// A larger body goes in pieces of this size.
const PIECE_BYTES: u64 = 32 * PIECE_MULTIPLE_BYTES;
/// What BigQuery wants the size of each piece but the last to be a multiple of.
const PIECE_MULTIPLE_BYTES: u64 = 256 << 10;
/// Failures of one upload's pieces, one after the other, before it is given up.
const PIECE_FAILURES_MAX: u32 = 3;
/// Of a resource, this much is read: a page of a thousand jobs, a table with ten thousand columns.
const RESOURCE_BYTES_MAX: usize = 32 << 20;
/// The status that says: go on with the next piece.
const RESUME_INCOMPLETE: u16 = 308;

/// The calls.
pub(super) struct Rest {
    http: Client,
    identity: Identity,
    /// Scheme and host.
    endpoint: String,
    /// Counts what is sent.
    pub(super) meter: Arc<Meter>,
}

/// A client with timeouts, for the calls here and for those of the BigQuery client, which has none of its own.
pub(super) fn http_client() -> Result<Client, Fault> {
    crate::cloud::install_crypto();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        // 308 means something else here, and a token must not follow anyone.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("landbridge/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Fault::from_error(FaultKind::Internal, "cannot make an HTTP client", error))
}

impl Rest {
    pub(super) fn new(http: Client, identity: Identity, endpoint: String, meter: Arc<Meter>) -> Self {
        Self { http, identity, endpoint, meter }
    }

    /// Asks for a resource whose answer the client could not read, to learn the status that it lost. `path` is that
    /// below `/bigquery/v2/`.
    pub(super) async fn second_look(&self, context: &str, path: &str, unreadable: &str) -> Fault {
        let request = self.http.get(format!("{}/bigquery/v2/{path}", self.endpoint));
        let answer = match self.send(context, request).await {
            Ok(answer) => answer,
            Err(fault) => return fault,
        };
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            // Whether landbridge or the service is to blame: it is no fault of the files.
            return Fault::from_error(FaultKind::Unavailable, context, unreadable.to_owned());
        }
        match read(context, answer).await {
            Ok(body) => Refusal::read(status, &body).fault(context),
            Err(fault) => fault,
        }
    }

    /// A resource; `None` when it is not there.
    pub(super) async fn resource(&self, context: &str, path: &str) -> Result<Option<Value>, Fault> {
        let request = self.http.get(format!("{}/bigquery/v2/{path}", self.endpoint));
        let answer = self.send(context, request).await?;
        match answer.status().as_u16() {
            404 => Ok(None),
            200 => {
                let body = read_up_to(RESOURCE_BYTES_MAX, context, answer).await?;
                let unreadable = |error| Fault::from_error(FaultKind::Unavailable, context.to_owned(), error);
                serde_json::from_slice(&body).map(Some).map_err(unreadable)
            }
            _ => Err(refused(context, answer).await),
        }
    }

    /// Changes a resource while it has this etag; `false` when it has another by now.
    pub(super) async fn change(
        &self,
        context: &str,
        path: &str,
        change: &Value,
        etag: &str,
    ) -> Result<bool, Fault> {
        let request = self.http.patch(format!("{}/bigquery/v2/{path}", self.endpoint)).json(change);
        let request = if etag.is_empty() { request } else { request.header(IF_MATCH, etag) };
        let answer = self.send(context, request).await?;
        match answer.status().as_u16() {
            412 => Ok(false),
            200 => Ok(true),
            _ => Err(refused(context, answer).await),
        }
    }

    /// Submits `job` with the body as its data. The id is taken when the last byte has arrived, not before.
    pub(super) async fn upload(
        &self,
        attempt: &Attempt,
        job: &Value,
        body: &Body,
    ) -> Result<Submission, Fault> {
        let context = format!("cannot submit {}", attempt.job_id);
        let path = body.path().to_owned();
        let open = move || {
            let file = File::open(&path);
            let file = file.map_err(|error| Fault::from_io(format!("cannot open {}", path.display()), error));
            Ok(Arc::new(file.map_err(as_retryable)?))
        };
        let file = blocking("opening a body", open).await?;
        self.meter.add_into(&attempt.destination, Measure::LoadJobs, 1);
        if body.size_bytes() <= MULTIPART_BYTES_MAX {
            self.multipart(&context, attempt, job, file, body.size_bytes()).await
        } else {
            self.resumable(&context, attempt, job, file, body.size_bytes()).await
        }
    }

    fn upload_url(&self, attempt: &Attempt, kind: &str) -> String {
        let project = &attempt.destination.project;
        format!("{}/upload/bigquery/v2/projects/{project}/jobs?uploadType={kind}", self.endpoint)
    }

    async fn multipart(
        &self,
        context: &str,
        attempt: &Attempt,
        job: &Value,
        file: Arc<File>,
        size: u64,
    ) -> Result<Submission, Fault> {
        // A hash that no one outside knows: it does not stand in the data.
        let boundary = format!("landbridge-{}", attempt.batch);
        let (head, tail) = around(&boundary, job);
        let whole = read_between(head, file, 0, size, tail).await?;
        self.meter.add_into(&attempt.destination, Measure::SentBytes, whole.len() as u64);
        let request = self
            .http
            .post(self.upload_url(attempt, "multipart"))
            .header(CONTENT_TYPE, related(&boundary))
            .body(whole);
        let answer = self.send(context, request).await?;
        submission(context, answer).await
    }

    /// Submits `job` with these few lines as its data, in one call.
    pub(super) async fn upload_lines(
        &self,
        context: &str,
        project: &str,
        boundary: &str,
        job: &Value,
        lines: &[u8],
    ) -> Result<Submission, Fault> {
        let (head, tail) = around(boundary, job);
        let url =
            format!("{}/upload/bigquery/v2/projects/{project}/jobs?uploadType=multipart", self.endpoint);
        let whole = [head.as_bytes(), lines, tail.as_bytes()].concat();
        let request = self.http.post(url).header(CONTENT_TYPE, related(boundary)).body(whole);
        submission(context, self.send(context, request).await?).await
    }

    async fn resumable(
        &self,
        context: &str,
        attempt: &Attempt,
        job: &Value,
        file: Arc<File>,
        size: u64,
    ) -> Result<Submission, Fault> {
        let request = self
            .http
            .post(self.upload_url(attempt, "resumable"))
            .header("X-Upload-Content-Type", "application/octet-stream")
            .header("X-Upload-Content-Length", size)
            .json(job);
        let answer = self.send(context, request).await?;
        if !answer.status().is_success() {
            return submission(context, answer).await;
        }
        let session = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let session = session.filter(|session| is_of_endpoint(&self.endpoint, session)).map(str::to_owned);
        let session = session.ok_or_else(|| {
            Fault::new(FaultKind::Unavailable, format!("{context}: the upload session has no address"))
        })?;
        let (mut offset, mut failures) = (0, 0);
        loop {
            let piece = read_piece(Arc::clone(&file), offset, PIECE_BYTES.min(size - offset)).await?;
            let last = offset + (piece.len() as u64).saturating_sub(1);
            self.meter.add_into(&attempt.destination, Measure::SentBytes, piece.len() as u64);
            let request = self
                .http
                .put(&session)
                .header(CONTENT_RANGE, format!("bytes {offset}-{last}/{size}"))
                .body(piece);
            let outcome = match self.send(context, request).await {
                Ok(answer) if answer.status().is_server_error() => Err(refused(context, answer).await),
                other => other,
            };
            let answer = match outcome {
                Ok(answer) => answer,
                // The piece may have arrived, and been the last: only the session knows.
                Err(fault) => {
                    failures += 1;
                    if failures >= PIECE_FAILURES_MAX {
                        return Err(fault);
                    }
                    let ask = self.http.put(&session).header(CONTENT_RANGE, format!("bytes */{size}"));
                    self.send(context, ask.header(CONTENT_LENGTH, 0)).await?
                }
            };
            if answer.status().as_u16() != RESUME_INCOMPLETE {
                return submission(context, answer).await;
            }
            let range = answer.headers().get(RANGE).and_then(|range| range.to_str().ok());
            let arrived = arrived(range);
            if arrived > offset {
                failures = 0;
            } else if failures == 0 {
                failures = 1;
            }
            if arrived >= size || !arrived.is_multiple_of(PIECE_MULTIPLE_BYTES) {
                let text =
                    format!("{context}: the upload session says that {arrived} of {size} bytes arrived");
                return Err(Fault::new(FaultKind::Unavailable, text));
            }
            offset = arrived;
        }
    }

    async fn send(&self, context: &str, request: RequestBuilder) -> Result<Response, Fault> {
        let request = match self.identity.token().await? {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        request.send().await.map_err(|error| transport(context, error))
    }
}

/// What stands before and after the data of an upload in one call.
fn around(boundary: &str, job: &Value) -> (String, String) {
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{job}\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    (head, format!("\r\n--{boundary}--\r\n"))
}

fn related(boundary: &str) -> String {
    format!("multipart/related; boundary={boundary}")
}

/// A session elsewhere would be given the data, and a token.
pub(super) fn is_of_endpoint(endpoint: &str, session: &str) -> bool {
    let host = |url: &str| {
        let url = reqwest::Url::parse(url).ok()?;
        Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    host(session).is_some_and(|session| {
        Some(&session) == host(endpoint).as_ref()
            || (session.0 == "https" && session.1.ends_with(".googleapis.com"))
    })
}

/// How many bytes a session has, from `Range: bytes=0-N`; none without the header.
pub(super) fn arrived(range: Option<&str>) -> u64 {
    let last = range.and_then(|range| range.rsplit('-').next()).and_then(|last| last.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}

async fn submission(context: &str, answer: Response) -> Result<Submission, Fault> {
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        // What the job says of itself is asked for by its id.
        return Ok(Submission::Accepted);
    }
    let refusal = Refusal::read(status, &read(context, answer).await?);
    if refusal.is_duplicate() {
        return Ok(Submission::Duplicate);
    }
    Err(refusal.fault(context))
}

async fn refused(context: &str, answer: Response) -> Fault {
    let status = answer.status().as_u16();
    match read(context, answer).await {
        Ok(body) => Refusal::read(status, &body).fault(context),
        Err(fault) => fault,
    }
}

/// An answer's body, as far as it is of use.
async fn read(context: &str, answer: Response) -> Result<BytesMut, Fault> {
    read_up_to(ANSWER_BYTES_MAX, context, answer).await
}

async fn read_up_to(limit: usize, context: &str, mut answer: Response) -> Result<BytesMut, Fault> {
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| transport(context, error))? {
        body.extend_from_slice(&piece);
        if body.len() >= limit {
            break;
        }
    }
    Ok(body)
}

async fn read_piece(file: Arc<File>, offset: u64, length: u64) -> Result<Bytes, Fault> {
    read_between(String::new(), file, offset, length, String::new()).await
}

/// A piece of a file between two texts, in memory once.
async fn read_between(
    head: String,
    file: Arc<File>,
    offset: u64,
    length: u64,
    tail: String,
) -> Result<Bytes, Fault> {
    let read = move || {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(head.len().saturating_add(length).saturating_add(tail.len()));
        bytes.extend_from_slice(head.as_bytes());
        bytes.resize(head.len().saturating_add(length), 0);
        let part = bytes.get_mut(head.len()..).unwrap_or_default();
        let result = file.read_exact_at(part, offset);
        result.map_err(|error| as_retryable(Fault::from_io("cannot read the body", error)))?;
        bytes.extend_from_slice(tail.as_bytes());
        Ok(bytes.freeze())
    };
    blocking("reading a body", read).await
}

/// What is wrong with the spool says nothing about the job or the files.
fn as_retryable(mut fault: Fault) -> Fault {
    if fault.kind != FaultKind::DiskFull {
        fault.kind = FaultKind::Unavailable;
    }
    fault
}
