//! The port of who looks whether anything is still being loaded.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::fault::Fault;
use crate::domain::instant::Instant;

/// Which load jobs of landbridge are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are not done.
    Undone,
    /// Those that were made then or later, done or not.
    MadeSince(Instant),
}

/// A warehouse whose load jobs are listed.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// The ids of at most a hundred thousand of those into these datasets, whoever submitted them. (Of a dataset whose name begins
    /// like one of them, too.)
    async fn jobs(&self, datasets: &BTreeSet<Arc<str>>, which: Which) -> Result<Vec<String>, Fault>;
}
