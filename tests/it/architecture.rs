//! The walls: who may import whom, how long a file may be, and what may not stand in the code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The clients of clouds: for `cloud` and the adapters alone.
const CLIENTS: [&str; 7] = [
    "aws_config",
    "aws_sdk_s3",
    "aws_sdk_sns",
    "aws_sdk_sqs",
    "gcp_bigquery_client",
    "google_cloud_auth",
    "reqwest",
];

/// Who may use clients of clouds. `alerts` posts to a webhook.
const WITH_CLIENTS: [&str; 9] =
    ["cloud", "queue", "bucket", "warehouse", "ledger", "cli", "app", "alerts", "receivers"];

/// The client of the source database, and the writer of mappings: each for one module alone.
const OWNED: [(&str, &str); 2] = [("mysql_async", "source"), ("toml_edit", "describe")];

/// What a module may use of the crate, and which foreign crates it must not.
const RULES: &[(&str, &[&str], &[&str])] = &[
    (
        "domain",
        &["domain"],
        &["tokio", "actix", "arrow", "parquet", "rusqlite", "notify", "dashmap", "metrics"],
    ),
    ("telemetry", &["telemetry", "domain"], &["actix", "arrow", "parquet", "rusqlite"]),
    ("flow", &["flow", "domain", "telemetry"], &["actix", "arrow", "parquet", "rusqlite"]),
    ("forecast", &["forecast", "domain"], &["tokio", "actix", "arrow", "parquet", "rusqlite"]),
    ("messages", &["messages", "domain", "flow", "columns"], &["tokio", "arrow", "parquet", "rusqlite"]),
    ("columns", &["columns", "domain", "telemetry"], &["tokio", "actix", "rusqlite"]),
    ("config", &["config", "domain"], &["tokio", "actix", "arrow", "parquet", "rusqlite"]),
    (
        "cloud",
        &["cloud", "config", "domain", "flow", "telemetry"],
        &["actix", "arrow", "parquet", "rusqlite"],
    ),
    ("queue", &["queue", "cloud", "domain", "flow", "telemetry"], &["actix", "arrow", "parquet", "rusqlite"]),
    (
        "bucket",
        &["bucket", "cloud", "queue", "domain", "flow", "telemetry"],
        &["actix", "arrow", "parquet", "rusqlite"],
    ),
    (
        "warehouse",
        &["warehouse", "cloud", "config", "columns", "domain", "flow", "telemetry"],
        &["actix", "rusqlite"],
    ),
    ("ledger", &["ledger", "cloud", "domain", "flow", "telemetry"], &["actix", "arrow", "parquet"]),
    (
        "actors",
        &[
            "actors",
            "messages",
            "domain",
            "flow",
            "columns",
            "telemetry",
            "queue",
            "bucket",
            "warehouse",
            "ledger",
            "receivers",
        ],
        &["arrow", "parquet", "rusqlite", "notify"],
    ),
    (
        "alerts",
        &["alerts", "domain", "telemetry", "config", "cloud"],
        &["actix", "arrow", "parquet", "rusqlite", "aws_config", "gcp_bigquery_client", "google_cloud_auth"],
    ),
    (
        "receivers",
        &["receivers", "domain", "config", "cloud"],
        &["actix", "arrow", "parquet", "rusqlite", "gcp_bigquery_client", "google_cloud_auth"],
    ),
    ("source", &["source", "config", "domain"], &["actix", "arrow", "parquet", "rusqlite"]),
    (
        "describe",
        &["describe", "source", "config", "domain"],
        &["tokio", "actix", "arrow", "parquet", "rusqlite"],
    ),
    ("rebuild", &["rebuild", "domain", "ledger", "bucket", "warehouse"], &["actix", "arrow", "parquet"]),
    ("verify", &["verify", "domain", "ledger", "warehouse"], &["actix", "arrow", "parquet"]),
    ("web", &["web", "messages", "domain", "telemetry"], &["arrow", "parquet", "rusqlite"]),
    (
        "demo",
        &["demo", "columns", "domain", "config", "bucket", "warehouse"],
        &["tokio", "actix", "rusqlite"],
    ),
];

/// Lines that a file may have without its tests.
const LINES_MAX: usize = 400;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let endings = ["tests.rs", "conformance.rs", "fuzz.rs"];
    name.contains("/tests/") || name.contains("/fuzz/") || endings.iter().any(|ending| name.ends_with(ending))
}

/// A file's code without its inline tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
}

/// Breaches of `rules` in a module's code, as `file: what`.
fn breaches(module: &str, name: &str, code: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for (owned, owner) in OWNED {
            if owner != module && line.contains(&format!("{owned}::")) {
                breaches.push(format!("{name}: {module} uses {owned}: {line}"));
            }
        }
    }
    let Some((_, crates, foreign)) = RULES.iter().find(|(rule, _, _)| *rule == module) else {
        return breaches;
    };
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let used: String =
                line[at + 7..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            // `crate::{…}` and macros of the crate root have no module.
            if !used.is_empty() && !crates.contains(&used.as_str()) {
                breaches.push(format!("{name}: {module} uses {used}: {line}"));
            }
        }
        let clients = if WITH_CLIENTS.contains(&module) { &[] } else { &CLIENTS[..] };
        for banned in foreign.iter().chain(clients) {
            if line.contains(&format!("use {banned}::")) || line.contains(&format!(" {banned}::")) {
                breaches.push(format!("{name}: {module} uses {banned}: {line}"));
            }
        }
    }
    breaches
}

#[test]
fn modules_import_only_what_they_may() {
    let mut all = Vec::new();
    for path in sources(&root().join("src")).into_iter().filter(|path| !is_test(path)) {
        let below = path.strip_prefix(root().join("src")).unwrap().to_owned();
        let module = below.iter().next().unwrap().to_string_lossy().replace(".rs", "");
        all.extend(breaches(&module, &below.display().to_string(), &code(&path)));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    // The check itself can fail.
    assert_eq!(
        breaches("domain", "x.rs", "use crate::actors::root::Root;\nuse tokio::sync::watch;").len(),
        2
    );
    assert_eq!(breaches("cli", "x.rs", "use mysql_async::Conn;").len(), 1);
}

#[test]
fn files_are_short() {
    let long: BTreeMap<_, _> = sources(&root().join("src"))
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| (path.clone(), code(&path).lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn names_say_what_they_hold() {
    for path in sources(&root().join("src")) {
        for name in path.strip_prefix(root()).unwrap().iter() {
            let name = name.to_string_lossy().replace(".rs", "");
            assert!(
                !["utils", "common", "helpers", "manager", "misc"].contains(&name.as_str()),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for folder in ["src", "tests"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            for mark in
                [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ign", "ore"), concat!("todo", "!(")]
            {
                assert!(!text.contains(mark), "{} has {mark}", path.display());
            }
        }
    }
}

#[test]
fn the_documents_name_what_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for document in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for target in text.split('`').filter_map(|part| part.strip_prefix("make ")) {
            let target = target.split_whitespace().next().unwrap_or_default();
            assert!(makefile.contains(&format!("\n{target}:")), "{document} names `make {target}`");
        }
        for link in text.split("](").skip(1).filter_map(|part| part.split(')').next()) {
            let there =
                link.starts_with("http") || root().join(link.split('#').next().unwrap_or_default()).exists();
            assert!(there, "{document} links to {link}");
        }
    }
}
