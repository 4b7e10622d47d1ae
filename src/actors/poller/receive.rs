//! The receive loop of a poller: long polls, parses, routes, and hands over what it got. It never ends by itself.

use std::sync::Arc;
use std::time::Duration;

use actix::WeakAddr;
use tokio::task::AbortHandle;

use super::Poller;
use crate::actors::world::World;
use crate::domain::drain::Receive;
use crate::domain::fault::MAY_BE_LOADED;
use crate::domain::file::FileId;
use crate::domain::ids::QueueId;
use crate::domain::instant::Instant;
use crate::domain::intake::{Announced, Arrived, Content, Plan};
use crate::domain::notification::{Action, Announcement, Parsed, parse};
use crate::domain::route::Route;
use crate::domain::transition::Verdict;
use crate::domain::watchdog::Edge;
use crate::flow::pulse;
use crate::messages::poller::{ReceiveFailed, Received};
use crate::queue::{MESSAGES_PER_CALL_MAX, Message};
use crate::telemetry::events;

/// The wait after the first failed receive; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Between two looks whether the others on the ledger can be told what is received.
const UNHEARD_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failed receive.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(super) fn spawn(poller: &Poller, address: WeakAddr<Poller>) -> AbortHandle {
    let world = Arc::clone(&poller.world);
    let (id, queue, mut room) = (poller.id.clone(), Arc::clone(&poller.queue), poller.room.subscribe());
    let task = tokio::spawn(poller.receive_pulse.clone().of(async move {
        let mut wait = FIRST_WAIT;
        loop {
            // Bound: no more messages than may be held.
            let free = pulse::waiting("room for more messages", room.wait_for(|room| *room > 0));
            let Ok(free) = free.await.map(|room| *room) else { return };
            // Bound: until the ledger takes what is said, or the process ends.
            while world.is_unheard() {
                pulse::waiting("the ledger, to tell the others on it", tokio::time::sleep(UNHEARD_WAIT))
                    .await;
            }
            let visibility = world.bounds.intake.visibility;
            let max = free.min(MESSAGES_PER_CALL_MAX);
            pulse::working(Edge::Queue, "receiving messages");
            let began = world.ports.clock.now();
            let receive = queue.receive(max, world.bounds.receive_wait, visibility);
            match world.heard(Edge::Queue, receive).await {
                Ok(messages) => {
                    wait = FIRST_WAIT;
                    let call = call(&world, began, max, &messages);
                    if !messages.is_empty() {
                        events::MessagesReceived { queue: &id, count: messages.len() }.emit();
                    }
                    let messages =
                        messages.into_iter().map(|message| arrived(&world, &id, message)).collect();
                    let Some(address) = address.upgrade() else { return };
                    pulse::working(Edge::Actor, "handing messages over");
                    if address.send(Received { messages, call }).await.is_err() {
                        return;
                    }
                }
                Err(fault) => {
                    events::QueueCallFailed { queue: &id, call: "receive", fault: &fault }.emit();
                    let Some(address) = address.upgrade() else { return };
                    if address.send(ReceiveFailed(fault.kind)).await.is_err() {
                        return;
                    }
                    pulse::waiting("its next try", tokio::time::sleep(wait)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }));
    task.abort_handle()
}

/// What a call for `asked` messages, which was answered just now, says of its queue.
fn call(world: &World, began: Instant, asked: usize, messages: &[Message]) -> Receive {
    let ended = world.ports.clock.now();
    let sent: Option<Vec<_>> = messages.iter().map(|message| Some(ended.minus(message.age?))).collect();
    let sent = sent.unwrap_or_default();
    Receive {
        began,
        ended,
        wait: world.bounds.receive_wait,
        asked,
        brought: messages.len(),
        sent: sent.iter().min().copied().zip(sent.iter().max().copied()),
    }
}

/// Parses a message and decides what its files are.
fn arrived(world: &World, queue: &QueueId, message: Message) -> Arrived {
    let said = |kind: &'static str| events::Announced { queue, kind }.emit();
    let content = match parse(&message.body) {
        Parsed::TestEvent => {
            said("test_event");
            Content::Files(Vec::new())
        }
        Parsed::Redrive(copy) => {
            said("redrive");
            Content::Redrive(copy)
        }
        Parsed::Unparsable(reason) => {
            said("unparsable");
            Content::Unparsable { body: Arc::clone(&message.body), reason }
        }
        Parsed::Events(announcements) => {
            announcements.iter().for_each(|one| said(one.action.label()));
            Content::Files(announcements.into_iter().filter_map(|one| planned(world, queue, one)).collect())
        }
    };
    Arrived { id: message.id.0, receipt: message.receipt.0, content }
}

/// What is to become of an announced file; `None` when it is not ours.
fn planned(world: &World, queue: &QueueId, announcement: Announcement) -> Option<Announced> {
    let not_ours = |reason: &'static str| {
        events::FileNotOurs { queue, key: &announcement.key, reason }.emit();
        None
    };
    match announcement.action {
        Action::Created | Action::Copied => {}
        Action::Removed => return not_ours("removed"),
        Action::Other => return not_ours("other_event"),
    }
    let (table, plan) = match world.router.route(&announcement.bucket, &announcement.key) {
        Route::NotOurs(reason) => return not_ours(reason),
        Route::Table { table, .. } | Route::Unmapped { table } if announcement.action == Action::Copied => {
            // A re-encryption in place changes every ETag: loading it would double every row of a loaded file, and of
            // one that was loaded before its table's mapping went away for a while.
            let reason = format!("announced by a copy of the object: {MAY_BE_LOADED}");
            (table, Plan::Settle(Verdict::Poison(reason)))
        }
        Route::Table { table, .. } if announcement.size_bytes == 0 => {
            (table, Plan::Settle(Verdict::Poison("the object is empty".to_owned())))
        }
        Route::Unmapped { table } => (table, Plan::Settle(Verdict::Defer)),
        Route::Table { table, .. } => (table, Plan::Offer),
    };
    let file = FileId {
        table,
        bucket: announcement.bucket,
        key: announcement.key,
        etag: announcement.etag,
        size_bytes: announcement.size_bytes,
    };
    let event_at = announcement.event_time.unwrap_or_else(|| world.ports.clock.now());
    Some(Announced { file, plan, event_at })
}
