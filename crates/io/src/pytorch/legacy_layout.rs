//! The layout before PyTorch 1.6: five pickles in a row (a magic number, the protocol's version, a
//! description of the machine, the object, the keys of its storages), then the storages, each with
//! the number of its elements.

use std::collections::HashMap;

use super::machine::Machine;
use super::source::Source;
use super::value::{Heap, Value};
use super::{most_memory, state_dict};
use crate::input::Input;
use crate::{Checkpoint, Error, Result};

/// 0x1950a86a20f9469cfc6c as a pickle has it: LONG1, ten bytes, STOP.
const MAGIC: [u8; 13] = *b"\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";

/// The only version there ever was.
const VERSION: i64 = 1001;

/// Whether the file begins as PyTorch's files of this layout do.
pub(crate) fn is_legacy(input: &Input) -> bool {
    start(input).is_some()
}

/// Where the pickle of the magic number ends. From protocol 4 on it has a frame.
fn start(input: &Input) -> Option<u64> {
    let prefix = input.prefix(24).ok()?;
    let [0x80, protocol, rest @ ..] = prefix.as_slice() else {
        return None;
    };
    let frame = if *protocol >= 4 { 9 } else { 0 };
    let magic = rest.get(frame..)?;
    magic
        .starts_with(&MAGIC)
        .then_some((2 + frame + MAGIC.len()) as u64)
}

pub(crate) fn from_input(input: &Input) -> Result<Checkpoint> {
    let length = input.length();
    let rest = start(input).and_then(|start| input.section(start, length - start));
    let Some(rest) = rest else {
        return Err(Error::format("", "the magic number of PyTorch", "another"));
    };
    let mut machine = Machine::new(Source::new(&rest), most_memory(length));
    let mut load = |what: &str| machine.load().map_err(|error| error.in_file(what));
    let version = load("the version")?;
    let system = load("the description of the machine")?;
    let root = load("the object")?;
    let keys = load("the keys of the storages")?;

    let heap = &mut machine.heap;
    if !matches!(version, Value::Int(VERSION)) {
        let received = heap.name(version);
        return Err(Error::unsupported(
            "",
            format!("version {VERSION}"),
            received,
        ));
    }
    let little = heap.dict(system).and_then(|items| {
        let mut items = items.iter();
        items.find(|&&(key, _)| heap.text(key) == Some("little_endian"))
    });
    if !matches!(little, Some((_, Value::Bool(true)))) {
        let received = little.map_or("nothing".to_string(), |&(_, value)| heap.name(value));
        return Err(Error::unsupported("little_endian", "true", received));
    }
    let storages = find_storages(heap, keys, &rest, machine.source.position())?;
    state_dict::assemble(heap, root, length, |storage| {
        let found = storages.get(storage.key.as_str()).cloned();
        found.ok_or_else(|| {
            let at = format!("storage {}", storage.key.escape_debug());
            Error::missing(at, "its values", "none")
        })
    })
}

/// The storages' bytes by key; they begin at `position`.
fn find_storages(
    heap: &Heap,
    keys: Value,
    input: &Input,
    mut position: u64,
) -> Result<HashMap<String, Input>> {
    let Some(keys) = heap.sequence(keys) else {
        let received = heap.name(keys);
        return Err(Error::format("", "a list of the storages' keys", received));
    };
    let mut storages = HashMap::with_capacity(keys.len());
    for &key in keys {
        let name = match key {
            Value::Int(key) => key.to_string(),
            _ => heap.text(key).unwrap_or_default().to_string(),
        };
        let at = format!("storage {}", name.escape_debug());
        let Some(number) = heap.storage_of_key(&name) else {
            let received = heap.name(key);
            return Err(Error::format("", "the key of a tensor's storage", received));
        };
        let declared = &heap.storages()[number as usize];
        let mut elements = [0; 8];
        let truncated = |error: &dyn std::fmt::Display| {
            Error::format(&at, format!("{} bytes", declared.length), error)
                .help("the file is truncated or corrupt; copy or download it again")
        };
        input
            .read_at(position, &mut elements)
            .map_err(|error| truncated(&error))?;
        let elements = u64::from_le_bytes(elements);
        if elements.checked_mul(declared.element) != Some(declared.length) {
            let expected = declared.length / declared.element;
            return Err(Error::format(
                at,
                format!("the {expected} elements that the pickle says"),
                format!("{elements} elements"),
            ));
        }
        let start = position + 8;
        let section = input.section(start, declared.length);
        let section = section.ok_or_else(|| truncated(&"the end of the file"))?;
        position = start + declared.length;
        if storages.insert(name, section).is_some() {
            return Err(Error::format(at, "each storage once", "it twice"));
        }
    }
    Ok(storages)
}
