//! Which open batches a process takes up where several share a ledger: never one that a living process has. A stream is sealed by whoever takes its
//! batch up, and then takes no more rows; jobs of one id do each other no harm.
//!
//! Every process says every ten seconds that it lives and which batches it delivers (`Hands`). One that it has claimed since is young: by the time
//! of the batch's last attempt or change, not of its claim, since a batch may have many attempts.

use std::time::Duration;

use super::instant::Instant;
use super::transition::BatchRecord;
use super::watermark::{Hands, living};

/// How long after its last change a batch that no living process names is taken to be left.
pub const LEFT_AFTER: Duration = Duration::from_secs(120);
/// Of several that live the first by name takes a batch up, and names it; the others wait so much longer, in case it does not.
pub const TURN: Duration = Duration::from_secs(120);

/// Why a process looks for open batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// It begins. Where no other lives, all are its own.
    First,
    /// Others may have left some meanwhile.
    Again,
}

/// True of an open batch that `own` may take up, which does not have it, by what the others have said last.
pub fn is_left(record: &BatchRecord, own: &str, others: &[Hands], look: Look, now: Instant) -> bool {
    let living: Vec<_> = living(others, now).collect();
    match look {
        Look::First => living.is_empty(),
        Look::Again => {
            let is_first = living.iter().all(|other| own < other.process.as_str());
            let patience = if is_first { LEFT_AFTER } else { LEFT_AFTER + TURN };
            !living.iter().any(|other| other.batches.contains(&record.batch.id))
                && now.since(record.since) >= patience
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::batch::{Batch, Destination, Manifest};
    use crate::domain::ids::{BatchId, TableId};
    use crate::domain::transition::BatchState;

    const fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn record(since: i64) -> BatchRecord {
        let manifest = Manifest { entries: Vec::new() };
        let table = TableId::new("a", "s", "t");
        // It was claimed long ago.
        let batch = Batch::plan(table, Destination::default(), at(0), None, manifest);
        BatchRecord { batch, state: BatchState::Open, last_attempt: None, since: at(since) }
    }

    fn process(name: &str, said: i64, batches: &[&BatchId]) -> Hands {
        let batches = batches.iter().map(|batch| (*batch).clone()).collect();
        Hands { process: name.to_owned(), at: at(said), batches, ..Hands::default() }
    }

    #[test]
    fn who_begins_alone_takes_all_and_nobody_takes_what_a_living_one_has() {
        let one = record(900);
        let of = |others: &[Hands], look| is_left(&one, "b", others, look, at(1_000));
        assert!(of(&[], Look::First) && !of(&[], Look::Again), "its last attempt is young");
        assert!(of(&[process("a", 955, &[&one.batch.id])], Look::First), "it is gone");
        assert!(!of(&[process("a", 956, &[])], Look::First), "it may have claimed it since");
        let one = record(100);
        let of = |others: &[Hands], look| is_left(&one, "b", others, look, at(1_000));
        assert!(!of(&[process("a", 990, &[&one.batch.id])], Look::Again));
        assert!(!of(&[process("a", 990, &[&one.batch.id])], Look::First));
        assert!(of(&[process("a", 900, &[&one.batch.id])], Look::Again), "it is gone");
    }

    #[test]
    fn what_nobody_has_is_taken_by_one() {
        let others = |name: &str| process(name, 995, &[]);
        for (since, takes) in [(881, [false, false]), (880, [true, false]), (760, [true, true])] {
            let one = record(since);
            let first = is_left(&one, "a", &[others("b")], Look::Again, at(1_000));
            let second = is_left(&one, "b", &[others("a")], Look::Again, at(1_000));
            assert_eq!([first, second], takes, "{since}");
        }
    }
}
