//! Which way each column is gone, and that every way gives the same rows.

use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};

use super::super::fuzz::parts::Parts;
use super::super::layout::Layout;
use super::{Built, Cells, PLAIN, Style, file, inputs, some, texts, times, try_build_as};
use crate::domain::fault::FaultKind;

fn gzip() -> Style {
    Style { codec: Compression::GZIP(GzipLevel::default()), ..PLAIN }
}
const COPYING: Layout = Layout { copied_bytes_min: 0, ..Layout::DEFAULT };

fn built(layout: &Layout, files: &[bytes::Bytes]) -> Built {
    let built = try_build_as(layout, &inputs(files).unwrap(), &|| true);
    built.unwrap_or_else(|failure| panic!("{}", failure.fault.chain()))
}

fn ids(values: std::ops::Range<i64>) -> Cells {
    Cells::Int64(values.map(Some).collect())
}

/// The pages of a column in the first row group, as they are stored.
fn pages(file: &[u8], column: usize) -> Vec<Vec<u8>> {
    Parts::of(file).chunks[column].1.iter().map(|page| page.stored.clone()).collect()
}

#[test]
fn pages_of_one_codec_are_copied_as_they_are() {
    for codec in [Compression::GZIP(GzipLevel::default()), Compression::ZSTD(ZstdLevel::default())] {
        let style = Style { codec, page_rows: 10, ..PLAIN };
        let files: Vec<_> = (0..3)
            .map(|number| {
                let group = |from: i64| {
                    vec![ids(from..from + 25), texts(&["a\0ß", "", "c"].map(Some).repeat(9)[..25])]
                };
                file(
                    "optional int64 id; optional binary t (UTF8);",
                    &[group(number), group(number + 100)],
                    style,
                )
            })
            .collect();
        let one = built(&COPYING, &files[..1]);
        let all = built(&COPYING, &files);
        let expected =
            (0..3).flat_map(|n| (n..n + 25).chain(n + 100..n + 125)).map(|id| Some(id.to_string()));
        assert_eq!(all.column("id"), expected.collect::<Vec<_>>());
        for column in 0..2 {
            let whole = std::fs::read(all.body.path()).unwrap();
            let sources = files.iter().flat_map(|file| {
                let parts = Parts::of(file).chunks;
                [column, column + 2].map(|chunk| parts[chunk].1.clone())
            });
            let sources: Vec<_> = sources.flatten().map(|page| page.stored).collect();
            assert_eq!(sources.len(), 18);
            assert_eq!(pages(&whole, column), sources);
            let chunk = all.metadata.row_group(0).column(column);
            assert_eq!((chunk.compression(), chunk.num_values()), (codec, 150));
        }
        assert_eq!(one.rows.num_rows(), 50);
        // Below the threshold they are put together.
        let merged = built(&Layout::DEFAULT, &files);
        assert_eq!(merged.rows, all.rows);
        let whole = std::fs::read(merged.body.path()).unwrap();
        assert_eq!(pages(&whole, 0).len(), 1);
    }
}

#[test]
fn what_cannot_be_copied_is_not() {
    let zstd = Style { codec: Compression::ZSTD(ZstdLevel::default()), ..PLAIN };
    let sets: [(&str, Vec<Style>); 5] = [
        ("required int64 id;", vec![gzip()]),
        ("optional int64 id;", vec![gzip(), zstd]),
        ("optional int64 id;", vec![PLAIN]),
        ("optional int64 id (TIMESTAMP_MILLIS);", vec![gzip()]),
        ("optional int64 id;", vec![Style { dictionary: true, ..gzip() }]),
    ];
    for (column, styles) in sets {
        let files: Vec<_> = styles.iter().map(|style| file(column, &[vec![ids(0..9)]], *style)).collect();
        let built = built(&COPYING, &files);
        let times_of = if column.contains("MILLIS") { 1000 } else { 1 };
        let expected: Vec<_> = (0..9).map(|id| Some((id * times_of).to_string())).collect();
        assert_eq!(built.column("id"), times(expected, files.len()), "{column}");
        let chunk = built.metadata.row_group(0).column(0);
        assert_eq!(chunk.compression(), Compression::ZSTD(ZstdLevel::default()), "{column}");
        assert_eq!(chunk.statistics().and_then(|known| known.null_count_opt()), Some(0));
    }
}

