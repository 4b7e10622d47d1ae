//! Files that claim what they are not: each is refused with its place, before anything of the claimed size is made.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::AsArray;
use bytes::Bytes;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterVersion;

use super::super::footer::read_footer;
use super::super::fuzz::parts::{Page, Parts};
use super::super::fuzz::tree::Tree;
use super::super::limits::{CHUNKS_MAX, COLUMNS_MAX, FOOTER_BYTES_MAX, PAGE_BYTES_MAX};
use super::{Cells, PLAIN, Style, built, file, file_id, inputs, rules, texts, try_build};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::object::Object;

fn gzip_codec() -> Compression {
    Compression::GZIP(GzipLevel::default())
}

/// What is said against a file, without what every message begins with.
fn refusal(bytes: Vec<u8>) -> String {
    let bytes = Bytes::from(bytes);
    let fault = match inputs(&[bytes]) {
        Ok(inputs) => match try_build(&inputs, &|| true) {
            Ok(_) => panic!("it is loaded"),
            Err(failure) => failure.fault,
        },
        Err(fault) => fault,
    };
    assert_eq!(fault.kind, FaultKind::Unreadable);
    let told = fault.chain();
    let rest = told.strip_prefix("cannot read cdc/dms/casino/bets/0.parquet@etag0: ");
    rest.unwrap_or_else(|| panic!("{told}")).to_owned()
}

/// One column of three numbers and a null, in pages of this style.
fn numbers(style: Style) -> Parts {
    let cells = Cells::Int64(vec![Some(1), None, Some(1), Some(3)]);
    Parts::of(&file("optional int64 id;", &[vec![cells]], style))
}

fn page(parts: &mut Parts, number: usize) -> &mut Page {
    &mut parts.chunks[0].1[number]
}

/// The metadata of the first column chunk.
fn chunk(parts: &mut Parts) -> &mut Tree {
    parts.footer.elements(4)[0].elements(1)[0].get_mut(3).unwrap()
}

/// What is said when a page's header has this number in the field: of itself, or of the structure `within` it.
fn with_header(style: Style, number: usize, within: Option<i16>, field: i16, to: i64) -> String {
    let mut parts = numbers(style);
    let header = &mut page(&mut parts, number).header;
    let tree = match within {
        Some(within) => header.get_mut(within).unwrap(),
        None => header,
    };
    assert!(tree.number(field).is_some());
    tree.set(field, to);
    refusal(parts.join())
}

const DICTIONARY: Style = Style { dictionary: true, ..PLAIN };
const V2: Style = Style { version: WriterVersion::PARQUET_2_0, ..DICTIONARY };

#[test]
fn pages_that_claim_too_much_are_refused() {
    let cases = [
        (None, 2, i64::from(i32::MAX), "it is 2147483647 bytes long, and 67108864 at most are read"),
        (None, 2, -1, "its length is below zero"),
        (None, 3, 1000, "it reaches beyond its column chunk"),
        (None, 3, -1, "its length is below zero"),
        (None, 1, 9, "it is of the unknown type 9"),
        (None, 1, 3, "its header lacks what belongs to its type"),
        (Some(5), 1, 5, "it has more values than its row group has rows"),
        (Some(5), 1, i64::from(i32::MAX), "it has 2147483647 values, and 16777216 at most are read"),
        (Some(5), 1, -4, "its header counts below zero"),
        (Some(5), 2, 77, "it has the unknown encoding 77"),
        (Some(5), 2, 6, "INT64 values encoded by DELTA_LENGTH_BYTE_ARRAY are not read"),
        (Some(5), 2, 7, "its encoding DELTA_BYTE_ARRAY is not among those that the footer states"),
        (Some(5), 2, 8, "it points into a dictionary, and none is there"),
        (Some(5), 3, 4, "its levels are encoded by BIT_PACKED, which is not read"),
    ];
    for (within, field, to, expected) in cases {
        let told = with_header(PLAIN, 0, within, field, to);
        assert!(told.ends_with(expected) && told.contains("of column id: "), "{told}");
    }
    // A value fewer than the footer has: the page's own levels and values are then too many, too.
    let told = with_header(PLAIN, 0, Some(5), 1, 3);
    assert_eq!(told, "page 1 of column id: its 24 bytes are not the 2 values that it states");
}

