//! A batch that is a part of a refused one, and the verdict on its last file.

use std::time::Duration;

use super::protocol::{After, End, Phase};
use super::{Delivery, LONGEST_WAIT, Next, end};
use crate::domain::instant::Instant;

/// What is known of a batch that is a part of a refused one (`domain::bisection`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The warehouse's words, where the part must hold a culprit: halved without a job, if it can be.
    pub suspect: Option<String>,
    /// Its table took another part.
    pub table_takes: bool,
}

impl Delivery {
    /// The same delivery, of a part of a refused batch.
    pub fn of_part(mut self, part: Part) -> Self {
        self.table_takes = part.table_takes;
        if let Some(reason) = part.suspect
            && self.phase == Phase::Asking
            && self.batch.manifest.entries.len() > 1
        {
            self.after_fence = After::Bisect(reason);
            self.is_suspect = true;
            self.phase = Phase::Fencing;
        }
        self
    }

    /// A file is poison only where its table takes others: a table that refuses everything poisons nobody.
    pub(super) fn on_probed(&mut self, table: Result<(), String>) -> Next {
        let Phase::Probing(reason) = self.phase.clone() else { return end(End::Superseded) };
        let after = match table {
            Ok(()) => After::Bisect(reason),
            Err(refusal) => {
                let file = self.batch.manifest.entries.first().map(|entry| entry.file.source_file());
                let file = file.unwrap_or_default();
                After::DeferAll(Some(format!("{refusal}. Before that, {file} was refused: {reason}")))
            }
        };
        self.rehome(after)
    }

    /// It is asked again, for as long as a refused submission is repeated; then the file waits.
    pub(super) fn on_probe_failed(&mut self, now: Instant, refused: Option<String>) -> Next {
        if self.pace.refused_for(now) >= self.refused_patience {
            return self.rehome(After::DeferAll(refused));
        }
        let wait = self.pace.back_off(LONGEST_WAIT);
        self.retry(wait)
    }

    pub(super) fn rehome(&mut self, after: After) -> Next {
        let refusal = match &after {
            After::Bisect(reason) => Some(reason.clone()),
            After::NextAttempt | After::Poison(..) | After::Vanish(_) | After::DeferAll(_) => None,
        };
        let homes = self.homes(after);
        self.fresh(Phase::Rehoming(homes, refusal));
        self.retry(Duration::ZERO)
    }
}
