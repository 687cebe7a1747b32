//! Hashes as they are written.

/// The 64 digits of a hash.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The hash of 64 digits.
pub(crate) fn from_hex(digits: impl AsRef<[u8]>) -> Option<[u8; 32]> {
    Some(*blake3::Hash::from_hex(digits).ok()?.as_bytes())
}
