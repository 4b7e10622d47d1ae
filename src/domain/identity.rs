//! Invariant I-7: a dataset is loaded by one ledger, and by none that has forgotten what was loaded.
//!
//! A ledger has a name of its own, and an epoch that rises at every start. Both are written on what it loads. Whoever
//! comes with another name, or with an older epoch, does not know what is loaded there: it is refused.

use std::fmt;

/// A ledger's name, and how often a process has started on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// 32 hexadecimal digits, drawn when the ledger was made.
    pub ledger: String,
    /// Rises at every start.
    pub epoch: u64,
}

/// What is written on a dataset.
pub type Stamp = Identity;

/// How a ledger stands to a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nobody has written on it: it is new, or was loaded by a version that wrote nothing.
    Unstamped,
    /// It is this ledger's.
    Ours,
    /// Another ledger has loaded it.
    Foreign,
    /// A later state of this ledger has loaded it: this one is a copy, or came from a backup.
    Older,
}

/// How the ledger, as it is before this start, stands to a dataset with this stamp.
pub fn standing(own: &Identity, stamp: Option<&Stamp>) -> Standing {
    match stamp {
        None => Standing::Unstamped,
        Some(stamp) if stamp.ledger != own.ledger => Standing::Foreign,
        Some(stamp) if stamp.epoch > own.epoch => Standing::Older,
        Some(_) => Standing::Ours,
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at its start {}", self.ledger, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_ledger_and_none_that_has_forgotten_loads_a_dataset() {
        let of = |ledger: &str, epoch| Identity { ledger: ledger.to_owned(), epoch };
        let own = of("a", 5);
        let cases = [
            (None, Standing::Unstamped),
            (Some(of("a", 4)), Standing::Ours),
            (Some(of("a", 5)), Standing::Ours),
            (Some(of("a", 6)), Standing::Older),
            (Some(of("b", 1)), Standing::Foreign),
        ];
        for (stamp, expected) in cases {
            assert_eq!(standing(&own, stamp.as_ref()), expected, "{stamp:?}");
        }
    }
}
