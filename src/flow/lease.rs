//! The lease: what stands, inside messages and actors, for a file of a received message.
//!
//! It is settled explicitly once the file is final. Dropped any other way (a panic, an abort, a mailbox thrown away) it
//! tells the poller that the file was abandoned, and whether this very file was in hand while its holder unwound.

use tokio::sync::mpsc::UnboundedSender;

use crate::domain::instant::Instant;
use crate::domain::intake::{Abandoned, ItemId};

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The file is final in the ledger.
    Settled(ItemId),
    /// Its holder let go of it.
    Abandoned(ItemId, Abandoned),
}

/// A lease on one file of one message. The channel is unbounded because `Drop` cannot wait; the leases that exist
/// bound what is in it.
#[derive(Debug)]
pub struct Lease {
    item: ItemId,
    ends: Option<UnboundedSender<LeaseEnd>>,
    in_hand: bool,
    event_at: Instant,
}

impl Lease {
    /// A lease on `item`, whose end is told to `ends`.
    pub fn new(item: ItemId, event_at: Instant, ends: UnboundedSender<LeaseEnd>) -> Self {
        Self { item, ends: Some(ends), in_hand: false, event_at }
    }

    /// The item.
    pub fn item(&self) -> ItemId {
        self.item
    }

    /// When the object was written.
    pub fn event_at(&self) -> Instant {
        self.event_at
    }

    /// The file is final in the ledger (Invariant I-4).
    pub fn settle(mut self) {
        self.tell(LeaseEnd::Settled(self.item));
    }

    /// The file was in a batch that was in hand during a crash.
    pub fn suspect(mut self) {
        self.tell(LeaseEnd::Abandoned(self.item, Abandoned::Suspect));
    }

    /// The lease never left the poller: nobody is told.
    pub fn withdraw(mut self) {
        self.ends = None;
    }

    /// From here on a panic is this file's fault.
    pub fn take_in_hand(&mut self) {
        self.in_hand = true;
    }

    /// A panic is no longer this file's fault.
    pub fn put_down(&mut self) {
        self.in_hand = false;
    }

    fn tell(&mut self, end: LeaseEnd) {
        if let Some(ends) = self.ends.take() {
            // A poller that is gone has forgotten the message: it comes back by itself.
            let _ = ends.send(end);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let how =
            if self.in_hand && std::thread::panicking() { Abandoned::Blamed } else { Abandoned::Innocent };
        self.tell(LeaseEnd::Abandoned(self.item, how));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    const ITEM: ItemId = ItemId { message: 1, index: 2 };

    #[test]
    fn every_end_is_told_once() {
        let (ends, mut told) = unbounded_channel();
        let lease = || Lease::new(ITEM, Instant::default(), ends.clone());
        lease().settle();
        lease().suspect();
        lease().withdraw();
        drop(lease());
        assert_eq!(told.try_recv(), Ok(LeaseEnd::Settled(ITEM)));
        assert_eq!(told.try_recv(), Ok(LeaseEnd::Abandoned(ITEM, Abandoned::Suspect)));
        assert_eq!(told.try_recv(), Ok(LeaseEnd::Abandoned(ITEM, Abandoned::Innocent)));
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn only_the_file_in_hand_is_blamed_for_a_panic() {
        let (ends, mut told) = unbounded_channel();
        let (mut held, bystander) = (
            Lease::new(ITEM, Instant::default(), ends.clone()),
            Lease::new(ItemId { message: 9, index: 0 }, Instant::default(), ends),
        );
        let thread = std::thread::spawn(move || {
            let _bystander = bystander;
            held.take_in_hand();
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        let mut ends: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        ends.sort_by_key(|end| format!("{end:?}"));
        let expected = [
            LeaseEnd::Abandoned(ITEM, Abandoned::Blamed),
            LeaseEnd::Abandoned(ItemId { message: 9, index: 0 }, Abandoned::Innocent),
        ];
        assert_eq!(ends, expected);
    }
}
