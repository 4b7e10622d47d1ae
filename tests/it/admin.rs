//! The admin API, the page's access and the command line, against the real binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use landbridge::domain::column_type::ColumnType;
use landbridge::domain::ids::TableId;
use landbridge::domain::instant::Instant;
use landbridge::domain::shape::{Change, ShapeEntry};
use landbridge::ledger::Ledger;
use landbridge::ledger::sqlite::SqliteLedger;
use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use crate::cli::landbridge;
use crate::peers::process::Process;

/// A landbridge on a directory that holds the genuine file, with `head` before the mapping.
fn configure(folder: &Path, head: &str) -> PathBuf {
    let source = folder.join("in");
    std::fs::create_dir_all(&source).unwrap();
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dms/dms_test_table_LOAD00000001.parquet");
    std::fs::copy(file, source.join("dms_test_table_LOAD00000001.parquet")).unwrap();
    let text = format!(
        "[batching]\nwindow = \"1s\"\n{head}\n[[mapping]]\ncluster = \"local\"\nsource = \"in\"\ndataset = \"local\"\n\
         [[mapping.table]]\nname = \"public.dms_test_table\"\nfiles = \"*.parquet\"\n"
    );
    let path = folder.join("landbridge.toml");
    std::fs::write(&path, text).unwrap();
    path
}

const TABLE: &str = "/api/v1/tables/local/public/dms_test_table";
const NAME: &str = "local/public.dms_test_table";

async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}

