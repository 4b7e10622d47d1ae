//! The S3 adapter over real HTTP, against answers that no stand-in gives.

use std::sync::Arc;

use aws_credential_types::Credentials;
use landbridge::bucket::Bucket;
use landbridge::bucket::s3::{S3Bucket, Spooling};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::FileId;
use landbridge::domain::ids::TableId;
use landbridge::domain::object::Object;

use crate::support::http::{Answer, Request, Server};

/// What passes for a Parquet file as far as this adapter looks.
fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![b'x'; length];
    bytes[..4].copy_from_slice(b"PAR1");
    bytes[length - 4..].copy_from_slice(b"PAR1");
    bytes
}

fn md5(bytes: &[u8]) -> String {
    use md5::{Digest, Md5};
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(bytes: &[u8]) -> FileId {
    FileId {
        table: TableId::new("c", "s", "t"),
        bucket: "cdc".into(),
        key: "dms/s/t/é +1.parquet".into(),
        etag: md5(bytes).into(),
        size_bytes: bytes.len() as u64,
    }
}

fn ok(etag: &str, body: Vec<u8>) -> Answer {
    Answer::Reply(200, vec![("ETag".to_owned(), format!("\"{etag}\""))], body)
}

fn refused(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>");
    let kind = ("Content-Type".to_owned(), "application/xml".to_owned());
    Answer::Reply(status, vec![kind], body.into_bytes())
}

async fn open(server: &Server, file: &FileId, threshold_bytes: u64) -> Result<Arc<dyn Object>, Fault> {
    let spool = tempfile::tempdir().unwrap();
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&server.url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await;
    let spooling = Spooling { path: spool.path().to_owned(), threshold_bytes };
    let opened = S3Bucket::new(&config, true, spooling).open(file).await;
    assert_eq!(
        std::fs::read_dir(spool.path()).unwrap().count(),
        0,
        "a spool file has no name once it is open"
    );
    opened
}

/// Small objects are held in memory, large ones on disk: all that is tested holds for both.
const THRESHOLDS: [u64; 2] = [u64::MAX, 0];

#[tokio::test]
async fn the_announced_version_is_asked_for_and_read_at_any_place() {
    let bytes = content(3 << 20);
    let file = file(&bytes);
    let (etag, body) = (file.etag.to_string(), bytes.clone());
    let server = Server::start(move |_| ok(&etag, body.clone())).await;
    for threshold in THRESHOLDS {
        let object = open(&server, &file, threshold).await.unwrap();
        assert_eq!(object.size_bytes(), 3 << 20);
        assert_eq!(object.read((3 << 20) - 5, 5).unwrap(), b"xPAR1"[..]);
        assert_eq!(object.read((3 << 20) - 4, 5).unwrap_err().kind, FaultKind::Unreadable);
        assert_eq!(object.read(u64::MAX, 2).unwrap_err().kind, FaultKind::Unreadable);
    }
    let request = &server.requests()[0];
    assert!(request.target.starts_with("/cdc/dms/s/t/%C3%A9%20%2B1.parquet"), "{}", request.target);
    assert_eq!(request.header("if-match"), format!("\"{}\"", file.etag));
}

#[tokio::test]
async fn what_is_cut_or_damaged_on_its_way_is_fetched_again() {
    let bytes = content(1 << 20);
    let file = file(&bytes);
    let mut damaged = bytes.clone();
    damaged[70_000] = b'y';
    let etag = vec![("ETag".to_owned(), format!("\"{}\"", file.etag))];
    let answers = [
        Answer::Partial(etag.clone(), bytes.clone(), 600_000),
        Answer::Reply(200, etag, damaged),
        Answer::Cut,
        refused(503, "SlowDown"),
    ];
    for answer in answers {
        for threshold in THRESHOLDS {
            let answer = answer.clone();
            let server = Server::start(move |_| answer.clone()).await;
            let fault = open(&server, &file, threshold).await.unwrap_err();
            let kind = fault.kind;
            assert!(matches!(kind, FaultKind::Unavailable | FaultKind::Throttled), "{}", fault.chain());
        }
    }
}

#[tokio::test]
async fn an_object_that_is_not_what_was_announced_is_told() {
    let bytes = content(2_000);
    let file = file(&bytes);
    let foreign = vec![b'z'; 2_000];
    let mut announced = file.clone();
    announced.etag = md5(&foreign).into();
    for threshold in THRESHOLDS {
        let (etag, body) = (announced.etag.to_string(), foreign.clone());
        let server = Server::start(move |_| ok(&etag, body.clone())).await;
        let fault = open(&server, &announced, threshold).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreadable);
        assert!(fault.chain().contains("does not begin and end"), "{}", fault.chain());
        let (etag, body) = (file.etag.to_string(), content(1_999));
        let server = Server::start(move |_| ok(&etag, body.clone())).await;
        let fault = open(&server, &file, threshold).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreadable);
        assert!(fault.chain().contains("announced with 2000 bytes and has 1999"), "{}", fault.chain());
    }
}

#[tokio::test]
async fn refusals_name_what_is_needed() {
    let file = file(&content(100));
    let cases = [
        (
            403,
            "AccessDenied",
            FaultKind::AccessDenied,
            "needs s3:GetObject; without s3:ListBucket a missing object",
        ),
        (400, "KMS.DisabledException", FaultKind::AccessDenied, "kms:Decrypt"),
        (403, "InvalidObjectState", FaultKind::AccessDenied, "restore it"),
        (404, "NoSuchBucket", FaultKind::AccessDenied, "the bucket does not exist"),
        (400, "ExpiredToken", FaultKind::AccessDenied, "have expired"),
    ];
    for (status, code, kind, told) in cases {
        let server = Server::start(move |_| refused(status, code)).await;
        let fault = open(&server, &file, 0).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{code}");
        let chain = fault.chain();
        assert!(chain.contains(told) && chain.contains(code) && chain.contains("dms/s/t/"), "{chain}");
    }
}

/// Answers a listing of versions with `listing`, everything else as if the object were gone.
fn gone(request: &Request, listing: &Answer) -> Answer {
    if request.target.contains("versions") { listing.clone() } else { refused(404, "NoSuchKey") }
}

#[tokio::test]
async fn a_gone_object_is_vanished_unless_its_version_is_kept_or_nobody_knows() {
    let bytes = content(100);
    let file = file(&bytes);
    let listing = |etag: &str| {
        format!(
            "<ListVersionsResult><Version><Key>{}</Key><VersionId>v7</VersionId><ETag>&quot;{etag}&quot;</ETag><Size>100</Size></Version></ListVersionsResult>",
            file.key
        )
    };
    for (listing, kind) in [
        (Answer::Reply(200, Vec::new(), listing("other").into_bytes()), FaultKind::Vanished),
        (refused(403, "AccessDenied"), FaultKind::Vanished),
        (refused(500, "InternalError"), FaultKind::Unavailable),
    ] {
        let server = Server::start(move |request| gone(request, &listing)).await;
        let fault = open(&server, &file, 0).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{}", fault.chain());
    }
    let listing = Answer::Reply(200, Vec::new(), listing(&file.etag).into_bytes());
    let (etag, body) = (file.etag.to_string(), bytes.clone());
    let server = Server::start(move |request| {
        if request.target.contains("versionId=v7") {
            ok(&etag, body.clone())
        } else {
            gone(request, &listing)
        }
    })
    .await;
    assert_eq!(open(&server, &file, 0).await.unwrap().size_bytes(), 100);
}
