//! What tells that a file is the one that was published.

use std::fmt;
use std::io::{self, Read};

use md5::Md5;
use sha2::{Digest, Sha256};

/// A hash of a file, as Keras publishes them: MD5 or SHA-256.
#[derive(Clone, PartialEq, Eq)]
pub enum Hash {
    /// 32 hexadecimal digits.
    Md5(String),
    /// 64 hexadecimal digits.
    Sha256(String),
    /// The first hexadecimal digits of a SHA-256, which PyTorch has in the names of files.
    Sha256Beginning(String),
}

impl Hash {
    /// A hash as it is written; what kind it is, its length says.
    pub fn parse(text: &str) -> Option<Hash> {
        let text = text.to_ascii_lowercase();
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.len() {
            32 if digits => Some(Hash::Md5(text)),
            64 if digits => Some(Hash::Sha256(text)),
            _ => None,
        }
    }

    /// The first digits of a SHA-256.
    pub(in crate::applications) fn beginning(digits: &str) -> Option<Hash> {
        let text = digits.to_ascii_lowercase();
        let fits = (8..64).contains(&text.len());
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (fits && digits).then_some(Hash::Sha256Beginning(text))
    }

    /// The hash of the same kind of what `from` gives.
    pub(super) fn same_of(&self, from: impl Read) -> io::Result<Hash> {
        match self {
            Hash::Md5(_) => Ok(Hash::Md5(digest::<Md5>(from)?)),
            Hash::Sha256(_) => Hash::sha256(from),
            Hash::Sha256Beginning(wanted) => {
                let mut digits = digest::<Sha256>(from)?;
                digits.truncate(wanted.len());
                Ok(Hash::Sha256Beginning(digits))
            }
        }
    }

    /// The SHA-256 of what `from` gives.
    pub(super) fn sha256(from: impl Read) -> io::Result<Hash> {
        Ok(Hash::Sha256(digest::<Sha256>(from)?))
    }

    /// The digits.
    pub(super) fn digits(&self) -> &str {
        match self {
            Hash::Md5(digits) | Hash::Sha256(digits) | Hash::Sha256Beginning(digits) => digits,
        }
    }
}

fn digest<D: Digest>(mut from: impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => digest.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let bytes = digest.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hash::Md5(digits) => write!(f, "MD5 {digits}"),
            Hash::Sha256(digits) => write!(f, "SHA-256 {digits}"),
            Hash::Sha256Beginning(digits) => write!(f, "SHA-256 {digits}…"),
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_others_compute() {
        // RFC 1321 and FIPS 180-4 have these.
        let md5 = Hash::parse("900150983CD24FB0D6963F7D28E17F72").unwrap();
        assert_eq!(md5.same_of(&b"abc"[..]).unwrap(), md5);
        let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha = Hash::parse(sha).unwrap();
        assert_eq!(sha.same_of(&b"abc"[..]).unwrap(), sha);
        assert_eq!(Hash::parse("abc"), None);
        assert_eq!(Hash::parse(&"g".repeat(32)), None);
    }
}
