use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::domain::alert::AlertKind;
use crate::domain::alert::digest::{GATHER, PAUSE, QUIET};
use crate::domain::ids::TableId;

/// What a messenger does with its next messages.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    Fails,
    Hangs,
}

/// Writes down what it was told, and when.
#[derive(Clone)]
struct Pad {
    started: Instant,
    told: Arc<Mutex<Vec<(u64, u64)>>>,
    manners: Arc<Mutex<Vec<Manner>>>,
    calls: Arc<AtomicU64>,
}

impl Messenger for Pad {
    async fn tell(&self, message: Message, _: bool) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let manner = self.manners.lock().unwrap().pop().unwrap_or(Manner::Takes);
        match manner {
            Manner::Takes => {
                let at = self.started.elapsed().as_secs();
                self.told.lock().unwrap().push((at, message.count));
                true
            }
            Manner::Fails => false,
            Manner::Hangs => std::future::pending().await,
        }
    }
}

struct Running {
    pad: Pad,
    raise: mpsc::Sender<Alert>,
    alerting: Alerting,
}

/// With these manners for the first messages.
fn start(manners: &[Manner]) -> Running {
    let manners = manners.iter().rev().copied().collect();
    let pad = Pad {
        started: Instant::now(),
        told: Arc::default(),
        manners: Arc::new(Mutex::new(manners)),
        calls: Arc::default(),
    };
    let (raise, receiver) = mpsc::channel(16);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(Sender::new(receiver, pad.clone()).run(stopped));
    Running { pad, raise, alerting: Alerting { stop, task } }
}

impl Running {
    fn raise(&self) {
        let table = TableId::new("game-a", "casino", "bets");
        self.raise.try_send(Alert::new(AlertKind::Poison, &table, "file", "reason")).unwrap();
    }

    fn told(&self) -> Vec<(u64, u64)> {
        self.pad.told.lock().unwrap().clone()
    }
}

/// Lets that much time pass on the paused clock.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn alerts_are_gathered_told_and_followed_by_quiet() {
    let running = start(&[]);
    running.raise();
    running.raise();
    pass(GATHER + Duration::from_secs(1)).await;
    assert_eq!(running.told(), [(30, 2)]);
    running.raise();
    pass(QUIET).await;
    assert_eq!(running.told(), [(30, 2), (330, 1)]);
    pass(QUIET * 3).await;
    running.alerting.finish().await;
    assert_eq!(running.pad.calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_told_after_a_pause() {
    let running = start(&[Manner::Fails, Manner::Fails]);
    running.raise();
    pass(GATHER + PAUSE * 2 + Duration::from_secs(1)).await;
    assert_eq!(running.told(), [(150, 1)]);
    running.alerting.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_tells_everything_at_once() {
    let running = start(&[]);
    running.raise();
    let Running { pad, alerting, .. } = running;
    alerting.finish().await;
    assert_eq!(*pad.told.lock().unwrap(), [(0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_nobody_who_hangs() {
    let running = start(&[Manner::Hangs]);
    running.raise();
    pass(GATHER + Duration::from_secs(1)).await;
    let began = Instant::now();
    running.alerting.finish().await;
    assert_eq!(began.elapsed(), FLUSH_TIMEOUT);
    assert_eq!(running.pad.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_messenger_that_fails_at_the_end_is_not_asked_again() {
    let running = start(&[Manner::Fails]);
    running.raise();
    let began = Instant::now();
    let Running { pad, alerting, .. } = running;
    alerting.finish().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(pad.calls.load(Ordering::Relaxed), 1);
}
