//! Decompression into exactly as many bytes as a page's header states, and never more: a few bytes can claim, and can
//! become, thousands of times their number.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;

/// The most that one byte of deflated data can become (RFC 1951: 258 bytes for each two bits), plus a block's least.
const DEFLATE_TIMES: usize = 1032;

/// Why a page cannot be decompressed: lower case.
pub(super) type Refusal = String;

/// A codec, ready for page after page.
pub(super) enum Inflater {
    Stored,
    Gzip,
    Snappy(snap::raw::Decoder),
    Zstd(Box<zstd::bulk::Decompressor<'static>>),
}

impl Inflater {
    /// The codec of a column chunk; `None` for those that landbridge does not carry.
    pub(super) fn new(codec: Compression) -> Result<Option<Self>, Refusal> {
        Ok(Some(match codec {
            Compression::UNCOMPRESSED => Self::Stored,
            Compression::GZIP(_) => Self::Gzip,
            Compression::SNAPPY => Self::Snappy(snap::raw::Decoder::new()),
            Compression::ZSTD(_) => {
                let decompressor = zstd::bulk::Decompressor::new();
                Self::Zstd(Box::new(decompressor.map_err(|error| error.to_string())?))
            }
            Compression::LZO | Compression::BROTLI(_) | Compression::LZ4 | Compression::LZ4_RAW => {
                return Ok(None);
            }
        }))
    }

    /// True when pages stand as they are.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored)
    }

    /// `head` as it is, then what `stored` becomes, `bytes` in all.
    pub(super) fn inflate(&mut self, head: &[u8], stored: &[u8], bytes: usize) -> Result<Vec<u8>, Refusal> {
        let wanted = bytes.checked_sub(head.len()).ok_or("its levels are longer than the page")?;
        let mut out = Vec::new();
        let claim = || format!("{} bytes of it cannot become {wanted}", stored.len());
        match self {
            Self::Stored => {
                out.extend_from_slice(head);
                out.extend_from_slice(stored);
            }
            Self::Gzip => {
                if wanted / DEFLATE_TIMES > stored.len() {
                    return Err(claim());
                }
                out.reserve_exact(bytes);
                out.extend_from_slice(head);
                // One more than is wanted, so that the end, with its checksum, is read too.
                let most = (wanted as u64).saturating_add(1);
                let read = MultiGzDecoder::new(stored).take(most).read_to_end(&mut out);
                read.map_err(|error| format!("it cannot be decompressed: {error}"))?;
            }
            Self::Snappy(decoder) => {
                let stated = snap::raw::decompress_len(stored);
                let stated = stated.map_err(|error| format!("it cannot be decompressed: {error}"))?;
                if stated != wanted {
                    return Err(format!(
                        "it becomes {} bytes and not {bytes}",
                        stated.saturating_add(head.len())
                    ));
                }
                out.reserve_exact(bytes);
                out.extend_from_slice(head);
                out.resize(bytes, 0);
                let target = out.get_mut(head.len()..).unwrap_or_default();
                let written = decoder.decompress(stored, target);
                let written = written.map_err(|error| format!("it cannot be decompressed: {error}"))?;
                out.truncate(head.len().saturating_add(written));
            }
            Self::Zstd(decompressor) => {
                out.reserve_exact(bytes);
                out.extend_from_slice(head);
                let mut target = Cursor::new(&mut out);
                target.set_position(head.len() as u64);
                let result = decompressor.decompress_to_buffer(stored, &mut target);
                result.map_err(|error| format!("it cannot be decompressed: {error}"))?;
            }
        }
        if out.len() == bytes {
            return Ok(out);
        }
        let more = if out.len() > bytes { "more than " } else { "" };
        Err(format!("it becomes {more}{} bytes and not {bytes}", out.len().min(bytes)))
    }
}
