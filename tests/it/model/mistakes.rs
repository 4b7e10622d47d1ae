//! What each mistake on purpose breaks.

use super::properties::{DELETED_LAST, GOES_ON, LEFT_ALONE, LOADED_WHOLE, NOT_DOUBLED};
pub use crate::simulation::mistakes::Mistake;

/// The property that is found broken.
pub fn broken_by(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::FreshIds
        | Mistake::NextAttemptOnNotFound
        | Mistake::AbandonedUnfenced
        | Mistake::CountedUnsealed => NOT_DOUBLED,
        Mistake::DeleteBeforeCommit | Mistake::KnownIsLoaded => DELETED_LAST,
        Mistake::KeyAlone => GOES_ON,
        Mistake::TakesUpTheLiving => LEFT_ALONE,
        Mistake::ShortRebuild | Mistake::AdoptedUnlabelled | Mistake::ExistsIsSuccess => LOADED_WHOLE,
    }
}

/// The scenario in which it is.
pub fn found_in(mistake: Mistake) -> &'static str {
    match mistake {
        Mistake::FreshIds
        | Mistake::NextAttemptOnNotFound
        | Mistake::DeleteBeforeCommit
        | Mistake::KnownIsLoaded
        | Mistake::ShortRebuild => "one file, two processes",
        Mistake::AbandonedUnfenced => "requests are refused, a person resumes",
        Mistake::KeyAlone => "an object is overwritten",
        Mistake::AdoptedUnlabelled => "a foreign job, a person resumes",
        Mistake::ExistsIsSuccess => "by streams, crashes and refusals",
        Mistake::TakesUpTheLiving => "by streams, two processes",
        Mistake::CountedUnsealed => "by streams, two processes, taken for dead",
    }
}
