//! The real binary tells a webhook, through real HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::{Running, generate, landbridge, output, rows_in, until};
use crate::support::http::{Answer, Request, Server};

/// What makes the webhook's address a secret.
const SECRET: &str = "services/T0SECRET/B0SECRET/x0secret";

/// What the webhook does with a message.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Takes,
    Answers500,
    Hangs,
}

/// A webhook on a port of its own.
struct Webhook {
    url: String,
    texts: Receiver<String>,
}

impl Webhook {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
        let (sender, texts) = channel();
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for stream in listener.incoming().flatten() {
                // A test that has ended listens no more.
                let Some(text) = read_post(&stream).filter(|text| sender.send(text.clone()).is_ok()) else {
                    return;
                };
                assert!(!text.is_empty());
                match manner {
                    Manner::Takes => answer(stream, "200 OK"),
                    Manner::Answers500 => answer(stream, "500 Internal Server Error"),
                    Manner::Hangs => hanging.push(stream),
                }
            }
        });
        Self { url, texts }
    }

    /// What it was told, sorted.
    fn told(&self) -> Vec<String> {
        let mut told: Vec<_> = self.texts.try_iter().collect();
        told.sort();
        told
    }
}

/// The `text` of one POST.
fn read_post(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    assert_eq!(line.trim(), format!("POST /{SECRET} HTTP/1.1"));
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let head = line.trim().to_ascii_lowercase();
        if head.is_empty() {
            break;
        }
        if let Some(value) = head.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        assert!(!head.starts_with("content-type:") || head.ends_with("application/json"), "{head}");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    Some(body["text"].as_str().unwrap().to_owned())
}

fn answer(mut stream: TcpStream, status: &str) {
    let _ = stream.write_all(
        format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").as_bytes(),
    );
}

/// Loads everything, telling `webhook`; answers the log.
fn run(folder: &Path, webhook: &Webhook) -> String {
    let mut command = landbridge();
    command.env("LANDBRIDGE__ALERTS__WEBHOOK_URL", &webhook.url);
    command.env("LANDBRIDGE__HTTP__LISTEN", "off").env("LANDBRIDGE__TIMING__DEFER_AFTER", "10s");
    // Every line that there is: the address must be in none of them.
    command
        .env("LANDBRIDGE__LOG__FILTER", "trace,landbridge=trace")
        .env("LANDBRIDGE__BATCHING__WINDOW", "1s");
    let (output, text) =
        output(command.args(["run", "--until-idle", "--config"]).arg(folder.join("landbridge.toml")));
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("SECRET") && !text.contains("x0secret"), "{text}");
    text
}

fn put_damaged_file(folder: &Path) {
    let path = folder.join("bucket/casino/bet_history/20260101-000000000.parquet");
    fs::write(path, "<no> Parquet & nothing like it").unwrap();
}

#[test]
fn a_poison_file_and_a_vanished_file_are_told_once_each() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 800, 400);
    // A file of a table that is not mapped yet waits in the ledger, and is gone when the table is.
    let elsewhere = folder.path().join("bucket/casino/users");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("20260101-000000000.parquet"), "soon gone").unwrap();
    let webhook = Webhook::start(Manner::Takes);
    run(folder.path(), &webhook);
    assert_eq!(webhook.told(), Vec::<String>::new());

    fs::remove_dir_all(elsewhere).unwrap();
    put_damaged_file(folder.path());
    let config = folder.path().join("landbridge.toml");
    let mapped = fs::read_to_string(&config).unwrap()
        + "\n[[mapping.table]]\nname = \"casino.users\"\nkey = [\"id\"]\n";
    fs::write(&config, mapped).unwrap();
    let log = run(folder.path(), &webhook);

    let told = webhook.told();
    assert_eq!(told.len(), 2, "{told:#?}\n{log}");
    let expected = [
        (
            "*landbridge: 1 file of `game-a/casino.bet_history` is poison*\n• `game-a/casino/bet_history/20260101-000000000.parquet@",
            "look at the file",
        ),
        (
            "*landbridge: 1 file of `game-a/casino.users` vanished*\n• `game-a/casino/users/20260101-000000000.parquet@",
            "find out who deleted or replaced it",
        ),
    ];
    for (text, (begins, remedy)) in told.iter().zip(expected) {
        assert!(text.starts_with(begins) && text.contains(remedy), "{text}");
        assert!(text.contains("\n*What landbridge did:* ") && text.contains("\n*What to do:* "), "{text}");
    }
    assert_eq!(rows_in(&folder.path().join("lake")), 800);
}

