//! An object's header: the list of messages that say what it is.

use super::fields::Fields;
use super::file::File;
use super::message;
use crate::{Error, Result};

pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
    /// Where the data lie in the file.
    pub(super) at: u64,
}

impl Message {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.data, self.at)
    }
}

/// The messages of the header at `address`, without those that only continue or fill it.
pub(super) fn read(file: &File, address: u64) -> Result<Vec<Message>> {
    let prefix = file.bytes(address, 16)?;
    if prefix.starts_with(b"OHDR") {
        return Err(newer("an object header of version 2"));
    }
    let mut fields = Fields::new(&prefix, address);
    fields.expect(&[1, 0], "an object header")?;
    let count = fields.u16()?;
    fields.take(4)?;
    let length = fields.u32()?;

    let mut messages = Vec::new();
    let mut blocks = vec![(address.saturating_add(16), u64::from(length))];
    let mut left = count;
    // Every block but the first is named by a message, of which there are at most `count`.
    while let Some((start, length)) = blocks.pop() {
        let bytes = file.bytes(start, length)?;
        let mut fields = Fields::new(&bytes, start);
        let mut position = 0;
        while left > 0 && position + 8 <= bytes.len() {
            left -= 1;
            let kind = fields.u16()?;
            let size = fields.u16()?;
            let shared = fields.u8()? & 2 != 0;
            fields.take(3)?;
            let data = fields.take(size.into())?;
            let at = start + position as u64 + 8;
            position += 8 + usize::from(size);
            match kind {
                0 => {}
                message::CONTINUATION => {
                    let mut fields = Fields::new(data, at);
                    blocks.push((fields.u64()?, fields.u64()?));
                }
                _ if shared => return Err(newer("a message shared between objects")),
                message::ATTRIBUTE_INFO => return Err(newer("attributes of HDF5 1.8")),
                _ => messages.push(Message {
                    kind,
                    data: data.to_vec(),
                    at,
                }),
            }
        }
    }
    Ok(messages)
}

/// The error for structures that h5py writes only when asked for.
pub(super) fn newer(received: &str) -> Error {
    Error::unsupported(
        "",
        "the structures that h5py and Keras write by default",
        received,
    )
    .help("load the file in Keras and save it again")
}
