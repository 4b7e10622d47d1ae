//! A queue that checks Invariant I-4: whenever a message is deleted, each of its files must be final in the ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use landbridge::domain::fault::Fault;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::TableId;
use landbridge::domain::notification::{Parsed, parse};
use landbridge::ledger::Ledger;
use landbridge::queue::{Depth, Message, Queue, Receipt};

use super::CLUSTER;

pub struct Watched {
    inner: Arc<dyn Queue>,
    ledger: Arc<dyn Ledger>,
    bodies: Mutex<BTreeMap<Receipt, Arc<str>>>,
    breaches: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    pub fn new(
        inner: Arc<dyn Queue>,
        ledger: Arc<dyn Ledger>,
        breaches: Arc<Mutex<Vec<String>>>,
    ) -> Arc<Self> {
        Arc::new(Self { inner, ledger, bodies: Mutex::default(), breaches })
    }

    async fn check(&self, body: &str) {
        let Parsed::Events(announcements) = parse(body) else { return };
        for one in announcements {
            let table = TableId::new(CLUSTER, "s", one.key.split('/').nth(1).unwrap_or_default());
            let (bucket, key, etag) = (one.bucket, one.key, one.etag);
            let file = FileId { table, bucket, key, etag, size_bytes: one.size_bytes };
            let state = self.ledger.lookup(std::slice::from_ref(&file)).await.unwrap().remove(0);
            if !state.as_ref().is_some_and(FileState::is_final) {
                self.breaches.lock().unwrap().push(format!("{file} was settled while it was {state:?}"));
            }
        }
    }
}

#[async_trait]
impl Queue for Watched {
    async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault> {
        let messages = self.inner.receive(max, wait, visibility).await?;
        let bodies = messages.iter().map(|message| (message.receipt.clone(), Arc::clone(&message.body)));
        self.bodies.lock().unwrap().extend(bodies);
        Ok(messages)
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, Fault> {
        for receipt in receipts {
            let body = self.bodies.lock().unwrap().get(receipt).cloned();
            self.check(&body.unwrap_or_default()).await;
        }
        self.inner.delete(receipts).await
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Receipt>, Fault> {
        self.inner.change_visibility(receipts, visibility).await
    }

    async fn send_dead_letter(&self, body: &str, reason: &str) -> Result<bool, Fault> {
        self.inner.send_dead_letter(body, reason).await
    }

    async fn depth(&self) -> Result<Depth, Fault> {
        self.inner.depth().await
    }
}
