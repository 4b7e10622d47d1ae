//! How children start, and how their end is told: actix's own supervisor does not restart
//! after a panic, so a child's whole life is a task that we spawn, and its result is the death notice.

use std::fmt::Display;
use std::future::Future;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Recipient};
use tokio::task::{AbortHandle, JoinError};

use crate::domain::ids::Generation;
use crate::flow::cpu::panic_text;
use crate::messages::child::{ChildExit, ChildExited, ChildId};

/// A running child: its address and the means to end it from outside.
#[derive(Debug)]
pub struct ChildHandle<A: Actor> {
    /// Where to send; mail waits until the child is built.
    pub address: Addr<A>,
    /// Ends the child at its next await.
    pub abort: AbortOnDrop,
}

/// Aborts a task when dropped.
#[derive(Debug)]
pub struct AbortOnDrop(pub AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a child. Its end, whatever it is, arrives at `supervisor` as one `ChildExited`. The child is built inside its
/// own task, so that a failing or panicking `init` is the child's death and not its parent's.
pub fn start_child<A, Init, Building, Failure>(
    child: ChildId,
    generation: Generation,
    supervisor: Recipient<ChildExited>,
    init: Init,
) -> ChildHandle<A>
where
    A: Actor<Context = Context<A>>,
    Init: FnOnce() -> Building + 'static,
    Building: Future<Output = Result<A, Failure>> + 'static,
    Failure: Display + 'static,
{
    let context = Context::<A>::new();
    let address = context.address();
    let task = actix::spawn(async move {
        match init().await {
            Ok(actor) => {
                context.into_future(actor).await;
                ChildExit::Stopped
            }
            Err(failure) => ChildExit::InitFailed(failure.to_string()),
        }
    });
    let abort = AbortOnDrop(task.abort_handle());
    actix::spawn(async move {
        let exit = task.await.unwrap_or_else(exit_of);
        supervisor.do_send(ChildExited { child, generation, exit });
    });
    ChildHandle { address, abort }
}

fn exit_of(error: JoinError) -> ChildExit {
    match error.try_into_panic() {
        Ok(payload) => ChildExit::Panicked(panic_text(payload)),
        Err(_) => ChildExit::Aborted,
    }
}

/// Sends a command without waiting; answers false when the receiver is gone or its mailbox is full. What the message
/// stood for frees itself then.
pub fn tell<A, M>(address: &Addr<A>, message: M) -> bool
where
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    address.try_send(message).is_ok()
}

/// Tells a fact that must not be lost to an actor whose mailbox is bounded by what it itself asked for.
pub fn report<A, M>(address: &Addr<A>, message: M)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: actix::Message + Send + 'static,
    M::Result: Send,
{
    // The one place besides `start_child` where the mailbox's bound is passed over: facts answer requests that were
    // counted when they were made.
    #[allow(clippy::disallowed_methods)]
    address.do_send(message);
}
