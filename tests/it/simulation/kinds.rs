//! The kinds of faults that a seed draws.

macro_rules! kinds {
    ($($name:ident $label:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($name),* }

        impl Kind {
            /// Every kind, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As people read it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

kinds! {
    CrashBefore "process: crash before a call";
    CrashAfter "process: crash after a call, before its answer";
    PanicInBatcher "process: panic in a batcher";
    PanicInDelivery "process: panic in a delivery";
    Drained "process: drained and started again";
    TablePaused "process: table paused, later resumed";
    RulesChanged "process: starts with other column rules";
    MappingGone "process: starts without the mapping of a table";
    LedgerLostBefore "ledger: step not done, no answer";
    LedgerLostAfter "ledger: step done, no answer";
    LedgerOutage "ledger: no answer for a while";
    OpenFailed "bucket: open fails";
    ReadFailed "bucket: read of an open object fails";
    BucketOutage "bucket: no answer for a while";
    SlowCall "any edge: slow call";
    SubmitUnavailable "warehouse: submit fails, no effect (503, throttled)";
    SubmitRefused "warehouse: submits of a table refused for a while (access, quota)";
    SubmitAnswerLost "warehouse: upload whole, answer lost";
    UploadCut "warehouse: upload cut before its last byte";
    UploadLate "warehouse: answer lost, upload lands later";
    UploadOutlivesProcess "warehouse: upload of a dead process lands later";
    UploadTooLate "warehouse: late upload finds its id taken";
    ForeignJob "warehouse: foreign job under the id";
    AskFailed "warehouse: ask fails (503, throttled)";
    AskNotFoundYet "warehouse: a new job is not found yet";
    FenceLostBefore "warehouse: fence not placed, no answer";
    FenceLostAfter "warehouse: fence placed, no answer";
    WarehouseOutage "warehouse: no answer for a while";
    StreamCut "stream: some of the rows are appended, no answer";
    StreamLate "stream: no answer, the rows come later";
    StreamTooLate "stream: rows come after it was sealed";
    StreamRefused "stream: a marked value is refused";
    StreamJson "stream: rows with JSON";
    StreamCommitLost "stream: committed, answer lost";
    JobSlow "job: running for minutes";
    JobBackendError "job: ends with backendError";
    JobQuota "job: ends with quotaExceeded";
    JobDenied "job: ends with accessDenied";
    JobContentRefused "job: content refused (marked file)";
    RequestContentRefused "job: content refused at the request (marked file)";
    Overwritten "object: overwritten, announced again";
    VanishedEarly "object: gone before or soon after it is announced";
    VanishedAfterClaim "object: gone between claim and rebuild";
    Restored "object: the very version is back, announced again";
    PoisonFooter "file: no Parquet";
    PoisonPages "file: damaged pages";
    PoisonType "file: a type that is not carried";
    PoisonPanic "file: makes the decoder panic";
    Empty "file: no bytes";
    Copied "file: announced by a copy";
    Unmapped "file: of a table that no mapping names";
    OtherColumns "file: columns that do not fit the window";
    AnnouncedTwice "queue: announced twice";
    AnnouncedThrice "queue: every notification three times";
    AnnouncedLate "queue: notification late";
    Garbage "queue: message that is no notification";
    RedeliveredInHand "queue: redelivered while in hand";
    RedeliveredAfterDelete "queue: redelivered after delete";
    Reordered "queue: delivered out of order";
    ReceiveFailed "queue: receive fails";
    ReceiveAnswerLost "queue: received, answer lost";
    DeleteFailed "queue: delete fails";
    ReceiptLost "queue: receipt lost";
    ExtendFailed "queue: extension fails, visibility expires";
    QueueOutage "queue: no answer for a while";
    ReplayedLater "queue: all of it replayed a day later, three times";
}

impl Kind {
    /// True when the process ended by it at once.
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

/// How often each kind has fired.
#[derive(Clone, Debug)]
pub struct Fired(Vec<u64>);

impl Default for Fired {
    fn default() -> Self {
        Self(vec![0; Kind::ALL.len()])
    }
}

impl Fired {
    pub fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    /// Crashes, and everything else.
    pub fn crashes_and_others(&self) -> (u64, u64) {
        let all: u64 = self.0.iter().sum();
        let crashes = Kind::ALL.iter().filter(|kind| kind.is_crash()).map(|kind| self.of(*kind)).sum();
        (crashes, all - crashes)
    }

    /// The kinds that have not fired.
    pub fn missing(&self) -> Vec<&'static str> {
        Kind::ALL.iter().filter(|kind| self.of(**kind) == 0).map(|kind| kind.label()).collect()
    }
}
