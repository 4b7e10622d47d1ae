//! Draws of chance. What is drawn for a file or a job depends on the scenario's seed and on that file or job, and on nothing that
//! happened before: two scenarios that differ in one thing see the same chance in all others, and are compared as pairs.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// What is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// When a cluster's task writes: the cluster of this table, its first.
    Phase { first: usize },
    /// A file of a table.
    File { table: usize, number: u64 },
    /// An attempt to load a batch that begins with this file.
    Job { table: usize, first_file: u64, attempt: u32 },
}

/// A generator of all that is drawn for it.
pub(super) fn draws(seed: u64, of: Drawn) -> SmallRng {
    let parts = match of {
        Drawn::Phase { first } => [1, first as u64, 0, 0],
        Drawn::File { table, number } => [2, table as u64, number, 0],
        Drawn::Job { table, first_file, attempt } => [3, table as u64, first_file, u64::from(attempt)],
    };
    SmallRng::seed_from_u64(parts.into_iter().fold(seed, |sum, part| mixed(sum ^ mixed(part))))
}

/// Spreads a number over all 64 bits (SplitMix64: Steele, Lea and Flood, 2014).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn what_is_drawn_for_one_thing_is_the_same_each_time_and_another_for_each_other() {
        let first = |seed, of| draws(seed, of).random::<u64>();
        let job = |table, first_file, attempt| Drawn::Job { table, first_file, attempt };
        assert_eq!(first(1, job(1, 2, 1)), first(1, job(1, 2, 1)));
        let others = [
            first(1, job(1, 2, 1)),
            first(2, job(1, 2, 1)),
            first(1, job(2, 1, 1)),
            first(1, job(1, 2, 2)),
            first(1, Drawn::File { table: 1, number: 2 }),
            first(1, Drawn::Phase { first: 1 }),
        ];
        let distinct: std::collections::BTreeSet<_> = others.into_iter().collect();
        assert_eq!(distinct.len(), others.len());
    }
}
