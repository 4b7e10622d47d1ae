//! The commit of a batch, and what receivers are told of it.

use super::super::supervision::tell;
use super::{Performer, answer};
use crate::domain::batch::Batch;
use crate::domain::delivery::Event;
use crate::domain::notice::{Known, notices};
use crate::domain::transition::Step;
use crate::messages::outbox::TellReceivers;

impl Performer {
    /// What is known of the batch beside the ledger's record of it. The one place where it comes from: what is not known
    /// here is left out of what receivers are told.
    fn known(&self, batch: &Batch) -> Known {
        // Of the last look, at most some seconds ago: this batch may raise it.
        let watermark = self.world.watermarks.get(&self.table).map(|mark| *mark);
        Known { commits: batch.commits, watermark }
    }

    /// Commits the batch; what receivers are to be told stands in the ledger from then on, and is told at once.
    pub(super) async fn commit(&mut self, batch: &Batch) -> Event {
        let now = self.world.ports.clock.now();
        // Once: where an answer was lost, the ledger may have them already.
        let (known, receivers) = (self.known(batch), &self.setup.notify);
        let told = self.notices.get_or_insert_with(|| notices(receivers, batch, known, now)).clone();
        let committed = self.world.ports.ledger.commit_telling(&batch.id, &told, now).await;
        if matches!(committed, Ok(Step::Done))
            && !told.is_empty()
            && let Some(outbox) = self.world.directory.outbox()
        {
            // A full mailbox takes none: the outbox reads the ledger.
            tell(&outbox, TellReceivers(told));
        }
        answer(&self.world, "commit", committed)
    }
}
