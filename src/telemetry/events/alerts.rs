//! What becomes of alerts.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{c, count, event, label};
use crate::domain::alert::AlertKind;

event! {
    /// Alerts are sent from now on.
    AlertsOn<'a> { quiet: Duration, remark: &'a str } |e| {
        info!(quiet_seconds = e.quiet.as_secs(), remark = e.remark, "alerts are sent to the webhook");
    }
}

event! {
    /// The webhook took a message.
    AlertSent<'a> { kind: AlertKind, alerts: u64, remark: &'a str } |e| {
        debug!(kind = e.kind.label(), alerts = e.alerts, remark = e.remark, "told the webhook");
        count(&c::ALERTS_SENT, &[label("kind", e.kind.label())], 1);
    }
}

event! {
    /// The webhook did not take a message.
    AlertFailed<'a> { kind: AlertKind, alerts: u64, problem: &'a str } |e| {
        warn!(kind = e.kind.label(), alerts = e.alerts, error = e.problem,
            remedy = "look whether the webhook of `alerts.webhook_url` is still there and can be reached from here",
            "the webhook did not take a message: its alerts are told by a later one, loading goes on");
        count(&c::ALERTS_FAILED, &[label("kind", e.kind.label())], 1);
    }
}

event! {
    /// The process ends with alerts that no message told.
    AlertsUntold<'a> { alerts: u64, remark: &'a str } |e| {
        warn!(alerts = e.alerts, remark = e.remark, remedy = "read the ERROR lines above: each of them is there",
            "the process ends with alerts that the webhook did not take");
    }
}
