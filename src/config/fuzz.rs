//! Configurations, whatever they say: they are taken, within the documented ranges, or each error names its place.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use super::types::{Config, Source};
use super::{ConfigErrors, Place, load};
use crate::domain::batch::FILES_PER_BATCH_MAX;
use crate::fuzz::Choices;

const SECRET: &str = "hunter2hunter2";
const MAPPING: &str =
    "[[mapping]]\ncluster = \"a\"\nsource = \"in\"\ndataset = \"d\"\n[[mapping.table]]\nname = \"s.t\"\n";

/// The bytes are the main file, and after a zero byte the environment, `NAME=VALUE` a line; then they choose where a
/// secret stands.
pub(crate) fn document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (main, environment) = text.split_once('\0').unwrap_or((&text, ""));
    let environment: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    check(main, &environment);
    let mut choices = Choices::new(bytes);
    let (main, environment) = with_secret(&mut choices);
    if let Some(told) = check(&main, &environment) {
        assert!(!told.contains(SECRET), "{told}\n{main}");
    }
}

/// Loads a configuration; gives what is said of it when it is wrong.
fn check(text: &str, environment: &[(String, String)]) -> Option<String> {
    let path = folder().join("landbridge.toml");
    std::fs::write(&path, text).unwrap();
    match load(&path, environment.to_vec()) {
        Ok(config) => {
            check_ranges(&config);
            None
        }
        Err(errors) => Some(check_errors(&errors, text)),
    }
}

fn check_errors(errors: &ConfigErrors, text: &str) -> String {
    assert!(!errors.0.is_empty());
    for error in &errors.0 {
        assert!(
            !error.problem.is_empty() && !error.expected.is_empty() && !error.key.is_empty(),
            "{error:?}"
        );
        match &error.place {
            Place::File(path, line, column) => {
                assert!(*line >= 1 && *column >= 1);
                let lines = text.matches('\n').count() + 1;
                assert!(!path.ends_with("landbridge.toml") || *line <= lines, "{error} in {lines} lines");
            }
            Place::Environment(name) => assert!(name.starts_with("LANDBRIDGE__"), "{name}"),
        }
    }
    errors.to_string()
}

fn check_ranges(config: &Config) {
    assert!(!config.mappings.is_empty());
    assert!((1..=FILES_PER_BATCH_MAX).contains(&config.batching.files_max));
    assert!(config.batching.window < config.timing.defer_after);
    assert!(config.limits.fetchers >= 1 && config.limits.loads_in_flight >= 1);
    let open = config.http.listen.is_some_and(|listen| !listen.ip().to_canonical().is_loopback());
    assert!(
        !open || config.http.admin_token_sha256.is_some(),
        "others reach the admin API, and it has no token"
    );
    for mapping in &config.mappings {
        assert_eq!(mapping.route.tables.len(), mapping.tables.len());
        let prefix = &mapping.route.prefix;
        assert!(prefix.is_empty() || prefix.ends_with('/'), "{prefix}");
        for (table, settings) in mapping.route.tables.iter().zip(&mapping.tables) {
            assert!(settings.window.is_none_or(|window| window < config.timing.defer_after));
            for name in [&table.destination.dataset, &table.destination.table] {
                assert!(
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                );
            }
        }
        if let Source::Directory(path) = &mapping.source {
            assert!(path.is_dir() && path.is_absolute());
        }
    }
}

/// A configuration with a secret where secrets are, and something wrong somewhere.
fn with_secret(choices: &mut Choices<'_>) -> (String, Vec<(String, String)>) {
    let noise = choices.text(12);
    let value = match choices.below(6) {
        0 => format!("\"{SECRET}\""),
        1 => format!("[\"{SECRET}\"]"),
        2 => format!("\"http://{SECRET}\""),
        3 => format!("\"{SECRET}"),
        4 => format!("{{ x = \"{SECRET}\" }}"),
        _ => format!("\"{SECRET} {noise}\""),
    };
    let line = *choices.pick(&[
        "[alerts]\nwebhook_url = #\n",
        "[http]\nadmin_token_sha256 = #\n",
        "[http]\nlisten = \"0.0.0.0:1\"\nadmin_token_sha256 = #\n",
        "alerts.webhook_url = #\n",
    ]);
    let main = format!("{}{}{MAPPING}", line.replace('#', &value), choices.text(12));
    let variable = *choices.pick(&[
        "LANDBRIDGE__ALERTS__WEBHOOK_URL",
        "LANDBRIDGE__HTTP__ADMIN_TOKEN_SHA256",
        "LANDBRIDGE__X",
    ]);
    let environment = choices.flag().then(|| (variable.to_owned(), format!("{SECRET}{}", choices.text(8))));
    (main, environment.into_iter().collect())
}

/// A folder of this thread, with the directory `in`, in memory where there is such a place.
fn folder() -> PathBuf {
    thread_local! {
        static FOLDER: PathBuf = {
            let memory = std::path::Path::new("/dev/shm");
            let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            let name = format!("landbridge-fuzz-config-{}-{:?}", std::process::id(), std::thread::current().id());
            let folder = above.join(name.replace(['(', ')'], ""));
            std::fs::create_dir_all(folder.join("in")).unwrap();
            folder
        };
    }
    FOLDER.with(Clone::clone)
}
