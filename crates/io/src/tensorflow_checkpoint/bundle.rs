//! A checkpoint's tensors by key: where the `.index` file says they are, read out of the `.data-…`
//! shards and checked. The messages are TensorFlow's `BundleHeaderProto` and `BundleEntryProto`
//! (`tensorflow/core/protobuf/tensor_bundle.proto`).

use std::collections::HashMap;

use super::slices::{self, Extent};
use super::table::Table;
use crate::crc32c::{self, Crc32c};
use crate::input::Input;
use crate::protobuf::{Fields, Malformed, Value, take, varint};
use crate::tensor_data::byte_length;
use crate::{DataType, Error, Result, TensorData};

/// What the `.index` file says about one tensor.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    data_type: u64,
    shape: Vec<u64>,
    shard: u64,
    offset: u64,
    size: u64,
    checksum: u32,
    /// The variable is in pieces, which are here.
    slices: Vec<Vec<Extent>>,
}

/// TensorFlow's number of the type of text.
const TEXT: u64 = 7;

impl Entry {
    fn parse(key: String, message: &[u8]) -> Result<Self, Malformed> {
        let mut entry = Entry {
            key,
            data_type: 0,
            shape: Vec::new(),
            shard: 0,
            offset: 0,
            size: 0,
            checksum: 0,
            slices: Vec::new(),
        };
        for field in Fields::new(message) {
            match field? {
                (1, Value::Varint(value)) => entry.data_type = value,
                (2, Value::Bytes(shape)) => entry.shape = axes(shape)?,
                (3, Value::Varint(value)) => entry.shard = value,
                (4, Value::Varint(value)) => entry.offset = value,
                (5, Value::Varint(value)) => entry.size = value,
                (6, Value::Fixed32(value)) => entry.checksum = value,
                (7, Value::Bytes(slice)) => entry.slices.push(slices::extents(slice)?),
                _ => {}
            }
        }
        Ok(entry)
    }

    pub(super) fn is_text(&self) -> bool {
        self.data_type == TEXT
    }
}

/// The sizes in a `TensorShapeProto`.
fn axes(shape: &[u8]) -> Result<Vec<u64>, Malformed> {
    let mut axes = Vec::new();
    for field in Fields::new(shape) {
        if let (2, Value::Bytes(axis)) = field? {
            // A size of 0 is left out.
            let mut size = 0;
            for field in Fields::new(axis) {
                if let (1, Value::Varint(value)) = field? {
                    size = value;
                }
            }
            axes.push(size);
        }
    }
    Ok(axes)
}

/// An opened checkpoint.
pub(super) struct Bundle<'a> {
    /// In the order of the keys.
    pub(super) entries: Vec<Entry>,
    /// Pieces of variables by their keys, which are no text.
    slices: HashMap<Vec<u8>, Entry>,
    shard_count: u64,
    shards: HashMap<u64, Shard>,
    open: Box<dyn FnMut(u64, u64) -> Result<Input> + 'a>,
}

struct Shard {
    input: Input,
    /// Tensors do not overlap, so that all of them take no more than the shard.
    bytes_left: u64,
}

/// `X.data-00001-of-00002` without the `X`.
pub(super) fn shard_ending(shard: u64, count: u64) -> String {
    format!(".data-{shard:05}-of-{count:05}")
}

impl<'a> Bundle<'a> {
    /// `open` is given the shard's number and the number of shards.
    pub(super) fn open(
        index: &[u8],
        open: impl FnMut(u64, u64) -> Result<Input> + 'a,
    ) -> Result<Self> {
        let table = Table::parse(index)?;
        let mut values = table.entries.into_iter();
        // The empty key is the first one.
        let Some((_, header)) = values.next().filter(|(key, _)| key.is_empty()) else {
            return Err(Error::missing("", "the header of a checkpoint", "none"));
        };
        let shard_count = header_of(header)?;
        let mut entries = Vec::new();
        let mut slices = HashMap::new();
        for (key, value) in values {
            let name = String::from_utf8_lossy(&key).replace('\0', " ");
            let is_slice = key.first() == Some(&0);
            if !is_slice && std::str::from_utf8(&key).is_err() {
                return Err(Error::format(name, "a key in UTF-8", "other bytes"));
            }
            let entry = Entry::parse(name.clone(), value)
                .map_err(|Malformed| Error::format(name, "a BundleEntryProto", "other bytes"))?;
            match is_slice {
                true => drop(slices.insert(key, entry)),
                false => entries.push(entry),
            }
        }
        Ok(Bundle {
            entries,
            slices,
            shard_count,
            shards: HashMap::new(),
            open: Box::new(open),
        })
    }

