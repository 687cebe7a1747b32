//! Attributes: text and lists of text, which is all that weight files keep in them.

use super::UNDEFINED;
use super::datatype::{self, Datatype};
use super::fields::Fields;
use super::file::{File, text};
use super::header::Message;
use crate::{Error, Result};

/// An attribute, as far as weight files use them.
#[derive(Debug, PartialEq)]
pub(crate) enum Attribute {
    Text(String),
    /// A list of strings. Keras' empty list has an element type of f64; it is this too.
    Texts(Vec<String>),
}

/// Reads an attribute message: its name, and its value unless that is of another kind.
pub(super) fn read(file: &File, message: &Message) -> Result<(String, Option<Attribute>)> {
    let mut fields = message.fields();
    let version = fields.u8()?;
    if !(1..=3).contains(&version) {
        let received = format!("version {version}");
        return Err(Error::format(
            fields.place(),
            "an attribute of version 1 to 3",
            received,
        ));
    }
    if fields.u8()? & 3 != 0 && version > 1 {
        return Err(super::header::newer("an attribute with a shared type"));
    }
    let lengths = [fields.u16()?, fields.u16()?, fields.u16()?];
    if version == 3 {
        fields.u8()?; // The name's character set: ASCII is UTF-8.
    }
    let mut part = |length: u16| -> Result<Fields<'_>> {
        // Version 1 pads each part to a multiple of 8 bytes.
        let padded = match version {
            1 => usize::from(length).next_multiple_of(8),
            _ => length.into(),
        };
        let at = fields.place();
        let bytes = fields.take(padded).map_err(|error| error.in_file(&at))?;
        Ok(Fields::new(&bytes[..length.into()], message.at))
    };
    let name = text(part(lengths[0])?.take(lengths[0].into())?)?;
    let datatype = datatype::parse(&mut part(lengths[1])?)?;
    let shape = dataspace(&mut part(lengths[2])?)?;
    let value = value(file, &datatype, &shape, &mut fields);
    Ok((name.clone(), value.map_err(|error| error.in_file(&name))?))
}

fn value(
    file: &File,
    datatype: &Datatype,
    shape: &[u64],
    fields: &mut Fields<'_>,
) -> Result<Option<Attribute>> {
    let is_list = !shape.is_empty();
    let count = shape
        .iter()
        .try_fold(1u64, |count, &axis| count.checked_mul(axis));
    // No more than the message has bytes: an element takes at least one.
    let count = count.filter(|&count| count < 1 << 16).ok_or_else(|| {
        Error::format(
            fields.place(),
            "values within the attribute",
            format!("shape {shape:?}"),
        )
    })?;
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(match datatype {
            Datatype::Text { size } => text(fields.take(*size as usize)?)?,
            Datatype::HeapText => {
                let (length, address, index) = (fields.u32()?, fields.u64()?, fields.u32()?);
                match address {
                    0 | UNDEFINED => String::new(),
                    _ => file.heap_text(address, index, length)?,
                }
            }
            _ => return Ok(None),
        });
    }
    Ok(match texts.pop() {
        Some(text) if !is_list => Some(Attribute::Text(text)),
        last => {
            texts.extend(last);
            Some(Attribute::Texts(texts))
        }
    })
}

/// Reads a dataspace message: the size of every axis.
pub(super) fn dataspace(fields: &mut Fields<'_>) -> Result<Vec<u64>> {
    let version = fields.u8()?;
    let rank = fields.u8()?;
    fields.u8()?;
    let kind = fields.u8()?;
    match version {
        1 => {
            fields.take(4)?;
        }
        2 if kind == 2 => return Ok(vec![0]), // Null: no elements at all.
        2 => {}
        _ => {
            let received = format!("version {version}");
            return Err(Error::format(
                fields.place(),
                "a dataspace of version 1 or 2",
                received,
            ));
        }
    }
    (0..rank).map(|_| fields.u64()).collect()
}
