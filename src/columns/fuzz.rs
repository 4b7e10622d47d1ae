//! Files, whatever they are: a file is loaded, all rows of its footer with the values that the Parquet reader finds, or
//! it is refused, and the refusal names it. Our own code never panics. A panic of a library over a file is contained by
//! the CPU pool, and counts as a refusal; it is told, so that a check can be written that comes first.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

use super::body::Body;
use super::footer::{Footer, read_footer};
use super::layout::Layout;
use super::lineage;
use super::rules::ColumnRules;
use super::transcode::{Input, build};
use super::written::Memory;
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::fault::{CHAIN_LETTERS_MAX, Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;
use crate::fuzz::Choices;

pub(super) mod oracle;
pub(super) mod parts;
mod shape;
pub(super) mod tree;

/// A footer that states more rows than this is read, its pages are not: they would take long, and rightly so.
const ROWS_MAX: u64 = 200_000;

/// The bytes are the file.
pub(crate) fn bytes(bytes: &[u8]) {
    let _ = load(&Bytes::copy_from_slice(bytes));
}

/// The bytes choose a sound file, which must load, and what is then changed of it.
pub(crate) fn shapes(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (file, rows) = shape::chosen(&mut choices);
    if choices.is_empty() {
        assert_eq!(load(&file).map_err(|fault| fault.chain()), Ok(Some(rows)));
        return;
    }
    let mut parts = parts::Parts::of(&file);
    let late = choices.below(4);
    for _ in 0..choices.below(4) {
        parts.change(&mut choices);
    }
    let mut changed = if late == 1 { parts.join_and_change(&mut choices) } else { parts.join() };
    if late == 2 {
        parts::edit(&mut changed, &mut choices);
    }
    let _ = load(&changed.into());
}

/// Loads a file and holds the outcome against what is promised. `Ok(None)` when its rows are too many to be read here.
fn load(file: &Bytes) -> Result<Option<u64>, Fault> {
    let outcome = contained(|| try_load(file));
    if let Err(fault) = &outcome {
        let kinds = [FaultKind::Unreadable, FaultKind::UnsupportedType, FaultKind::SchemaConflict];
        let told = fault.chain();
        assert!(kinds.contains(&fault.kind), "{:?}: {told}", fault.kind);
        assert!(told.contains("cdc/dms/casino/bets/0.parquet@etag"), "it does not name the file: {told}");
        assert!(told.chars().count() <= CHAIN_LETTERS_MAX);
    }
    outcome
}

fn try_load(file: &Bytes) -> Result<Option<u64>, Fault> {
    let object: Arc<dyn Object> = Arc::new(Memory(file.clone()));
    let table = TableId::new("game-a", "casino", "bets");
    let id = FileId {
        table: table.clone(),
        bucket: "cdc".into(),
        key: "dms/casino/bets/0.parquet".into(),
        etag: "etag".into(),
        size_bytes: file.len() as u64,
    };
    let rules = ColumnRules {
        op: "Op".into(),
        timestamp: Some("ts".into()),
        sequence: Some("seq".into()),
        instants: ["moment".to_owned()].into(),
        ..ColumnRules::default()
    };
    let footer = read_footer(&id, Arc::clone(&object), &rules)?;
    if footer.rows() > ROWS_MAX {
        return Ok(None);
    }
    let destination =
        Destination { project: "".into(), location: "".into(), dataset: "d".into(), table: "t".into() };
    let manifest = Manifest { entries: vec![ManifestEntry { file: id.clone(), rows: footer.rows() }] };
    let batch = Batch::plan(table, destination, Instant::from_micros(0), None, manifest);
    let input = [Input { file: id, object, footer: footer.clone() }];
    let built = |layout: &Layout| {
        let body = build(layout, &batch, footer.plan(), &rules, &input, scratch(), &|| true);
        body.map_err(|failure| failure.fault)
    };
    let read = columns(&built(&Layout::DEFAULT)?);
    let numbers = read.last().unwrap().as_primitive::<Int64Type>();
    let rows = numbers.len() as u64;
    assert!(numbers.values().iter().map(|number| number.cast_unsigned()).eq(0..rows));
    assert_eq!(rows, footer.rows(), "the body has not the rows of the footer");
    same_values(&footer, file, &read);
    // A page that is not looked into is taken over as it is: of a sound file, every way makes the same body.
    assert_eq!(columns(&built(&COPYING).unwrap()), read);
    Ok(Some(rows))
}

/// Whatever may be copied is.
const COPYING: Layout =
    Layout { group_bytes: 1, copied_bytes_min: 0, copied_texts_checked: false, ..Layout::DEFAULT };

/// The table's own columns in a body, then the numbers of its rows.
fn columns(body: &Body) -> Vec<ArrayRef> {
    let read = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(body.path()).unwrap()).unwrap();
    let schema = Arc::clone(read.schema());
    let batches: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&schema, &batches).unwrap();
    let own = read.columns()[..body.plan().columns().len()].to_vec();
    own.into_iter().chain([Arc::clone(read.column_by_name(lineage::SOURCE_ROW).unwrap())]).collect()
}

/// What is in the body is what the library's own reader finds in the file.
fn same_values(footer: &Footer, file: &Bytes, body: &[ArrayRef]) {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options).unwrap();
    let read = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata);
    let schema = Arc::clone(read.schema());
    let batches: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&schema, &batches).unwrap();
    let parts = footer.columns();
    for (((_, kind), leaf), carried) in parts.plan.columns().iter().zip(&parts.own).zip(body) {
        let expected = oracle::stored_texts(read.column(leaf.position), leaf.stored, *kind);
        assert_eq!(oracle::exact_texts(carried), expected, "{kind} stored as {:?}", leaf.stored);
    }
}

/// A place for a body, in memory where there is such a place.
fn scratch() -> std::path::PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("landbridge-fuzz-{}-{number}.parquet", std::process::id()))
}

thread_local! {
    /// True while a panic is to be judged and not to be told.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a job as the CPU pool does. A panic of a library is the file's fault; one of ours goes on.
fn contained<T>(job: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                return before(info);
            }
            let at = info.location().map(ToString::to_string).unwrap_or_default();
            PANICKED_AT.set(format!("{at}: {}", info.payload_as_str().unwrap_or("no text")));
        }));
    });
    CONTAINED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(job));
    CONTAINED.set(false);
    match outcome {
        Ok(outcome) => outcome,
        Err(payload) => {
            let at = PANICKED_AT.take();
            let told = format!("cannot read cdc/dms/casino/bets/0.parquet@etag: a library panicked at {at}");
            // A library's `unwrap` that is handed on as a function is told as the standard library's.
            let of_library = at.contains("/registry/src/") || at.contains("ParquetError(");
            if !of_library {
                eprintln!("panicked at {at}");
                panic_any(payload);
            }
            tell(&at);
            Err(Fault::new(FaultKind::Unreadable, told))
        }
    }
}

/// Tells of each place where a library panics, once.
fn tell(at: &str) {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let place = at.split(": ").next().unwrap_or(at).to_owned();
    if !told.contains(&place) {
        eprintln!("a library panics over a file, which is refused for it: {at}");
        told.push(place);
    }
}
