//! Tells a person: takes alerts from the events' outlet, gathers them (`domain::alert::digest`), posts them to the
//! webhook. A task of its own: loading neither waits for it nor fails with it.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::webhook::Webhook;
use crate::config::secret::Secret;
use crate::domain::alert::Alert;
use crate::domain::alert::digest::{Digest, Effects, Event, Message, QUIET};
use crate::domain::fault::{Fault, FaultKind};
use crate::telemetry::{events, outlet};

#[cfg(test)]
mod tests;
mod webhook;

/// How long the end of the process waits for the last messages.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two messages: Slack takes one a second.
const SPACING: Duration = Duration::from_secs(1);

/// Takes messages to a person.
trait Messenger: Clone + Send + 'static {
    /// Takes the message there, with one try when it is the `last` that the process has time for. Answers whether it
    /// arrived, within a bound.
    fn tell(&self, message: Message, last: bool) -> impl Future<Output = bool> + Send;
}

/// The running task.
pub struct Alerting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Alerting {
    /// Starts it where a webhook is configured. The fault names no address.
    pub fn start(url: Option<&Secret>) -> Result<Option<Self>, Fault> {
        let Some(url) = url else { return Ok(None) };
        let webhook = Webhook::new(url)?;
        let receiver =
            outlet::open().ok_or_else(|| Fault::new(FaultKind::Internal, "alerts are sent already"))?;
        let remark = "at most one message a kind and table in the quiet time";
        events::AlertsOn { quiet: QUIET, remark }.emit();
        let (stop, stopped) = oneshot::channel();
        Ok(Some(Self { stop, task: tokio::spawn(Sender::new(receiver, webhook).run(stopped)) }))
    }

    /// Sends what is gathered, waits at most `FLUSH_TIMEOUT` for it, and ends.
    pub async fn finish(self) {
        // The task ends by itself within the bound; an error means that it has ended.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

struct Sender<M> {
    receiver: mpsc::Receiver<Alert>,
    messenger: M,
    digest: Digest,
    started: Instant,
    /// At most one: the digest gives the next message out when the last has ended.
    posts: JoinSet<bool>,
}

impl<M: Messenger> Sender<M> {
    fn new(receiver: mpsc::Receiver<Alert>, messenger: M) -> Self {
        let (digest, posts) = (Digest::default(), JoinSet::new());
        Self { receiver, messenger, digest, started: Instant::now(), posts }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut effects = Effects::default();
        loop {
            self.post(effects.send.take(), false);
            let event = tokio::select! {
                // An error: whoever could stop it is gone, and so is the process soon.
                _ = &mut stopped => break,
                event = self.next_event(effects.wake) => event,
            };
            effects = self.step([event]);
        }
        let last = tokio::time::timeout(FLUSH_TIMEOUT, self.flush()).await;
        let untold = self.digest.untold();
        if untold > 0 {
            let remark = if last.is_err() { "it took too long" } else { "it failed" };
            events::AlertsUntold { alerts: untold, remark }.emit();
        }
    }

    /// Sends everything now.
    async fn flush(&mut self) {
        let mut happened = Vec::new();
        while let Ok(alert) = self.receiver.try_recv() {
            happened.push(Event::Raised(alert));
        }
        happened.push(Event::Closing);
        let mut effects = self.step(happened);
        while !self.digest.is_finished() {
            self.post(effects.send.take(), true);
            let event = self.next_event(effects.wake).await;
            effects = self.step([event]);
        }
    }

    /// The next thing that happens.
    async fn next_event(&mut self, wake: Option<Duration>) -> Event {
        let tick = async {
            match wake {
                Some(wake) => tokio::time::sleep_until(self.started + wake).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.posts.join_next() => match ended {
                Ok(true) => Event::Sent,
                // An error is a panic, which is told by its hook.
                Ok(false) | Err(_) => Event::Failed,
            },
            Some(alert) = self.receiver.recv() => Event::Raised(alert),
            () = tick => Event::Tick,
        }
    }

    fn step(&mut self, happened: impl IntoIterator<Item = Event>) -> Effects {
        let dropped = Some(outlet::take_dropped()).filter(|count| *count > 0).map(Event::Dropped);
        let now = self.started.elapsed();
        let mut effects = Effects::default();
        for event in dropped.into_iter().chain(happened) {
            let next = self.digest.step(now, event);
            // While one message is on its way, the digest gives no other out.
            effects = Effects { send: effects.send.or(next.send), wake: next.wake };
        }
        effects
    }

    fn post(&mut self, message: Option<Message>, last: bool) {
        let Some(message) = message else { return };
        let messenger = self.messenger.clone();
        self.posts.spawn(async move {
            let told = messenger.tell(message, last).await;
            if told && !last {
                tokio::time::sleep(SPACING).await;
            }
            told
        });
    }
}