#[test]
fn dictionaries_that_claim_too_much_are_refused() {
    let told = with_header(DICTIONARY, 0, Some(7), 1, i64::from(i32::MAX));
    assert_eq!(told, "page 1 of column id: it has 2147483647 values, and 16777216 at most are read");
    let told = with_header(DICTIONARY, 0, Some(7), 1, 16_000_000);
    assert_eq!(told, "page 1 of column id: its 16 bytes are not the 16000000 values that it states");
    let told = with_header(DICTIONARY, 0, Some(7), 2, 5);
    assert!(
        told.ends_with("a dictionary of INT64 values encoded by DELTA_BINARY_PACKED is not read"),
        "{told}"
    );
    let twice = |place: usize| {
        let mut parts = numbers(DICTIONARY);
        let again = page(&mut parts, 0).clone();
        parts.chunks[0].1.insert(place, again);
        refusal(parts.join())
    };
    assert_eq!(twice(1), "page 2 of column id: it is a second dictionary");
    let mut parts = numbers(DICTIONARY);
    parts.chunks[0].1.swap(0, 1);
    let told = refusal(parts.join());
    assert_eq!(told, "page 1 of column id: it points into a dictionary, and none is there");
    // An index beyond it.
    let mut parts = numbers(DICTIONARY);
    let indices = &mut page(&mut parts, 1).stored;
    let last = indices.len() - 1;
    (indices[last - 2], indices[last]) = (2, 0xFF);
    assert_eq!(refusal(parts.join()), "page 2 of column id: it points beyond its dictionary");
}

#[test]
fn pages_of_the_second_version_keep_their_word() {
    let cases = [
        (2, 0, "it states 0 nulls of 4 values, and has 3 that are none"),
        (2, 5, "it states 5 nulls of 4 values, and has 3 that are none"),
        (5, 0, "its runs end too early"),
        (5, 1000, "its levels are longer than the page"),
        (6, 1, "it states 1 nulls of 4 values, and has 1 that are none"),
        (6, 1000, "its levels are longer than the page"),
    ];
    for (field, to, expected) in cases {
        let told = with_header(V2, 1, Some(8), field, to);
        assert!(told.ends_with(expected), "{told}");
    }
}

#[test]
fn levels_and_values_that_do_not_fit_are_refused() {
    let with = |place: usize, to: u8| {
        let mut parts = numbers(PLAIN);
        page(&mut parts, 0).stored[place] = to;
        refusal(parts.join()).replace("page 1 of column id: ", "")
    };
    // Four bytes of length, then a run of eight packed levels: 1, 0, 1, 1.
    assert_eq!(&page(&mut numbers(PLAIN), 0).stored[..6], [2, 0, 0, 0, 3, 0b1101]);
    assert_eq!(with(3, 0x7F), "its levels are longer than the page");
    assert_eq!(with(4, 0x01), "it has a run of no possible length");
    assert_eq!(with(4, 0x08), "a level is neither 0 nor 1");
    assert_eq!(with(0, 1), "its levels end too early");
    // One level changed would move all values by one.
    assert_eq!(with(5, 0b1111), "its 24 bytes are not the 4 values that it states");
    assert_eq!(with(5, 0b0101), "its 24 bytes are not the 2 values that it states");
    let told = |cells: Cells, kind: &str, change: fn(&mut Vec<u8>)| {
        let mut parts = Parts::of(&file(&format!("optional {kind};"), &[vec![cells]], PLAIN));
        change(&mut page(&mut parts, 0).stored);
        let length = i64::try_from(page(&mut parts, 0).stored.len()).unwrap();
        (2..=3).for_each(|field| page(&mut parts, 0).header.set(field, length));
        refusal(parts.join()).replace("page 1 of column c: ", "")
    };
    let text = || texts(&[Some("abc"), Some("d")]);
    assert_eq!(told(text(), "binary c (UTF8)", |page| page[6] = 200), "a value reaches beyond the page");
    assert_eq!(
        told(text(), "binary c (UTF8)", |page| page.push(0)),
        "1 bytes of it belong to none of its 2 values"
    );
    let flags = || Cells::Bool(vec![Some(true); 9]);
    assert_eq!(
        told(flags(), "boolean c", |page| page.truncate(page.len() - 1)),
        "its 1 bytes are not the 9 values that it states"
    );
}

#[test]
fn a_column_without_all_of_its_pages_is_refused() {
    let mut parts = numbers(PLAIN);
    parts.chunks[0].1.clear();
    assert_eq!(refusal(parts.join()), "column id: 4 of its values are in none of its pages");
    let mut parts = numbers(PLAIN);
    let again = page(&mut parts, 0).clone();
    parts.chunks[0].1.push(again);
    assert_eq!(refusal(parts.join()), "page 2 of column id: it has more values than its row group has rows");
}

