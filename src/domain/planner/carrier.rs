//! By what rows go.

/// By what the rows of a table go into the warehouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// A load job a batch: free of charge, and as many as the quotas admit.
    #[default]
    LoadJobs,
    /// A stream of the Storage Write API a batch: within seconds, at a price beyond the free bytes.
    StorageWrite,
    /// Streams, as long as the month's free bytes last; then load jobs.
    FreeStorageWrite,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LoadJobs, Self::StorageWrite, Self::FreeStorageWrite];

    /// Its name in the mapping and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadJobs => "load_jobs",
            Self::StorageWrite => "storage_write",
            Self::FreeStorageWrite => "storage_write_free",
        }
    }

    /// By what an attempt went.
    pub const fn of(streamed: bool) -> Self {
        if streamed { Self::StorageWrite } else { Self::LoadJobs }
    }

    /// True where rows go by streams now; `free` says whether there are free bytes left in this month.
    pub const fn streams(self, free: bool) -> bool {
        match self {
            Self::LoadJobs => false,
            Self::StorageWrite => true,
            Self::FreeStorageWrite => free,
        }
    }
}
