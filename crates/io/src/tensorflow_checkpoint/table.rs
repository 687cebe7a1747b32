//! The `.index` file: a sorted table of keys and values in the layout of LevelDB's tables (its
//! `doc/table_format.md`), which TensorFlow writes uncompressed.
//!
//! A footer of 48 bytes points to the index block, whose values point to the data blocks. A block is
//! a run of entries (bytes shared with the key before, key's other bytes, value), the list of
//! restarts, a byte for the compression and a masked CRC-32C.

use crate::crc32c;
use crate::protobuf::{take, varint};
use crate::{Error, Result};

/// The last 8 bytes of a table.
pub(crate) const MAGIC: [u8; 8] = 0xDB47_7524_8B80_FB57_u64.to_le_bytes();

pub(crate) const FOOTER: usize = 48;

/// Keys share prefixes, so that they take more room unpacked than in the file; at most this many
/// times the file's size. Real files stay below 20.
const MOST_EXPANSION: usize = 64;

/// Compression and checksum behind each block.
const TRAILER: usize = 5;

/// The entries of a table in the order of their keys.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) entries: Vec<(Vec<u8>, &'a [u8])>,
}

impl<'a> Table<'a> {
    /// # Errors
    /// [`Error::Format`] if it is not a sound table, or a checksum is wrong; [`Error::Unsupported`]
    /// for compressed blocks; [`Error::Limit`] if blocks overlap or keys unpack to far more than
    /// they take.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let body = bytes.len().checked_sub(FOOTER);
        let (body, mut footer) = match body {
            Some(body) if bytes.ends_with(&MAGIC) => bytes.split_at(body),
            _ => {
                return Err(Error::format(
                    "footer",
                    "the footer of a checkpoint's .index file",
                    format!("a file of {} bytes without it", bytes.len()),
                )
                .help("the file is truncated, or not of a TensorFlow 2 checkpoint"));
            }
        };
        let mut reader = Reader {
            body,
            bytes_left: body.len(),
            key_bytes_left: bytes.len().saturating_mul(MOST_EXPANSION),
        };
        let handles = handle(&mut footer).zip(handle(&mut footer));
        let (meta, index) =
            handles.ok_or_else(|| malformed("footer", "the places of two blocks"))?;
        // TensorFlow leaves it empty; a wrong checksum still says that the file is damaged.
        reader.block(meta, "meta index block")?;
        let mut table = Table {
            entries: Vec::new(),
        };
        for (_, mut value) in reader.block(index, "index block")? {
            let place = handle(&mut value)
                .ok_or_else(|| malformed("index block", "the place of a data block"))?;
            let block = reader.block(place, "data block")?;
            table.entries.extend(block);
        }
        let mut keys = table.entries.iter().zip(table.entries.iter().skip(1));
        match keys.find(|(a, b)| a.0 >= b.0) {
            None => Ok(table),
            Some((_, (key, _))) => Err(Error::format(
                key.escape_ascii().to_string(),
                "keys in ascending order",
                "a key that is not after the one before it",
            )),
        }
    }
}

/// Offset and size of a block.
fn handle(rest: &mut &[u8]) -> Option<(u64, u64)> {
    Some((varint(rest)?, varint(rest)?))
}

fn malformed(at: &str, expected: &str) -> Error {
    Error::format(at, expected, "other bytes")
}

struct Reader<'a> {
    body: &'a [u8],
    /// Of the file: blocks do not overlap, so that all of them take no more than the file.
    bytes_left: usize,
    key_bytes_left: usize,
}

impl<'a> Reader<'a> {
    fn block(&mut self, place: (u64, u64), what: &str) -> Result<Vec<(Vec<u8>, &'a [u8])>> {
        let (offset, size) = place;
        let at = format!("{what} at {offset}");
        let range = || {
            let offset = usize::try_from(offset).ok()?;
            let end = offset.checked_add(usize::try_from(size).ok()?)?;
            let whole = self.body.get(offset..end.checked_add(TRAILER)?)?;
            Some(whole.split_at(end - offset))
        };
        let Some((block, trailer)) = range() else {
            let expected = format!("{size} bytes before the footer");
            let received = format!("{} bytes in all", self.body.len());
            return Err(Error::format(at, expected, received).help("the file is truncated"));
        };
        self.bytes_left = self
            .bytes_left
            .checked_sub(block.len() + TRAILER)
            .ok_or_else(|| Error::limit(&at, "blocks that do not overlap", "overlapping blocks"))?;
        let mut crc = crc32c::Crc32c::new();
        crc.update(block);
        crc.update(&trailer[..1]);
        if trailer[1..] != crc.masked().to_le_bytes() {
            return Err(Error::format(
                at,
                format!("checksum {:08x}", crc.masked()),
                format!("{}", Hex(&trailer[1..])),
            )
            .help("the file is damaged; fetch or save it again"));
        }
        if trailer[0] != 0 {
            let received = format!("compression {}", trailer[0]);
            return Err(Error::unsupported(at, "an uncompressed block", received));
        }
        self.entries(block)
            .ok_or_else(|| malformed(&at, "entries of keys and values"))?
            .map_err(|error| error.in_file(&at))
    }

    /// `None` if the block is malformed.
    #[allow(clippy::type_complexity)]
    fn entries(&mut self, block: &'a [u8]) -> Option<Result<Vec<(Vec<u8>, &'a [u8])>>> {
        let (entries, count) = block.split_last_chunk::<4>()?;
        let restarts = usize::try_from(u32::from_le_bytes(*count))
            .ok()?
            .checked_mul(4)?;
        let mut rest = &entries[..entries.len().checked_sub(restarts)?];
        let mut all: Vec<(Vec<u8>, &[u8])> = Vec::new();
        while !rest.is_empty() {
            let mut length = || usize::try_from(varint(&mut rest)?).ok();
            let (shared, own, value) = (length()?, length()?, length()?);
            let before = all.last().map_or(&[][..], |(key, _)| key);
            let shared = before.get(..shared)?;
            let own = take(&mut rest, own)?;
            let Some(left) = self.key_bytes_left.checked_sub(shared.len() + own.len()) else {
                let expected = format!("keys of at most {MOST_EXPANSION} times the file's size");
                return Some(Err(Error::limit("", expected, "more")));
            };
            self.key_bytes_left = left;
            let key = [shared, own].concat();
            all.push((key, take(&mut rest, value)?));
        }
        Some(Ok(all))
    }
}

/// A checksum's bytes as the number they are.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .rev()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
