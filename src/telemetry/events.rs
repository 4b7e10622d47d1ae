//! One struct per occurrence: `emit` writes the log line and moves the metrics. Call sites say what happened, never
//! which counter. WARN: landbridge recovers by itself. ERROR: someone must act, and the line says what to do.

use super::catalogue as c;
use super::outlet::raise;

mod alerts;
mod cost;
mod notices;
mod planner;
mod queues;
mod shapes;
mod tables;
mod tree;
mod warehouse;
mod watermarks;

pub use alerts::*;
pub use cost::*;
pub use notices::*;
pub use planner::*;
pub use queues::*;
pub use shapes::*;
pub use tables::*;
pub use tree::*;
pub use warehouse::*;
pub use watermarks::*;

type Labels<'a> = &'a [(&'static str, String)];

fn count(metric: &c::Metric, labels: Labels<'_>, by: u64) {
    if by > 0 {
        metrics::counter!(metric.name, labels).increment(by);
    }
}

/// Shows a counter that has not counted yet.
fn begin(metric: &c::Metric, labels: Labels<'_>) {
    metrics::counter!(metric.name, labels).increment(0);
}

fn level(metric: &c::Metric, labels: Labels<'_>, value: f64) {
    metrics::gauge!(metric.name, labels).set(value);
}

fn observe(metric: &c::Metric, labels: Labels<'_>, value: f64) {
    metrics::histogram!(metric.name, labels).record(value);
}

fn label(key: &'static str, value: impl std::fmt::Display) -> (&'static str, String) {
    (key, value.to_string())
}

/// Declares an event: its fields (named for what they hold), and what `emit` does.
macro_rules! event {
    ($(#[$doc:meta])* $name:ident<'a> { $($field:ident: $kind:ty),* $(,)? } |$this:ident| $body:block) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        pub struct $name<'a> { $(pub $field: $kind),* }

        impl $name<'_> {
            /// Writes the log line and moves the metrics.
            pub fn emit(self) {
                let $this = self;
                $body
            }
        }
    };
}
use event;
