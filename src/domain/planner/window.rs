//! What a window is, and why it is no shorter.

use std::time::Duration;

/// When a window closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At so many files.
    pub files: usize,
    /// When its first file is this old.
    pub age: Duration,
    /// Why it is no shorter.
    pub why: Why,
}

/// Why a window is as long as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is as short as it can be: a file is loaded when it comes.
    AtOnce,
    /// The project's jobs are shared among its tables.
    Shared,
    /// The table's own modifications run low.
    TableBudget,
    /// The project's jobs run low: no window opens until some of them are a day old.
    ProjectBudget,
    /// There is next to nothing left of the project's jobs: the quota is what counts.
    Exhausted,
    /// BigQuery has said that a quota is used up.
    QuotaExceeded,
    /// The streams of this hour run low.
    StreamBudget,
    /// The month is going to cost more than it may.
    CostBudget,
}

impl Why {
    /// True when a window may be closed before its time: where memory is short, but not where the last load jobs are. Then fetches wait, and what
    /// is not fetched waits in its queue or in the ledger.
    pub const fn gives_way_to_pressure(self) -> bool {
        match self {
            Self::AtOnce
            | Self::Shared
            | Self::TableBudget
            | Self::ProjectBudget
            | Self::QuotaExceeded
            | Self::StreamBudget
            | Self::CostBudget => true,
            Self::Exhausted => false,
        }
    }

    /// Its name in metrics and in the API.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Shared => "shared",
            Self::TableBudget => "table_budget",
            Self::ProjectBudget => "project_budget",
            Self::Exhausted => "exhausted",
            Self::QuotaExceeded => "quota_exceeded",
            Self::StreamBudget => "stream_budget",
            Self::CostBudget => "cost_budget",
        }
    }
}
