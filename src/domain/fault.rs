//! What can go wrong, in our own words, and what is done about each kind.
//!
//! Adapters convert every foreign error into a `Fault`; `FaultKind::policy` is the one place that decides.

use std::error::Error;
use std::fmt;

/// Of a fault this much is told: foreign words are in it, and names that a file or a service chose.
pub const CHAIN_LETTERS_MAX: usize = 4_000;

/// The closed set of things that go wrong. The name in snake case is the `reason` label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A network, disk or service hiccup: whether the call had an effect is not known.
    Unavailable,
    /// The service asked for less.
    Throttled,
    /// A daily or project quota is used up.
    QuotaExceeded,
    /// A permission or credential is missing.
    AccessDenied,
    /// The object is gone, or was replaced by another version.
    Vanished,
    /// The file is not what a DMS Parquet file is: damaged, cut, or no Parquet at all.
    Unreadable,
    /// The file holds a column type that this version does not carry.
    UnsupportedType,
    /// The file's columns contradict the mapping or landbridge's own column names.
    SchemaConflict,
    /// The warehouse refused the content of a batch.
    ContentRefused,
    /// The ledger has forgotten the file, and its rows are in the warehouse.
    AlreadyLoaded,
    /// The destination (dataset, table) is missing or refuses everything.
    DestinationRefused,
    /// The local disk is full.
    DiskFull,
    /// The ledger answered something that the protocol excludes.
    LedgerCorrupt,
    /// A bug of landbridge: a panic or a broken invariant.
    Internal,
}

/// What landbridge does about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Wait and do the same again.
    Retry,
    /// The file is vanished: counted against completeness.
    Vanish,
    /// A strike against the file; three make it poison.
    Strike,
    /// The file is poison at once: trying again cannot help.
    Poison,
    /// The table is held until someone acts; other tables go on.
    HoldTable,
    /// The process stops with a clear error.
    StopProcess,
}

/// What the reason of a file says that a copy of its object announced: it is redriven by name only.
pub const MAY_BE_LOADED: &str = "its rows may be loaded already under its former ETag";
/// What the reason of a file of the kind `AlreadyLoaded` says: it is not redriven.
pub const LOADED_BEFORE: &str = "has its rows: it is not loaded twice";

impl FaultKind {
    /// Every kind, for tables in the documentation and for tests.
    pub const ALL: [Self; 14] = [
        Self::Unavailable,
        Self::Throttled,
        Self::QuotaExceeded,
        Self::AccessDenied,
        Self::Vanished,
        Self::Unreadable,
        Self::UnsupportedType,
        Self::SchemaConflict,
        Self::ContentRefused,
        Self::AlreadyLoaded,
        Self::DestinationRefused,
        Self::DiskFull,
        Self::LedgerCorrupt,
        Self::Internal,
    ];

    /// The kind as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AccessDenied => "access_denied",
            Self::Vanished => "vanished",
            Self::Unreadable => "unreadable",
            Self::UnsupportedType => "unsupported_type",
            Self::SchemaConflict => "schema_conflict",
            Self::ContentRefused => "content_refused",
            Self::AlreadyLoaded => "already_loaded",
            Self::DestinationRefused => "destination_refused",
            Self::DiskFull => "disk_full",
            Self::LedgerCorrupt => "ledger_corrupt",
            Self::Internal => "internal",
        }
    }

    /// What landbridge does about it while the file is not yet claimed.
    pub const fn policy(self) -> Policy {
        match self {
            Self::Unavailable
            | Self::Throttled
            | Self::QuotaExceeded
            | Self::AccessDenied
            | Self::DiskFull => Policy::Retry,
            Self::Vanished => Policy::Vanish,
            Self::Unreadable | Self::Internal => Policy::Strike,
            Self::UnsupportedType | Self::SchemaConflict | Self::ContentRefused | Self::AlreadyLoaded => {
                Policy::Poison
            }
            Self::DestinationRefused => Policy::HoldTable,
            Self::LedgerCorrupt => Policy::StopProcess,
        }
    }

    /// What an operator can do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unavailable => {
                "nothing: landbridge tries again; look at the network or the service if it lasts"
            }
            Self::Throttled => "nothing: landbridge slows down; ask for a higher limit if it lasts",
            Self::QuotaExceeded => {
                "nothing: windows are longer until the quota refills; planner.jobs_per_day says what others leave"
            }
            Self::AccessDenied => "grant the permission named in the error; landbridge tries again by itself",
            Self::Vanished => {
                "find out who deleted or replaced the object; reload the table in DMS if its rows are needed"
            }
            Self::Unreadable => "look at the file; reload the table in DMS if it is damaged",
            Self::UnsupportedType => {
                "change the column's type with a DMS transformation, or leave the column out"
            }
            Self::SchemaConflict => "rename the column with a DMS transformation, or correct the mapping",
            Self::ContentRefused => "compare the file's values with the destination's column types",
            Self::AlreadyLoaded => {
                "nothing: its rows are there; give the file up with `landbridge dlq discard`"
            }
            Self::DestinationRefused => {
                "correct the destination in the mapping or create it, then resume the table"
            }
            Self::DiskFull => "free or add disk space; landbridge tries again by itself",
            Self::LedgerCorrupt => "restore the ledger from its backup; do not start with an empty one",
            Self::Internal => "report it with the log around it",
        }
    }
}

/// One thing that went wrong: its kind, what it happened to, and the foreign error beneath.
#[derive(Debug)]
pub struct Fault {
    /// The kind, which decides what is done.
    pub kind: FaultKind,
    /// What was attempted on what: lower case, no full stop, names the table, file or key.
    pub context: String,
    /// The foreign error, kept as a source.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault without a foreign error beneath.
    pub fn new(kind: FaultKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// A fault with the foreign error that caused it.
    pub fn from_error(
        kind: FaultKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, context: context.into(), source: Some(source.into()) }
    }

    /// An I/O error, classified by what the operating system says.
    pub fn from_io(context: impl Into<String>, error: std::io::Error) -> Self {
        // io::ErrorKind is open to additions, so the last arm cannot name its cases.
        #[allow(clippy::wildcard_enum_match_arm)]
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => FaultKind::Vanished,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                FaultKind::AccessDenied
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FaultKind::DiskFull,
            _ => FaultKind::Unavailable,
        };
        Self::from_error(kind, context, error)
    }

    /// The whole chain on one line, for logs and for the ledger's reason column; cut when it is very long.
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut next = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        if let Some((end, _)) = text.char_indices().nth(CHAIN_LETTERS_MAX - 1) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.context)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_every_cause_once() {
        let fault = Fault::from_io("cannot read a.parquet", std::io::Error::other("boom"));
        assert_eq!(fault.chain(), "cannot read a.parquet: boom");
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }

    #[test]
    fn a_chain_is_cut_between_letters_when_it_is_too_long() {
        let whole = "é".repeat(CHAIN_LETTERS_MAX - 1);
        assert_eq!(Fault::new(FaultKind::Internal, whole.clone()).chain(), whole);
        let cut = Fault::new(FaultKind::Internal, whole.clone() + "xyz").chain();
        assert_eq!(cut, whole + "…");
    }

    #[test]
    fn labels_are_unique() {
        let labels: std::collections::BTreeSet<_> = FaultKind::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), FaultKind::ALL.len());
    }
}
