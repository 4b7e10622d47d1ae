//! The log's set-up, and what happens when something panics.

use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::catalogue::PANICS;

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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    Ok(match target {
        Target::Json => builder.with_writer(std::io::stderr).json().flatten_event(true).try_init().is_ok(),
        Target::Text => {
            builder.with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).try_init().is_ok()
        }
        Target::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            builder.with_writer(Mutex::new(file)).with_ansi(false).try_init().is_ok()
        }
    })
}

/// Logs where a panic happened and counts it. The tree logs whose it was.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        metrics::counter!(PANICS.name, "child" => "all").increment(1);
        tracing::error!(place, "panic: a bug of landbridge; report it with the log around it");
    }));
}