#[test]
fn a_webhook_that_fails_or_hangs_neither_delays_nor_fails_loading() {
    for (manner, remark) in [(Manner::Answers500, "it failed"), (Manner::Hangs, "it took too long")] {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), 800, 400);
        put_damaged_file(folder.path());
        let webhook = Webhook::start(manner);
        #[allow(clippy::disallowed_methods)]
        let started = Instant::now();
        let log = run(folder.path(), &webhook);
        assert!(started.elapsed() < Duration::from_secs(60), "{log}");
        assert_eq!(rows_in(&folder.path().join("lake")), 800, "{log}");
        assert_eq!(webhook.told().len(), 1);
        assert!(log.contains("alerts that the webhook did not take") && log.contains(remark), "{log}");
    }
}

#[test]
fn check_says_whether_alerts_are_sent_and_never_where_to() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 10, 10);
    let config = folder.path().join("landbridge.toml");
    let check = |url: Option<&str>| {
        let mut command = landbridge();
        command.args(["check", "--config"]).arg(&config);
        command.envs(url.map(|url| ("LANDBRIDGE__ALERTS__WEBHOOK_URL", url)));
        let (output, text) = output(&mut command);
        assert!(!text.contains("SECRET"), "{text}");
        (output.status.success(), text)
    };
    let (good, text) = check(None);
    assert!(good && text.contains("\n  alerts  not sent: `alerts.webhook_url` is not set"), "{text}");
    let (good, text) = check(Some("https://hooks.example.com/SECRET"));
    assert!(good && text.contains("\n  alerts  sent to the webhook"), "{text}");
    let (good, text) = check(Some("http://hooks.example.com/SECRET"));
    assert!(good && text.contains("note: `alerts.webhook_url` begins with http://"), "{text}");
    for wrong in ["SECRET", "ftp://SECRET", "https://", "https://host/SECRET more"] {
        let (good, text) = check(Some(wrong));
        assert!(!good && text.contains("alerts.webhook_url: the secret is no address"), "{text}");
    }
}

/// BigQuery, whose quota is used up: for uploads, or for the jobs that they make.
fn used_up(request: &Request, at_upload: bool) -> Answer {
    let target = &request.target;
    if target.starts_with("/upload/") {
        return if at_upload { Answer::error(403, "quotaExceeded") } else { Answer::json(200, &json!({})) };
    }
    if request.method == "POST" {
        // A table, or a fence: what is made looks as it was asked for.
        return Answer::json(200, &request.json());
    }
    let Some((_, job)) = target.split_once("/jobs/") else { return Answer::error(404, "notFound") };
    if at_upload {
        return Answer::error(404, "notFound");
    }
    let id = job.split('?').next().unwrap();
    let error = json!({"reason": "quotaExceeded", "message": "Quota exceeded: too many loads"});
    Answer::json(
        200,
        &json!({
            "jobReference": {"projectId": "p", "location": "EU", "jobId": id},
            "configuration": {"load": {"destinationTable": {"projectId": "p", "datasetId": "d", "tableId": "t"}}},
            "status": {"state": "DONE", "errorResult": error, "errors": [error]},
        }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_quota_is_told_whether_a_request_or_a_job_says_so() {
    for (at_upload, state) in [(true, "unknown"), (false, "failed")] {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path(), 400, 400);
        let bigquery = Server::start(move |request| used_up(request, at_upload)).await;
        let webhook = Webhook::start(Manner::Takes);
        let environment = [
            ("LANDBRIDGE__ALERTS__WEBHOOK_URL", webhook.url.as_str()),
            ("LANDBRIDGE__WAREHOUSE__KIND", "bigquery"),
            ("LANDBRIDGE__WAREHOUSE__PROJECT", "p"),
            ("LANDBRIDGE__WAREHOUSE__LOCATION", "EU"),
            ("LANDBRIDGE__WAREHOUSE__CREDENTIALS", "anonymous"),
            ("LANDBRIDGE__WAREHOUSE__ENDPOINT", bigquery.url.as_str()),
            ("LANDBRIDGE__TIMING__DRAIN_TIMEOUT", "1s"),
        ];
        let running = Running::start_with(folder.path(), "1s", &environment);
        let series = format!("state=\"{state}\",reason=\"quota_exceeded\"}} ");
        until("the quota is used up", || {
            let metrics = running.get("/metrics");
            metrics.lines().any(|line| line.split_once(&series).is_some_and(|(_, count)| count != "0"))
        });
        assert!(running.stop());
        let told = webhook.told();
        assert_eq!(told.len(), 1, "{told:#?}");
        let headline = "*landbridge: a BigQuery quota is used up for `game-a/casino.bet_history` (";
        assert!(told[0].starts_with(headline) && told[0].contains("quotaExceeded"), "{}", told[0]);
        assert!(told[0].contains("until the quota refills"), "{}", told[0]);
    }
}
