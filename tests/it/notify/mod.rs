//! Receivers are told of loaded batches, through real HTTP.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landbridge::ledger::Ledger;
use landbridge::ledger::sqlite::SqliteLedger;
use serde_json::Value;

use crate::cli::{Running, generate, landbridge, output, rows_in, until};
use crate::support::http::{Answer, Request, Server};

mod clouds;

/// Two keys; what their base64 says must be nowhere.
fn keys() -> [String; 2] {
    [b"the first key, of 32 bytes in all", b"the other key, of 32 bytes in all"]
        .map(|bytes| format!("whsec_{}", STANDARD.encode(bytes)))
}

/// Makes whatever is loaded from `folder` known to `receivers`: lines of their sections.
pub fn tell(folder: &Path, receivers: &[(&str, &str)]) {
    let path = folder.join("landbridge.toml");
    let names: Vec<_> = receivers.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut text = text.replace("dataset = ", &format!("notify = [{}]\ndataset = ", names.join(", ")));
    for (name, lines) in receivers {
        text.push_str(&format!("\n[receiver.{name}]\n{lines}\n"));
    }
    std::fs::write(path, text).unwrap();
}

fn webhook(url: &str) -> String {
    let [first, second] = keys();
    format!("webhook = \"{url}/loaded/x0secret\"\nkey = \"{first}\"\nsecond_key = \"{second}\"")
}

/// Loads everything; answers the log, in which no secret may be.
fn load(folder: &Path) -> String {
    let mut command = landbridge();
    command.env("LANDBRIDGE__HTTP__LISTEN", "off").env("LANDBRIDGE__BATCHING__WINDOW", "1s");
    command.env("LANDBRIDGE__BATCHING__FILES", "1");
    command.env("LANDBRIDGE__LOG__FILTER", "trace,landbridge=trace");
    let (output, log) =
        output(command.args(["run", "--until-idle", "--config"]).arg(folder.join("landbridge.toml")));
    assert!(output.status.success(), "{log}");
    for secret in keys().iter().map(|key| key.trim_start_matches("whsec_")).chain(["x0secret"]) {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    log
}

/// The batches that were told, each once for each time.
fn told(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.header("webhook-id").to_owned()).collect()
}

fn distinct(ids: &[String]) -> BTreeSet<&String> {
    ids.iter().collect()
}

/// What waits in the ledger for a receiver. No process may have it open.
async fn waiting(folder: &Path, receiver: &str) -> usize {
    let ledger = SqliteLedger::open(&folder.join("state/ledger.db")).unwrap();
    ledger.notices(receiver, None, 1_000).await.unwrap().len()
}

