//! What landbridge tells about itself: a catalogue of metrics, typed events that write log and metric together, and
//! the log's set-up.
#![allow(clippy::disallowed_macros)]

use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use catalogue::{CATALOGUE, Kind};

pub mod catalogue;
pub mod events;
pub mod last_errors;
pub mod logging;
pub mod outlet;
pub mod process;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder once per process, with the catalogue's buckets and descriptions.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let mut builder = PrometheusBuilder::new();
    for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
    }
    let handle = builder.install_recorder()?;
    for metric in CATALOGUE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(RECORDER.get_or_init(|| handle).clone())
}
