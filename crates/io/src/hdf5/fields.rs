//! Reading little-endian fields one after the other out of a structure's bytes.

use crate::{Error, Result};

/// A structure's bytes, read from the front.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where the structure lies in the file, for messages.
    origin: u64,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], origin: u64) -> Self {
        Fields {
            bytes,
            position: 0,
            origin,
        }
    }

    /// Where in the file the next field lies, as in `byte 96`.
    pub(super) fn place(&self) -> String {
        format!("byte {}", self.origin.saturating_add(self.position as u64))
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..length) else {
            return Err(Error::format(
                self.place(),
                format!("{length} bytes of its structure"),
                format!("{}", rest.len()),
            ));
        };
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of up to 8 bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<u64> {
        let bytes = self.take(width)?.iter().rev();
        Ok(bytes.fold(0, |high, &low| high << 8 | u64::from(low)))
    }

    /// Checks a structure's signature or version.
    pub(super) fn expect(&mut self, expected: &[u8], what: &str) -> Result<()> {
        let place = self.place();
        let received = self.take(expected.len())?;
        if received == expected {
            return Ok(());
        }
        Err(Error::format(
            place,
            format!("{what} ({})", expected.escape_ascii()),
            received.escape_ascii(),
        )
        .help("the file is corrupt, or of a kind of HDF5 that Keras does not write"))
    }
}
