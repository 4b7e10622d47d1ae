//! The log's set-up, and what happens when something panics.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::catalogue::PANICS;
use super::last_errors::LastErrors;

/// Bytes of the log.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How many bytes this process has logged to standard error: whoever keeps them is paid for them.
pub fn written_bytes() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// Standard error, counted.
struct Counted;

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = std::io::stderr().write(bytes)?;
        WRITTEN.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Where the log goes.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Standard error, as text for people.
    Text,
    /// Standard error, one JSON object a line.
    Json,
    /// A file, as text; appended to.
    File(&'a Path),
}

/// Sets the log up. Answers false when one is set up already, as in tests; a file that cannot be opened is an error.
pub fn init(target: Target<'_>, filter: &str) -> std::io::Result<bool> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = tracing_subscriber::fmt::layer().with_target(false);
    let layer = match target {
        Target::Json => layer.with_writer(|| Counted).json().flatten_event(true).with_filter(filter).boxed(),
        Target::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            layer.with_writer(|| Counted).with_ansi(is_terminal).with_filter(filter).boxed()
        }
        Target::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            layer.with_writer(Mutex::new(file)).with_ansi(false).with_filter(filter).boxed()
        }
    };
    // What went wrong is kept for the status page however little the log is to say.
    let errors = LastErrors::of_process().clone().with_filter(LevelFilter::WARN);
    Ok(tracing_subscriber::registry().with(layer).with(errors).try_init().is_ok())
}

/// Logs where a panic happened and counts it. The tree logs whose it was.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        metrics::counter!(PANICS.name, "child" => "all").increment(1);
        tracing::error!(place, "panic: a bug of landbridge; report it with the log around it");
    }));
}