/// The example of docs/notify.md, on a request that was delivered.
fn verified(request: &Request, key: &str) -> bool {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/notify.md")).unwrap();
    let example = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let lines = "import json, sys\ngiven = json.load(sys.stdin)\n\
                 sys.exit(0 if verified(given['headers'], given['body'].encode(), given['key']) else 1)\n";
    let mut python = Command::new("python3")
        .args(["-c", &format!("{example}{lines}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let body = String::from_utf8(request.body.clone()).unwrap();
    let given = serde_json::json!({"headers": request.headers, "body": body, "key": key});
    python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    python.wait().unwrap().success()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_is_told_once_and_signed_with_both_keys() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 1_200, 400);
    let server = Server::start(|_| Answer::Reply(200, vec![], vec![])).await;
    tell(folder.path(), &[("fraud", &webhook(&server.url))]);
    load(folder.path());
    let requests = server.requests();
    assert_eq!((requests.len(), distinct(&told(&server)).len()), (3, 3));
    let mut rows = 0;
    for request in &requests {
        let event: Value = request.json();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/loaded/x0secret"));
        assert_eq!(event["type"], "table.loaded");
        assert_eq!(event["data"]["batch_id"], request.header("webhook-id"));
        assert_eq!(event["data"]["table"], "game-a/casino.bet_history");
        assert!(event["data"]["last_event_at"].is_string(), "{event}");
        rows += event["data"]["rows"].as_u64().unwrap();
        for key in keys() {
            assert!(verified(request, &key), "{:?}", request.headers);
        }
    }
    assert_eq!(rows, 1_200);
    // The example can say no.
    let mut other = requests[0].clone();
    other.body[10] ^= 1;
    assert!(!verified(&other, &keys()[0]));
    assert!(!verified(&requests[0], &format!("whsec_{}", STANDARD.encode([7; 32]))));
    assert_eq!(waiting(folder.path(), "fraud").await, 0);
    // A start that finds nothing to load tells nothing.
    load(folder.path());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_told_again_and_another_receiver_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 800, 400);
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let flaky = Server::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Reply(500, vec![], b"x".to_vec()),
        1 => Answer::Reply(429, vec![("Retry-After".to_owned(), "1".to_owned())], vec![]),
        2 => Answer::Cut,
        _ => Answer::Reply(204, vec![], vec![]),
    })
    .await;
    let good = Server::start(|_| Answer::Reply(200, vec![], vec![])).await;
    tell(folder.path(), &[("fraud", &webhook(&flaky.url)), ("bi", &webhook(&good.url))]);
    // Until idle does not wait for a receiver that fails: the process runs until both are told.
    let running = Running::start_with(folder.path(), "1s", &[("LANDBRIDGE__BATCHING__FILES", "1")]);
    until("both batches are told to both", || {
        let series = "outcome=\"told\"} 2";
        running.get("/metrics").lines().filter(|line| line.ends_with(series)).count() == 2
    });
    let page = running.get("/");
    assert!(page.contains("Told of loads: bi, fraud"), "{page}");
    assert!(running.stop());
    assert_eq!(good.requests().len(), 2);
    assert_eq!((flaky.requests().len(), distinct(&told(&flaky)).len()), (5, 2));
    // A repeat is signed anew, and is the same event.
    let mut first: Vec<_> = flaky.requests();
    first.retain(|request| request.header("webhook-id") == flaky.requests()[0].header("webhook-id"));
    assert!(first.len() > 1 && first.iter().all(|request| request.body == first[0].body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_no_load_and_no_other_receiver() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 4_000, 400);
    let silent = Server::start(|_| Answer::Silence).await;
    let good = Server::start(|_| Answer::Reply(200, vec![], vec![])).await;
    tell(folder.path(), &[("bi", &webhook(&silent.url)), ("fraud", &webhook(&good.url))]);
    let running = Running::start_with(folder.path(), "1s", &[("LANDBRIDGE__BATCHING__FILES", "1")]);
    until("the other one is told of all", || good.requests().len() == 10);
    // Nothing has come to its timeout yet: the hanging one has one notice of the table, and everything is loaded.
    assert_eq!(silent.requests().len(), 1);
    assert_eq!(rows_in(&folder.path().join("lake")), 4_000);
    until("the page says who takes nothing", || {
        let page = running.get("/");
        assert!(!page.contains("x0secret"));
        page.contains("Receiver bi does not take notices") && page.contains("10 notices waiting")
    });
    assert!(!running.get("/metrics").contains("receiver=\"bi\",outcome=\"told\""));
    assert!(running.stop());
    assert_eq!(waiting(folder.path(), "bi").await, 10);
    assert_eq!(waiting(folder.path(), "fraud").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_before_a_kill_is_told_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 1_200, 400);
    let (is_up, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeSet::new())));
    let (up, ids) = (Arc::clone(&is_up), Arc::clone(&seen));
    let server = Server::start(move |request| {
        if !up.load(Ordering::SeqCst) {
            return Answer::Silence;
        }
        ids.lock().unwrap().insert(request.header("webhook-id").to_owned());
        Answer::Reply(200, vec![], vec![])
    })
    .await;
    tell(folder.path(), &[("fraud", &webhook(&server.url))]);
    let running = Running::start_with(folder.path(), "1s", &[("LANDBRIDGE__BATCHING__FILES", "1")]);
    until("all is loaded", || {
        running
            .get("/metrics")
            .lines()
            .any(|line| line.starts_with("landbridge_rows_total") && line.ends_with(" 1200"))
    });
    // SIGKILL.
    drop(running);
    assert!(seen.lock().unwrap().is_empty());
    assert_eq!(waiting(folder.path(), "fraud").await, 3);
    is_up.store(true, Ordering::SeqCst);
    let log = load(folder.path());
    assert_eq!(seen.lock().unwrap().len(), 3, "{log}");
    assert_eq!(waiting(folder.path(), "fraud").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_says_what_a_receiver_answers() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 10, 10);
    let good = Server::start(|_| Answer::Reply(200, vec![], vec![])).await;
    let bad = Server::start(|_| Answer::Reply(401, vec![], vec![])).await;
    tell(folder.path(), &[("bi", &webhook(&bad.url)), ("fraud", &webhook(&good.url))]);
    let notify = |more: &[&str]| {
        let config = folder.path().join("landbridge.toml");
        let (output, text) = output(landbridge().args(["notify", "--config"]).arg(config).args(more));
        assert!(!text.contains("x0secret"), "{text}");
        (output.status.code(), text)
    };
    let (code, text) = notify(&["fraud"]);
    assert_eq!((code, text.as_str()), (Some(0), "fraud: took it (an event of the type landbridge.test)\n"));
    assert!(verified(&good.requests()[0], &keys()[1]));
    let (code, text) = notify(&[]);
    assert!(code == Some(1) && text.contains("bi: refused it: it answered 401."), "{text}");
    let (code, text) = notify(&["frod"]);
    assert!(code == Some(2) && text.contains("there are: bi, fraud"), "{text}");
    drop(good);
    let (code, text) = notify(&["fraud"]);
    assert!(code == Some(1) && text.starts_with("fraud: cannot take it now: "), "{text}");
    let (checked, text) =
        output(landbridge().args(["check", "--config"]).arg(folder.path().join("landbridge.toml")));
    assert!(checked.status.success(), "{text}");
    assert!(text.contains("told    fraud of 1 table: a webhook, signed with 2 keys"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_down_one_notice_at_a_time_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 4_000, 400);
    let down = Server::start(|_| Answer::Reply(503, vec![], vec![])).await;
    tell(folder.path(), &[("fraud", &webhook(&down.url))]);
    // A receiver that takes nothing does not keep `--until-idle` from its end.
    load(folder.path());
    assert!(down.requests().len() < 10, "{}", down.requests().len());
    assert_eq!(waiting(folder.path(), "fraud").await, 10);
}
