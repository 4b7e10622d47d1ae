//! The demo's live progress.

use std::time::Duration;

use super::traffic::Written;

/// What there is to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Of the traffic.
    pub length: Duration,
    /// Written by the generator in this run.
    pub written: Written,
    /// Rows loaded in this run.
    pub rows_loaded: u64,
    /// Batches loaded in this run.
    pub batches_loaded: u64,
    /// Messages in queues and in hand.
    pub pending: u64,
    /// True once the traffic has ended.
    pub draining: bool,
}

/// One line of at most 100 columns.
pub fn line(progress: &Progress) -> String {
    let (elapsed, length) = (progress.elapsed.as_secs(), progress.length.as_secs());
    let share = if length == 0 { 1.0 } else { (elapsed as f64 / length as f64).min(1.0) };
    let filled = (share * 20.0) as usize;
    let bar: String = (0..20).map(|cell| if cell < filled { '#' } else { '.' }).collect();
    let what = if progress.draining { "draining" } else { "running " };
    format!(
        "[{bar}] {:>3}s {what} wrote {:>5} files {:>7} rows | loaded {:>7} rows in {:>4} batches | {:>4} pending",
        elapsed.min(length.max(elapsed)),
        progress.written.files,
        progress.written.rows,
        progress.rows_loaded,
        progress.batches_loaded,
        progress.pending
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_a_terminal() {
        let written = Written { files: 12_345, rows: 9_999_999 };
        let progress = Progress {
            elapsed: Duration::from_secs(30),
            length: Duration::from_secs(60),
            written,
            rows_loaded: 9_999_999,
            batches_loaded: 9_999,
            pending: 9_999,
            draining: false,
        };
        let line = line(&progress);
        assert!(line.len() <= 120, "{}", line.len());
        assert!(line.starts_with("[##########..........]"), "{line}");
    }
}
