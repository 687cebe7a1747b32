//! Variables in pieces: TensorFlow cuts a variable when a shard has a largest size, or when it was made
//! with a partitioner. Each piece is an entry of its own, whose key is made of the variable's and of
//! the piece's place in TensorFlow's order-preserving code (`tensorflow/core/lib/strings/ordered_code.h`).

use crate::protobuf::{Fields, Malformed, Value};

/// Where a piece lies along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    start: u64,
    /// `None` is the whole axis.
    length: Option<u64>,
}

/// The extents in a `TensorSliceProto`.
pub(super) fn extents(message: &[u8]) -> Result<Vec<Extent>, Malformed> {
    let mut extents = Vec::new();
    for field in Fields::new(message) {
        if let (1, Value::Bytes(message)) = field? {
            let mut extent = Extent {
                start: 0,
                length: None,
            };
            for field in Fields::new(message) {
                match field? {
                    (1, Value::Varint(start)) => extent.start = start,
                    (2, Value::Varint(length)) => extent.length = Some(length),
                    _ => {}
                }
            }
            extents.push(extent);
        }
    }
    Ok(extents)
}

/// The key of a piece of the variable of `key`.
pub(super) fn piece_key(key: &str, extents: &[Extent]) -> Vec<u8> {
    let mut code = vec![0];
    for &byte in key.as_bytes() {
        match byte {
            0 => code.extend([0, 0xFF]),
            0xFF => code.extend([0xFF, 0]),
            _ => code.push(byte),
        }
    }
    code.extend([0, 1]);
    let axes = (extents.len() as u64).to_be_bytes();
    let bytes = &axes[(extents.len() as u64).leading_zeros() as usize / 8..];
    code.push(bytes.len() as u8);
    code.extend(bytes);
    for extent in extents {
        push_signed(&mut code, extent.start as i64);
        push_signed(&mut code, extent.length.map_or(-1, |length| length as i64));
    }
    code
}

/// A signed number: as many leading ones as it has bytes, then its bits, highest first. A negative one
/// has all bits inverted.
fn push_signed(code: &mut Vec<u8>, value: i64) {
    let positive = if value < 0 { !value } else { value };
    // A byte has room for 6 bits beside its sign, each further one for 7 more.
    let bits = 64 - positive.leading_zeros();
    let length = (bits / 7 + 1) as usize;
    let mut bytes = [0u8; 10];
    bytes[2..].copy_from_slice(&positive.to_be_bytes());
    let bytes = &mut bytes[10 - length..];
    for one in 0..length {
        bytes[one / 8] |= 0x80 >> (one % 8);
    }
    let invert = if value < 0 { 0xFF } else { 0 };
    code.extend(bytes.iter().map(|byte| byte ^ invert));
}

/// The sizes of a piece of a variable of `shape`, if it lies within.
pub(super) fn piece_shape(extents: &[Extent], shape: &[usize]) -> Option<Vec<usize>> {
    if extents.len() != shape.len() {
        return None;
    }
    let size = |(extent, &axis): (&Extent, &usize)| {
        let start = usize::try_from(extent.start).ok()?;
        let length = match extent.length {
            Some(length) => usize::try_from(length).ok()?,
            None => axis.checked_sub(start)?,
        };
        (start.checked_add(length)? <= axis).then_some(length)
    };
    extents.iter().zip(shape).map(size).collect()
}

/// Copies a piece into the variable of `shape`, both with elements of `size` bytes.
pub(super) fn copy(
    piece: &[u8],
    piece_shape: &[usize],
    extents: &[Extent],
    whole: &mut [u8],
    shape: &[usize],
    size: usize,
) {
    let row = piece_shape.last().map_or(size, |last| last * size);
    if row == 0 {
        return;
    }
    for (index, row_bytes) in piece.chunks_exact(row).enumerate() {
        // The row's place: its index along each axis but the last, then the piece's start.
        let (mut index, mut at, mut stride) = (index, 0, 1);
        for axis in (0..shape.len()).rev() {
            let within = match axis + 1 == shape.len() {
                true => 0,
                false => {
                    let within = index % piece_shape[axis];
                    index /= piece_shape[axis];
                    within
                }
            };
            at += (extents[axis].start as usize + within) * stride;
            stride *= shape[axis];
        }
        whole[at * size..][..row].copy_from_slice(row_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_leading_ones_as_bytes() {
        for (value, expected) in [
            (0, &[0x80][..]),
            (2, &[0x82]),
            (63, &[0xBF]),
            (64, &[0xC0, 0x40]),
            (8191, &[0xDF, 0xFF]),
            (8192, &[0xE0, 0x20, 0x00]),
            (-1, &[0x7F]),
            (-64, &[0x40]),
        ] {
            let mut code = Vec::new();
            push_signed(&mut code, value);
            assert_eq!(code, expected, "{value}");
        }
        let mut code = Vec::new();
        push_signed(&mut code, i64::MAX);
        assert_eq!(code.len(), 10);
    }

    #[test]
    fn pieces_come_to_their_place() {
        let extent = |start, length| Extent { start, length };
        let shape = [3, 4];
        let extents = [extent(1, Some(2)), extent(1, Some(2))];
        let piece_shape = piece_shape(&extents, &shape).unwrap();
        let mut whole = [0; 12];
        copy(&[1, 2, 3, 4], &piece_shape, &extents, &mut whole, &shape, 1);
        assert_eq!(whole, [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0]);
        assert_eq!(
            super::piece_shape(&[extent(2, Some(2)), extent(0, None)], &shape),
            None
        );
    }
}
