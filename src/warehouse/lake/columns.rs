//! The columns of a table of the lake: those of its newest files, each column as the newest file that has it.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Column, data_files};
use crate::columns::labels;
use crate::domain::fault::Fault;
use crate::domain::shape::name::folded;

/// Files that are looked at. A column that none of them has is as good as new: the older files stay as they are.
const LOOKS_MAX: usize = 50;

/// The columns of the newest files in `folder`. One that only older ones have comes after those of newer ones.
pub(super) fn newest(folder: &Path) -> Result<Vec<Column>, Fault> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files: Vec<_> = data_files(folder)?.into_iter().map(|path| (age(&path), path)).collect();
    files.sort_unstable_by(|left, right| right.cmp(left));
    let (mut columns, mut seen) = (Vec::new(), HashSet::new());
    for (_, path) in files.into_iter().take(LOOKS_MAX) {
        let file = File::open(&path).map_err(|error| super::fault("open", &path, error))?;
        let own = labels::columns(&file, &path)?;
        columns.extend(own.into_iter().filter(|(name, _)| seen.insert(folded(name))));
    }
    Ok(columns)
}

/// Sorts by age: the day first, which a copy keeps, then the time.
fn age(path: &Path) -> (Option<PathBuf>, Option<SystemTime>) {
    let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    (path.parent().map(Path::to_owned), changed.ok())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::datatypes::{DataType, Field, Schema};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::columns::lineage;

    fn write(folder: &Path, day: &str, age_seconds: u64, own: &[(&str, DataType)]) {
        let folder = folder.join(format!("date={day}"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("b{age_seconds}-1.parquet"));
        let fields = own.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true));
        let schema = Schema::new(
            fields
                .chain(lineage::NAMES.map(|name| Field::new(name, DataType::Utf8, true)))
                .collect::<Vec<_>>(),
        );
        let file = File::create(&path).unwrap();
        ArrowWriter::try_new(file.try_clone().unwrap(), Arc::new(schema), None).unwrap().close().unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age_seconds)).unwrap();
    }

    #[test]
    fn each_column_is_that_of_the_newest_file_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let told = || {
            let columns = newest(folder.path()).unwrap().into_iter();
            let text = |(name, kind): Column| {
                format!("{name} {}", kind.map_or("?".to_owned(), |kind| kind.to_string()))
            };
            columns.map(text).collect::<Vec<_>>()
        };
        assert_eq!(newest(&folder.path().join("none")).unwrap(), []);
        write(folder.path(), "2026-11-22", 1, &[("old", DataType::Int64)]);
        assert_eq!(told(), ["old INT64"]);
        let new = [
            ("id", DataType::Int64),
            ("amount", DataType::Decimal128(12, 4)),
            ("x", DataType::Int32),
            ("y", DataType::UInt64),
        ];
        write(folder.path(), "2026-11-23", 5, &[("older", DataType::Int64), ("ID", DataType::Utf8)]);
        write(folder.path(), "2026-11-23", 4, &new);
        // A fence.
        write(folder.path(), "2026-11-23", 3, &[]);
        assert_eq!(
            told(),
            ["id INT64", "amount DECIMAL(12,4)", "x INT64", "y ?", "older INT64", "old INT64"]
        );
    }
}
