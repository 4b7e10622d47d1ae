//! The poller of one queue: owns receipts, decides by `domain::intake`.
//!
//! It hears its own receive loop and the ends of leases; it tells batchers what was announced, the queue what to
//! delete or extend, the ledger what to defer. It dies with its queue's messages still hidden: they come back by
//! themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::supervision::{AbortOnDrop, report};
use super::world::World;
use crate::domain::batch::FILES_PER_BATCH_MAX;
use crate::domain::drain::Drain;
use crate::domain::file::{FileId, FileState};
use crate::domain::ids::{QueueId, TableId};
use crate::domain::instant::Instant;
use crate::domain::intake::{Abandoned, Effect, Event, Intake, ItemId, Offer};
use crate::domain::transition::Verdict;
use crate::domain::watchdog::{Doing, Edge};
use crate::flow::lease::{Lease, LeaseEnd};
use crate::flow::pulse::Pulse as TaskPulse;
use crate::messages::batcher::{OfferFiles, Offered};
use crate::messages::child::Stop;
use crate::messages::poller::{
    Counted, Happened, OfferParked, ReceiveFailed, Received, ReleaseHeld, StopReceiving,
};
use crate::queue::{Queue, Receipt};
use crate::telemetry::events;

mod dead_letters;
mod questions;
mod receive;

/// How often held messages are looked over.
const TICK: Duration = Duration::from_secs(1);
/// How often the queue is asked how much it holds, in ticks: each question is a call that SQS is paid for.
const DEPTH_TICKS: u64 = 60;
/// Mail that may wait: lease ends and answers come in bundles.
const MAILBOX: usize = 1024;

/// The actor.
pub struct Poller {
    world: Arc<World>,
    id: QueueId,
    queue: Arc<dyn Queue>,
    intake: Intake,
    lease_ends: UnboundedSender<LeaseEnd>,
    ends: Option<UnboundedReceiver<LeaseEnd>>,
    room: watch::Sender<usize>,
    tasks: Vec<AbortOnDrop>,
    receiving: Option<AbortOnDrop>,
    /// What the receive loop does.
    receive_pulse: TaskPulse,
    ticks: u64,
    since: Instant,
    drain: Drain,
}

impl Poller {
    /// A poller of `queue` that holds nothing.
    pub fn new(world: Arc<World>, id: QueueId, queue: Arc<dyn Queue>) -> Self {
        let (lease_ends, ends) = unbounded_channel();
        let intake = Intake::new(world.bounds.intake);
        let room = watch::Sender::new(intake.room());
        let since = world.ports.clock.now();
        Self {
            world,
            id,
            queue,
            intake,
            lease_ends,
            ends: Some(ends),
            room,
            tasks: Vec::new(),
            receiving: None,
            receive_pulse: TaskPulse::new(Doing::Waiting("its start")),
            ticks: 0,
            since,
            drain: Drain::default(),
        }
    }

    fn step(&mut self, event: Event, context: &mut Context<Self>) {
        let effects = self.intake.step(self.world.ports.clock.now(), event);
        let mut verdicts = Vec::new();
        for effect in effects {
            match effect {
                Effect::Settle(item, file, verdict) => verdicts.push((item, file, verdict)),
                Effect::Offer { table, files } => self.offer(&table, files, context),
                Effect::Strike(item, file) => self.strike(item, file, context),
                Effect::DeadLetter { message, body, reason } => {
                    self.dead_letter(message, body, reason, context)
                }
                Effect::Redrive { message, copy } => self.redrive(message, copy, context),
                Effect::Delete(messages) => self.delete(messages, context),
                Effect::Extend(messages) => self.extend(messages),
            }
        }
        for chunk in verdicts.chunks(FILES_PER_BATCH_MAX) {
            self.settle(chunk, context);
        }
        self.room.send_if_modified(|room| {
            let changed = *room != self.intake.room();
            *room = self.intake.room();
            changed
        });
    }

    /// Offers files to their table's batcher; what it does not take is parked.
    fn offer(&mut self, table: &TableId, files: Vec<Offer>, context: &mut Context<Self>) {
        let items: Vec<_> = files.iter().map(|offer| offer.item).collect();
        let offered = files.into_iter().map(|offer| Offered {
            file: offer.file,
            suspect: offer.suspect,
            lease: Lease::new(offer.item, offer.event_at, self.lease_ends.clone()),
        });
        let refused = match self.world.directory.batcher(table) {
            None => Some(OfferFiles(offered.collect())),
            Some((batcher, _)) => {
                batcher.try_send(OfferFiles(offered.collect())).err().map(|error| error.into_inner())
            }
        };
        let Some(OfferFiles(files)) = refused else { return };
        files.into_iter().for_each(|file| file.lease.withdraw());
        for item in items {
            self.step(Event::OfferRefused(item), context);
        }
    }