    /// The tensor of `entry`, which must not be text.
    pub(super) fn tensor(&mut self, entry: &Entry) -> Result<TensorData> {
        let key = &entry.key;
        let data_type = data_type(entry.data_type).ok_or_else(|| {
            let received = format!("TensorFlow's type number {}", entry.data_type);
            Error::unsupported(key, "a real number type, integer or bool", received)
        })?;
        let shape: Option<Vec<usize>> = entry
            .shape
            .iter()
            .map(|&axis| usize::try_from(axis).ok())
            .collect();
        let sized = shape.and_then(|shape| Some((byte_length(data_type, &shape)?, shape)));
        let Some((length, shape)) = sized else {
            let expected = "a shape that memory has room for";
            let received = format!("{:?} of {data_type}", entry.shape);
            return Err(Error::limit(key, expected, received));
        };
        if entry.slices.is_empty() {
            return self.whole(entry, data_type, shape, length);
        }
        self.pieces(entry, data_type, shape, length)
    }

    fn whole(
        &mut self,
        entry: &Entry,
        data_type: DataType,
        shape: Vec<usize>,
        length: usize,
    ) -> Result<TensorData> {
        if length as u64 != entry.size {
            return Err(Error::format(
                &entry.key,
                format!("the {length} bytes that shape {shape:?} of {data_type} takes"),
                format!("{} bytes", entry.size),
            ));
        }
        let (input, shard) = self.place(entry)?;
        TensorData::read_with(data_type, shape, |buffer| {
            read_at(&input, entry, &shard, buffer)?;
            check(entry, crc32c::masked(buffer), &shard)
        })
        .map_err(|error| in_tensor(error, entry))
    }

    /// Puts a variable together from the pieces that it was saved in.
    fn pieces(
        &mut self,
        entry: &Entry,
        data_type: DataType,
        shape: Vec<usize>,
        length: usize,
    ) -> Result<TensorData> {
        let key = &entry.key;
        let mut pieces = Vec::new();
        let mut left = length;
        for extents in &entry.slices {
            let piece = self.slices.remove(&slices::piece_key(key, extents));
            let Some(piece) = piece else {
                let expected = format!("the piece {extents:?}");
                return Err(Error::missing(key, expected, "none of that place"));
            };
            let size = slices::piece_shape(extents, &shape).and_then(|piece_shape| {
                let size = byte_length(data_type, &piece_shape)?;
                left = left.checked_sub(size)?;
                (size as u64 == piece.size).then_some(piece_shape)
            });
            let Some(piece_shape) = size else {
                let expected = format!("pieces of shape {shape:?}");
                return Err(Error::format(key, expected, format!("{extents:?}")));
            };
            let (input, shard) = self.place(&piece)?;
            pieces.push((extents, piece, piece_shape, input, shard));
        }
        if left != 0 {
            let expected = format!("pieces of {length} bytes in all");
            return Err(Error::missing(key, expected, format!("{left} bytes less")));
        }
        // The pieces are in the shards and as large as the whole, so there is no harm in the room.
        TensorData::read_with(data_type, shape.clone(), |buffer| {
            for (extents, piece, piece_shape, input, shard) in &pieces {
                let mut bytes = vec![0; usize::try_from(piece.size).unwrap_or(0)];
                read_at(input, piece, shard, &mut bytes)?;
                check(piece, crc32c::masked(&bytes), shard)?;
                let size = data_type.size();
                slices::copy(&bytes, piece_shape, extents, buffer, &shape, size);
            }
            Ok(())
        })
        .map_err(|error| in_tensor(error, entry))
    }

