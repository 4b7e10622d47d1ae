//! Why a step of a ledger failed.

use super::stored::Unreadable;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::transition::rules::Misuse;

/// Why a step failed, in a ledger whose store tells its own troubles as `E`.
#[derive(Debug)]
pub(super) enum StepError<E> {
    /// The store says so, or cannot be heard.
    Store(E),
    /// What was read back makes no sense.
    Corrupt(String),
    /// What is asked would break an invariant: a bug of whoever asks.
    Misused(String),
}

impl<E> StepError<E> {
    /// The fault of this step at this ledger; `of_store` says what the store's own trouble is.
    pub(super) fn fault(self, context: &str, of_store: impl FnOnce(&str, E) -> Fault) -> Fault {
        match self {
            Self::Store(error) => of_store(context, error),
            Self::Misused(text) => Fault::new(FaultKind::Internal, format!("{context}: {text}")),
            Self::Corrupt(text) => Fault::new(FaultKind::LedgerCorrupt, format!("{context}: {text}")),
        }
    }
}

impl<E> From<Unreadable> for StepError<E> {
    fn from(unreadable: Unreadable) -> Self {
        Self::Corrupt(unreadable.0)
    }
}

impl<E> From<Misuse> for StepError<E> {
    fn from(misuse: Misuse) -> Self {
        Self::Misused(misuse.0)
    }
}

impl From<Fault> for StepError<Fault> {
    fn from(fault: Fault) -> Self {
        Self::Store(fault)
    }
}

impl From<rusqlite::Error> for StepError<rusqlite::Error> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}
