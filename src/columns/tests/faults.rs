//! Refusals: what is not carried, what is damaged, what is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};

use super::super::footer::read_footer;
use super::super::layout::Layout;
use super::super::transcode::Input;
use super::super::types::ColumnType;
use super::genuine::FILE;
use super::{Cells, Memory, PLAIN, Style, file, file_id, footer, inputs, rules, styles, texts, try_build};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::object::Object;

#[test]
fn unsupported_types_name_file_column_and_type() {
    let cases = [
        ("optional int96 c;", "INT96"),
        ("optional int64 c (TIMESTAMP(NANOS,true));", "NANOS"),
        ("optional int64 c (TIME(NANOS,true));", "NANOS"),
        ("optional fixed_len_byte_array(2) c (FLOAT16);", "Float16"),
        ("optional fixed_len_byte_array(12) c (INTERVAL);", "INTERVAL"),
        ("optional fixed_len_byte_array(16) c (UUID);", "Uuid"),
        ("optional binary c (BSON);", "BSON"),
        ("optional fixed_len_byte_array(33) c (DECIMAL(77,0));", "77"),
        ("optional binary c (DECIMAL(99,30));", "99"),
        ("repeated int64 c;", "repeated"),
        ("optional group c (LIST) { repeated group list { optional int64 element; } }", "List"),
        ("optional group c { optional int64 d; }", "group"),
        (
            "optional group c (MAP) { repeated group key_value { required binary key (UTF8); optional int64 value; } }",
            "Map",
        ),
    ];
    for (columns, found) in cases {
        let bytes = file(&format!("optional int64 id; {columns}"), &[], PLAIN);
        let fault = footer(&bytes).unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnsupportedType, "{columns}");
        let text = fault.context.to_lowercase();
        for part in ["column c ", "cdc/dms/casino/bets/0.parquet@etag0", &found.to_lowercase()] {
            assert!(text.contains(part), "{columns}: {text}");
        }
    }
    // With values as well as without.
    let bytes = file("optional int96 c;", &[vec![Cells::Int96(vec![Some(1)])]], PLAIN);
    assert_eq!(footer(&bytes).unwrap_err().kind, FaultKind::UnsupportedType);
}

#[test]
fn bits_that_were_lost_are_refused() {
    let fault = footer(&file("optional int64 id; optional boolean flags;", &[], PLAIN)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::SchemaConflict);
    for part in [
        "column flags of ",
        "bets/0.parquet@etag0 is BOOLEAN",
        "mapping says bit(8)",
        "change-data-type rule",
    ] {
        assert!(fault.context.contains(part), "{}", fault.context);
    }
    // One bit is one BOOLEAN, and bytes or a number hold all eight.
    for columns in
        ["optional boolean flag;", "optional binary flags;", "optional int64 flags;", "optional boolean f;"]
    {
        assert!(footer(&file(columns, &[], PLAIN)).is_ok(), "{columns}");
    }
}

#[test]
fn a_timestamp_of_the_mapping_is_an_instant() {
    let columns =
        "optional int64 BORN (TIMESTAMP(MICROS,true)); optional int64 other (TIMESTAMP(MICROS,true));";
    let footer = footer(&file(columns, &[], PLAIN)).unwrap();
    let kinds: Vec<_> = footer.plan().columns().iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [ColumnType::Timestamp, ColumnType::Datetime]);
}

fn unreadable(bytes: &[u8], what: &str) {
    let fault = footer(&Bytes::copy_from_slice(bytes)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreadable, "{what}");
    assert!(fault.context.contains("bets/0.parquet@etag0"), "{what}: {}", fault.chain());
}

