//! Reading idx files, the format of MNIST and Fashion-MNIST: a short big-endian header, then the
//! elements in row-major order. Gzip is recognised by content, not by the file's name.
//!
//! A header is only a claim, so it is checked before anything is allocated: the size it declares
//! must be the size of the file, and of a gzip file no more is decompressed than the header
//! declares (a deflate stream cannot grow more than 1032-fold, which bounds the claim as well).
//!
//! Layout, after <http://yann.lecun.com/exdb/mnist/>: two zero bytes, a type byte, a rank byte, one
//! `u32` per axis, then the data.

mod array;
mod header;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use regraft_tensor::Detail;

pub use array::IdxArray;
pub use header::IdxType;

use crate::{Error, Result};
use header::{Header, Parts};

/// How many times larger than its compressed form a deflate stream can become (258 bytes from two
/// bits), rounded up.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Reads the array in an idx or gzipped idx file.
///
/// # Errors
/// [`Error::File`] if the file cannot be opened or read; [`Error::Idx`], with the file and the byte
/// offset (in the decompressed stream, for gzip), if it is truncated, longer than its header says,
/// of unknown type, or damaged.
pub fn read_idx(path: impl AsRef<Path>) -> Result<IdxArray> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Error::File(
            Detail::new(name.clone(), "a readable file", error)
                .help("check the path and its permissions"),
        )
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let stored = file.metadata().map_err(unreadable)?.len();
    let mut magic = [0; 2];
    let got = fill(&mut file, &mut magic).map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    decode(&magic[..got], file, stored, &name)
}

/// Reads the array in the bytes of an idx or gzipped idx file, such as embedded with
/// [`include_bytes!`]. `name` stands in error messages where a file's name would.
///
/// # Errors
/// [`Error::Idx`], as [`read_idx`].
pub fn parse_idx(bytes: &[u8], name: &str) -> Result<IdxArray> {
    decode(
        &bytes[..bytes.len().min(2)],
        bytes,
        bytes.len() as u64,
        name,
    )
}

/// Reads from `source`, of which `stored` bytes exist and which begins with `magic`.
fn decode(magic: &[u8], source: impl Read, stored: u64, name: &str) -> Result<IdxArray> {
    if magic == [0x1f, 0x8b] {
        let bound = stored.saturating_mul(MAX_DEFLATE_RATIO);
        // Buffered here, because the decoder would otherwise read the file in small pieces.
        let source = std::io::BufReader::with_capacity(1 << 16, source);
        decode_plain(MultiGzDecoder::new(source), bound, false, name)
    } else {
        decode_plain(source, stored, true, name)
    }
}

/// Reads header and data. `bound` is the most bytes that `source` can deliver, and with `exact`
/// also the least.
fn decode_plain(mut source: impl Read, bound: u64, exact: bool, name: &str) -> Result<IdxArray> {
    let header = Header::read(&mut source, name)?;
    let declared = header.size(name)?;
    let Parts { offset, bytes } = declared;
    let total = offset + bytes;
    let wrong_size = |received: String, at: u64| {
        Error::Idx(
            Detail::new(
                format!("{name}, byte {at}"),
                format!(
                    "{total} bytes in all, as the header declares ({} of shape {:?})",
                    header.element, header.shape
                ),
                received,
            )
            .help("the file is truncated or damaged: copy or download it again"),
        )
    };
    if total > bound || (exact && total < bound) {
        let at = total.min(bound);
        let at_most = if exact { "" } else { "at most " };
        return Err(wrong_size(format!("{at_most}{bound} bytes"), at));
    }
    let mut data = Vec::new();
    // The bound above keeps a lying header of a plain file from allocating; a gzip stream's claim
    // is only loosely bounded, so its buffer grows with what really arrives.
    let hint = if exact { bytes } else { bytes.min(1 << 20) };
    let room = usize::try_from(hint).unwrap_or(usize::MAX);
    if data.try_reserve_exact(room).is_err() {
        return Err(wrong_size("less free memory than that".to_string(), offset));
    }
    let damaged = |error: std::io::Error, read: usize| {
        wrong_size(
            format!("an error from the stream ({error})"),
            offset + read as u64,
        )
    };
    if let Err(error) = source.by_ref().take(bytes).read_to_end(&mut data) {
        return Err(damaged(error, data.len()));
    }
    if (data.len() as u64) < bytes {
        let received = offset + data.len() as u64;
        return Err(wrong_size(format!("only {received}"), received));
    }
    // Reading past the end also makes the gzip decoder check its checksum.
    match source.read(&mut [0]) {
        Ok(0) => Ok(header.into_array(data)),
        Ok(_) => Err(wrong_size("more bytes after them".to_string(), total)),
        Err(error) => Err(damaged(error, data.len())),
    }
}

/// Reads until `buffer` is full or the source ends; says how many bytes arrived.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match source.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests;