#[test]
fn a_checksum_that_is_there_is_held_to() {
    let mut parts = numbers(PLAIN);
    let crc = crc32fast::hash(&page(&mut parts, 0).stored).cast_signed();
    let Tree::Struct(fields) = &mut page(&mut parts, 0).header else { panic!() };
    fields.insert(3, (4, Tree::Int(5, crc.into())));
    let sound = parts.join();
    assert_eq!(built(&[sound.clone().into()]).body.rows(), 4);
    let mut parts = Parts::of(&sound);
    let last = page(&mut parts, 0).stored.len() - 1;
    page(&mut parts, 0).stored[last] ^= 1;
    assert_eq!(refusal(parts.join()), "page 1 of column id: its checksum is not that of its bytes");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What is said of a page whose stored bytes are these, and which states to become so many.
fn bomb(codec: Compression, stored: Vec<u8>, stated: i64) -> String {
    let mut parts = numbers(Style { codec, ..PLAIN });
    let page = page(&mut parts, 0);
    page.header.set(2, stated);
    page.header.set(3, i64::try_from(stored.len()).unwrap());
    page.stored = stored;
    refusal(parts.join()).replace("page 1 of column id: ", "")
}

#[test]
fn little_that_becomes_much_is_not_decompressed() {
    // 200 MiB in 200 KiB.
    let zeros = gzip(&vec![0; 200 << 20]);
    assert_eq!(bomb(gzip_codec(), zeros.clone(), 30), "it becomes more than 30 bytes and not 30");
    let two = [zeros.clone(), zeros].concat();
    assert_eq!(bomb(gzip_codec(), two, 1 << 20), "it becomes more than 1048576 bytes and not 1048576");
    assert_eq!(bomb(gzip_codec(), gzip(&[0; 30]), 64 << 20), "23 bytes of it cannot become 67108864");
    assert_eq!(bomb(gzip_codec(), gzip(&[0; 29]), 30), "it becomes 29 bytes and not 30");
    let zstd = zstd::bulk::compress(&vec![0; 200 << 20], 1).unwrap();
    let told = bomb(Compression::ZSTD(ZstdLevel::default()), zstd, 30);
    assert_eq!(told, "it cannot be decompressed: Destination buffer is too small");
    let snappy = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
    assert_eq!(bomb(Compression::SNAPPY, snappy, 30), "it becomes 1048576 bytes and not 30");
    assert_eq!(
        bomb(Compression::SNAPPY, vec![0xFF; 5], 30),
        "it cannot be decompressed: snappy: corrupt input (invalid header)"
    );
}

/// A footer of this schema and these row groups, behind no pages.
fn footer(schema: Vec<Tree>, groups: Vec<Tree>) -> Vec<u8> {
    let mut file = b"PAR1".to_vec();
    let tree = Tree::Struct(vec![
        (1, Tree::Int(5, 1)),
        (2, Tree::List(12, schema)),
        (3, Tree::Int(6, 0)),
        (4, Tree::List(12, groups)),
    ]);
    tree.write(&mut file);
    let length = u32::try_from(file.len() - 4).unwrap();
    file.extend(length.to_le_bytes());
    file.extend(b"PAR1");
    file
}

fn group(children: i64) -> Tree {
    Tree::Struct(vec![(3, Tree::Int(5, 0)), (4, Tree::Binary(b"g".to_vec())), (5, Tree::Int(5, children))])
}

fn leaf() -> Tree {
    Tree::Struct(vec![(1, Tree::Int(5, 2)), (3, Tree::Int(5, 1)), (4, Tree::Binary(b"c".to_vec()))])
}

#[test]
fn schemas_without_end_are_refused() {
    let cases = [
        (vec![group(i64::from(i32::MAX)), leaf()], "the footer is damaged: its schema lacks columns"),
        (vec![group(-1), leaf()], "the footer is damaged: its schema has a group of no possible size"),
        (vec![group(2), leaf()], "the footer is damaged: its schema lacks columns"),
        (vec![group(1), leaf(), leaf()], "the footer is damaged: its schema has more than one root"),
        (vec![group(1); 5000], "the schema is nested deeper than 64 groups"),
        (vec![leaf(); COLUMNS_MAX + 2], "the file has 10001 columns, and 10000 at most are read"),
    ];
    for (schema, expected) in cases {
        assert_eq!(refusal(footer(schema, Vec::new())), expected);
    }
}

#[test]
fn row_groups_without_end_are_refused() {
    let schema = || vec![group(1), leaf()];
    let told = refusal(footer(schema(), vec![Tree::Struct(Vec::new()); CHUNKS_MAX + 1]));
    assert_eq!(told, "the file has 250001 row groups, and 250000 at most are read");
    let columns = Tree::List(12, vec![Tree::Struct(Vec::new()); CHUNKS_MAX / 2 + 1]);
    let told = refusal(footer(schema(), vec![Tree::Struct(vec![(1, columns)]); 2]));
    assert_eq!(told, "the file has more than 250000 column chunks (its row groups times its columns)");
    let orders = Tree::List(12, vec![Tree::Struct(Vec::new()); 10_001]);
    let told = refusal(footer(schema(), vec![Tree::Struct(vec![(4, orders)])]));
    assert_eq!(told, "the footer is damaged: it has a list of too many elements");
}

/// What is said when the first chunk's metadata has this number in the field.
fn with_chunk(field: i16, to: i64) -> String {
    let style = Style { dictionary: true, ..PLAIN };
    let sound = numbers(style).join();
    let mut parts = Parts::of(&sound);
    chunk(&mut parts).set(field, to);
    let start = sound.len() - 8 - usize::try_from(footer_length(&sound)).unwrap();
    refusal(parts.close(sound[..start].to_vec()))
}

fn footer_length(file: &[u8]) -> u32 {
    u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap())
}

