//! What of a receiver's notices is in the ledger and not held, as far as that is known.
//!
//! The ledger is read in pages, by place. Of each table is remembered from which place on it has notices that are not held, so that
//! tables with room go on where they stand, behind whatever waits of others.

use std::collections::{BTreeMap, BTreeSet};

use super::{GATHER, READ_INTERVAL, READ_MAX};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::notice::{Notice, NoticeId};

/// A place in the ledger's order: behind this notice; none is before all.
pub(super) type Place = Option<NoticeId>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Everything is read once.
    Begin,
    /// Tables have room again.
    Refill,
    /// Something may have been left behind by a crash, or by another process.
    Look,
}

/// What is not held.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread {
    /// Tables with notices that are not held, or may not be, all of them behind this place.
    behind: BTreeMap<TableId, Place>,
    /// Tables of which one came that is not held, since the ledger was asked last.
    missed: BTreeSet<TableId>,
    /// Everything was read once.
    is_read: bool,
    /// Where the first reading, and then the look, goes on.
    next: Place,
    asked: Option<(Place, Why)>,
    read_at: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Unread {
    /// There are notices that are not held, as far as is known.
    pub(super) fn is_some(&self) -> bool {
        !self.is_read || !self.behind.is_empty()
    }

    /// One that comes now is the next of its table.
    pub(super) fn is_next(&self, table: &TableId) -> bool {
        self.is_read && !self.behind.contains_key(table)
    }

    /// One that came is not held; those of its table before it that are known end at `last`.
    pub(super) fn miss(&mut self, table: &TableId, last: Place) {
        let place = if self.is_read { last } else { self.next.clone() };
        self.behind.entry(table.clone()).or_insert(place);
        self.missed.insert(table.clone());
    }

    /// From which place on the ledger is to be read now, if at all.
    pub(super) fn ask(&mut self, now: Instant, has_room: impl Fn(&TableId) -> bool) -> Option<Place> {
        let is_due = |at: Option<Instant>, wait| at.is_none_or(|at| now.since(at) >= wait);
        let (place, why) = if !self.is_read {
            (self.next.clone(), Why::Begin)
        } else if is_due(self.looked_at, READ_INTERVAL) {
            (self.next.clone(), Why::Look)
        } else {
            let with_room = self.behind.iter().filter(|(table, _)| has_room(table));
            let place = with_room.map(|(_, place)| place).min().filter(|_| is_due(self.read_at, GATHER))?;
            (place.clone(), Why::Refill)
        };
        self.missed.clear();
        self.asked = Some((place.clone(), why));
        Some(place)
    }

    /// The ledger did not answer.
    pub(super) fn failed(&mut self) {
        self.asked = None;
    }

    /// Takes what was read. `take` answers whether one is held now, or was already; `is_young` are those that their own process
    /// still has in hand.
    pub(super) fn read(
        &mut self,
        now: Instant,
        notices: Vec<Notice>,
        is_young: impl Fn(&Notice) -> bool,
        mut take: impl FnMut(Notice, bool) -> bool,
    ) {
        let Some((place, why)) = self.asked.take() else { return };
        let ended = notices.len() < READ_MAX;
        let (mut last, mut stopped) = (place.clone(), BTreeSet::new());
        for notice in notices {
            let (id, table) = (notice.id.clone(), notice.table.clone());
            let behind = self.behind.get(&table);
            // What is before it and not held is not on this page.
            let has_gap = behind.is_some_and(|from| *from < place) || stopped.contains(&table);
            let young = is_young(&notice);
            let is_held = take(notice, !has_gap && !young);
            if !is_held && !has_gap && (!young || behind.is_some()) {
                self.behind.insert(table.clone(), last.clone());
                stopped.insert(table);
            }
            last = Some(id);
        }
        let missed = &self.missed;
        self.behind.retain(|table, from| {
            if *from < place || stopped.contains(table) {
                return true;
            }
            *from = last.clone().max(from.take());
            !ended || missed.contains(table)
        });
        self.read_at = Some(now);
        if why != Why::Refill {
            (self.is_read, self.looked_at) = (self.is_read || ended, Some(now));
            self.next = last.filter(|_| !ended);
        }
    }

    /// When it may have to be read again.
    pub(super) fn moments(&self) -> impl Iterator<Item = Instant> {
        let refill = self.read_at.filter(|_| !self.behind.is_empty()).map(|at| at.plus(GATHER));
        refill.into_iter().chain(self.looked_at.map(|at| at.plus(READ_INTERVAL)))
    }
}