fn run(arguments: &[&str], process: &Process, token: Option<&str>) -> (bool, String) {
    let mut command: Command = landbridge();
    command.args(arguments).args(["--url", &process.url]);
    if let Some(token) = token {
        command.env("LANDBRIDGE_TOKEN", token);
    }
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_shown_paused_resumed_and_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&configure(folder.path(), "")).await;
    process.until_files("loaded", 1).await;
    let client = Client::new();
    let url = |path: &str| format!("{}{path}", process.url);
    let shown = json(client.get(url(TABLE)).send().await.unwrap()).await;
    assert_eq!(
        (&shown["name"], &shown["mode"], &shown["rows_today"]),
        (&NAME.into(), &"running".into(), &10.into())
    );
    assert!(shown["watermark"].is_string() && shown["last_load_at"].is_string(), "{shown}");
    let all = json(client.get(url("/api/v1/tables")).send().await.unwrap()).await;
    assert_eq!(all["tables"].as_array().unwrap().len(), 1);
    let post = |action: &str| client.post(url(&format!("{TABLE}/{action}"))).send();
    let paused = json(post("pause").await.unwrap()).await;
    assert_eq!((&paused["mode"], &paused["warning"]), (&"paused".into(), &Value::Null));
    let flushed = json(post("flush").await.unwrap()).await;
    assert!(flushed["warning"].as_str().unwrap().contains("nothing to flush"), "{flushed}");
    assert_eq!(json(post("resume").await.unwrap()).await["mode"], "running");
    let unknown = post("stop").await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(json(unknown).await["remedy"].as_str().unwrap().contains("pause, resume, flush"));
    let near = client.post(url("/api/v1/tables/local/public/dms_test_tabel/pause")).send().await.unwrap();
    assert_eq!(near.status(), StatusCode::NOT_FOUND);
    assert!(json(near).await["remedy"].as_str().unwrap().contains(&format!("did you mean {NAME}?")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "");
    let process = Process::start(&config).await;
    process.until_files("loaded", 1).await;
    let (ok, text) = run(&["status"], &process, None);
    assert!(ok && text.contains(NAME) && text.contains("running") && text.contains("up to date"), "{text}");
    let (ok, text) = run(&["pause", NAME], &process, None);
    assert!(ok && text == format!("{NAME} is paused\n"), "{text}");
    let (ok, text) = run(&["status", NAME], &process, None);
    assert!(
        ok && text.contains("state        paused") && text.contains("rows today   10 in 1 files"),
        "{text}"
    );
    let (ok, text) = run(&["status", "--json"], &process, None);
    let parsed: Value = serde_json::from_str(&text).unwrap();
    assert!(ok && parsed["tables"][0]["mode"] == "paused", "{text}");
    let (ok, text) = run(&["resume", NAME], &process, None);
    assert!(ok && text.contains("is running"), "{text}");
    let (ok, text) = run(&["pause", "local/public.dms_test_tabel"], &process, None);
    assert!(!ok && text.contains("no mapping names the table") && text.contains("did you mean"), "{text}");
    let (ok, text) = run(&["pause", "dms_test_table"], &process, None);
    assert!(!ok && text.contains("expected cluster/schema.table"), "{text}");
    let output = landbridge().args(["status", "--url", "http://127.0.0.1:1"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("is landbridge running?"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_other_names_and_other_sites_are_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&configure(folder.path(), "")).await;
    let client = Client::new();
    let pause = || client.post(format!("{}{TABLE}/pause", process.url));
    let rebound = client
        .get(format!("{}/api/v1/tables", process.url))
        .header(HOST, "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), StatusCode::MISDIRECTED_REQUEST);
    let foreign = pause().header(ORIGIN, "http://evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let fetched = pause().header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(fetched.status(), StatusCode::FORBIDDEN);
    let form = client.post(format!("{}/tables/local/public/dms_test_table/pause", process.url));
    let form = form.header(ORIGIN, "null").send().await.unwrap();
    assert_eq!(form.status(), StatusCode::FORBIDDEN);
    let shown = json(client.get(format!("{}{TABLE}", process.url)).send().await.unwrap()).await;
    assert_eq!(shown["mode"], "running");
    let page = client.get(&process.url).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let health =
        client.get(format!("{}/health/live", process.url)).header(HOST, "10.0.0.7").send().await.unwrap();
    assert!(health.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_nobody_gets_in_without_it() {
    let made = String::from_utf8(landbridge().arg("token").output().unwrap().stdout).unwrap();
    let word = |name: &str| {
        let line = made.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (token, hash) = (word("token"), word("hash"));
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), &format!("[http]\nadmin_token_sha256 = \"{hash}\"\n"));
    let process = Process::start(&config).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = |path: &str| format!("{}{path}", process.url);
    let denied = client.get(url("/api/v1/tables")).send().await.unwrap();
    assert_eq!(denied.status(), StatusCode::UNAUTHORIZED);
    let wrong = client.get(url("/api/v1/tables")).bearer_auth(&hash).send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(
        client.get(url("/api/v1/tables")).bearer_auth(&token).send().await.unwrap().status().is_success()
    );
    assert!(client.get(url("/metrics")).send().await.unwrap().status().is_success());
    // The page asks for it, and gives a cookie that scripts do not see and other sites do not send.
    let page = client.get(url("/")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    assert!(page.text().await.unwrap().contains("Admin token"));
    let sign_in = |token: &str| {
        let form = client.post(url("/sign-in")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        form.body(format!("token={token}")).send()
    };
    let refused = sign_in("hunter2").await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.text().await.unwrap().contains("not the token"));
    let signed = sign_in(&token).await.unwrap();
    assert_eq!(signed.status(), StatusCode::SEE_OTHER);
    let cookie = signed.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&token),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let page = client.get(url("/")).header(COOKIE, cookie).send().await.unwrap();
    assert!(page.status().is_success() && page.text().await.unwrap().contains(NAME));
    let (ok, text) = run(&["status"], &process, None);
    assert!(!ok && text.contains("no token, or a wrong one"), "{text}");
    let (ok, text) = run(&["status"], &process, Some(&token));
    assert!(ok && text.contains(NAME), "{text}");
    let log = process.log();
    assert!(!log.contains(&token) && !log.contains("hunter2"));
}

/// The history of a table's columns is the ledger's: none before the first file that grew it.
#[tokio::test(flavor = "multi_thread")]
async fn the_columns_of_a_table_are_told_with_their_history() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        configure(folder.path(), &format!("[ledger]\npath = \"{}\"\n", folder.path().join("l.db").display()));
    let table = TableId::new("local", "public", "dms_test_table");
    let ledger = SqliteLedger::open(&folder.path().join("l.db")).unwrap();
    let entry = |kind: ColumnType, target_kind: ColumnType, change: Change, at: &str| ShapeEntry {
        source: "amount".into(),
        kind,
        target: "amount".into(),
        target_kind,
        change,
        at: Instant::from_rfc3339(at).unwrap(),
        file: Some("local/a.parquet@e".into()),
    };
    let wide = ColumnType::Decimal { precision: 20, scale: 0 };
    let entries = [
        entry(ColumnType::Int64, ColumnType::Int64, Change::Added, "2026-11-23T06:00:00Z"),
        entry(wide, wide, Change::Widened, "2026-11-24T06:00:00Z"),
    ];
    assert!(ledger.grow_shape(&table, 0, &entries).await.unwrap());
    ledger.close().await.unwrap();
    drop(ledger);
    let process = Process::start(&config).await;
    let client = Client::new();
    let shown = json(client.get(format!("{}{TABLE}/schema", process.url)).send().await.unwrap()).await;
    assert_eq!(shown["columns"][0], serde_json::json!({"name": "amount", "type": "DECIMAL(20,0)"}));
    assert_eq!(
        shown["entries"][0],
        serde_json::json!({"column": "amount", "type": "INT64", "target": "amount", "target_type": "INT64",
            "change": "added", "at": "2026-11-23T06:00:00.000Z", "file": "local/a.parquet@e"})
    );
    let unknown =
        client.get(format!("{}/api/v1/tables/local/public/x/schema", process.url)).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let (ok, text) = run(&["schema", "show", NAME], &process, None);
    assert!(
        ok && text.contains("amount  DECIMAL(20,0)") && text.contains("amount INT64, amount DECIMAL(20,0)"),
        "{text}"
    );
    let (ok, text) = run(&["schema", "show", NAME, "--at", "2026-11-23T12:00:00Z", "--json"], &process, None);
    let parsed: Value = serde_json::from_str(&text).unwrap();
    assert!(ok && parsed["columns"][0]["type"] == "INT64", "{text}");
    let (ok, text) = run(&["schema", "history", NAME, "--since", "2026-11-24"], &process, None);
    assert!(
        ok && text.starts_with("2026-11-24T06:00:00.000Z  widened") && text.contains("local/a.parquet@e"),
        "{text}"
    );
    let (ok, text) = run(&["schema", "diff", NAME, "--since", "2026-11-23T12:00:00Z"], &process, None);
    assert!(ok && text == "~ amount INT64 -> DECIMAL(20,0)\n", "{text}");
    let (ok, text) = run(&["schema", "diff", NAME, "--since", "soon"], &process, None);
    assert!(!ok && text.contains("soon"), "{text}");
}

/// A file that is no Parquet file is poison; redriven it is poison anew, since nothing was mended; discarded it is counted
/// no more; and what is no poison is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn poison_is_listed_redriven_and_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "");
    std::fs::write(folder.path().join("in/bad.parquet"), "PAR1 this is no Parquet file").unwrap();
    let process = Process::start(&config).await;
    process.until_files("poisoned", 1).await;
    process.until_files("loaded", 1).await;
    let (good, shown) = run(&["dlq", "list"], &process, None);
    assert!(good && shown.contains(NAME) && shown.contains("bad.parquet@"), "{shown}");
    let name = shown.lines().find_map(|line| line.trim().split_once("  since ")).unwrap().0.to_owned();
    let (good, shown) = run(&["dlq", "show", NAME, &name], &process, None);
    assert!(good && shown.contains("28 bytes") && shown.contains("dlq redrive"), "{shown}");
    let (good, shown) = run(&["dlq", "redrive", NAME, &format!("{name}x")], &process, None);
    assert!(!good && shown.contains("nothing was done") && shown.contains("name files as"), "{shown}");
    let (good, shown) = run(&["dlq", "redrive", NAME, &name], &process, None);
    assert!(good && shown.contains("1 file redriven"), "{shown}");
    process.until_files("poisoned", 2).await;
    let (good, shown) = run(&["dlq", "discard", NAME, "--all"], &process, None);
    assert!(good && shown.contains("1 file discarded"), "{shown}");
    let (_, shown) = run(&["dlq", "list"], &process, None);
    assert_eq!(shown, "no file is poison\n");
    let (_, shown) = run(&["dlq", "list", NAME], &process, None);
    assert!(shown.contains(", discarded"), "{shown}");
    let client = Client::new();
    let table = json(client.get(format!("{}{TABLE}", process.url)).send().await.unwrap()).await;
    assert_eq!(table["poison"], 0);
    let post =
        |path: &str, body: &'static str| client.post(format!("{}{path}", process.url)).body(body).send();
    for body in ["", "{}", "{\"all\": true, \"files\": [\"x\"]}", "{\"file\": 1}"] {
        let unclear = post(&format!("{TABLE}/poison/redrive"), body).await.unwrap();
        assert_eq!(unclear.status(), StatusCode::BAD_REQUEST, "{body}");
        assert!(json(unclear).await["remedy"].as_str().unwrap().contains("bucket/key@etag"));
    }
    let unknown = post(&format!("{TABLE}/poison/forgive"), "{\"all\": true}").await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}