#[test]
fn chunks_that_lie_elsewhere_are_refused() {
    let beyond = "column id reaches beyond the file";
    // No dictionary, then; and the chunk is too long without it.
    assert_eq!(with_chunk(11, 0), beyond);
    assert_eq!(with_chunk(11, 3), beyond);
    assert_eq!(with_chunk(11, -5), beyond);
    assert_eq!(with_chunk(11, i64::MAX), beyond);
    assert_eq!(with_chunk(7, i64::MAX), beyond);
    assert_eq!(with_chunk(7, -1), beyond);
    // Into the footer.
    assert_eq!(with_chunk(7, 300), beyond);
    assert_eq!(with_chunk(5, 3), "column id has not as many values as there are rows");
    // Two columns over the same bytes: each value would be there twice.
    let cells = || Cells::Int64(vec![Some(1)]);
    let sound = file("optional int64 a; optional int64 b;", &[vec![cells(), cells()]], PLAIN);
    let mut parts = Parts::of(&sound);
    let first = parts.footer.elements(4)[0].elements(1)[0].get(3).unwrap().number(9).unwrap();
    parts.footer.elements(4)[0].elements(1)[1].get_mut(3).unwrap().set(9, first);
    let start = sound.len() - 8 - usize::try_from(footer_length(&sound)).unwrap();
    let told = refusal(parts.close(sound[..start].to_vec()));
    assert!(told.ends_with("of row group 0 lies within another's bytes"), "{told}");
    // In another file.
    let mut parts = numbers(PLAIN);
    let Tree::Struct(fields) = &mut parts.footer.elements(4)[0].elements(1)[0] else { panic!() };
    fields.insert(0, (1, Tree::Binary(b"../secret".to_vec())));
    assert_eq!(refusal(parts.join()), "column id lies in another file, \"../secret\"");
}

#[test]
fn more_rows_than_a_file_can_have_are_refused() {
    let rows = 1 << 40;
    let mut parts = numbers(PLAIN);
    parts.footer.set(3, rows);
    parts.footer.elements(4)[0].set(3, rows);
    chunk(&mut parts).set(5, rows);
    assert_eq!(
        refusal(parts.join()),
        "it states 1099511627776 rows, more than a file of its size can be read to"
    );
}

/// An object of any size that holds the same byte all over, and knows the longest piece that was read of it.
#[derive(Debug)]
struct Sparse {
    size_bytes: u64,
    tail: Vec<u8>,
    longest: AtomicUsize,
}

impl Object for Sparse {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        self.longest.fetch_max(length, Ordering::Relaxed);
        let piece = match offset {
            0 => b"PAR1".to_vec(),
            _ => self.tail[self.tail.len() - length..].to_vec(),
        };
        Ok(piece.into())
    }
}

