//! Mistakes on purpose. The model must find each of them.

use super::properties::{DELETED_LAST, GOES_ON, LOADED_WHOLE, NOT_DOUBLED};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// Every submission has an id of its own.
    FreshIds,
    /// A commit is answered before it is done, and the message deleted on its strength.
    DeleteBeforeCommit,
    /// A job that is not found counts as failed, so attempt n+1 follows.
    NextAttemptOnNotFound,
    /// A file that is merely claimed counts as loaded.
    KnownIsLoaded,
    /// A batch is abandoned without its id being fenced.
    AbandonedUnfenced,
    /// A file is known by its key alone.
    KeyAlone,
    /// A body that is submitted again lacks a row, and the warehouse's count is not looked at.
    ShortRebuild,
    /// A job is adopted whatever its label and its destination.
    AdoptedUnlabelled,
}

impl Mistake {
    pub const ALL: [Self; 8] = [
        Self::FreshIds,
        Self::DeleteBeforeCommit,
        Self::NextAttemptOnNotFound,
        Self::KnownIsLoaded,
        Self::AbandonedUnfenced,
        Self::KeyAlone,
        Self::ShortRebuild,
        Self::AdoptedUnlabelled,
    ];
}

impl Mistake {
    /// The property that is found broken.
    pub fn breaks(self) -> &'static str {
        match self {
            Self::FreshIds | Self::NextAttemptOnNotFound | Self::AbandonedUnfenced => NOT_DOUBLED,
            Self::DeleteBeforeCommit | Self::KnownIsLoaded => DELETED_LAST,
            Self::KeyAlone => GOES_ON,
            Self::ShortRebuild | Self::AdoptedUnlabelled => LOADED_WHOLE,
        }
    }
}
