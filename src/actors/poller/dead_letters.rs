//! What goes into the dead-letter queue, and what comes back from it.

use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::Poller;
use crate::actors::supervision::report;
use crate::actors::world::World;
use crate::domain::dead_letter::PoisonCopy;
use crate::domain::ids::QueueId;
use crate::domain::intake::Event;
use crate::domain::transition::Mending;
use crate::domain::watchdog::Edge;
use crate::messages::poller::Happened;
use crate::queue::Queue;
use crate::telemetry::events;

impl Poller {
    /// Puts a message aside: into the dead-letter queue, or, without one that takes it, into the ledger.
    pub(super) fn dead_letter(
        &mut self,
        message: u64,
        body: Arc<str>,
        reason: String,
        context: &mut Context<Self>,
    ) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        let (id, queue) = (self.id.clone(), Arc::clone(&self.queue));
        tokio::spawn(async move {
            events::MessageUnparsable { queue: &id, reason: &reason }.emit();
            let done = sent(&world, &id, &*queue, &body, &reason).await
                || written(&world, &id, &body, &reason).await;
            report(&address, Happened(vec![answer(done, message)]));
        });
    }

    /// Redrives the poison file of which a copy came back, unless a person has given it up.
    pub(super) fn redrive(&mut self, message: u64, copy: PoisonCopy, context: &mut Context<Self>) {
        let (world, address) = (Arc::clone(&self.world), context.address());
        tokio::spawn(async move {
            let PoisonCopy { file, since, .. } = copy;
            let (files, now) = ([(file, since)], world.ports.clock.now());
            let mend = world.ports.ledger.mend(&files, Mending::SendBack, now);
            let done = match world.heard(Edge::Ledger, mend).await {
                Ok(mended) => {
                    let [(file, _)] = &files;
                    let table = world.shown_table(&file.table);
                    if mended == [true] {
                        events::PoisonMended { table: &table, file, mending: Mending::SendBack }.emit();
                        world.tell_deferred(&file.table);
                    } else {
                        events::NothingToRedrive { table: &table, file }.emit();
                    }
                    true
                }
                Err(fault) => {
                    world.ledger_failed("mend", &fault);
                    false
                }
            };
            report(&address, Happened(vec![answer(done, message)]));
        });
    }
}

fn answer(done: bool, message: u64) -> Event {
    if done { Event::Done(message) } else { Event::Undone(message) }
}

async fn sent(world: &World, id: &QueueId, queue: &dyn Queue, body: &str, reason: &str) -> bool {
    match world.heard(Edge::Queue, queue.send_dead_letter(body, reason)).await {
        Ok(sent) => sent,
        Err(fault) => {
            events::QueueCallFailed { queue: id, call: "send_dead_letter", fault: &fault }.emit();
            false
        }
    }
}

async fn written(world: &World, id: &QueueId, body: &str, reason: &str) -> bool {
    let letter = world.ports.ledger.dead_letter(&id.0, body, reason, world.ports.clock.now());
    match world.heard(Edge::Ledger, letter).await {
        Ok(()) => true,
        Err(fault) => {
            world.ledger_failed("dead_letter", &fault);
            false
        }
    }
}
