//! Who is where: the only owner of addresses. Senders look up each time and keep nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Addr;
use dashmap::DashMap;

use super::batcher::Batcher;
use super::fetcher::Fetcher;
use super::loader::Loader;
use super::poller::Poller;
use super::root::Root;
use crate::domain::ids::{Generation, QueueId, TableId};

/// The directory, shared by all actors and their tasks.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    batchers: DashMap<TableId, (Addr<Batcher>, Generation)>,
    pollers: DashMap<QueueId, Addr<Poller>>,
    fetchers: DashMap<usize, Addr<Fetcher>>,
    loader: DashMap<(), Addr<Loader>>,
    root: DashMap<(), Addr<Root>>,
    turn: AtomicUsize,
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
        self.inner.pollers.iter().map(|entry| entry.value().clone()).collect()
    }

    /// Sets a poller's address.
    pub fn set_poller(&self, queue: QueueId, poller: Addr<Poller>) {
        self.inner.pollers.insert(queue, poller);
    }

    /// The next fetcher in turn.
    pub fn fetcher(&self) -> Option<Addr<Fetcher>> {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed);
        let number = turn.checked_rem(self.inner.fetchers.len())?;
        self.inner.fetchers.get(&number).map(|entry| entry.value().clone())
    }

    /// Sets a fetcher's address. Fetchers are numbered from 0 without gaps.
    pub fn set_fetcher(&self, number: usize, fetcher: Addr<Fetcher>) {
        self.inner.fetchers.insert(number, fetcher);
    }

    /// The loader.
    pub fn loader(&self) -> Option<Addr<Loader>> {
        self.inner.loader.get(&()).map(|entry| entry.value().clone())
    }

    /// Sets the loader's address.
    pub fn set_loader(&self, loader: Addr<Loader>) {
        self.inner.loader.insert((), loader);
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
