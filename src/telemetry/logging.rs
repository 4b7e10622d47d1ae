//! The log's set-up, and what happens when something panics.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::catalogue::PANICS;
use super::last_errors::LastErrors;

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
    let stderr = std::io::stderr;
    let layer = match target {
        Target::Json => layer.with_writer(stderr).json().flatten_event(true).with_filter(filter).boxed(),
        Target::Text => {
            layer.with_writer(stderr).with_ansi(stderr().is_terminal()).with_filter(filter).boxed()
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
