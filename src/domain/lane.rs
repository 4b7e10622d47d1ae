//! Two lanes a table: its changes, and its full loads.
//!
//! A full load is thousands of files at once, and nobody waits for the first of them alone. It shares nothing with changes of which it
//! could take what they need. The order between a table's full load and its changes does not matter: every row says when it was
//! committed, and from which file it is.

use super::file::FileId;
use super::route::{FileKind, file_kind};

/// A lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What is committed at the source, as it comes.
    #[default]
    Changes,
    /// The tables as they were when their task began, or was told to reload them.
    FullLoads,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Changes, Self::FullLoads];

    /// The lane of a file, by its name as DMS gives it. What a mapping's own pattern names is changes.
    pub fn of(file: &FileId) -> Self {
        let name = file.key.rsplit('/').next().unwrap_or(&file.key);
        match file_kind(name) {
            Some(FileKind::FullLoad) => Self::FullLoads,
            Some(FileKind::Changes | FileKind::Other) | None => Self::Changes,
        }
    }

    /// The lane of a batch: with a single file of changes it is one of changes.
    pub fn of_all<'a>(files: impl IntoIterator<Item = &'a FileId>) -> Self {
        files.into_iter().map(Self::of).min().unwrap_or_default()
    }
}

/// One of something for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByLane<T> {
    /// Of changes.
    pub changes: T,
    /// Of full loads.
    pub full_loads: T,
}

impl<T> ByLane<T> {
    /// The one of a lane.
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Changes => &self.changes,
            Lane::FullLoads => &self.full_loads,
        }
    }

    /// The one of a lane, to be changed.
    pub fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Changes => &mut self.changes,
            Lane::FullLoads => &mut self.full_loads,
        }
    }

    /// Both, changes first.
    pub fn both(&self) -> [&T; 2] {
        [&self.changes, &self.full_loads]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TableId;

    fn file(key: &str) -> FileId {
        FileId {
            table: TableId::new("a", "s", "t"),
            bucket: "b".into(),
            key: key.into(),
            etag: "e".into(),
            size_bytes: 1,
        }
    }

    #[test]
    fn a_file_s_lane_is_in_its_name() {
        let names = [
            ("s/t/LOAD00000001.parquet", Lane::FullLoads),
            ("s/t/p0/SEGMENT2_LOAD0000000A.parquet", Lane::FullLoads),
            ("s/t/20240809-192717787.parquet", Lane::Changes),
            ("s/LOAD00000001.parquet/odd.parquet", Lane::Changes),
            ("odd_LOAD00000001.parquet", Lane::Changes),
        ];
        for (key, lane) in names {
            assert_eq!(Lane::of(&file(key)), lane, "{key}");
        }
        let [load, change] = [names[0].0, names[2].0].map(file);
        assert_eq!(Lane::of_all([&load, &load]), Lane::FullLoads);
        assert_eq!(Lane::of_all([&load, &change]), Lane::Changes);
        assert_eq!(Lane::of_all([]), Lane::Changes);
    }
}