#[test]
fn what_is_no_parquet_is_unreadable() {
    unreadable(b"", "empty");
    unreadable(b"PAR1", "magic only");
    unreadable(b"PAR1PAR1", "no footer");
    unreadable(b"PAR1\0\0\0\0PAR1", "empty footer");
    unreadable(b"PAR1\xFF\xFF\xFF\xFFPAR1", "footer beyond the file");
    unreadable(&[0x55; 1000], "garbage");
    unreadable(b"id,name\n1,a\n2,b\n", "CSV");
    let mut broken = FILE.to_vec();
    broken[FILE.len() - 1] = b'2';
    unreadable(&broken, "damaged magic at the end");
    let mut broken = FILE.to_vec();
    broken[0] = b'X';
    unreadable(&broken, "damaged magic at the beginning");
    for length in [1, 7, 8, 100, FILE.len() / 2, FILE.len() - 1] {
        unreadable(&FILE[..length], "cut at the end");
        unreadable(&FILE[FILE.len() - length..], "cut at the beginning");
    }
}

#[test]
fn zstandard_is_read_though_dms_never_writes_it() {
    let group = || vec![Cells::Int64(vec![Some(1)])];
    let style = |codec| Style { codec, ..PLAIN };
    let zstd = file("optional int64 id;", &[group()], style(Compression::ZSTD(ZstdLevel::default())));
    assert_eq!(footer(&zstd).unwrap().rows(), 1);
}

/// Writes values and damages them: the build must blame the file.
fn refused_when_built(columns: &str, cells: Cells, text: &str) {
    for style in styles() {
        let inputs = inputs(&[file(columns, &[vec![cells.clone()]], style)]).unwrap();
        let failure = try_build(&inputs, &|| true).err().unwrap();
        assert_eq!(failure.fault.kind, FaultKind::Unreadable, "{columns}");
        assert_eq!(failure.file.as_ref(), Some(&inputs[0].file), "{columns}");
        let chain = failure.fault.chain();
        assert!(chain.contains(text) && chain.contains("bets/0.parquet@etag0"), "{chain}");
    }
}

#[test]
fn values_that_cannot_be_carried_exactly_are_refused() {
    let long = |value: i64| Cells::Int64(vec![None, Some(value)]);
    let column = "optional int64 c (TIMESTAMP_MILLIS);";
    refused_when_built(column, long(i64::MAX / 1000 + 1), "column c");
    refused_when_built(column, long(i64::MIN), "column c");
    refused_when_built("optional int64 moment (TIMESTAMP_MILLIS);", long(i64::MAX), "column moment");
    refused_when_built("optional int32 c (UINT_8);", Cells::Int32(vec![None, Some(256)]), "255");
    refused_when_built("optional int32 c (UINT_16);", Cells::Int32(vec![Some(-1)]), "65535");
    refused_when_built("optional int32 c (DECIMAL(2,0));", Cells::Int32(vec![Some(100)]), "digits");
    refused_when_built("optional int64 c (DECIMAL(18,0));", long(-(10_i64.pow(18))), "digits");
    let fixed = Cells::Fixed(vec![None, Some(vec![0x7F; 16])]);
    refused_when_built("optional fixed_len_byte_array(16) c (DECIMAL(38,0));", fixed, "digits");
    let bytes = |value: &[u8]| Cells::Bytes(vec![None, Some(value.to_vec())]);
    refused_when_built("optional binary c (DECIMAL(38,0));", bytes(&[]), "digits");
    refused_when_built("optional binary c (DECIMAL(38,0));", bytes(&[1; 17]), "digits");
    let mut long_minus = [0xFF; 17];
    long_minus[1] = 0x7F;
    refused_when_built("optional binary c (DECIMAL(38,0));", bytes(&long_minus), "digits");
    refused_when_built("optional binary c (UTF8);", bytes(&[b'a', 0xC3]), "UTF");
    refused_when_built("optional binary c (ENUM);", bytes(&[0xFF]), "UTF");
    refused_when_built("optional binary Op (UTF8);", bytes(&[0xFF]), "UTF");
}

