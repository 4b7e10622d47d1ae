//! The real binary, as a process.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::cli::landbridge;

/// A free port of loopback.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running `landbridge run`. Dropping it kills it.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub url: String,
}

/// How long anything that is awaited may take: a machine that has much else to do is no fault.
const PATIENCE: Duration = Duration::from_secs(300);

impl Process {
    /// Starts it on a configuration; its address is free to choose.
    pub async fn start(config: &Path) -> Self {
        landbridge::cloud::install_crypto();
        let listen = format!("127.0.0.1:{}", free_port());
        let log = config.with_extension("log");
        let output = File::options().append(true).create(true).open(&log).unwrap();
        let mut command = landbridge();
        command.args(["run", "--config"]).arg(config).env("LANDBRIDGE__HTTP__LISTEN", &listen);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let child = command.stdout(Stdio::null()).stderr(output).spawn().unwrap();
        let process = Self { child, log, url: format!("http://{listen}") };
        let ready = format!("{}/health/ready", process.url);
        process
            .until("the process is ready", || async {
                reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
        process
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `done`, which another process brings about.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut done: impl FnMut() -> F) {
        let started = tokio::time::Instant::now();
        while !done().await {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}:\n{}", self.log());
            // What is awaited happens in another process: there is nothing to be woken by.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The sum of a metric over all series whose labels hold `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let Ok(answer) = reqwest::get(format!("{}/metrics", self.url)).await else { return 0.0 };
        let text = answer.text().await.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until so many files have this outcome since its start.
    pub async fn until_files(&self, outcome: &str, count: usize) {
        let label = format!("outcome=\"{outcome}\"");
        let wanted = f64::from(u32::try_from(count).unwrap());
        self.until(&format!("{count} files are {outcome}"), || async {
            self.metric("landbridge_files_total", &label).await >= wanted
        })
        .await;
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
