//! Where the files of a failed batch go.

use std::sync::Arc;

use super::{After, Delivery};
use crate::domain::batch::{Batch, Manifest, ManifestEntry};
use crate::domain::file::FileId;
use crate::domain::ids::AttemptNumber;
use crate::domain::transition::Home;

impl Delivery {
    /// The new homes of all files.
    pub(super) fn homes(&mut self, after: After) -> Vec<Home> {
        let entries = &self.batch.manifest.entries;
        match after {
            After::Bisect(reason) if entries.len() <= 1 => {
                entries.iter().map(|entry| Home::Poison(entry.file.clone(), reason.clone())).collect()
            }
            After::Bisect(_) => {
                let (left, right) = entries.split_at(entries.len() / 2);
                vec![self.child(left.to_vec()), self.child(right.to_vec())]
            }
            After::Poison(file, reason) => self.expel(&file, Home::Poison(file.clone(), reason)),
            After::Vanish(file) => self.expel(&file, Home::Vanished(file.clone())),
            After::DeferAll(hold) => {
                self.hold = hold;
                entries.iter().map(|entry| Home::Deferred(entry.file.clone())).collect()
            }
            After::NextAttempt => Vec::new(),
        }
    }

    /// One file goes to `home`, the rest becomes a batch of its own.
    fn expel(&self, gone: &FileId, home: Home) -> Vec<Home> {
        let entries = self.batch.manifest.entries.iter();
        let rest: Vec<_> = entries.filter(|entry| entry.file != *gone).cloned().collect();
        let child = (!rest.is_empty()).then(|| self.child(rest));
        [home].into_iter().chain(child).collect()
    }

    fn child(&self, entries: Vec<ManifestEntry>) -> Home {
        let mut batch = Batch::plan(
            self.batch.table.clone(),
            self.batch.destination.clone(),
            self.batch.claimed_at,
            Some(self.batch.id.clone()),
            Manifest { entries },
        );
        batch.events = self.batch.events;
        let attempt = (batch.manifest.rows() > 0)
            .then(|| batch.attempt(AttemptNumber::FIRST, Arc::clone(&self.plan_hash)));
        Home::Batch { batch, attempt }
    }
}
