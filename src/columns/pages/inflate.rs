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
    Gzip(Box<libdeflater::Decompressor>),
    Snappy(snap::raw::Decoder),
    Zstd(Box<zstd::bulk::Decompressor<'static>>),
}

impl Inflater {
    /// The codec of a column chunk; `None` for those that landbridge does not carry.
    pub(super) fn new(codec: Compression) -> Result<Option<Self>, Refusal> {
        Ok(Some(match codec {
            Compression::UNCOMPRESSED => Self::Stored,
            Compression::GZIP(_) => Self::Gzip(Box::new(libdeflater::Decompressor::new())),
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

    /// Fills `out` with `head` as it is, then what `stored` becomes, `bytes` in all.
    pub(super) fn inflate(
        &mut self,
        head: &[u8],
        stored: &[u8],
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let wanted = bytes.checked_sub(head.len()).ok_or("its levels are longer than the page")?;
        out.clear();
        let undone = |error: &dyn std::fmt::Display| format!("it cannot be decompressed: {error}");
        match self {
            Self::Stored => {
                out.extend_from_slice(head);
                out.extend_from_slice(stored);
            }
            Self::Gzip(decompressor) => {
                if wanted / DEFLATE_TIMES > stored.len() {
                    return Err(format!("{} bytes of it cannot become {wanted}", stored.len()));
                }
                gunzip(decompressor, head, stored, bytes, out)?;
            }
            Self::Snappy(decoder) => {
                let stated = snap::raw::decompress_len(stored).map_err(|error| undone(&error))?;
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
                let written = decoder.decompress(stored, target).map_err(|error| undone(&error))?;
                out.truncate(head.len().saturating_add(written));
            }
            Self::Zstd(decompressor) => {
                out.reserve_exact(bytes);
                out.extend_from_slice(head);
                let mut target = Cursor::new(&mut *out);
                target.set_position(head.len() as u64);
                let result = decompressor.decompress_to_buffer(stored, &mut target);
                result.map_err(|error| undone(&error))?;
            }
        }
        if out.len() == bytes {
            return Ok(());
        }
        let more = if out.len() > bytes { "more than " } else { "" };
        Err(format!("it becomes {more}{} bytes and not {bytes}", out.len().min(bytes)))
    }
}

/// The bytes that a gzip member says it became, at its end, modulo 2^32.
pub(in crate::columns) fn gzip_claims(stored: &[u8]) -> Option<u32> {
    /// Its first bytes: the magic, and the one method.
    const HEAD: [u8; 3] = [0x1F, 0x8B, 8];
    /// The shortest head and end.
    const LEAST: usize = 18;
    let (_, size) = stored.split_last_chunk::<4>()?;
    (stored.len() >= LEAST && stored.starts_with(&HEAD)).then(|| u32::from_le_bytes(*size))
}

/// One member, as every writer makes it, at once. Whatever is different goes the slower way, which also says what is wrong.
fn gunzip(
    decompressor: &mut libdeflater::Decompressor,
    head: &[u8],
    stored: &[u8],
    bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let wanted = bytes.saturating_sub(head.len());
    out.resize(bytes, 0);
    let (start, target) =
        out.split_at_mut_checked(head.len()).ok_or("its levels are longer than the page")?;
    start.copy_from_slice(head);
    let whole = u32::try_from(wanted).ok() == gzip_claims(stored);
    if whole && decompressor.gzip_decompress(stored, target) == Ok(wanted) {
        return Ok(());
    }
    out.clear();
    out.reserve_exact(bytes);
    out.extend_from_slice(head);
    // One more than is wanted, so that the end, with its checksum, is read too.
    let most = (wanted as u64).saturating_add(1);
    let read = MultiGzDecoder::new(stored).take(most).read_to_end(out);
    read.map(|_| ()).map_err(|error| format!("it cannot be decompressed: {error}"))
}
