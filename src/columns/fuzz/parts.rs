//! A file taken apart into its footer and its pages, which are changed and put together again: offsets and lengths fit
//! afterwards, so that a change is met where it is and not at the first check.

use std::io::{Read, Write};

use super::tree::Tree;
use crate::fuzz::Choices;

// Numbers of fields, from parquet.thrift.
const ROW_GROUPS: i16 = 4;
const COLUMNS: i16 = 1;
const META_DATA: i16 = 3;
const CODEC: i16 = 4;
const COMPRESSED_SIZE: i16 = 7;
const DATA_PAGE_OFFSET: i16 = 9;
const DICTIONARY_PAGE_OFFSET: i16 = 11;
const PAGE_UNCOMPRESSED: i16 = 2;
const PAGE_COMPRESSED: i16 = 3;
const PAGE_V2: i16 = 8;
const V2_LEVELS: i16 = 5;

/// The most bytes that a choice puts in.
const INSERTED_BYTES_MAX: usize = 8;

/// A file in parts.
pub(in crate::columns) struct Parts {
    /// The footer.
    pub(in crate::columns) footer: Tree,
    /// For each column chunk, in the order of the file, its codec and its pages.
    pub(in crate::columns) chunks: Vec<(i64, Vec<Page>)>,
}

/// A page: its header, and its bytes as they are stored.
#[derive(Clone)]
pub(in crate::columns) struct Page {
    pub(in crate::columns) header: Tree,
    pub(in crate::columns) stored: Vec<u8>,
}

impl Parts {
    /// Takes apart a sound file.
    pub(in crate::columns) fn of(file: &[u8]) -> Self {
        let tail = file.len() - 8;
        let length = u32::from_le_bytes(file[tail..tail + 4].try_into().unwrap());
        let (mut footer, _) = Tree::read(&file[tail - usize::try_from(length).unwrap()..tail]);
        let mut chunks = Vec::new();
        for group in footer.elements(ROW_GROUPS) {
            for column in group.elements(COLUMNS) {
                let meta = column.get(META_DATA).unwrap();
                let start = meta.number(DICTIONARY_PAGE_OFFSET).or(meta.number(DATA_PAGE_OFFSET)).unwrap();
                let start = usize::try_from(start).unwrap();
                let length = usize::try_from(meta.number(COMPRESSED_SIZE).unwrap()).unwrap();
                chunks.push((meta.number(CODEC).unwrap(), pages(&file[start..start + length])));
            }
        }
        Self { footer, chunks }
    }

    /// Puts the file together.
    pub(in crate::columns) fn join(mut self) -> Vec<u8> {
        let mut file = b"PAR1".to_vec();
        let mut chunks = self.chunks.iter();
        for group in self.footer.elements(ROW_GROUPS) {
            for column in group.elements(COLUMNS) {
                // The footer may have been given more or fewer of them.
                let (Some(meta), Some((_, pages))) = (column.get_mut(META_DATA), chunks.next()) else {
                    continue;
                };
                let start = file.len();
                for (number, page) in pages.iter().enumerate() {
                    if number == usize::from(meta.get(DICTIONARY_PAGE_OFFSET).is_some()) {
                        meta.set(DATA_PAGE_OFFSET, i64::try_from(file.len()).unwrap());
                    }
                    page.header.write(&mut file);
                    file.extend(&page.stored);
                }
                meta.set(DICTIONARY_PAGE_OFFSET, i64::try_from(start).unwrap());
                meta.set(COMPRESSED_SIZE, i64::try_from(file.len() - start).unwrap());
            }
        }
        self.close(file)
    }

    pub(in crate::columns) fn close(&self, mut file: Vec<u8>) -> Vec<u8> {
        let start = file.len();
        self.footer.write(&mut file);
        let length = u32::try_from(file.len() - start).unwrap();
        file.extend(length.to_le_bytes());
        file.extend(b"PAR1");
        file
    }

    /// One change before the file is put together.
    pub(in crate::columns) fn change(&mut self, choices: &mut Choices<'_>) {
        if choices.below(4) == 0 || self.chunks.is_empty() {
            return change(&mut self.footer, choices);
        }
        let number = choices.below(self.chunks.len());
        let (codec, pages) = &mut self.chunks[number];
        if pages.is_empty() {
            return;
        }
        let page = choices.below(pages.len());
        match choices.below(8) {
            0 | 1 => change(&mut pages[page].header, choices),
            2 => pages.push(pages[page].clone()),
            3 => drop(pages.remove(page)),
            4 => {
                let other = choices.below(pages.len());
                pages.swap(page, other);
            }
            5 => edit(&mut pages[page].stored, choices),
            _ => pages[page].change_content(*codec, choices),
        }
    }

