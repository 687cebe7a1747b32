//! The format of a file of rows: a header, an index of keys and checksums, and the rows.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `regraftF` |
//! | 4 + 4 | the version of the format, 1; zero |
//! | 8 | the number of rows |
//! | 8 | the number of floats in a row |
//! | 32 | the namespace |
//! | 48 each | of each row its key, and the first 16 bytes of the BLAKE3 hash of its bytes |
//! | 32 | the BLAKE3 hash of all bytes up to here |
//! | 4 each | the floats of all rows |
//!
//! Numbers are little-endian.

use std::fmt;

use crate::Digest;

const MAGIC: [u8; 8] = *b"regraftF";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 48;
const HASH: usize = 32;

/// A file of rows, of which the header and the index have been checked. A row is checked when it is read.
#[derive(Debug)]
pub struct Segment<B> {
    bytes: B,
    rows: usize,
    width: usize,
}

/// Why bytes are no file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Another kind of file.
    Foreign,
    /// Of another version of the format.
    Version(u32),
    /// More or fewer bytes than the header says.
    Length,
    /// The header or the index is not what was written.
    Index,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Foreign => f.write_str("not a file of rows"),
            Fault::Version(version) => write!(f, "of version {version}, not {VERSION}"),
            Fault::Length => f.write_str("longer or shorter than it says"),
            Fault::Index => f.write_str("its index was changed"),
        }
    }
}

impl Segment<memmap2::Mmap> {
    /// Lets the system take back the memory of what has been read.
    pub(crate) fn give_back(&self) {
        #[cfg(unix)]
        // SAFETY: the mapping is of a file and never written to, so that what is read again are the file's bytes.
        let _ = unsafe {
            self.bytes
                .unchecked_advise(memmap2::UncheckedAdvice::DontNeed)
        };
    }
}

impl<B: AsRef<[u8]>> Segment<B> {
    /// Checks the length, the header and the index. Nothing is allocated.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(bytes: B) -> Result<Self, Fault> {
        let all = bytes.as_ref();
        if !all.starts_with(&MAGIC) {
            return Err(Fault::Foreign);
        }
        let Some((header, _)) = all.split_first_chunk::<HEADER>() else {
            return Err(Fault::Length);
        };
        let number = |at: usize| {
            let (bytes, _) = header[at..]
                .split_first_chunk()
                .expect("8 bytes of a header");
            u64::from_le_bytes(*bytes)
        };
        let version = number(8) as u32;
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let (Ok(rows), Ok(width)) = (usize::try_from(number(16)), usize::try_from(number(24)))
        else {
            return Err(Fault::Length);
        };
        let index = rows
            .checked_mul(ENTRY)
            .and_then(|index| index.checked_add(HEADER + HASH));
        let data = width.checked_mul(4).and_then(|row| row.checked_mul(rows));
        let length = index
            .zip(data)
            .and_then(|(index, data)| index.checked_add(data));
        if length != Some(all.len()) {
            return Err(Fault::Length);
        }
        let (index, rest) = all.split_at(HEADER + rows * ENTRY);
        if blake3::hash(index).as_bytes() != &rest[..HASH] {
            return Err(Fault::Index);
        }
        Ok(Segment { bytes, rows, width })
    }

    /// The namespace that the rows are of.
    pub fn namespace(&self) -> Digest {
        self.hash_at(32)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of floats in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The key of a row.
    ///
    /// # Panics
    /// If there are fewer rows.
    pub fn key(&self, row: usize) -> Digest {
        assert!(row < self.rows, "a row that is there");
        self.hash_at(HEADER + row * ENTRY)
    }

    /// Copies a row. False if it is not what was written; what is in `to` is of no use then.
    ///
    /// # Panics
    /// If there are fewer rows, or `to` has another length than they.
    pub fn read(&self, row: usize, to: &mut [f32]) -> bool {
        assert!(
            row < self.rows && to.len() == self.width,
            "a row that is there"
        );
        let all = self.bytes.as_ref();
        let checksum = &all[HEADER + row * ENTRY + HASH..][..ENTRY - HASH];
        let from = HEADER + self.rows * ENTRY + HASH + row * self.width * 4;
        let copied: &mut [u8] = bytemuck::cast_slice_mut(to);
        copied.copy_from_slice(&all[from..][..self.width * 4]);
        // The copy is checked, not what may be another in a moment.
        let is_sound = blake3::hash(copied).as_bytes().starts_with(checksum);
        if cfg!(target_endian = "big") {
            to.iter_mut()
                .for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
        }
        is_sound
    }

    fn hash_at(&self, at: usize) -> Digest {
        let (hash, _) = self.bytes.as_ref()[at..]
            .split_first_chunk()
            .expect("a hash of 32 bytes");
        *hash
    }
}