#[test]
fn a_footer_that_hides_a_dictionary_is_found_out() {
    let style = Style { dictionary: true, ..gzip() };
    let sound = file("optional int64 id;", &[vec![ids(0..9)]], style);
    let mut parts = Parts::of(&sound);
    // Only PLAIN and RLE, and no place of a dictionary: then data pages begin where the dictionary does.
    let chunk = parts.footer.elements(4)[0].elements(1)[0].get_mut(3).unwrap();
    let start = chunk.number(11).unwrap();
    chunk.set(9, start);
    chunk.set(11, 0);
    if let Some(super::super::fuzz::tree::Tree::List(_, encodings)) = chunk.get_mut(2) {
        *encodings = vec![super::super::fuzz::tree::Tree::Int(5, 0)];
    }
    let end =
        sound.len() - 8 - u32::from_le_bytes(sound[sound.len() - 8..][..4].try_into().unwrap()) as usize;
    let hidden: bytes::Bytes = parts.close(sound[..end].to_vec()).into();
    let first = file("optional int64 id;", &[vec![ids(0..9)]], gzip());
    let built = built(&COPYING, &[first, hidden]);
    let expected: Vec<_> = (0..9).map(|id| Some(id.to_string())).collect();
    assert_eq!(built.column("id"), times(expected, 2));
}

#[test]
fn small_dictionaries_become_one_and_large_ones_values() {
    let style = Style { dictionary: true, ..gzip() };
    let words = |from: usize, count: usize| -> Vec<String> {
        (0..3000).map(|row| format!("word {}", from + row % count)).collect()
    };
    let written = |count: usize| -> Vec<_> {
        (0..3)
            .map(|number| {
                let words = words(number * count, count);
                let words =
                    words.iter().enumerate().map(|(row, word)| (row % 7 > 0).then_some(word.as_str()));
                file("optional binary w (UTF8);", &[vec![texts(&words.collect::<Vec<_>>())]], style)
            })
            .collect()
    };
    for (count, gathered) in [(5, true), (80, true), (100, false), (400, false)] {
        let built = built(&Layout::DEFAULT, &written(count));
        let expected = (0..3).flat_map(|number| {
            let words = words(number * count, count).into_iter().enumerate();
            words.map(|(row, word)| (row % 7 > 0).then_some(word)).collect::<Vec<_>>()
        });
        assert_eq!(built.column("w"), expected.collect::<Vec<_>>());
        let chunk = built.metadata.row_group(0).column(0);
        assert_eq!(
            chunk.encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY),
            gathered,
            "{count}"
        );
        assert_eq!(chunk.statistics().and_then(|known| known.null_count_opt()), Some(3 * 429));
    }
}

#[test]
fn an_empty_sequence_that_is_met_late_is_none_all_the_same() {
    let sequences = |last: &str| texts(&[Some("1"), None, Some(last)]);
    let column = "optional binary seq (UTF8);";
    let files = ["3", "3", ""].map(|last| file(column, &[vec![sequences(last)]], gzip()));
    let copied = built(&COPYING, &files[..2]);
    assert!(matches!(copied.metadata.row_group(0).column(2).compression(), Compression::GZIP(_)));
    let built = built(&COPYING, &files);
    assert!(matches!(built.metadata.row_group(0).column(2).compression(), Compression::ZSTD(_)));
    let three = [Some("1".to_owned()), None, Some("3".to_owned())];
    assert_eq!(built.column("_change_seq")[..6], [three.clone(), three].concat());
    assert_eq!(built.column("_change_seq")[6..], [Some("1".to_owned()), None, None]);
    assert_eq!(built.column("_source_row"), times(some(&["0", "1", "2"]), 3));
}

#[test]
fn texts_of_copied_pages_are_held_against_utf8() {
    let bad = Cells::Bytes(vec![Some(b"a".to_vec()), Some(vec![b'b', 0xC3])]);
    let bytes = file("optional binary c (UTF8);", &[vec![bad]], gzip());
    for copied_bytes_min in [0, u64::MAX] {
        let layout = Layout { copied_bytes_min, copied_texts_checked: true, ..Layout::DEFAULT };
        let failure =
            try_build_as(&layout, &inputs(std::slice::from_ref(&bytes)).unwrap(), &|| true).err().unwrap();
        assert_eq!(failure.fault.kind, FaultKind::Unreadable);
        assert!(failure.fault.chain().contains("UTF"), "{}", failure.fault.chain());
    }
}