    /// Writes verdicts down, many in one step.
    fn settle(&mut self, verdicts: &[(ItemId, FileId, Verdict)], context: &mut Context<Self>) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        let items: Vec<_> = verdicts.iter().map(|(item, _, _)| *item).collect();
        let files: Vec<_> =
            verdicts.iter().map(|(_, file, verdict)| (file.clone(), verdict.clone())).collect();
        let event_times: Vec<_> = verdicts
            .iter()
            .filter_map(|(item, file, _)| Some((file.clone(), self.intake.event_at(*item)?)))
            .collect();
        tokio::spawn(async move {
            let settle = world.ports.ledger.settle(&files, world.ports.clock.now());
            let events = match world.heard(Edge::Ledger, settle).await {
                Ok(states) => {
                    world.note_deferred_events(event_times, &states).await;
                    // Before their messages are settled, so that nobody takes the table for idle.
                    tell_deferred(&world, &files, &states);
                    let settled =
                        items.into_iter().zip(files).zip(states).map(|((item, (file, verdict)), state)| {
                            let table = world.shown_table(&file.table);
                            events::FileSettled {
                                table: &table,
                                file: &file,
                                verdict: &verdict,
                                state: &state,
                            }
                            .emit();
                            Event::VerdictWritten(item, state)
                        });
                    settled.collect()
                }
                Err(fault) => {
                    world.ledger_failed("settle", &fault);
                    items.into_iter().map(Event::LedgerFailed).collect()
                }
            };
            report(&address, Happened(events));
        });
    }

    fn strike(&mut self, item: ItemId, file: FileId, context: &mut Context<Self>) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        tokio::spawn(async move {
            let reason = "it was in hand when its table's batcher crashed";
            let strike = world.ports.ledger.strike(&file, reason, world.ports.clock.now());
            let event = match world.heard(Edge::Ledger, strike).await {
                Ok(strikes) => {
                    events::FileStruck { file: &file, strikes, reason }.emit();
                    Event::Struck(item, strikes)
                }
                Err(fault) => {
                    world.ledger_failed("strike", &fault);
                    Event::LedgerFailed(item)
                }
            };
            report(&address, Happened(vec![event]));
        });
    }

    fn delete(&mut self, messages: Vec<(u64, Arc<str>)>, context: &mut Context<Self>) {
        let (world, queue) = (Arc::clone(&self.world), Arc::clone(&self.queue));
        let (address, id) = (context.address(), self.id.clone());
        tokio::spawn(async move {
            let receipts: Vec<_> = messages.iter().map(|(_, receipt)| Receipt(Arc::clone(receipt))).collect();
            let event = match world.heard(Edge::Queue, queue.delete(&receipts)).await {
                Ok(failed) => {
                    // A receipt that is lost cannot delete; its message comes back and finds its files final.
                    events::MessagesDeleted {
                        queue: &id,
                        count: receipts.len().saturating_sub(failed.len()),
                    }
                    .emit();
                    events::ReceiptsLost { queue: &id, count: failed.len() }.emit();
                    Event::Deleted(messages.into_iter().map(|(message, _)| message).collect())
                }
                Err(fault) => {
                    events::QueueCallFailed { queue: &id, call: "delete", fault: &fault }.emit();
                    Event::DeleteFailed(messages.into_iter().map(|(message, _)| message).collect())
                }
            };
            report(&address, Happened(vec![event]));
        });
    }

    fn extend(&mut self, messages: Vec<(u64, Arc<str>)>) {
        if self.world.is_unheard() {
            // Others count on these to come to them.
            return;
        }
        let (queue, id) = (Arc::clone(&self.queue), self.id.clone());
        let visibility = self.world.bounds.intake.visibility;
        tokio::spawn(async move {
            let receipts: Vec<_> = messages.into_iter().map(|(_, receipt)| Receipt(receipt)).collect();
            match queue.change_visibility(&receipts, visibility).await {
                // The ledger makes a lost lease harmless: the work goes on, and the message comes back to find it done.
                Ok(lost) => events::ReceiptsLost { queue: &id, count: lost.len() }.emit(),
                Err(fault) => events::QueueCallFailed { queue: &id, call: "extend", fault: &fault }.emit(),
            }
        });
    }

    fn schedule_tick(context: &mut Context<Self>) {
        context.run_later(TICK, |poller, context| {
            poller.step(Event::Tick, context);
            let level = events::IntakeLevel {
                queue: &poller.id,
                held_messages: poller.intake.held_messages(),
                parked_files: poller.intake.parked_files(),
                drained: poller.drain.drained(),
            };
            level.emit();
            if poller.ticks.is_multiple_of(DEPTH_TICKS) {
                poller.observe_depth(context);
            }
            poller.ticks = poller.ticks.wrapping_add(1);
            Self::schedule_tick(context);
        });
    }

    fn observe_depth(&self, context: &mut Context<Self>) {
        let (queue, id, address) = (Arc::clone(&self.queue), self.id.clone(), context.address());
        let asked_at = self.world.ports.clock.now();
        tokio::spawn(async move {
            if let Ok(depth) = queue.depth().await {
                report(&address, Counted { asked_at, visible: depth.visible });
                events::QueueDepth {
                    queue: &id,
                    visible: depth.visible,
                    in_flight: depth.in_flight,
                    oldest_age: depth.oldest_age,
                }
                .emit();
            }
        });
    }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        if let Some(mut ends) = self.ends.take() {
            let address = context.address().downgrade();
            let forward = tokio::spawn(async move {
                let mut batch = Vec::new();
                while ends.recv_many(&mut batch, 256).await > 0 {
                    let Some(address) = address.upgrade() else { return };
                    let events = batch.drain(..).map(event_of).collect();
                    // Waits until they are handled, so that at most one bundle is in the mailbox.
                    if address.send(Happened(events)).await.is_err() {
                        return;
                    }
                }
            });
            self.tasks.push(AbortOnDrop(forward.abort_handle()));
        }
        let receive = receive::spawn(self, context.address().downgrade());
        self.receiving = Some(AbortOnDrop(receive));
        Self::schedule_tick(context);
    }
}

