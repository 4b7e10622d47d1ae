//! By what rows go.

/// By what the rows of a table go into the warehouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// A load job a batch: free of charge, and as many as the quotas admit.
    #[default]
    LoadJobs,
    /// A stream of the Storage Write API a batch: within seconds, at a price beyond the free bytes.
    StorageWrite,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::LoadJobs, Self::StorageWrite];

    /// Its name in the mapping and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadJobs => "load_jobs",
            Self::StorageWrite => "storage_write",
        }
    }
}
