//! Uploads: what goes over the wire, and what becomes of a bad wire.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use landbridge::domain::fault::FaultKind;
use landbridge::domain::job::{FenceAnswer, JobStatus, Submission};
use landbridge::warehouse::Warehouse;
use serde_json::{Value, json};

use super::{connect, data, loaded, table};
use crate::support::http::{Answer, Request, Server};

const MIB: usize = 1 << 20;
/// Rows whose body is larger than one call may carry.
const MANY: usize = 400_000;

fn is_upload(request: &Request) -> bool {
    request.target.starts_with("/upload/")
}

/// Answers for the table; uploads are `upload`'s.
fn with_table(
    upload: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> impl Fn(&Request) -> Answer + Send + Sync {
    move |request| {
        if is_upload(request) { upload(request) } else { Answer::json(200, &table(&[])) }
    }
}

#[tokio::test]
async fn a_small_body_goes_in_one_call_with_id_location_schema_and_labels() {
    let server = Server::start(with_table(|_| Answer::json(200, &json!({})))).await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(20).await);
    let submission = warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
    assert_eq!(submission, Submission::Accepted);
    let request = server.requests().into_iter().find(is_upload).unwrap();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/upload/bigquery/v2/projects/p/jobs?uploadType=multipart")
    );
    let boundary = request.header("content-type").strip_prefix("multipart/related; boundary=").unwrap();
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let job = text.split("\r\n\r\n").nth(1).unwrap().split(&format!("\r\n--{boundary}")).next().unwrap();
    let job: Value = serde_json::from_str(job).unwrap();
    assert_eq!(
        job["jobReference"],
        json!({"projectId": "p", "location": "EU", "jobId": loaded.attempt.job_id.as_str()})
    );
    let load = &job["configuration"]["load"];
    assert_eq!(
        (&load["sourceFormat"], &load["createDisposition"], &load["writeDisposition"]),
        (&json!("PARQUET"), &json!("CREATE_NEVER"), &json!("WRITE_APPEND"))
    );
    assert_eq!(load["destinationTable"], json!({"projectId": "p", "datasetId": "d", "tableId": "t"}));
    assert_eq!(load["schema"]["fields"][5], json!({"name": "at", "type": "DATETIME"}));
    assert_eq!(job["configuration"]["labels"]["batch_id"], loaded.attempt.batch.as_str());
    let data = std::fs::read(loaded.body.path()).unwrap();
    let tail = format!("\r\n--{boundary}--\r\n").into_bytes();
    assert!(request.body.ends_with(&[data, tail].concat()));
}

/// A server of resumable uploads that does to piece `n` what `trouble` says.
fn resumable(trouble: fn(usize) -> Option<Answer>) -> impl Fn(&Request) -> Answer + Send + Sync {
    let (stored, calls) = (Mutex::new(Vec::<u8>::new()), AtomicUsize::new(0));
    with_table(move |request| {
        if request.method == "POST" {
            // As the service begins one, but for its address.
            let begun = data("27_load_baseline_initiate.json");
            let session = begun["headers"]["Location"].as_str().unwrap();
            let session = session
                .replace("https://bigquery.googleapis.com", &format!("http://{}", request.header("host")));
            let session = session.replace("<project>", "p").replace("<upload-id>", "u");
            return Answer::Reply(200, vec![("Location".to_owned(), session)], Vec::new());
        }
        let mut stored = stored.lock().unwrap();
        let range = request.header("content-range").strip_prefix("bytes ").unwrap();
        let (part, size) = range.split_once('/').unwrap();
        let size: usize = size.parse().unwrap();
        if let Some((from, _)) = part.split_once('-') {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            let from: usize = from.parse().unwrap();
            assert_eq!(from, stored.len(), "a piece begins where the last one ended");
            if let Some(trouble) = trouble(number) {
                if number == 1 {
                    // It arrived all the same.
                    stored.extend_from_slice(&request.body);
                }
                return trouble;
            }
            stored.extend_from_slice(&request.body);
        }
        if stored.len() == size {
            assert_eq!(&stored[..4], b"PAR1");
            assert_eq!(&stored[size - 4..], b"PAR1");
            return Answer::json(200, &data("28_load_baseline_upload.json")["body"]);
        }
        let headers = match stored.len() {
            0 => Vec::new(),
            length => vec![("Range".to_owned(), format!("bytes=0-{}", length - 1))],
        };
        Answer::Reply(308, headers, Vec::new())
    })
}