#[test]
fn a_footer_of_a_gigabyte_is_not_read() {
    for (end, told) in
        [(b"PAR1", "1073741824 bytes long, and 67108864 at most are read"), (b"PARE", "is encrypted")]
    {
        let tail = [(1_u32 << 30).to_le_bytes(), *end].concat();
        let object = Arc::new(Sparse { size_bytes: 1 << 34, tail, longest: AtomicUsize::new(0) });
        let fault = read_footer(&file_id(0), Arc::clone(&object) as Arc<dyn Object>, &rules()).unwrap_err();
        assert!(fault.chain().contains(told), "{}", fault.chain());
        assert_eq!(object.longest.load(Ordering::Relaxed), 8);
    }
    const { assert!(FOOTER_BYTES_MAX < 1 << 30 && PAGE_BYTES_MAX < 1 << 30) };
}

/// Levels or indices: so many times the same.
fn run(count: u32, value: u8) -> Vec<u8> {
    let (mut head, mut bytes) = (count << 1, Vec::new());
    while head >= 0x80 {
        bytes.push(u8::try_from(head & 0x7F).unwrap() | 0x80);
        head >>= 7;
    }
    bytes.extend([u8::try_from(head).unwrap(), value]);
    bytes
}

/// A value behind its length.
fn plain(bytes: u32) -> Vec<u8> {
    let mut plain = bytes.to_le_bytes().to_vec();
    plain.resize(4 + usize::try_from(bytes).unwrap(), b'a');
    plain
}

fn set_content(page: &mut Page, content: &[u8]) {
    page.stored = gzip(content);
    page.header.set(2, i64::try_from(content.len()).unwrap());
    page.header.set(3, i64::try_from(page.stored.len()).unwrap());
}

/// States `rows` rows, and that they take no bytes.
fn state_rows(parts: &mut Parts, rows: u32) {
    parts.footer.set(3, rows.into());
    let group = &mut parts.footer.elements(4)[0];
    group.set(2, 0);
    group.set(3, rows.into());
    group.elements(1).iter_mut().for_each(|column| column.get_mut(3).unwrap().set(5, rows.into()));
}

const LARGE: u32 = 60 << 20;

#[test]
fn large_values_that_stand_together_are_read_page_by_page() {
    let style = Style { codec: gzip_codec(), ..PLAIN };
    let mut parts = Parts::of(&file("required binary c;", &[vec![texts(&[Some("a")])]], style));
    set_content(page(&mut parts, 0), &plain(LARGE));
    let one = page(&mut parts, 0).clone();
    parts.chunks[0].1 = vec![one; 5];
    state_rows(&mut parts, 5);
    let built = built(&[parts.join().into()]);
    assert_eq!(built.rows.num_rows(), 5);
    assert_eq!(built.column("_source_row").len(), 5);
    let values = built.rows.column(0).as_binary::<i32>();
    assert!(values.iter().flatten().all(|value| value.len() == LARGE as usize && value[0] == b'a'));
}

#[test]
fn a_row_of_any_size_needs_the_memory_of_one_page() {
    let style = Style { codec: gzip_codec(), ..PLAIN };
    let columns: String = (0..5).map(|number| format!("required binary c{number}; ")).collect();
    let mut parts = Parts::of(&file(&columns, &[vec![texts(&[Some("a")]); 5]], style));
    set_content(page(&mut parts, 0), &plain(LARGE));
    let one = page(&mut parts, 0).clone();
    parts.chunks.iter_mut().for_each(|(_, pages)| *pages = vec![one.clone()]);
    let built = built(&[parts.join().into()]);
    for column in 0..5 {
        assert_eq!(built.rows.column(column).as_binary::<i32>().value(0).len(), LARGE as usize);
    }
}

#[test]
fn a_dictionary_does_not_make_gigabytes_of_kilobytes() {
    let style = Style { codec: gzip_codec(), dictionary: true, ..PLAIN };
    let mut parts = Parts::of(&file("optional binary c;", &[vec![texts(&[Some("a"), Some("a")])]], style));
    set_content(page(&mut parts, 0), &plain(1 << 20));
    let (rows, levels) = (1_100, run(1_100, 1));
    let mut content = u32::try_from(levels.len()).unwrap().to_le_bytes().to_vec();
    content.extend(levels);
    content.push(1);
    content.extend(run(rows, 0));
    set_content(page(&mut parts, 1), &content);
    page(&mut parts, 1).header.get_mut(5).unwrap().set(1, rows.into());
    state_rows(&mut parts, rows);
    let told = {
        let inputs = inputs(&[parts.join().into()]).unwrap();
        try_build(&inputs, &|| true).err().unwrap().fault.chain()
    };
    assert!(told.starts_with("cdc/dms/casino/bets/0.parquet@etag0 becomes more than 107"), "{told}");
    assert!(told.ends_with(" bytes of values, too many for its size"), "{told}");
}
