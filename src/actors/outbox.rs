//! The outbox: tells receivers of loaded batches, as `domain::outbox` decides for each of them.
//!
//! It hears deliveries (batches that were committed) and its own tasks. No load waits for it: what it does not hold, or
//! what was on its way when it died, stands in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};

use super::supervision::report;
use super::world::World;
use crate::domain::fault::Fault;
use crate::domain::notice::Notice;
use crate::domain::outbox::{
    Answer, Ask, Effects, Event, Outbox as Machine, READ_INTERVAL, READ_MAX, Rules, Shown,
};
use crate::domain::watchdog::Edge;
use crate::messages::child::{Ping, Pulse};
use crate::messages::outbox::{LedgerAnswered, NoticeAnswered, OutboxAnswer, Snapshot, TellReceivers};
use crate::telemetry::events;

/// How long a receiver may take, whatever its adapter does.
const TELL_TIMEOUT: Duration = Duration::from_secs(60);

/// One receiver.
struct One {
    machine: Machine,
    timer: Option<SpawnHandle>,
}

/// The actor.
pub struct Outbox {
    world: Arc<World>,
    receivers: BTreeMap<Arc<str>, One>,
}

impl Outbox {
    /// An outbox for the receivers of the configuration.
    pub fn new(world: Arc<World>) -> Self {
        let is_shared = world.ports.ledger.has_other_writers();
        let rules = Rules { give_up_after: world.bounds.give_up_after, is_shared };
        let one = |name: &Arc<str>| (Arc::clone(name), One { machine: Machine::new(rules), timer: None });
        let receivers = world.ports.receivers.keys().map(one).collect();
        Self { world, receivers }
    }

    fn step(&mut self, name: &Arc<str>, event: Event, context: &mut Context<Self>) {
        let now = self.world.ports.clock.now();
        let Some(one) = self.receivers.get_mut(name) else { return };
        let jitter = now.micros().rem_euclid(1_000) as f64 / 1_000.0;
        let effects = one.machine.step(now, jitter, event);
        let shown = one.machine.shown();
        if let Some(timer) = one.timer.take() {
            context.cancel_future(timer);
        }
        let wait = effects.wake.map_or(READ_INTERVAL, |at| now.until(at)).min(READ_INTERVAL);
        let later = Arc::clone(name);
        one.timer = Some(context.run_later(wait, move |outbox, context| {
            outbox.step(&later, Event::Tick, context);
        }));
        let waiting = shown.waiting;
        let oldest = shown.oldest.map_or(Duration::ZERO, |at| now.since(at));
        events::NoticesWaiting { receiver: name, waiting, oldest }.emit();
        self.perform(name, effects, context);
    }

    fn perform(&self, name: &Arc<str>, effects: Effects, context: &mut Context<Self>) {
        let Effects { send, ask, given_up, overdue, wake: _ } = effects;
        for (notice, problem) in given_up {
            let (table, batch) = (&notice.table, &notice.id.batch);
            events::NoticeGivenUp { receiver: name, table, batch, problem: &problem }.emit();
        }
        if let Some(overdue) = overdue {
            events::NoticesOverdue { receiver: name, overdue: &overdue }.emit();
        }
        for notice in send {
            self.send(notice, context);
        }
        if let Some(ask) = ask {
            self.ask(name, ask, context);
        }
    }

    fn send(&self, notice: Notice, context: &mut Context<Self>) {
        let Some(receiver) = self.world.ports.receivers.get(&notice.receiver).map(Arc::clone) else { return };
        let (world, address) = (Arc::clone(&self.world), context.address());
        tokio::spawn(async move {
            let told = notice.clone();
            // A task of its own: its panic is an answer too.
            let call = tokio::spawn(async move { receiver.tell(&told).await });
            let no_answer = |problem: &str| Answer::Unavailable { problem: problem.to_owned(), wait: None };
            let abort = super::supervision::AbortOnDrop(call.abort_handle());
            let answer = match tokio::time::timeout(TELL_TIMEOUT, call).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => no_answer("what tells it has panicked"),
                Err(_) => no_answer("no answer came in time"),
            };
            drop(abort);
            let age = world.ports.clock.now().since(notice.id.loaded_at);
            events::NoticeAnswered { notice: &notice, answer: &answer, age }.emit();
            let Notice { receiver, id, .. } = notice;
            report(&address, NoticeAnswered { receiver, id, answer });
        });
    }

    fn ask(&self, name: &Arc<str>, ask: Ask, context: &mut Context<Self>) {
        let (world, address, receiver) = (Arc::clone(&self.world), context.address(), Arc::clone(name));
        tokio::spawn(async move {
            let ledger = &world.ports.ledger;
            let (step, answer) = match &ask {
                Ask::Read { after } => {
                    let notices = ledger.notices(&receiver, after.as_ref(), READ_MAX);
                    let read = world.heard(Edge::Ledger, notices).await;
                    ("notices", read.map(OutboxAnswer::Read))
                }
                Ask::Take(told) => {
                    let taken = world.heard(Edge::Ledger, ledger.take_notices(&receiver, told)).await;
                    ("take_notices", taken.map(|()| OutboxAnswer::Taken))
                }
            };
            let answer = answer.unwrap_or_else(|fault: Fault| {
                world.ledger_failed(step, &fault);
                OutboxAnswer::Failed
            });
            report(&address, LedgerAnswered { receiver, answer });
        });
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.world.tables.len().saturating_mul(8).max(512));
        let names: Vec<_> = self.receivers.keys().cloned().collect();
        names.iter().for_each(|name| self.step(name, Event::Tick, context));
    }
}

impl Handler<TellReceivers> for Outbox {
    type Result = ();

    fn handle(&mut self, message: TellReceivers, context: &mut Self::Context) {
        for notice in message.0 {
            let receiver = Arc::clone(&notice.receiver);
            self.step(&receiver, Event::Committed(notice), context);
        }
    }
}

impl Handler<NoticeAnswered> for Outbox {
    type Result = ();

    fn handle(&mut self, message: NoticeAnswered, context: &mut Self::Context) {
        self.step(&message.receiver, Event::Answered(message.id, message.answer), context);
    }
}

impl Handler<LedgerAnswered> for Outbox {
    type Result = ();

    fn handle(&mut self, message: LedgerAnswered, context: &mut Self::Context) {
        let event = match message.answer {
            OutboxAnswer::Read(notices) => Event::Read(notices),
            OutboxAnswer::Taken => Event::TakenOut,
            OutboxAnswer::Failed => Event::LedgerFailed,
        };
        self.step(&message.receiver, event, context);
    }
}

impl Handler<Snapshot> for Outbox {
    type Result = Option<Vec<(Arc<str>, Shown)>>;

    fn handle(&mut self, _: Snapshot, _: &mut Self::Context) -> Self::Result {
        let shown = self.receivers.iter().map(|(name, one)| (Arc::clone(name), one.machine.shown()));
        Some(shown.collect())
    }
}

impl Handler<Ping> for Outbox {
    type Result = Option<Pulse>;

    fn handle(&mut self, _: Ping, _: &mut Self::Context) -> Self::Result {
        Some(Pulse::default())
    }
}