#[tokio::test]
async fn a_large_body_goes_in_pieces_and_lost_answers_are_asked_for() {
    let loaded = loaded(MANY).await;
    assert!(loaded.body.size_bytes() as usize > 16 * MIB, "{}", loaded.body.size_bytes());
    let troubles: [fn(usize) -> Option<Answer>; 3] = [
        |_| None,
        |number| (number == 1).then_some(Answer::Cut),
        |number| (number == 0).then(|| Answer::error(503, "backendError")),
    ];
    for trouble in troubles {
        let server = Server::start(resumable(trouble)).await;
        let submission = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap();
        assert_eq!(submission, Submission::Accepted);
    }
    let server = Server::start(resumable(|_| Some(Answer::error(503, "backendError")))).await;
    let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{}", fault.chain());
    assert!(server.requests().len() < 16);
}

#[tokio::test]
async fn an_upload_session_elsewhere_is_given_nothing() {
    let thief = Server::start(|_| Answer::json(200, &json!({}))).await;
    let session = thief.url.clone();
    let server = Server::start(with_table(move |_| {
        Answer::Reply(200, vec![("Location".to_owned(), session.clone())], Vec::new())
    }))
    .await;
    let loaded = loaded(MANY).await;
    let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(thief.requests().is_empty());
    let redirect = vec![("Location".to_owned(), thief.url.clone())];
    let server = Server::start(with_table(move |_| Answer::Reply(307, redirect.clone(), Vec::new()))).await;
    let loaded = super::loaded(1).await;
    connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert!(thief.requests().is_empty());
}

#[tokio::test]
async fn what_is_not_known_is_no_failure_and_keeps_its_status() {
    let page = || Answer::Reply(502, Vec::new(), b"<html>Bad Gateway</html>".to_vec());
    let cases: [(Answer, Option<FaultKind>, &str); 4] = [
        (Answer::error(409, "duplicate"), None, ""),
        (Answer::Cut, Some(FaultKind::Unavailable), "cannot submit lb_d_t_"),
        (Answer::error(503, "backendError"), Some(FaultKind::Unavailable), "503 backendError"),
        (
            Answer::Reply(502, Vec::new(), b"<html>Bad Gateway</html>".to_vec()),
            Some(FaultKind::Unavailable),
            "502: no BigQuery answer: <html>Bad Gateway",
        ),
    ];
    let loaded = loaded(1).await;
    for (answer, kind, told) in cases {
        let server = Server::start(with_table(move |_| answer.clone())).await;
        let result = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await;
        match (result, kind) {
            (Ok(submission), None) => assert_eq!(submission, Submission::Duplicate),
            (Err(fault), Some(kind)) => {
                assert_eq!(fault.kind, kind);
                assert!(fault.chain().contains(told), "{}", fault.chain());
            }
            (result, kind) => panic!("{result:?} instead of {kind:?}"),
        }
    }
    // The client loses the status of a page; a second look finds it.
    let server = Server::start(move |_| page()).await;
    let fault = connect(&server.url).await.ask(&loaded.attempt).await.unwrap_err();
    assert!(fault.chain().contains("502: no BigQuery answer"), "{}", fault.chain());
    let denied = Server::start(|_| Answer::Reply(403, Vec::new(), b"<html>who are you".to_vec())).await;
    let fault = connect(&denied.url).await.ask(&loaded.attempt).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::AccessDenied, "{}", fault.chain());
}

#[tokio::test]
async fn a_fence_is_a_query_under_the_same_id_and_is_known_again() {
    let fences = Mutex::new(None::<Value>);
    let server = Server::start(move |request| {
        let mut fence = fences.lock().unwrap();
        if request.method == "POST" {
            return match &*fence {
                Some(_) => Answer::error(409, "duplicate"),
                None => {
                    *fence = Some(request.json());
                    Answer::json(200, &request.json())
                }
            };
        }
        assert!(request.target.ends_with("?location=EU"), "{}", request.target);
        match &*fence {
            Some(job) => {
                let mut job = job.clone();
                job["status"] =
                    json!({"state": "DONE", "errorResult": {"reason": "accessDenied", "message": "no"}});
                Answer::json(200, &job)
            }
            None => Answer::error(404, "notFound"),
        }
    })
    .await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(1).await);
    assert_eq!(warehouse.ask(&loaded.attempt).await.unwrap(), JobStatus::NotFound);
    assert_eq!(warehouse.fence(&loaded.attempt).await.unwrap(), FenceAnswer::Accepted);
    assert_eq!(warehouse.fence(&loaded.attempt).await.unwrap(), FenceAnswer::Duplicate);
    // Even a fence that failed has taken the id.
    assert_eq!(warehouse.ask(&loaded.attempt).await.unwrap(), JobStatus::Fenced);
    let job = server.requests().into_iter().find(|request| request.method == "POST").unwrap().json();
    assert_eq!(job["configuration"]["query"]["query"], "SELECT 1");
    assert_eq!(job["configuration"]["query"]["useLegacySql"], false);
    assert_eq!(job["jobReference"]["jobId"], loaded.attempt.job_id.as_str());
    assert_eq!(job["jobReference"]["location"], "EU");
}
