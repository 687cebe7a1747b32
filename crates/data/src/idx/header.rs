//! The head of an idx file: element type and shape, and the size that follows from them.

use std::fmt;
use std::io::Read;

use regraft_tensor::Detail;

use super::{IdxArray, fill};
use crate::{Error, Result};

/// The element types of the idx format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdxType {
    /// Unsigned byte, code `0x08`.
    U8,
    /// Signed byte, code `0x09`.
    I8,
    /// 16-bit integer, code `0x0B`.
    I16,
    /// 32-bit integer, code `0x0C`.
    I32,
    /// 32-bit float, code `0x0D`.
    F32,
    /// 64-bit float, code `0x0E`.
    F64,
}

impl IdxType {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x08 => IdxType::U8,
            0x09 => IdxType::I8,
            0x0b => IdxType::I16,
            0x0c => IdxType::I32,
            0x0d => IdxType::F32,
            0x0e => IdxType::F64,
            _ => return None,
        })
    }

    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            IdxType::U8 | IdxType::I8 => 1,
            IdxType::I16 => 2,
            IdxType::I32 | IdxType::F32 => 4,
            IdxType::F64 => 8,
        }
    }
}

impl fmt::Display for IdxType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IdxType::U8 => "u8",
            IdxType::I8 => "i8",
            IdxType::I16 => "i16",
            IdxType::I32 => "i32",
            IdxType::F32 => "f32",
            IdxType::F64 => "f64",
        })
    }
}

/// What the first bytes say.
pub(super) struct Header {
    pub element: IdxType,
    pub shape: Vec<usize>,
}

/// Where the data begin and how many bytes they take.
pub(super) struct Parts {
    pub offset: u64,
    pub bytes: u64,
}

impl Header {
    pub fn read(source: &mut impl Read, name: &str) -> Result<Self> {
        let mut start = [0; 4];
        read_exactly(source, &mut start, 0, name)?;
        let at = |offset: usize| format!("{name}, byte {offset}");
        if start[..2] != [0, 0] {
            return Err(Error::Idx(
                Detail::new(at(0), "two zero bytes", format!("{:02x?}", &start[..2]))
                    .help("this is neither an idx file nor a gzipped one"),
            ));
        }
        let Some(element) = IdxType::from_code(start[2]) else {
            return Err(Error::Idx(Detail::new(
                at(2),
                "a type code of 0x08, 0x09, 0x0b, 0x0c, 0x0d or 0x0e",
                format!("{:#04x}", start[2]),
            )));
        };
        let rank = usize::from(start[3]);
        let mut axes = vec![0; 4 * rank];
        read_exactly(source, &mut axes, 4, name)?;
        let shape = axes
            .chunks_exact(4)
            .map(|axis| u32::from_be_bytes([axis[0], axis[1], axis[2], axis[3]]) as usize)
            .collect();
        Ok(Header { element, shape })
    }

    /// The size the header declares, if an array of that size can exist at all.
    pub fn size(&self, name: &str) -> Result<Parts> {
        // Zero axes are skipped, as ndarray does: `[2³¹, 2³¹, 2³¹, 0]` has no elements, but its
        // strides cannot be computed.
        let limit = isize::MAX as u64;
        let bytes = self.shape.iter().filter(|&&axis| axis != 0).try_fold(
            self.element.size() as u64,
            |bytes, &axis| {
                bytes
                    .checked_mul(axis as u64)
                    .filter(|&bytes| bytes <= limit)
            },
        );
        let Some(bytes) = bytes else {
            return Err(Error::Idx(
                Detail::new(
                    format!("{name}, byte 4"),
                    format!("a shape that {limit} bytes can hold"),
                    format!("{} of shape {:?}", self.element, self.shape),
                )
                .help("the header is damaged: copy or download the file again"),
            ));
        };
        let empty = self.shape.contains(&0);
        Ok(Parts {
            offset: 4 + 4 * self.shape.len() as u64,
            bytes: if empty { 0 } else { bytes },
        })
    }

    /// Gives `data`, as long as [`Header::size`] says, their type and shape.
    pub fn into_array(self, data: Vec<u8>) -> IdxArray {
        IdxArray::from_big_endian(self.element, &self.shape, data)
    }
}

fn read_exactly(
    source: &mut impl Read,
    buffer: &mut [u8],
    offset: usize,
    name: &str,
) -> Result<()> {
    let wanted = format!("{} bytes of header", buffer.len());
    let (received, at) = match fill(source, buffer) {
        Ok(got) if got == buffer.len() => return Ok(()),
        Ok(got) => (format!("only {got}"), offset + got),
        Err(error) => (format!("an error from the stream ({error})"), offset),
    };
    Err(Error::Idx(
        Detail::new(format!("{name}, byte {at}"), wanted, received)
            .help("the file is truncated or damaged: copy or download it again"),
    ))
}
