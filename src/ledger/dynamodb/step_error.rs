//! Why a step failed.

use crate::domain::fault::Fault;
use crate::domain::transition::rules::Misuse;
use crate::ledger::stored::Unreadable;

/// Why a step failed.
#[derive(Debug)]
pub(super) enum StepError {
    /// The service says so, or cannot be heard.
    Fault(Fault),
    /// What was read back makes no sense.
    Corrupt(String),
    /// What is asked would break an invariant: a bug of whoever asks.
    Misused(String),
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unreadable> for StepError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Corrupt(unreadable.0)
    }
}

impl From<Misuse> for StepError {
    fn from(misuse: Misuse) -> Self {
        Self::Misused(misuse.0)
    }
}