    /// The bytes of a rank-0 text. They are behind their length, a checksum of the length, and their
    /// own checksum is over length (as 32 bits), that checksum, and bytes.
    pub(super) fn text(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let (input, shard) = self.place(entry)?;
        let mut bytes = vec![0; usize::try_from(entry.size).unwrap_or(0)];
        read_at(&input, entry, &shard, &mut bytes)?;
        let mut rest = &bytes[..];
        let parts = varint(&mut rest)
            .and_then(|length| Some((u32::try_from(length).ok()?, take(&mut rest, 4)?)))
            .filter(|(length, _)| entry.shape.is_empty() && *length as usize == rest.len());
        let Some((length, length_checksum)) = parts else {
            return Err(Error::format(
                &entry.key,
                "one text with its length",
                "other bytes",
            ));
        };
        let mut crc = Crc32c::new();
        crc.update(&length.to_le_bytes());
        if length_checksum != crc.masked().to_le_bytes() {
            return Err(damaged(entry, &shard));
        }
        crc.update(length_checksum);
        crc.update(rest);
        check(entry, crc.masked(), &shard)?;
        let start = bytes.len() - length as usize;
        bytes.drain(..start);
        Ok(bytes)
    }

    /// The shard of `entry` and its name in messages, once it is sure that the entry lies in it.
    fn place(&mut self, entry: &Entry) -> Result<(Input, String)> {
        let name = shard_ending(entry.shard, self.shard_count);
        if entry.shard >= self.shard_count {
            let expected = format!("one of {} shards", self.shard_count);
            return Err(Error::format(&entry.key, expected, name));
        }
        let shard = match self.shards.entry(entry.shard) {
            std::collections::hash_map::Entry::Occupied(shard) => shard.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let input = (self.open)(entry.shard, self.shard_count)?;
                vacant.insert(Shard {
                    bytes_left: input.length(),
                    input,
                })
            }
        };
        let end = entry.offset.checked_add(entry.size);
        if end.is_none_or(|end| end > shard.input.length()) {
            return Err(Error::format(
                format!("{}: {name}", entry.key),
                format!("{} bytes from {} on", entry.size, entry.offset),
                format!("a shard of {} bytes", shard.input.length()),
            )
            .help("the shard is truncated, or of another save"));
        }
        shard.bytes_left = shard.bytes_left.checked_sub(entry.size).ok_or_else(|| {
            let at = format!("{}: {name}", entry.key);
            Error::limit(at, "tensors that do not overlap", "overlapping tensors")
        })?;
        Ok((shard.input.clone(), name))
    }
}

/// The number of shards.
fn header_of(message: &[u8]) -> Result<u64> {
    let mut shard_count = 0;
    let mut is_big_endian = false;
    for field in Fields::new(message) {
        match field {
            Ok((1, Value::Varint(value))) => shard_count = value,
            Ok((2, Value::Varint(value))) => is_big_endian = value != 0,
            Ok(_) => {}
            Err(Malformed) => {
                return Err(Error::format(
                    "header",
                    "a BundleHeaderProto",
                    "other bytes",
                ));
            }
        }
    }
    match is_big_endian {
        true => Err(Error::unsupported(
            "header",
            "little-endian values",
            "big-endian ones",
        )),
        false => Ok(shard_count),
    }
}

/// Names the tensor in an error that does not.
fn in_tensor(error: Error, entry: &Entry) -> Error {
    match error.detail().at.as_str() {
        "TensorData::new" => error.in_file(&entry.key),
        _ => error,
    }
}

fn read_at(input: &Input, entry: &Entry, shard: &str, buffer: &mut [u8]) -> Result<()> {
    input.read_at(entry.offset, buffer).map_err(|error| {
        let at = format!("{}: {shard}", entry.key);
        Error::io(std::path::Path::new(&at), "a readable shard", &error)
    })
}

fn check(entry: &Entry, checksum: u32, shard: &str) -> Result<()> {
    match checksum == entry.checksum {
        true => Ok(()),
        false => Err(damaged(entry, shard)),
    }
}

fn damaged(entry: &Entry, shard: &str) -> Error {
    Error::format(
        format!("{}: {shard}", entry.key),
        format!("bytes with the checksum {:08x}", entry.checksum),
        "bytes with another one",
    )
    .help("the shard is damaged, or of another save than the .index file; fetch or save it again")
}

/// TensorFlow's `DataType` enumeration.
fn data_type(number: u64) -> Option<DataType> {
    Some(match number {
        1 => DataType::F32,
        2 => DataType::F64,
        3 => DataType::I32,
        4 => DataType::U8,
        5 => DataType::I16,
        6 => DataType::I8,
        9 => DataType::I64,
        10 => DataType::Bool,
        14 => DataType::BF16,
        17 => DataType::U16,
        19 => DataType::F16,
        22 => DataType::U32,
        23 => DataType::U64,
        _ => return None,
    })
}
