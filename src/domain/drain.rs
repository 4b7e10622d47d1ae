//! Until when all that was sent to a queue has been received, by somebody.
//!
//! SQS gives messages in no certain order, and not all at once: that a message was received says nothing of older ones. But
//!
//! - a long poll asks all its servers and answers as soon as there is one message (SQS Developer Guide, "Amazon SQS short and long polling"). One
//!   that brought nothing, or only what was sent after it began, found a queue in which nothing waited;
//! - where messages waited, and a call had room for more than it brought, everything that was sent before the newest of the call before is held to be
//!   received, unless something older came: now, or since there are calls with room;
//! - how many messages wait SQS tells roughly (`ApproximateNumberOfMessages`), each minute: as many must have come since, or a call have come
//!   back empty;
//! - a call of which no answer came may have brought messages that nobody has. They are hidden until their visibility timeout is over: what
//!   is received before says nothing.
//!
//! Where messages come, what they say of their sending is compared with itself: the queue's clock and this one need not agree.

use std::time::Duration;

use super::fault::FaultKind;
use super::instant::Instant;

/// How much earlier than the end of its wait a long poll may have looked last.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A call that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    /// When it began.
    pub began: Instant,
    /// When its answer was there.
    pub ended: Instant,
    /// How long it was to wait for a first message.
    pub wait: Duration,
    /// How many messages it might bring.
    pub asked: usize,
    /// How many it brought.
    pub brought: usize,
    /// When the oldest and the newest of them were sent; none where there are none, or the queue does not say of all.
    pub sent: Option<(Instant, Instant)>,
}

impl Receive {
    /// Until when it has looked, for what it would have brought.
    fn looked(&self) -> Instant {
        if let Some((_, newest)) = self.sent {
            return newest;
        }
        if self.brought > 0 {
            return self.began;
        }
        // It was answered when its wait was over, or later: of what came then it knows nothing.
        self.ended.min(self.began.plus(self.wait)).minus(LAST_LOOK).max(self.began)
    }
}

/// What is known of one queue by one who receives from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    drained: Option<Instant>,
    /// The calls that left room, without one among them that brought something older than they had: until when the first and the last
    /// of them had looked.
    room: Option<(Instant, Instant)>,
    /// What begins before may miss messages that are hidden.
    hidden_until: Option<Instant>,
    /// When the last answer was there.
    answered: Option<Instant>,
    /// When it was asked how many wait, and how many of them have not come yet.
    waiting: Option<(Instant, u64)>,
}

impl Drain {
    /// What was sent to the queue before was received; none where that was never seen.
    pub fn drained(&self) -> Option<Instant> {
        self.drained
    }

    /// A call was answered.
    pub fn received(&mut self, call: Receive) {
        if self.answered.is_some_and(|answered| call.ended < answered) {
            // The clock was set back: what was seen then is of another time.
            (self.drained, self.room) = (None, None);
        }
        self.answered = Some(call.ended);
        self.count(&call);
        if call.brought >= call.asked {
            // It says nothing of the queue, unless it brought what should not be there any more.
            self.room = self.room.filter(|(_, last)| call.sent.is_some_and(|(oldest, _)| oldest >= *last));
            return;
        }
        if self.hidden_until.is_some_and(|until| call.began < until) {
            return;
        }
        let seen = self.seen(&call);
        let looked = call.looked();
        let first = self.room.filter(|_| seen.is_some()).map_or(looked, |(first, _)| first);
        self.room = Some((first, looked));
        if self.waiting.is_none_or(|(_, left)| left == 0) {
            self.drained = self.drained.max(seen);
        }
    }

    /// Until when the queue is drained, by this call, which left room, and those before it.
    fn seen(&self, call: &Receive) -> Option<Instant> {
        if call.brought == 0 {
            return Some(call.looked());
        }
        let (oldest, _) = call.sent?;
        if oldest >= call.began {
            return Some(oldest);
        }
        let (first, last) = self.room?;
        (oldest >= first).then(|| oldest.min(last))
    }

    fn count(&mut self, call: &Receive) {
        let Some((asked_at, left)) = &mut self.waiting else { return };
        if call.began >= *asked_at {
            *left = if call.brought == 0 { 0 } else { left.saturating_sub(call.brought as u64) };
        }
    }

    /// A call that was to wait so long, and to hide what it brings for `visibility`, has failed just now. Unless the service refused it, it
    /// may have brought something.
    pub fn failed(&mut self, now: Instant, wait: Duration, visibility: Duration, kind: FaultKind) {
        self.room = None;
        if !matches!(kind, FaultKind::Throttled | FaultKind::AccessDenied) {
            let until = now.plus(wait.saturating_add(visibility));
            self.hidden_until = self.hidden_until.max(Some(until));
        }
    }

    /// So many messages waited when it was asked, roughly.
    pub fn counted(&mut self, asked_at: Instant, visible: u64) {
        self.waiting = (visible > 0).then_some((asked_at, visible));
    }
}

/// Until when all that was sent has been received and is known. Of one who began to receive at `since` that is nothing before he saw the queue drained
/// when it was `hidden` later: what another had received and not deleted came again until then. `is_first`: there was no other.
pub fn known_until(
    drained: Option<Instant>,
    since: Instant,
    hidden: Duration,
    is_first: bool,
) -> Option<Instant> {
    drained.filter(|drained| is_first || *drained > since.plus(hidden))
}

#[cfg(test)]
mod tests;
