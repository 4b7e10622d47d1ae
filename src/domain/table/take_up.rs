//! How far into a table's deferred files is looked for some whose lane has room, and how soon again.

use std::time::Duration;

use crate::domain::batch::FILES_PER_BATCH_MAX;

/// How soon the ledger is asked again when there were none.
const WHEN_NONE: Duration = Duration::from_secs(60);
/// When there were some.
pub const WHEN_SOME: Duration = Duration::from_secs(2);
/// When none of them had room in its lane.
const WHEN_FULL: Duration = Duration::from_secs(10);
/// Files that are looked at, at the least.
const LOOKED_AT_MIN: usize = FILES_PER_BATCH_MAX * 2;
/// And at the most. The files of a full load are thousands, and changes may stand behind them.
const LOOKED_AT_MAX: usize = 20_000;

/// What an answer of the ledger had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// No file is deferred, and none was since it was asked.
    pub none: bool,
    /// Files that were taken up.
    pub taken: usize,
    /// Files for which there was no room.
    pub passed_over: usize,
    /// There may be more of them than were asked for.
    pub is_cut: bool,
}

/// How many files that are not in hand are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeUp(usize);

impl Default for TakeUp {
    fn default() -> Self {
        Self(LOOKED_AT_MIN)
    }
}

impl TakeUp {
    /// So many.
    pub fn files(self) -> usize {
        self.0
    }

    /// The ledger has answered: it is asked again after so long. Behind those that wait for room there may be others that need not.
    pub fn listed(&mut self, listed: Listed) -> Duration {
        let Listed { none, taken, passed_over, is_cut } = listed;
        let sees_all = !is_cut || self.0 >= LOOKED_AT_MAX;
        let further = if is_cut { self.0.max(passed_over).saturating_mul(2) } else { passed_over };
        self.0 = further.clamp(LOOKED_AT_MIN, LOOKED_AT_MAX);
        if none {
            WHEN_NONE
        } else if taken == 0 && passed_over > 0 && sees_all {
            WHEN_FULL
        } else {
            WHEN_SOME
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_full_load_is_seen_within_seconds_and_what_is_full_is_asked_about_rarely() {
        let (mut take_up, mut waited, full_load) = (TakeUp::default(), Duration::ZERO, 10_000);
        while take_up.files() <= full_load {
            let passed_over = take_up.files();
            waited += take_up.listed(Listed { none: false, taken: 0, passed_over, is_cut: true });
        }
        assert!(waited <= Duration::from_secs(20), "{waited:?}");
        let seen = Listed { none: false, taken: 1, passed_over: full_load, is_cut: false };
        assert_eq!(take_up.listed(seen), WHEN_SOME);
        assert!(take_up.files() >= full_load);
        assert_eq!(take_up.listed(Listed { taken: 0, ..seen }), WHEN_FULL);
        // More than is ever looked at: it is full all the same.
        for _ in 0..20 {
            take_up.listed(Listed { taken: 0, is_cut: true, ..seen });
        }
        assert_eq!(take_up.files(), LOOKED_AT_MAX);
        assert_eq!(take_up.listed(Listed { taken: 0, is_cut: true, ..seen }), WHEN_FULL);
        let nothing = Listed { none: true, taken: 0, passed_over: 0, is_cut: false };
        assert_eq!((take_up.listed(nothing), take_up), (WHEN_NONE, TakeUp::default()));
    }
}
