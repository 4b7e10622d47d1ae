//! The order in which the halves of a refused batch are tried, so that a culprit is found by few load jobs.
//!
//! One half at a time. When the first half of a refused batch is loaded, the second must hold the culprit: it is halved
//! in its turn without a job of its own. What is left untried once the culprit is found is loaded then. One culprit
//! among n files ends alone after at most 2 + log2(n) load jobs, the first refusal and the load of no rows included
//! (`domain::delivery`, `Action::Probe`); both halves at each level would be 1 + 2 log2(n).

/// Refusals of a table's batches without a load between them, after which the table is held: what refuses so much is the
/// table, or whoever writes its files.
pub const REFUSALS_IN_A_ROW_MAX: u32 = 16;

/// How many batches of a table were refused since it took one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RefusalsInARow(u32);

impl RefusalsInARow {
    /// Counts what came of a batch; true when the table is to be held, and then counts anew.
    pub fn count<T>(&mut self, tried: &Tried<T>) -> bool {
        match tried {
            Tried::Halved(..) | Tried::Alone => self.0 = self.0.saturating_add(1),
            Tried::Loaded { by_a_job: true } => self.0 = 0,
            Tried::Loaded { by_a_job: false } | Tried::Unknown => {}
        }
        if self.0 < REFUSALS_IN_A_ROW_MAX {
            return false;
        }
        self.0 = 0;
        true
    }
}

/// The parts of one refused batch that are not yet tried. `T` is a part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bisection<T> {
    /// The next one is last.
    untried: Vec<T>,
    /// What is being tried is the first half of what was refused.
    is_first_half: bool,
    table_takes: bool,
}

/// How the part that was tried has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried<T> {
    /// It was refused, and is two halves now.
    Halved(T, T),
    /// It was refused, and is one file.
    Alone,
    /// It is loaded; a part without rows is, without a job.
    Loaded {
        /// The warehouse took rows of it.
        by_a_job: bool,
    },
    /// It came to another end, which says nothing of its content.
    Unknown,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Try this part.
    Try {
        /// The part.
        part: T,
        /// It must hold a culprit.
        is_suspect: bool,
        /// The table took another part: it does not refuse everything.
        table_takes: bool,
    },
    /// Everything is tried.
    Over,
}

impl<T> Default for Bisection<T> {
    fn default() -> Self {
        Self { untried: Vec::new(), is_first_half: false, table_takes: false }
    }
}

impl<T> Bisection<T> {
    /// The parts that are not yet tried.
    pub fn untried(&self) -> &[T] {
        &self.untried
    }

    /// Takes how the part that was tried has ended, and says what to do next.
    pub fn step(&mut self, tried: Tried<T>) -> Next<T> {
        let was_first_half = std::mem::take(&mut self.is_first_half);
        let mut is_suspect = false;
        match tried {
            Tried::Halved(first, second) => {
                self.untried.extend([second, first]);
                self.is_first_half = true;
            }
            Tried::Loaded { by_a_job } => {
                self.table_takes |= by_a_job;
                is_suspect = was_first_half;
            }
            Tried::Alone | Tried::Unknown => {}
        }
        match self.untried.pop() {
            Some(part) => Next::Try { part, is_suspect, table_takes: self.table_takes },
            None => Next::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    type Part = Range<usize>;

    #[derive(Default)]
    struct Run {
        jobs: u32,
        jobs_until_found: u32,
        poison: Vec<usize>,
        loaded: Vec<usize>,
        held: bool,
    }

    /// Plays a batch of `files` files, in which those of `culprits` are refused.
    fn play(files: usize, culprits: &[usize]) -> Run {
        let (mut run, mut bisection) = (Run::default(), Bisection::<Part>::default());
        let mut refusals = RefusalsInARow::default();
        let mut next = Next::Try { part: 0..files, is_suspect: false, table_takes: false };
        loop {
            let (part, is_suspect, table_takes) = match next {
                Next::Try { part, is_suspect, table_takes } => (part, is_suspect, table_takes),
                Next::Over => return run,
            };
            let is_skipped = is_suspect && part.len() > 1;
            run.jobs += u32::from(!is_skipped);
            let is_refused = is_skipped || part.clone().any(|file| culprits.contains(&file));
            let tried = match (is_refused, part.len()) {
                (false, _) => {
                    run.loaded.extend(part);
                    Tried::Loaded { by_a_job: true }
                }
                (true, 1) => {
                    // The load of no rows.
                    run.jobs += u32::from(!table_takes);
                    run.poison.push(part.start);
                    run.jobs_until_found = run.jobs;
                    Tried::Alone
                }
                (true, files) => {
                    let middle = part.start + files / 2;
                    Tried::Halved(part.start..middle, middle..part.end)
                }
            };
            if refusals.count(&tried) {
                run.held = true;
                return run;
            }
            next = bisection.step(tried);
        }
    }

    #[test]
    fn one_culprit_is_alone_after_few_jobs_and_the_rest_is_loaded() {
        for files in 1..=90_usize {
            for culprit in 0..files {
                let run = play(files, &[culprit]);
                assert_eq!(
                    (run.poison.as_slice(), run.loaded.len(), run.held),
                    (&[culprit][..], files - 1, false)
                );
                let most = 2 + files.next_power_of_two().ilog2();
                assert!(run.jobs_until_found <= most, "{culprit} of {files}: {} jobs", run.jobs_until_found);
            }
        }
        assert_eq!((0..64).map(|culprit| play(64, &[culprit]).jobs_until_found).max(), Some(8));
    }

    #[test]
    fn a_part_without_rows_says_nothing_of_the_table() {
        let mut bisection = Bisection::default();
        let first = Next::Try { part: 'a', is_suspect: false, table_takes: false };
        assert_eq!(bisection.step(Tried::Halved('a', 'b')), first);
        let second = Next::Try { part: 'b', is_suspect: true, table_takes: false };
        assert_eq!(bisection.step(Tried::Loaded { by_a_job: false }), second);
    }

    #[test]
    fn any_two_culprits_are_found_and_the_rest_is_loaded() {
        for (one, other) in (0..33).flat_map(|one| (one + 1..33).map(move |other| (one, other))) {
            let mut run = play(33, &[one, other]);
            run.poison.sort_unstable();
            assert_eq!((run.poison, run.loaded.len(), run.held), (vec![one, other], 31, false));
        }
    }

    #[test]
    fn a_batch_of_culprits_alone_has_its_table_held() {
        let run = play(64, &(0..64).collect::<Vec<_>>());
        assert!(run.held && run.loaded.is_empty());
        assert!(run.jobs <= 2 * REFUSALS_IN_A_ROW_MAX, "{} jobs", run.jobs);
    }
}
