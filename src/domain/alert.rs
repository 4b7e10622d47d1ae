//! What a person is told at once, through the webhook: one occurrence, in bounds, with what was done and what to do.

use crate::domain::ids::TableId;

pub mod digest;
mod text;

#[cfg(test)]
mod tests;

/// Letters of a file's, batch's or job's name that are kept. S3 keys have up to 1,024.
const SUBJECT_MAX: usize = 300;
/// Letters of a reason that are kept; the log has all of it.
const REASON_MAX: usize = 400;

/// The closed set of what is told. The name in snake case is the `kind` label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A table crashed too often.
    Quarantined,
    /// A table, or a batch of it, waits for a person.
    Held,
    /// A file is refused for good.
    Poison,
    /// A file is gone.
    Vanished,
    /// BigQuery says that a quota is used up.
    Quota,
    /// A receiver does not take what it is told of loaded batches.
    Untold,
    /// The month is going to cost more than it may. Of no table.
    Budget,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Quarantined,
        Self::Held,
        Self::Poison,
        Self::Vanished,
        Self::Quota,
        Self::Untold,
        Self::Budget,
    ];

    /// The kind as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::Poison => "poison",
            Self::Vanished => "vanished",
            Self::Quota => "quota",
            Self::Untold => "untold",
            Self::Budget => "budget",
        }
    }

    /// What landbridge did about it.
    pub const fn done(self) -> &'static str {
        match self {
            Self::Quarantined => {
                "the table crashed five times in ten minutes and does not run; its files wait in the ledger, other tables go on"
            }
            Self::Held => {
                "nothing of it is committed or repeated; the table does not run, its files wait in the ledger, other tables go on"
            }
            Self::Poison => "the file is not loaded; the other files of its table go on",
            Self::Vanished => "the file is counted as vanished; the other files of its table go on",
            Self::Budget => {
                "it goes on loading; with `on_budget = \"slow_down\"`, tables that are not critical wait for their `max_staleness`"
            }
            Self::Quota => {
                "it tries again, with backoff; what still does not go waits in the ledger and is taken up later; no row is lost"
            }
            Self::Untold => {
                "loading goes on; notices wait in the ledger and are tried again, until `notify.give_up_after`"
            }
        }
    }

    /// What an operator can do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Quarantined => "report it with the log around it; resume the table when it is mended",
            Self::Held => {
                "clear the cause (for a batch: compare the warehouse's job with it), then resume the table"
            }
            Self::Poison => "look at the file; reload the table in DMS if its rows are needed",
            Self::Vanished => {
                "find out who deleted or replaced it (a TRUNCATE or reload in DMS does); reload the table if its rows are needed"
            }
            Self::Budget => {
                "see where it goes with `landbridge cost`; raise `cost.budget_usd_month`, or load less (docs/cost.md)"
            }
            Self::Quota => {
                "nothing: windows are longer until the quota refills; if it comes again, say in `planner.jobs_per_day` what others leave, or ask Google for more"
            }
            Self::Untold => {
                "run `landbridge notify`: it says what the receiver answers; then mend it, its address or its key"
            }
        }
    }
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is.
    pub kind: AlertKind,
    /// The table it happened to.
    pub table: TableId,
    /// The file, batch or job; empty where the table says it all.
    pub subject: String,
    /// Why, as the log says it; may be empty.
    pub reason: String,
}

impl Alert {
    /// An occurrence, its texts cut to what a message carries.
    pub fn new(kind: AlertKind, table: &TableId, subject: &str, reason: &str) -> Self {
        Self {
            kind,
            table: table.clone(),
            subject: cut(subject, SUBJECT_MAX),
            reason: cut(reason, REASON_MAX),
        }
    }
}

/// One line of at most `max` letters. The end of a name says most, and the beginning of a reason; both are kept.
fn cut(text: &str, max: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let letters = line.chars().count();
    if letters <= max {
        return line;
    }
    let half = max / 2;
    let (first, last) = (line.chars().take(half), line.chars().skip(letters.saturating_sub(half)));
    first.chain(['…']).chain(last).collect()
}
