//! Element types as HDF5 spells them, both ways.

use super::fields::Fields;
use crate::{DataType, Result};

/// The class and the layout of an element.
#[derive(Debug)]
pub(super) enum Datatype {
    Number(DataType),
    /// Bytes without a meaning; Keras' bfloat16 is two of them.
    Opaque {
        size: u32,
    },
    /// Text of a fixed number of bytes.
    Text {
        size: u32,
    },
    /// Text of any length, kept in a heap.
    HeapText,
    /// Anything else, and what it is called.
    Other {
        size: u32,
        name: &'static str,
    },
}

const FIXED: u8 = 0;
const FLOAT: u8 = 1;
const STRING: u8 = 3;
const OPAQUE: u8 = 5;
const ENUM: u8 = 8;
const VARIABLE: u8 = 9;

/// Bit 3 of an integer's bit field.
const SIGNED: u8 = 8;

/// Reads a datatype message.
pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Datatype> {
    let class = fields.u8()? & 15;
    let bits = fields.take(3)?;
    let size = fields.u32()?;
    let big_endian = matches!(class, FIXED | FLOAT) && bits[0] & 1 != 0 && size > 1;
    let other = |name| Datatype::Other { size, name };
    let number = |data_type: Option<DataType>, name| match data_type {
        Some(data_type) => Datatype::Number(data_type),
        None => other(name),
    };
    Ok(match class {
        _ if big_endian => other("big-endian numbers"),
        FIXED => {
            let whole = fields.u16()? == 0 && u32::from(fields.u16()?) == size.saturating_mul(8);
            number(
                integer(size, bits[0] & SIGNED != 0).filter(|_| whole),
                "integers",
            )
        }
        FLOAT => {
            let properties = fields.take(12)?;
            let is = |data_type: &DataType| {
                data_type.size() as u32 == size
                    && float_properties(*data_type).is_some_and(|known| known == properties)
            };
            number(
                DataType::ALL.into_iter().find(is),
                "floats of an unusual layout",
            )
        }
        STRING => Datatype::Text { size },
        OPAQUE => Datatype::Opaque { size },
        ENUM if size == 1 && bits == [2, 0, 0] => {
            // What h5py makes of NumPy's bool: an i8 with two names.
            let base = parse(fields)?;
            let names = fields.take(16)?;
            let is_bool = matches!(base, Datatype::Number(DataType::I8))
                && names == BOOL_NAMES
                && fields.take(2)? == [0, 1];
            number(is_bool.then_some(DataType::Bool), "an enumeration")
        }
        VARIABLE if bits[0] & 15 == 1 && size == 16 => Datatype::HeapText,
        6 => other("records"),
        7 => other("references"),
        10 => other("arrays"),
        _ => other("elements of another class"),
    })
}

/// The names of h5py's bool, each NUL-terminated and padded to 8 bytes.
const BOOL_NAMES: &[u8; 16] = b"FALSE\0\0\0TRUE\0\0\0\0";

/// The datatype message of numbers, unpadded.
pub(super) fn encode(data_type: DataType) -> Vec<u8> {
    let size = data_type.size() as u32;
    let head = |class: u8, bits: [u8; 3]| {
        let mut bytes = vec![0x10 | class];
        bytes.extend(bits);
        bytes.extend(size.to_le_bytes());
        bytes
    };
    if data_type == DataType::BF16 {
        return head(OPAQUE, [0, 0, 0]);
    }
    if let Some(properties) = float_properties(data_type) {
        // Implied leading mantissa bit, and where the sign is.
        let mut bytes = head(FLOAT, [0x20, size as u8 * 8 - 1, 0]);
        bytes.extend(properties);
        return bytes;
    }
    if data_type == DataType::Bool {
        let mut bytes = head(ENUM, [2, 0, 0]);
        bytes.extend(encode(DataType::I8));
        bytes.extend(BOOL_NAMES);
        bytes.extend([0, 1]);
        return bytes;
    }
    let signed = integer(size, true) == Some(data_type);
    let mut bytes = head(FIXED, [if signed { SIGNED } else { 0 }, 0, 0]);
    bytes.extend([0, 0]);
    bytes.extend((size as u16 * 8).to_le_bytes());
    bytes
}

/// The datatype message of text in a heap: variable length, NUL-terminated UTF-8.
pub(super) fn encode_heap_text() -> Vec<u8> {
    let mut bytes = vec![0x10 | VARIABLE, 1, 1, 0];
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(encode(DataType::U8));
    bytes
}

/// The datatype message of text of `size` bytes, padded with NUL.
pub(super) fn encode_text(size: u32) -> Vec<u8> {
    let mut bytes = vec![0x10 | STRING, 1, 0, 0];
    bytes.extend(size.to_le_bytes());
    bytes
}

fn integer(size: u32, signed: bool) -> Option<DataType> {
    match (size, signed) {
        (1, true) => Some(DataType::I8),
        (2, true) => Some(DataType::I16),
        (4, true) => Some(DataType::I32),
        (8, true) => Some(DataType::I64),
        (1, false) => Some(DataType::U8),
        (2, false) => Some(DataType::U16),
        (4, false) => Some(DataType::U32),
        (8, false) => Some(DataType::U64),
        _ => None,
    }
}

/// Bit offset, precision, exponent's place and size, mantissa's place and size, exponent bias.
fn float_properties(data_type: DataType) -> Option<[u8; 12]> {
    let (precision, exponent, bias) = match data_type {
        DataType::F16 => (16, 5, 15u32),
        DataType::BF16 => (16, 8, 127),
        DataType::F32 => (32, 8, 127),
        DataType::F64 => (64, 11, 1023),
        _ => return None,
    };
    let mantissa = precision - 1 - exponent;
    let [b0, b1, b2, b3] = bias.to_le_bytes();
    Some([
        0, 0, precision, 0, mantissa, exponent, 0, mantissa, b0, b1, b2, b3,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_as_written_but_bfloat16_which_is_opaque() {
        for data_type in DataType::ALL {
            let bytes = encode(data_type);
            match parse(&mut Fields::new(&bytes, 0)).unwrap() {
                Datatype::Number(read) => assert_eq!(read, data_type),
                Datatype::Opaque { size: 2 } => assert_eq!(data_type, DataType::BF16),
                other => panic!("{data_type}: {other:?}"),
            }
        }
    }
}
