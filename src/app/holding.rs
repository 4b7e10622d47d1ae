//! What a tree holds, and whether it has anything left to do.

/// What a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Messages held by pollers.
    pub held_messages: usize,
    /// Messages that wait in queues.
    pub waiting_messages: u64,
    /// Files in hand of batchers.
    pub in_hand: usize,
    /// Files on their way into windows.
    pub arriving: usize,
    /// Files that wait to be tried again.
    pub waiting_files: usize,
    /// Files in open windows.
    pub in_windows: usize,
    /// Tables that have not seen that no file is deferred.
    pub tables_with_deferred: usize,
    /// Batches in flight.
    pub in_flight: usize,
    /// Notices that receivers have not taken and take at present, and told ones that the ledger does not know as told.
    pub notices: usize,
    /// Typed views that are being published.
    pub views: usize,
    /// True once open batches of earlier runs were started.
    pub recovered: bool,
}

impl Holding {
    /// Nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.recovered
            && self.waiting_messages == 0
            && self.held_messages
                + self.in_hand
                + self.in_flight
                + self.tables_with_deferred
                + self.views
                + self.notices
                == 0
    }

    /// Something is on its way that a drain can still finish. Files that wait for another try, or for a table that does
    /// not run, are not: their messages become visible again.
    pub fn can_finish(&self) -> bool {
        self.in_hand > self.waiting_files || self.in_flight > 0 || self.notices > 0
    }

    /// All that is left to arrive has arrived in windows.
    pub fn only_windows_wait(&self) -> bool {
        self.recovered && self.in_windows > 0 && self.waiting_messages == 0 && self.arriving == 0
    }
}
