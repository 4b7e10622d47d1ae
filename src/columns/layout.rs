//! Which row groups of the files become which row groups of the body.

use super::transcode::Input;

/// How a body is laid out; the defaults are measured (docs/performance.md).
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// A row group is closed when the row groups that it is made of have this many bytes.
    pub(super) group_bytes: u64,
    /// And at this many rows. A row group of a file is never cut.
    pub(super) group_rows: u64,
    /// Column chunks that become at least this many bytes each, on the mean, are copied as they are, where they can be;
    /// smaller ones are put together into pages of the usual size.
    pub(super) copied_bytes_min: u64,
    /// Whether texts are held against UTF-8 where their chunks are copied, too.
    pub(super) copied_texts_checked: bool,
}

impl Layout {
    /// BigQuery wants 16 MiB and more, and reads row groups side by side; memory does not depend on it.
    pub const DEFAULT: Self = Self {
        group_bytes: 128 << 20,
        group_rows: 1 << 20,
        copied_bytes_min: 32 << 10,
        copied_texts_checked: true,
    };

    /// The usual layout, where chunks are copied from this many bytes on.
    pub const fn copying_from(bytes: u64) -> Self {
        Self { copied_bytes_min: bytes, ..Self::DEFAULT }
    }
}

/// A row group of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The place of its file among the inputs.
    pub(super) input: usize,
    /// Its place in the file.
    pub(super) group: usize,
    /// The number of its first row in the file.
    pub(super) first_row: u64,
    pub(super) rows: u64,
}

/// The row groups of the body, each with what it is made of, in order.
pub(super) fn groups(inputs: &[Input], layout: &Layout) -> Vec<Vec<Run>> {
    let mut groups: Vec<Vec<Run>> = Vec::new();
    let (mut rows_held, mut bytes_held) = (0_u64, 0_u64);
    for (input, file) in inputs.iter().enumerate() {
        let mut first_row = 0_u64;
        for (group, stated) in file.footer.row_groups().iter().enumerate() {
            let rows = u64::try_from(stated.num_rows()).unwrap_or(0);
            if rows == 0 {
                continue;
            }
            let stored =
                stated.columns().iter().map(|chunk| u64::try_from(chunk.compressed_size()).unwrap_or(0));
            let bytes = stored.fold(0_u64, u64::saturating_add);
            let run = Run { input, group, first_row, rows };
            first_row = first_row.saturating_add(rows);
            match groups.last_mut() {
                Some(last)
                    if rows_held.saturating_add(rows) <= layout.group_rows
                        && bytes_held < layout.group_bytes =>
                {
                    last.push(run);
                    rows_held = rows_held.saturating_add(rows);
                    bytes_held = bytes_held.saturating_add(bytes);
                }
                Some(_) | None => {
                    groups.push(vec![run]);
                    (rows_held, bytes_held) = (rows, bytes);
                }
            }
        }
    }
    groups
}
