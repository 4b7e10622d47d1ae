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
