//! Access to a file's structures within limits, and the heaps of strings that they share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use super::SIGNATURE;
use super::fields::Fields;
use crate::input::Input;
use crate::{Error, Result};

/// An opened file.
pub(super) struct File {
    pub(super) input: Input,
    /// How many bytes of structures may still be read. A sound file is read about once.
    structures_left: Cell<u64>,
    /// How many bytes of values may still be read.
    values_left: Cell<u64>,
    collections: RefCell<HashMap<u64, Rc<Collection>>>,
}

/// A global heap collection: the strings of attributes.
struct Collection {
    bytes: Vec<u8>,
    objects: HashMap<u16, Range<usize>>,
}

impl File {
    /// Checks the superblock and returns the file with the address of the root group's header.
    pub(super) fn open(input: &Input) -> Result<(Rc<File>, u64)> {
        let file = File {
            input: input.clone(),
            structures_left: Cell::new(input.length().saturating_mul(2).saturating_add(1 << 16)),
            values_left: Cell::new(input.length()),
            collections: RefCell::default(),
        };
        let start = file.bytes(0, 9.min(input.length()))?;
        let mut fields = Fields::new(&start, 0);
        fields.expect(&SIGNATURE, "an HDF5 file")?;
        match fields.u8()? {
            0 => {}
            version => {
                return Err(Error::unsupported(
                    "superblock",
                    "version 0, as h5py and Keras write by default",
                    format!("version {version} (libver=\"latest\" or another program)"),
                )
                .help("load the file in Keras and save it again"));
            }
        }
        let superblock = file.bytes(0, 96)?;
        let mut fields = Fields::new(&superblock, 0);
        fields.take(13)?;
        fields.expect(&[8, 8], "8-byte addresses and lengths")?;
        fields.take(9)?;
        let base = fields.u64()?;
        fields.take(8)?;
        let end = fields.u64()?;
        if base != 0 {
            let received = format!("{base}");
            return Err(Error::unsupported("superblock", "base address 0", received));
        }
        if end > input.length() {
            return Err(Error::format(
                "superblock",
                format!("a file of {end} bytes"),
                format!("{} bytes", input.length()),
            )
            .help("the file is truncated; copy or download it again"));
        }
        fields.take(16)?;
        let root = fields.u64()?;
        Ok((Rc::new(file), root))
    }

    /// `length` bytes of a structure at `address`.
    pub(super) fn bytes(&self, address: u64, length: u64) -> Result<Vec<u8>> {
        let end = address.checked_add(length);
        if end.is_none_or(|end| end > self.input.length()) {
            return Err(Error::format(
                format!("byte {address}"),
                format!("{length} bytes"),
                format!("the end of the file at {}", self.input.length()),
            )
            .help("the file is truncated or corrupt; copy or download it again"));
        }
        self.charge_structures(length, address)?;
        let mut bytes = vec![0; length as usize];
        self.input
            .read_at(address, &mut bytes)
            .map_err(|error| Error::format(format!("byte {address}"), "readable bytes", error))?;
        Ok(bytes)
    }

    fn charge_structures(&self, length: u64, address: u64) -> Result<()> {
        match self.structures_left.get().checked_sub(length) {
            Some(left) => {
                self.structures_left.set(left);
                Ok(())
            }
            None => Err(Error::limit(
                format!("byte {address}"),
                "structures that are together no larger than the file",
                "more",
            )
            .help("they overlap or form a loop; the file is corrupt")),
        }
    }

    /// Counts `length` bytes of values as read: those of a sound file do not overlap.
    pub(super) fn charge_values(&self, length: u64) -> Result<()> {
        match self.values_left.get().checked_sub(length) {
            Some(left) => {
                self.values_left.set(left);
                Ok(())
            }
            None => Err(Error::limit(
                "",
                format!(
                    "values that are together no larger than the file's {} bytes",
                    self.input.length()
                ),
                "more",
            )
            .help("datasets overlap, or a shape is far larger than what is stored")),
        }
    }

    /// The text of `length` bytes that is object `index` of the heap collection at `address`.
    pub(super) fn heap_text(&self, address: u64, index: u32, length: u32) -> Result<String> {
        let collection = self.collection(address)?;
        let place = || format!("object {index} of the heap at byte {address}");
        let object = u16::try_from(index)
            .ok()
            .and_then(|index| collection.objects.get(&index))
            .ok_or_else(|| Error::format(place(), "a string", "none"))?;
        let bytes = collection.bytes[object.clone()].get(..length as usize);
        let bytes = bytes.ok_or_else(|| {
            Error::format(
                place(),
                format!("{length} bytes"),
                format!("{}", object.len()),
            )
        })?;
        // A list may name the same long string thousands of times.
        self.charge_structures(length.into(), address)?;
        text(bytes).map_err(|error| error.in_file(&place()))
    }

    fn collection(&self, address: u64) -> Result<Rc<Collection>> {
        if let Some(known) = self.collections.borrow().get(&address) {
            return Ok(known.clone());
        }
        let head = self.bytes(address, 16)?;
        let mut fields = Fields::new(&head, address);
        fields.expect(b"GCOL\x01", "a global heap collection")?;
        fields.take(3)?;
        let bytes = self.bytes(address, fields.u64()?)?;
        let mut objects = HashMap::new();
        let mut fields = Fields::new(&bytes, address);
        let mut position = 16;
        fields.take(position.min(bytes.len()))?;
        // What is too short for an object, and object 0, is free space.
        while position + 16 <= bytes.len() {
            let index = fields.u16()?;
            fields.take(6)?;
            let length = fields.u64()?;
            if index == 0 {
                break;
            }
            position += 16;
            let end = usize::try_from(length).ok().and_then(|length| {
                let padded = length.checked_next_multiple_of(8)?;
                let end = position.checked_add(padded)?;
                (end <= bytes.len()).then_some((length, end))
            });
            let Some((length, end)) = end else {
                let received = format!("one of {length} bytes");
                return Err(Error::format(
                    fields.place(),
                    "an object within its heap",
                    received,
                ));
            };
            objects.insert(index, position..position + length);
            fields.take(end - position)?;
            position = end;
        }
        let collection = Rc::new(Collection { bytes, objects });
        let mut collections = self.collections.borrow_mut();
        collections.insert(address, collection.clone());
        Ok(collection)
    }
}

/// Text up to the first NUL.
pub(super) fn text(bytes: &[u8]) -> Result<String> {
    let end = bytes.iter().position(|&byte| byte == 0);
    let bytes = &bytes[..end.unwrap_or(bytes.len())];
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(Error::format("", "UTF-8 text", bytes.escape_ascii())),
    }
}
