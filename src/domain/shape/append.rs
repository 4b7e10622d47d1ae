//! The one step that a shape takes in a ledger.

use super::ShapeEntry;

/// What becomes of entries that somebody wants to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appending {
    /// They are appended.
    Now,
    /// They were before: the answer was lost.
    Done,
    /// Others were faster.
    Refused,
}

/// Decides on `entries`, whose writer knew the first `known` entries of the shape. Both ledgers ask it, within the step.
pub fn appending(stored: &[ShapeEntry], known: usize, entries: &[ShapeEntry]) -> Appending {
    if stored.len() == known {
        return Appending::Now;
    }
    let before = known.checked_add(entries.len()).and_then(|end| stored.get(known..end));
    if before == Some(entries) { Appending::Done } else { Appending::Refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whoever_knew_everything_appends_and_only_the_same_is_done_already() {
        let stored = [ShapeEntry::added("a"), ShapeEntry::added("b"), ShapeEntry::added("c")];
        let cases = [
            (3, &[ShapeEntry::added("d")][..], Appending::Now),
            (3, &[], Appending::Now),
            (2, &[ShapeEntry::added("c")], Appending::Done),
            (1, &[ShapeEntry::added("b")], Appending::Done),
            (1, &[ShapeEntry::added("b"), ShapeEntry::added("c")], Appending::Done),
            (2, &[ShapeEntry::added("d")], Appending::Refused),
            (2, &[ShapeEntry::added("c"), ShapeEntry::added("d")], Appending::Refused),
            (4, &[ShapeEntry::added("d")], Appending::Refused),
            (usize::MAX, &[ShapeEntry::added("d")], Appending::Refused),
        ];
        for (known, entries, expected) in cases {
            assert_eq!(appending(&stored, known, entries), expected, "{known} {entries:?}");
        }
    }
}