    /// One change of what an earlier one left as it was: the footer after the offsets are set.
    pub(in crate::columns) fn join_and_change(mut self, choices: &mut Choices<'_>) -> Vec<u8> {
        let chunks = std::mem::take(&mut self.chunks);
        let whole = Self { footer: self.footer, chunks }.join();
        let tail = whole.len() - 8;
        let length = u32::from_le_bytes(whole[tail..tail + 4].try_into().unwrap());
        let start = tail - usize::try_from(length).unwrap();
        let (mut footer, _) = Tree::read(&whole[start..tail]);
        change(&mut footer, choices);
        Self { footer, chunks: Vec::new() }.close(whole[..start].to_vec())
    }
}

fn pages(mut chunk: &[u8]) -> Vec<Page> {
    let mut pages = Vec::new();
    while !chunk.is_empty() {
        let (header, length) = Tree::read(chunk);
        let stored = usize::try_from(header.number(PAGE_COMPRESSED).unwrap()).unwrap();
        pages.push(Page { header, stored: chunk[length..length + stored].to_vec() });
        chunk = &chunk[length + stored..];
    }
    pages
}

impl Page {
    /// Changes levels or values, below the compression, and makes the header fit.
    fn change_content(&mut self, codec: i64, choices: &mut Choices<'_>) {
        let levels = self.header.get(PAGE_V2).and_then(|v2| v2.number(V2_LEVELS)).unwrap_or(0);
        let levels = usize::try_from(levels).unwrap_or(0).min(self.stored.len());
        let Some(values) = decompressed(codec, &self.stored[levels..]) else { return };
        let mut content = self.stored[..levels].to_vec();
        content.extend(values);
        let before = content.len();
        edit(&mut content, choices);
        let grown = i64::try_from(content.len()).unwrap() - i64::try_from(before).unwrap();
        let levels = levels.min(content.len());
        self.stored = content[..levels].to_vec();
        self.stored.extend(compressed(codec, &content[levels..]));
        let fits = i64::try_from(self.stored.len()).unwrap();
        self.header.set(PAGE_COMPRESSED, fits);
        let uncompressed = self.header.number(PAGE_UNCOMPRESSED).unwrap_or(0);
        self.header.set(PAGE_UNCOMPRESSED, uncompressed.saturating_add(grown));
    }
}

/// Codecs of parquet.thrift: those that landbridge reads.
fn decompressed(codec: i64, stored: &[u8]) -> Option<Vec<u8>> {
    match codec {
        0 => Some(stored.to_vec()),
        1 => snap::raw::Decoder::new().decompress_vec(stored).ok(),
        2 => {
            let mut out = Vec::new();
            flate2::read::MultiGzDecoder::new(stored).read_to_end(&mut out).ok()?;
            Some(out)
        }
        6 => zstd::bulk::decompress(stored, 1 << 20).ok(),
        _ => None,
    }
}

fn compressed(codec: i64, bytes: &[u8]) -> Vec<u8> {
    match codec {
        1 => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        2 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        6 => zstd::bulk::compress(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

/// Changes one node of a tree.
fn change(tree: &mut Tree, choices: &mut Choices<'_>) {
    let nodes = tree.nodes();
    let number = choices.below(nodes);
    let Some(node) = tree.node(number) else { return };
    match node {
        Tree::Bool(value) => *value = !*value,
        Tree::Byte(byte) => *byte = choices.byte(),
        Tree::Int(_, number) => match choices.below(3) {
            0 => *number = number.wrapping_add(i64::from(choices.byte().cast_signed())),
            1 => *number = i64::from(choices.byte().cast_signed()),
            _ => *number = choices.number().cast_signed(),
        },
        Tree::Double(bytes) => bytes[0] ^= choices.byte(),
        Tree::Binary(bytes) => edit(bytes, choices),
        Tree::List(_, elements) => {
            if elements.is_empty() {
                return;
            }
            let place = choices.below(elements.len());
            match choices.below(3) {
                0 => drop(elements.remove(place)),
                1 => elements.insert(place, elements[place].clone()),
                _ => {
                    let one = elements[place].clone();
                    elements.extend(std::iter::repeat_n(one, choices.below(64)));
                }
            }
        }
        Tree::Struct(fields) => {
            if fields.is_empty() {
                return;
            }
            let place = choices.below(fields.len());
            match choices.below(3) {
                0 => drop(fields.remove(place)),
                1 => fields[place].0 = fields[place].0.wrapping_add(i16::from(choices.byte().cast_signed())),
                _ => fields.insert(place, fields[place].clone()),
            }
        }
    }
}

/// Changes bytes, near their beginning more often: there are lengths and levels.
pub(in crate::columns) fn edit(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let limit = if choices.flag() { bytes.len().min(16) } else { bytes.len() };
    let place = choices.below(limit + 1).min(bytes.len());
    match choices.below(4) {
        0 => bytes.splice(place..place, choices.bytes(INSERTED_BYTES_MAX)).for_each(drop),
        1 => {
            let end = (place + 1 + choices.below(INSERTED_BYTES_MAX)).min(bytes.len());
            bytes.drain(place..end);
        }
        2 => bytes.truncate(place),
        _ => {
            let to = choices.byte();
            if let Some(byte) = bytes.get_mut(place) {
                *byte = if *byte == to { !to } else { to };
            }
        }
    }
}