/// A file of these rows, piece by piece, and a name that belongs to what is in it.
pub(crate) fn write<'r>(
    namespace: &Digest,
    width: usize,
    keys: &[Digest],
    rows: &'r [f32],
) -> (String, impl Iterator<Item = Vec<u8>> + use<'r>) {
    /// Bytes of a piece, as many whole rows as that has.
    const PIECE: usize = 1 << 20;
    debug_assert_eq!(rows.len(), keys.len() * width);
    let mut index = Vec::with_capacity(HEADER + keys.len() * ENTRY + HASH);
    index.extend_from_slice(&MAGIC);
    index.extend_from_slice(&VERSION.to_le_bytes());
    index.extend_from_slice(&[0; 4]);
    index.extend_from_slice(&(keys.len() as u64).to_le_bytes());
    index.extend_from_slice(&(width as u64).to_le_bytes());
    index.extend_from_slice(namespace);
    for (row, key) in keys.iter().enumerate() {
        let checksum = blake3::hash(&to_bytes(&rows[row * width..][..width]));
        index.extend_from_slice(key);
        index.extend_from_slice(&checksum.as_bytes()[..ENTRY - HASH]);
    }
    let hash = blake3::hash(&index);
    index.extend_from_slice(hash.as_bytes());
    let name = hash.to_hex()[..32].to_string();
    let rows = rows.chunks((PIECE / 4 / width.max(1)).max(1) * width.max(1));
    (name, std::iter::once(index).chain(rows.map(to_bytes)))
}

/// The bytes of a file of so many rows.
pub(crate) fn bytes(rows: usize, width: usize) -> u64 {
    (HEADER + rows * ENTRY + HASH + rows * width * 4) as u64
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    match cfg!(target_endian = "little") {
        true => bytemuck::cast_slice(values).to_vec(),
        false => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: usize, width: usize) -> Vec<u8> {
        let keys: Vec<Digest> = (0..rows).map(|row| [row as u8; 32]).collect();
        let values: Vec<f32> = (0..rows * width).map(|i| i as f32 - 1.5).collect();
        write(&[9; 32], width, &keys, &values)
            .1
            .collect::<Vec<_>>()
            .concat()
    }

    #[test]
    fn a_file_gives_what_was_written() {
        for (rows, width) in [(0, 3), (1, 1), (3, 0), (5, 7), (2, 400_000)] {
            let segment = Segment::new(file(rows, width)).unwrap();
            assert_eq!((segment.rows(), segment.width()), (rows, width));
            assert_eq!(segment.namespace(), [9; 32]);
            let mut values = vec![0.0; width];
            for row in 0..rows {
                assert_eq!(segment.key(row), [row as u8; 32]);
                assert!(segment.read(row, &mut values));
                let expected = (row * width..(row + 1) * width).map(|i| i as f32 - 1.5);
                assert!(values.iter().copied().eq(expected));
            }
        }
    }

    #[test]
    fn each_bit_counts_and_each_byte_must_be_there() {
        let (rows, width) = (3, 2);
        let whole = file(rows, width);
        for length in 0..whole.len() {
            assert!(Segment::new(&whole[..length]).is_err(), "{length}");
        }
        assert!(Segment::new([&whole[..], &[0]].concat()).is_err());
        for bit in 0..8 * whole.len() {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(segment) = Segment::new(changed) else {
                continue;
            };
            let mut values = [0.0; 2];
            let sound = (0..rows).filter(|&row| segment.read(row, &mut values));
            assert_eq!(sound.count(), rows - 1, "bit {bit}");
        }
    }

    #[test]
    fn headers_that_promise_too_much_are_refused() {
        for (rows, width) in [
            (u64::MAX, 1),
            (1, u64::MAX),
            (1 << 40, 1 << 40),
            (u64::MAX / 48, 0),
        ] {
            let mut changed = file(1, 1);
            changed[16..24].copy_from_slice(&rows.to_le_bytes());
            changed[24..32].copy_from_slice(&width.to_le_bytes());
            assert_eq!(Segment::new(changed).unwrap_err(), Fault::Length);
        }
        let mut other = file(1, 1);
        other[8] = 2;
        assert_eq!(Segment::new(other).unwrap_err(), Fault::Version(2));
        assert_eq!(Segment::new(b"GIF89a").unwrap_err(), Fault::Foreign);
    }
}
