//! The way of alerts from the events to the webhook: a bounded channel, set up once per process. Whoever raises an
//! alert never waits: when the channel is full, the alert is dropped and counted, and the next message tells how many.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::catalogue::ALERTS_DROPPED;
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::ids::TableId;

/// Alerts between the events and the task that gathers them, which takes them at once.
const CAPACITY: usize = 1024;

static SENDER: OnceLock<mpsc::Sender<Alert>> = OnceLock::new();
/// Dropped since the last look.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Opens the outlet. From now on alerts are kept; `None` when somebody has it already.
pub fn open() -> Option<mpsc::Receiver<Alert>> {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    SENDER.set(sender).ok().map(|()| receiver)
}

/// How many alerts were dropped since the last call.
pub fn take_dropped() -> u64 {
    DROPPED.swap(0, Ordering::Relaxed)
}

/// Raises an alert. Without an open outlet there is nobody to tell.
pub(super) fn raise(kind: AlertKind, table: &TableId, subject: &str, reason: &str) {
    if let Some(sender) = SENDER.get() {
        offer(sender, &DROPPED, Alert::new(kind, table, subject, reason));
    }
}

fn offer(sender: &mpsc::Sender<Alert>, dropped: &AtomicU64, alert: Alert) {
    match sender.try_send(alert) {
        // Closed: the process ends, and its last messages are out.
        Ok(()) | Err(TrySendError::Closed(_)) => {}
        Err(TrySendError::Full(alert)) => {
            dropped.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(ALERTS_DROPPED.name, "kind" => alert.kind.label()).increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_drops_counts_and_does_not_wait() {
        let (sender, mut receiver) = mpsc::channel(2);
        let dropped = AtomicU64::new(0);
        let table = TableId::new("game-a", "casino", "bets");
        for number in 0..5 {
            offer(&sender, &dropped, Alert::new(AlertKind::Poison, &table, &number.to_string(), ""));
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        assert_eq!(receiver.try_recv().unwrap().subject, "0");
        assert_eq!(receiver.try_recv().unwrap().subject, "1");
        drop(receiver);
        offer(&sender, &dropped, Alert::new(AlertKind::Poison, &table, "late", ""));
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_events_that_need_a_person_raise_an_alert_and_no_other() {
        use crate::domain::fault::{Fault, FaultKind};
        use crate::domain::ids::{BatchId, JobId};
        use crate::telemetry::events;

        // The one test of this binary that opens the outlet; other tests' alerts are of other tables.
        let mut receiver = open().unwrap();
        let table = &TableId::new("outlet", "test", "alone");
        let file = &crate::domain::file::FileId {
            table: table.clone(),
            bucket: "b".into(),
            key: "k".into(),
            etag: "e".into(),
            size_bytes: 1,
        };
        let (batch, job) = (&BatchId::from_stored("b1"), &JobId::from_stored("j1"));
        let call = "submit";
        for kind in FaultKind::ALL {
            let fault = &Fault::new(kind, "said so");
            events::AttemptUnknown { table, job, call, fault }.emit();
            events::JobFailed { table, job, kind, reason: "said so" }.emit();
        }
        events::FilePoisoned { table, file, reason: "damaged" }.emit();
        events::FileVanished { table, file }.emit();
        events::FileStruck { file, strikes: 1, reason: "cut" }.emit();
        events::BatchHeld { table, batch, reason: "rows differ" }.emit();
        events::TableHeld { table, reason: "rows differ" }.emit();
        events::TableQuarantined { table, panic: "boom" }.emit();
        let problem = "it answered 500".to_owned();
        let overdue = &crate::domain::outbox::Overdue {
            table: table.clone(),
            age: std::time::Duration::from_secs(600),
            waiting: 3,
            problem,
        };
        events::NoticesOverdue { receiver: "fraud", overdue }.emit();
        events::NoticeGivenUp { receiver: "fraud", table, batch, problem: "it answered 401" }.emit();
        let raised = std::iter::from_fn(|| receiver.try_recv().ok()).filter(|alert| alert.table == *table);
        let raised: Vec<_> = raised.map(|alert| (alert.kind, alert.subject, alert.reason)).collect();
        let expected = [
            (AlertKind::Quota, "job j1", "said so"),
            (AlertKind::Quota, "job j1", "said so"),
            (AlertKind::Poison, "b/k@e", "damaged"),
            (AlertKind::Vanished, "b/k@e", ""),
            (AlertKind::Held, "batch b1", "rows differ"),
            (AlertKind::Held, "", "rows differ"),
            (AlertKind::Quarantined, "", "boom"),
            (AlertKind::Untold, "receiver fraud", "it answered 500"),
            (AlertKind::Untold, "receiver fraud, batch b1", "it answered 401"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(kind, subject, reason)| (kind, subject.to_owned(), reason.to_owned()))
            .collect();
        assert_eq!(raised, expected);
    }
}
