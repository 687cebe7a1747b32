//! Protocol Buffers' wire format: the fields of a message, without a schema. TensorFlow's
//! checkpoints and SavedModels need a handful of messages of it.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Integers, booleans and enumerations.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`, `float`.
    Fixed32(u32),
    /// Text, bytes, and messages within.
    Bytes(&'a [u8]),
}

/// What a malformed message is; the caller knows where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message in the order in which they lie there.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = varint(&mut self.rest)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(
                take(&mut self.rest, 8)?.try_into().ok()?,
            )),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                Value::Bytes(take(&mut self.rest, length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(
                take(&mut self.rest, 4)?.try_into().ok()?,
            )),
            // Groups, which no message here has.
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

/// An integer of 7 bits per byte, lowest first; `None` if it does not end or has over 64 bits.
pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if i == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Some(value);
        }
    }
    None
}

/// The next `length` bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order() {
        let message = b"\x08\x96\x01\x12\x02hi\x35\x01\x00\x00\x00\x39\x02\0\0\0\0\0\0\0";
        let fields: Result<Vec<_>, _> = Fields::new(message).collect();
        assert_eq!(
            fields.unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (6, Value::Fixed32(1)),
                (7, Value::Fixed64(2)),
            ]
        );
    }

    #[test]
    fn malformed_messages_end_with_an_error() {
        for message in [
            &b"\x08"[..],                                    // no value
            b"\x12\x05hi",                                   // too short
            b"\x0b\x0c",                                     // a group
            b"\x00\x00",                                     // field 0
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", // over 64 bits
        ] {
            assert!(Fields::new(message).any(|field| field.is_err()));
            assert!(Fields::new(message).count() <= 2);
        }
    }
}
