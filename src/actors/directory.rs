//! Who is where: the only owner of addresses. Senders look up each time and keep nothing.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::{Actor, Addr, Recipient};
use dashmap::DashMap;

use super::batcher::Batcher;
use super::fetcher::Fetcher;
use super::loader::Loader;
use super::outbox::Outbox;
use super::planner::Planner;
use super::poller::Poller;
use super::root::Root;
use crate::domain::ids::{Generation, QueueId, TableId};
use crate::messages::child::{ChildId, Ping};

/// The directory, shared by all actors and their tasks.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    batchers: DashMap<TableId, (Addr<Batcher>, Generation)>,
    pollers: DashMap<QueueId, (Addr<Poller>, Generation)>,
    fetchers: DashMap<usize, (Addr<Fetcher>, Generation)>,
    loader: DashMap<(), (Addr<Loader>, Generation)>,
    planner: DashMap<(), (Addr<Planner>, Generation)>,
    outbox: DashMap<(), (Addr<Outbox>, Generation)>,
    root: DashMap<(), Addr<Root>>,
    turn: AtomicUsize,
}

/// Addresses by their keys: one run of the same events is as the other.
fn in_order<K: Clone + Ord + Hash, A: Actor>(addresses: &DashMap<K, (Addr<A>, Generation)>) -> Vec<Addr<A>> {
    let mut addresses: Vec<_> =
        addresses.iter().map(|entry| (entry.key().clone(), entry.value().0.clone())).collect();
    addresses.sort_by(|(one, _), (other, _)| one.cmp(other));
    addresses.into_iter().map(|(_, address)| address).collect()
}

impl Directory {
    /// The batcher of a table that takes files now.
    pub fn batcher(&self, table: &TableId) -> Option<(Addr<Batcher>, Generation)> {
        self.inner.batchers.get(table).map(|entry| entry.value().clone())
    }

    /// All batchers that take files now, sorted by table: what is told to all of them happens in one order.
    pub fn batchers(&self) -> Vec<(TableId, Addr<Batcher>)> {
        let batchers = self.inner.batchers.iter();
        let mut batchers: Vec<_> =
            batchers.map(|entry| (entry.key().clone(), entry.value().0.clone())).collect();
        batchers.sort_by(|(one, _), (other, _)| one.cmp(other));
        batchers
    }

    /// Opens or closes a table.
    pub fn set_batcher(&self, table: &TableId, batcher: Option<(Addr<Batcher>, Generation)>) {
        match batcher {
            Some(batcher) => {
                self.inner.batchers.insert(table.clone(), batcher);
            }
            None => {
                self.inner.batchers.remove(table);
            }
        }
    }

    /// All pollers.
    pub fn pollers(&self) -> Vec<Addr<Poller>> {
        in_order(&self.inner.pollers)
    }

    /// Sets a poller's address.
    pub fn set_poller(&self, queue: QueueId, poller: Addr<Poller>, generation: Generation) {
        self.inner.pollers.insert(queue, (poller, generation));
    }

    /// The next fetcher in turn.
    pub fn fetcher(&self) -> Option<Addr<Fetcher>> {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        let number = turn.checked_rem(self.inner.fetchers.len())?;
        self.inner.fetchers.get(&number).map(|entry| entry.value().0.clone())
    }

    /// All fetchers.
    pub fn fetchers(&self) -> Vec<Addr<Fetcher>> {
        in_order(&self.inner.fetchers)
    }

    /// Sets a fetcher's address. Fetchers are numbered from 0 without gaps.
    pub fn set_fetcher(&self, number: usize, fetcher: Addr<Fetcher>, generation: Generation) {
        self.inner.fetchers.insert(number, (fetcher, generation));
    }

    /// The loader.
    pub fn loader(&self) -> Option<Addr<Loader>> {
        self.inner.loader.get(&()).map(|entry| entry.value().0.clone())
    }

    /// Sets the loader's address.
    pub fn set_loader(&self, loader: Addr<Loader>, generation: Generation) {
        self.inner.loader.insert((), (loader, generation));
    }

    /// The planner; none where the warehouse has no quotas.
    pub fn planner(&self) -> Option<Addr<Planner>> {
        self.inner.planner.get(&()).map(|entry| entry.value().0.clone())
    }

    /// Sets the planner's address.
    pub fn set_planner(&self, planner: Addr<Planner>, generation: Generation) {
        self.inner.planner.insert((), (planner, generation));
    }

    /// The outbox; none where nobody is told of loaded batches.
    pub fn outbox(&self) -> Option<Addr<Outbox>> {
        self.inner.outbox.get(&()).map(|entry| entry.value().0.clone())
    }

    /// Sets the outbox's address.
    pub fn set_outbox(&self, outbox: Addr<Outbox>, generation: Generation) {
        self.inner.outbox.insert((), (outbox, generation));
    }

    /// Everybody whom the watchdog asks.
    pub fn children(&self) -> Vec<(ChildId, Generation, Recipient<Ping>)> {
        let inner = &self.inner;
        let mut children: Vec<(ChildId, Generation, Recipient<Ping>)> = Vec::new();
        for entry in &inner.batchers {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Batcher(entry.key().clone()), generation, address.recipient()));
        }
        for entry in &inner.pollers {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Poller(entry.key().clone()), generation, address.recipient()));
        }
        for entry in &inner.fetchers {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Fetcher(*entry.key()), generation, address.recipient()));
        }
        for entry in &inner.loader {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Loader, generation, address.recipient()));
        }
        for entry in &inner.planner {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Planner, generation, address.recipient()));
        }
        for entry in &inner.outbox {
            let (address, generation) = entry.value().clone();
            children.push((ChildId::Outbox, generation, address.recipient()));
        }
        children
    }

    /// The root.
    pub fn root(&self) -> Option<Addr<Root>> {
        self.inner.root.get(&()).map(|entry| entry.value().clone())
    }

    /// Sets the root's address.
    pub fn set_root(&self, root: Addr<Root>) {
        self.inner.root.insert((), root);
    }
}
