//! When the body of a batch cannot be built.

use std::time::Duration;

use super::{After, Delivery, End, LONGEST_WAIT, Next, Phase, end};
use crate::domain::fault::FaultKind;
use crate::domain::file::FileId;
use crate::domain::instant::Instant;

impl Delivery {
    pub(super) fn on_unbuilt(
        &mut self,
        now: Instant,
        file: Option<FileId>,
        kind: FaultKind,
        reason: String,
    ) -> Next {
        if self.phase == Phase::Planning {
            return end(End::Unbuilt { file, kind, reason });
        }
        let expelled = match (kind, file) {
            (FaultKind::Vanished, Some(file)) => Some(After::Vanish(file)),
            (
                FaultKind::Unreadable
                | FaultKind::UnsupportedType
                | FaultKind::SchemaConflict
                | FaultKind::ContentRefused
                | FaultKind::AlreadyLoaded
                | FaultKind::Internal,
                Some(file),
            ) => Some(After::Poison(file, reason.clone())),
            (
                FaultKind::Unavailable
                | FaultKind::Throttled
                | FaultKind::QuotaExceeded
                | FaultKind::AccessDenied
                | FaultKind::DestinationRefused
                | FaultKind::DiskFull
                | FaultKind::LedgerCorrupt,
                Some(_),
            )
            | (_, None) => None,
        };
        // A table that has no place for a column, and whose person has not decided for so long.
        let is_refused = kind == FaultKind::DestinationRefused;
        let expelled = match expelled {
            None if is_refused && self.pace.refused_for(now) >= self.refused_patience => {
                Some(After::DeferAll(Some(reason.clone())))
            }
            expelled => expelled,
        };
        let Some(after) = expelled else {
            // The body may be built another time: ask again meanwhile, the first upload may have landed late.
            let wait = self.pace.back_off(LONGEST_WAIT);
            if self.phase == Phase::Rebuilding {
                self.phase = Phase::Asking;
            }
            return self.retry(wait);
        };
        if matches!(self.phase, Phase::Renewing(_)) {
            return self.fail_attempt(reason, after);
        }
        // Invariant I-3b: the body cannot be built again, so the id is fenced first.
        self.after_fence = after;
        self.fresh(Phase::Fencing);
        self.retry(Duration::ZERO)
    }
}