#[test]
fn pages_that_are_damaged_blame_their_file() {
    let values: Vec<_> = (0..1000).map(|value| Some(value * 7919)).collect();
    let style = Style { codec: Compression::SNAPPY, ..PLAIN };
    let sound = file("optional int64 id;", &[vec![Cells::Int64(values)]], style);
    let mut broken = sound.to_vec();
    broken[4..200].fill(0xA5);
    let inputs = inputs(&[sound, broken.into()]).unwrap();
    let failure = try_build(&inputs, &|| true).err().unwrap();
    assert_eq!(failure.fault.kind, FaultKind::Unreadable);
    assert_eq!(failure.file.as_ref(), Some(&inputs[1].file));
}

/// An object that is replaced while it is being read.
#[derive(Debug)]
struct Replaced {
    memory: Memory,
    gone: Arc<AtomicBool>,
}

impl Object for Replaced {
    fn size_bytes(&self) -> u64 {
        self.memory.size_bytes()
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Vanished, "the object was replaced"));
        }
        self.memory.read(offset, length)
    }
}

#[test]
fn a_vanished_object_is_vanished_not_unreadable() {
    let gone = Arc::new(AtomicBool::new(false));
    let object: Arc<dyn Object> =
        Arc::new(Replaced { memory: Memory(Bytes::from_static(FILE)), gone: Arc::clone(&gone) });
    let footer = read_footer(&file_id(0), Arc::clone(&object), &rules()).unwrap();
    gone.store(true, Ordering::Relaxed);
    let fault = read_footer(&file_id(0), Arc::clone(&object), &rules()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Vanished);
    let inputs = [Input { file: file_id(0), object, footer }];
    let failure = try_build(&inputs, &|| true).err().unwrap();
    assert_eq!(failure.fault.kind, FaultKind::Vanished);
    assert_eq!(failure.fault.context, "the object was replaced");
    assert_eq!(failure.file, Some(file_id(0)));
}

#[test]
fn a_spool_that_cannot_be_written_blames_no_file() {
    let inputs = inputs(&[file("optional binary c (UTF8);", &[vec![texts(&[Some("a")])]], PLAIN)]).unwrap();
    let (batch, plan) = (super::batch_of(&inputs), super::plan_of(&inputs));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("body.parquet");
    let failure =
        super::build(&Layout::DEFAULT, &batch, &plan, &rules(), &inputs, path, &|| true).unwrap_err();
    assert_eq!((failure.fault.kind, failure.file), (FaultKind::Unavailable, None));
}

/// Every single damaged byte ends in rows or in a fault.
#[test]
fn damaged_bytes_end_in_rows_or_in_a_fault() {
    let mut refusals = String::new();
    let footer_start = FILE.len() - 1788;
    // The last of these makes codec 0 codec 5.
    let in_footer =
        (footer_start..FILE.len()).flat_map(|position| [0xFF, 0x0A].map(|damage| (position, damage)));
    let in_pages = (0..footer_start).step_by(7).map(|position| (position, 0xFF));
    for (position, damage) in in_footer.chain(in_pages) {
        let mut bytes = FILE.to_vec();
        bytes[position] ^= damage;
        let built = catch_unwind(AssertUnwindSafe(|| build_or_fault(bytes)));
        match built.unwrap_or_else(|_| panic!("byte {position} ^ {damage} panics")) {
            Ok(rows) => assert_eq!(rows, 10, "byte {position} ^ {damage}"),
            Err(fault) => {
                let refused = [FaultKind::Unreadable, FaultKind::UnsupportedType, FaultKind::SchemaConflict];
                assert!(refused.contains(&fault.kind), "byte {position} ^ {damage}: {}", fault.chain());
                refusals.push_str(&fault.chain());
            }
        }
    }
    // The checks that keep the reader from believing a footer are reached.
    for text in ["compressed by", "beyond the file", "not as many values", "disagree about the rows"] {
        assert!(refusals.contains(text), "no {text}");
    }
}

fn build_or_fault(bytes: Vec<u8>) -> Result<usize, Fault> {
    let inputs = inputs(&[bytes.into()])?;
    let built = try_build(&inputs, &|| true).map_err(|failure| failure.fault)?;
    Ok(built.rows.num_rows())
}
