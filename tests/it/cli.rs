//! The binary, as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use landbridge::warehouse::lake::data_files;

pub fn landbridge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landbridge"));
    command.env_clear().stdin(Stdio::null());
    command
}

pub fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

pub fn generate(dir: &Path, rows: u64, rows_per_file: u64) {
    let mut command = landbridge();
    command.args([
        "demo",
        "generate",
        "--rows",
        &rows.to_string(),
        "--rows-per-file",
        &rows_per_file.to_string(),
    ]);
    let (output, text) = output(command.arg("--dir").arg(dir));
    assert!(output.status.success(), "{text}");
}

pub fn rows_in(lake: &Path) -> i64 {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let files = data_files(lake).unwrap();
    let rows = |path| {
        SerializedFileReader::new(fs::File::open(path).unwrap())
            .unwrap()
            .metadata()
            .file_metadata()
            .num_rows()
    };
    files.iter().map(rows).sum()
}

/// Waits until `done`, which something outside this process brings about.
pub fn until(what: &str, done: impl Fn() -> bool) {
    #[allow(clippy::disallowed_methods)]
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(180), "waited three minutes for {what}");
        // What is awaited happens in another process: there is nothing to be woken by.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn generated_files_are_loaded_until_idle_and_not_again() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 10_000, 400);
    for _ in 0..2 {
        let (output, text) = output(
            landbridge().args(["run", "--until-idle", "--config"]).arg(folder.path().join("landbridge.toml")),
        );
        assert!(output.status.success(), "{text}");
        assert_eq!(rows_in(&folder.path().join("lake")), 10_000, "{text}");
    }
}

#[test]
fn the_genuine_file_is_loaded_by_the_local_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/local.toml");
    let mut command = landbridge();
    command.env("LANDBRIDGE__LEDGER__PATH", folder.path().join("ledger.db"));
    command
        .env("LANDBRIDGE__WAREHOUSE__PATH", folder.path().join("lake"))
        .env("LANDBRIDGE__HTTP__LISTEN", "off");
    let (output, text) = output(command.args(["run", "--until-idle", "--config"]).arg(config));
    assert!(output.status.success(), "{text}");
    assert_eq!(rows_in(&folder.path().join("lake")), 10);
}

#[test]
fn check_tells_what_is_wrong_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 10, 10);
    let path = folder.path().join("landbridge.toml");
    let (good, text) = output(landbridge().args(["check", "--config"]).arg(&path));
    assert!(good.status.success() && text.contains("1 cluster, 1 table,"), "{text}");
    assert!(!folder.path().join("lake").exists());
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("dataset", "datset")).unwrap();
    let (bad, text) = output(landbridge().args(["check", "--config"]).arg(&path));
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text.contains("landbridge.toml:14:1: mapping.datset: unknown key") && text.contains("`dataset`"),
        "{text}"
    );
    let (bad, text) = output(landbridge().args(["run", "--config"]).arg(&path));
    assert_eq!(bad.status.code(), Some(1), "{text}");
}

/// A run that serves on a port of its own.
pub struct Running {
    child: Child,
    port: u16,
}

impl Running {
    fn start(dir: &Path, window: &str) -> Self {
        Self::start_with(dir, window, &[])
    }

    /// With more of the environment.
    pub fn start_with(dir: &Path, window: &str, environment: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = landbridge();
        command.env("LANDBRIDGE__HTTP__LISTEN", format!("127.0.0.1:{port}"));
        command.env("LANDBRIDGE__BATCHING__WINDOW", window).envs(environment.iter().copied());
        command.args(["run", "--config"]).arg(dir.join("landbridge.toml")).stderr(Stdio::null());
        let running = Self { child: command.spawn().unwrap(), port };
        until("readiness", || running.get("/health/ready").contains("200 OK"));
        running
    }

    pub fn get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        let mut answer = String::new();
        let _ = stream
            .write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port).as_bytes());
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// Lets it drain, and waits for its end.
    pub fn stop(mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().unwrap().success()
    }

    fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_drains_and_ends_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 2_000, 400);
    // The window is far longer than the test: only the drain can close it.
    let mut running = Running::start(folder.path(), "300s");
    until("all files in hand", || {
        running.get("/metrics").contains("landbridge_held_messages{queue=\"game-a\"} 5")
    });
    assert!(running.get("/health/live").contains("\"live\""));
    running.signal("-TERM");
    assert!(running.child.wait().unwrap().success());
    assert_eq!(rows_in(&folder.path().join("lake")), 2_000);
}

#[test]
fn a_second_sigterm_ends_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 200_000, 20_000);
    let mut running = Running::start(folder.path(), "300s");
    running.signal("-TERM");
    running.signal("-TERM");
    let _ = running.child.wait().unwrap();
    let mut again = landbridge();
    let (output, text) =
        output(again.args(["run", "--until-idle", "--config"]).arg(folder.path().join("landbridge.toml")));
    assert!(output.status.success(), "{text}");
    assert_eq!(rows_in(&folder.path().join("lake")), 200_000);
}

#[test]
fn the_metrics_are_those_of_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 800, 400);
    let running = Running::start(folder.path(), "1s");
    until("two files loaded", || running.get("/metrics").contains("outcome=\"loaded\"} 2"));
    let metrics = running.get("/metrics");
    let known: Vec<_> =
        landbridge::telemetry::catalogue::CATALOGUE.iter().map(|metric| metric.name).collect();
    for line in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(known.contains(&name), "{name} is not in the catalogue");
    }
    for expected in [
        "landbridge_rows_total{table=\"game-a/casino.bet_history\"} 800",
        "landbridge_lag_seconds_bucket{table=\"game-a/casino.bet_history\",le=\"3600\"} 2",
        "landbridge_table_mode{table=\"game-a/casino.bet_history\",mode=\"running\"} 1",
        "landbridge_credit_limit_bytes{kind=\"memory\"} 67108864",
        "landbridge_credit_limit_bytes{kind=\"memory_rebuilds\"} 33554432",
        "landbridge_process_resident_bytes ",
    ] {
        assert!(metrics.contains(expected), "{expected} is not in\n{metrics}");
    }
}

#[test]
fn two_processes_cannot_share_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 10, 10);
    let _running = Running::start(folder.path(), "1s");
    let (second, text) = output(
        landbridge().args(["run", "--until-idle", "--config"]).arg(folder.path().join("landbridge.toml")),
    );
    assert_eq!(second.status.code(), Some(1));
    assert!(text.contains("another process has the ledger"), "{text}");
}
