//! The log's set-up, and what happens when something panics.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::catalogue::PANICS;

/// Writes the log to standard error: text for people, or one JSON object a line. Answers false when a log is set up
/// already, as in tests.
pub fn init(json: bool, filter: &str) -> bool {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).try_init().is_ok()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init().is_ok()
    }
}

/// Logs where a panic happened and counts it. The tree logs whose it was.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        metrics::counter!(PANICS.name, "child" => "any").increment(1);
        tracing::error!(place, "panic: a bug of landbridge; report it with the log around it");
    }));
}