/// Tells running tables that files of theirs were deferred for want of room.
fn tell_deferred(world: &World, files: &[(FileId, Verdict)], states: &[FileState]) {
    let deferred = files.iter().zip(states).filter(|(_, state)| matches!(state, FileState::Deferred { .. }));
    let tables: BTreeSet<_> = deferred.map(|((file, _), _)| &file.table).collect();
    tables.into_iter().for_each(|table| world.tell_deferred(table));
}

fn event_of(end: LeaseEnd) -> Event {
    match end {
        LeaseEnd::Settled(item) => Event::LeaseSettled(item),
        LeaseEnd::Abandoned(item, how @ (Abandoned::Innocent | Abandoned::Suspect | Abandoned::Blamed)) => {
            Event::LeaseAbandoned(item, how)
        }
    }
}

impl Handler<Received> for Poller {
    type Result = usize;

    fn handle(&mut self, message: Received, context: &mut Self::Context) -> usize {
        self.drain.received(message.call);
        self.step(Event::Received(message.messages), context);
        self.intake.room()
    }
}

impl Handler<ReceiveFailed> for Poller {
    type Result = ();

    fn handle(&mut self, message: ReceiveFailed, _: &mut Self::Context) {
        let (now, bounds) = (self.world.ports.clock.now(), &self.world.bounds);
        self.drain.failed(now, bounds.receive_wait, bounds.intake.visibility, message.0);
    }
}

impl Handler<Counted> for Poller {
    type Result = ();

    fn handle(&mut self, message: Counted, _: &mut Self::Context) {
        self.drain.counted(message.asked_at, message.visible);
    }
}

impl Handler<Happened> for Poller {
    type Result = ();

    fn handle(&mut self, message: Happened, context: &mut Self::Context) {
        for event in message.0 {
            self.step(event, context);
        }
    }
}

impl Handler<OfferParked> for Poller {
    type Result = ();

    fn handle(&mut self, message: OfferParked, context: &mut Self::Context) {
        self.step(Event::TableOpened(message.0), context);
    }
}

impl Handler<StopReceiving> for Poller {
    type Result = ();

    fn handle(&mut self, _: StopReceiving, context: &mut Self::Context) {
        self.receiving = None;
        self.step(Event::Tick, context);
    }
}

impl Handler<ReleaseHeld> for Poller {
    type Result = actix::ResponseFuture<()>;

    fn handle(&mut self, _: ReleaseHeld, context: &mut Self::Context) -> Self::Result {
        self.receiving = None;
        self.step(Event::Tick, context);
        let (queue, id) = (Arc::clone(&self.queue), self.id.clone());
        let receipts: Vec<_> = self.intake.receipts().into_iter().map(Receipt).collect();
        Box::pin(async move {
            for chunk in receipts.chunks(crate::queue::MESSAGES_PER_CALL_MAX) {
                if let Err(fault) = queue.change_visibility(chunk, Duration::ZERO).await {
                    events::QueueCallFailed { queue: &id, call: "release", fault: &fault }.emit();
                    return;
                }
            }
        })
    }
}

impl Handler<Stop> for Poller {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        actix::ActorContext::stop(context);
    }
}
