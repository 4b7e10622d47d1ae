use std::fs;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::*;

struct Place {
    folder: tempfile::TempDir,
    record: Record,
}

/// A record of three files of three rows: good, poison, vanished.
fn place() -> (Place, Vec<Entry>) {
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("bucket");
    fs::create_dir_all(bucket.join("a/s/t")).unwrap();
    fs::create_dir_all(folder.path().join("lake/d/t")).unwrap();
    let mut record = Record::open(&folder.path().join("record.jsonl"), &bucket).unwrap();
    let entries = [("x", Fate::Good), ("y", Fate::Poison), ("z", Fate::Vanish)]
        .map(|(name, fate)| {
            let key = format!("s/t/{name}.parquet");
            fs::write(record.temporary("a", &key), name).unwrap();
            record.put("a", &key, 3, fate, Instant::from_micros(0)).unwrap()
        })
        .to_vec();
    (Place { folder, record }, entries)
}

impl Place {
    fn load(&self, name: &str, rows: &[(&str, i64)]) {
        let schema = Arc::new(Schema::new(vec![
            Field::new("_source_file", DataType::Utf8, false),
            Field::new("_source_row", DataType::Int64, false),
        ]));
        let sources = StringArray::from_iter_values(rows.iter().map(|(source, _)| source));
        let numbers = Int64Array::from_iter_values(rows.iter().map(|(_, number)| *number));
        let batch =
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(sources), Arc::new(numbers)]).unwrap();
        let file = File::create(self.folder.path().join("lake/d/t").join(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn reconcile(&self) -> Reconciliation {
        reconcile(&self.record, &self.folder.path().join("lake")).unwrap()
    }
}

fn all(source: &str) -> [(&str, i64); 3] {
    [(source, 0), (source, 1), (source, 2)]
}

#[test]
fn a_whole_lake_is_good() {
    let (place, entries) = place();
    place.load("one.parquet", &all(&entries[0].source_file()));
    let result = place.reconcile();
    assert!(result.is_good());
    assert_eq!(result.total.files, Files { announced: 3, loaded: 1, poisoned: 1, vanished: 1 });
    let rows = Rows { announced: 9, loaded: 3, poisoned: 3, vanished: 3, missing: 0, duplicated: 0 };
    assert_eq!(result.total.rows, rows);
    assert_eq!(result.clusters["a"].rows, rows);
    assert_eq!(result.total.lags.len(), 1);
}

#[test]
fn a_missing_row_is_missed() {
    let (place, entries) = place();
    place.load("one.parquet", &all(&entries[0].source_file())[..2]);
    let result = place.reconcile();
    assert_eq!((result.total.rows.missing, result.total.files.loaded, result.is_good()), (1, 0, false));
    assert!(result.culprits[0].contains("1 rows missing"), "{:?}", result.culprits);
}

#[test]
fn doubled_rows_are_counted_wherever_they_are() {
    let (place, entries) = place();
    let source = entries[0].source_file();
    place.load("one.parquet", &all(&source));
    place.load("two.parquet", &[(&source, 1), (&source, 3), (&source, -1)]);
    place.load("three.parquet", &[("a/never@e", 0)]);
    let result = place.reconcile();
    assert_eq!((result.total.rows.duplicated, result.total.rows.loaded), (4, 3));
    assert!(!result.is_good());
    assert_eq!(result.culprits.len(), 2);
}

#[test]
fn a_damaged_or_vanished_file_that_was_loaded_all_the_same_is_loaded() {
    let (place, entries) = place();
    for entry in &entries {
        place.load(&format!("{}.parquet", entry.number), &all(&entry.source_file()));
    }
    let result = place.reconcile();
    assert_eq!(result.total.files, Files { announced: 3, loaded: 3, poisoned: 0, vanished: 0 });
    assert_eq!(result.total.rows.loaded, 9);
}

#[test]
fn an_empty_lake_misses_everything() {
    let (place, _) = place();
    assert_eq!(place.reconcile().total.rows.missing, 3);
}

#[test]
fn hidden_files_are_not_in_the_lake() {
    let (place, entries) = place();
    place.load(".one.parquet", &all(&entries[0].source_file()));
    assert_eq!(place.reconcile().total.rows.missing, 3);
}
