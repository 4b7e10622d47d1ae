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

/// Whose jobs are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's in the project: needs a permission of its own.
    Everybodys,
    /// Those that were submitted as who landbridge is there.
    Own,
}

/// A load job, of whoever submitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadJob {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub made_at: Instant,
    /// Dataset and table into which it loads, where that may be seen.
    pub into: Option<(String, String)>,
}

/// The load jobs of a project, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadJobs {
    /// The jobs.
    pub jobs: Vec<LoadJob>,
    /// Jobs of which may not be seen what they do; load jobs or not.
    pub hidden: usize,
    /// All that were made since were listed; the oldest are missing otherwise.
    pub is_whole: bool,
}

/// A project whose load jobs are counted.
#[async_trait]
pub trait ProjectJobs: Send + Sync {
    /// The load jobs of the project that were made then or later, failed ones among them.
    async fn load_jobs(&self, since: Instant, whose: Whose) -> Result<LoadJobs, Fault>;
}
