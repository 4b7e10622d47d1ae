//! The port to what is written on datasets: which ledger loads them (Invariant I-7).

use async_trait::async_trait;

use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::identity::Stamp;

/// What was found on a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no such dataset yet; what is made later bears the stamp of `Stamps::remember`.
    NoDataset,
    /// The dataset, and its stamp if it has one. `version` tells the state that was read.
    Dataset {
        /// The stamp.
        stamp: Option<Stamp>,
        /// What a write is conditional on.
        version: String,
    },
}

/// The stamps of a warehouse. Only the dataset of a destination counts.
#[async_trait]
pub trait Stamps: Send + Sync {
    /// Reads the stamp.
    async fn read(&self, destination: &Destination) -> Result<Found, Fault>;

    /// Writes the stamp while the dataset is as it was read; `false` when it has changed since.
    async fn write(&self, destination: &Destination, stamp: &Stamp, version: &str) -> Result<bool, Fault>;

    /// Every dataset that is made from now on bears this stamp.
    fn remember(&self, stamp: &Stamp);
}
