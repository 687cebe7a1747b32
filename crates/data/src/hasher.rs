//! Hashes of what samples are computed from.

use crate::{Content, Slice};

/// Makes a [`Content`]: BLAKE3 over parts of which each is written with its length and its type, so that
/// `("ab", "c")` and `("a", "bc")` differ.
///
/// ```
/// use regraft_data::Hasher;
///
/// let file = std::fs::read("Cargo.toml").unwrap_or_default();
/// let content = Hasher::new("my pictures, version 1").bytes(&file).number(224).finish();
/// assert_ne!(content, Hasher::new("my pictures, version 2").bytes(&file).number(224).finish());
/// ```
#[derive(Clone, Debug)]
#[must_use = "`finish` gives the hash"]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Begins with the name of what is hashed: contents of different kinds are different.
    pub fn new(kind: &str) -> Self {
        Hasher(blake3::Hasher::new()).bytes(kind.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.part(b'b', bytes.len(), |hasher| {
            hasher.update(bytes);
        })
    }

    /// Adds a whole number: a size, a setting.
    pub fn number(self, number: u64) -> Self {
        self.part(b'n', 1, |hasher| {
            hasher.update(&number.to_le_bytes());
        })
    }

    /// Adds elements by their bits: `0` and `-0` differ.
    pub fn elements(self, elements: Slice<'_>) -> Self {
        /// Elements are made bytes so many at a time.
        const CHUNK: usize = 1024;
        fn words(hasher: &mut blake3::Hasher, words: impl Iterator<Item = [u8; 4]>) {
            let mut buffer = [[0; 4]; CHUNK];
            let mut filled = 0;
            for word in words {
                buffer[filled] = word;
                filled += 1;
                if filled == CHUNK {
                    hasher.update(buffer.as_flattened());
                    filled = 0;
                }
            }
            hasher.update(buffer[..filled].as_flattened());
        }
        match elements {
            Slice::F32(values) => self.part(b'f', values.len(), |hasher| {
                words(hasher, values.iter().map(|value| value.to_le_bytes()));
            }),
            Slice::I32(values) => self.part(b'i', values.len(), |hasher| {
                words(hasher, values.iter().map(|value| value.to_le_bytes()));
            }),
        }
    }

    /// The hash of all that was added.
    pub fn finish(self) -> Content {
        *self.0.finalize().as_bytes()
    }

    fn part(mut self, kind: u8, length: usize, add: impl FnOnce(&mut blake3::Hasher)) -> Self {
        self.0.update(&[kind]);
        self.0.update(&(length as u64).to_le_bytes());
        add(&mut self.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other_and_bits_count() {
        let hash = |parts: &[&str]| {
            let parts = parts.iter();
            let hasher = parts.fold(Hasher::new("k"), |hasher, part| {
                hasher.bytes(part.as_bytes())
            });
            hasher.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a"]), hash(&["a", ""]));
        let of = |elements: Slice<'_>| Hasher::new("k").elements(elements).finish();
        assert_ne!(of(Slice::F32(&[0.0])), of(Slice::F32(&[-0.0])));
        assert_ne!(of(Slice::F32(&[0.0])), of(Slice::I32(&[0])));
        assert_ne!(of(Slice::I32(&[7])), Hasher::new("k").number(7).finish());
        // More than one buffer of them: what the bytes as a whole give.
        let many: Vec<i32> = (0..3000).collect();
        let bytes: Vec<u8> = many.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut whole = blake3::Hasher::new();
        for part in [
            &b"b"[..],
            &1_u64.to_le_bytes(),
            b"k",
            b"i",
            &3000_u64.to_le_bytes(),
            &bytes,
        ] {
            whole.update(part);
        }
        assert_eq!(of(Slice::I32(&many)), *whole.finalize().as_bytes());
    }
}
